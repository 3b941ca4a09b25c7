"""Commands for real: what they give, what they may take, and that nothing of them lives on."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

import orchestrator_dagster as orc
from orchestrator_dagster.errors import (
    FileMissingError,
    ParametersError,
    SizeLimitError,
    StepInterruptedError,
    StepTimeoutError,
    ToolError,
)
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.tools.commands.terminal import terminal
from orchestrator_dagster.tools.registry import ToolRegistry
from orchestrator_dagster.tools.tool import ToolContext


@pytest.fixture
def work(tmp_path):
    folder = tmp_path / "work"
    (folder / "inner").mkdir(parents=True)
    (folder / "notes.txt").write_text("one\ntwo\nthree\n")
    return folder


@pytest.fixture
def run(work):
    def call(command, context=None, **parameters):
        context = context or ToolContext(Workspace(work))
        return terminal.find(None).call(context, {"command": command, **parameters})

    return call


def sleepers(mark: str) -> list[psutil.Process]:
    """Living processes whose command line has a mark; the mark makes them those of one test."""
    found = []
    for process in psutil.process_iter():
        try:
            if mark in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_what_a_command_gives(run, work):
    done = run("head -n 2 notes.txt")
    assert (done["stdout"], done["stderr"], done["return_code"], done["success"]) == ("one\ntwo\n", "", 0, True)
    assert done["command"] == "head -n 2 notes.txt"
    assert run(["sort", "-r", "notes.txt"])["stdout"] == "two\nthree\none\n"
    assert run("wc -l", input="a\nb\n")["stdout"].strip() == "2"
    assert run("cat")["stdout"] == ""  # its standard input is closed
    assert run("pwd", working_dir="inner")["stdout"].strip() == str(work / "inner")
    assert run("grep 'a|b' -c", check=False)["return_code"] == 1
    assert run(["printf", "%s|", "a b", "$HOME", "*"])["stdout"] == "a b|$HOME|*|"
    assert run(["printf", "\\xff"])["stdout"] == "\ufffd"
    assert ToolRegistry().find("bash") is terminal
    assert terminal.model_may_call is False


def test_a_shell_only_when_it_is_said(run):
    for command in (
        "ls | head",
        "echo $HOME",
        "ls; ls",
        "echo `id`",
        "cat < notes.txt",
        "ls *.txt",
        'echo "$(id)"',
        "ls ~",
        "ls\nls",
    ):
        with pytest.raises(ParametersError, match="only a shell reads"):
            run(command)
    assert run("sort notes.txt | head -n 1", shell=True)["stdout"] == "one\n"
    # A value is an argument, whatever is in it.
    assert (
        run('printf "%s" "$1" | wc -c', shell=True, args=["; touch stolen; $(touch stolen)"])["stdout"].strip() == "31"
    )
    assert run("ls", args=["--", "inner"])["stdout"] == ""
    with pytest.raises(ParametersError, match="a text, not a list"):
        run(["ls"], shell=True)
    with pytest.raises(ParametersError, match="cannot be split"):
        run("echo 'open")


def test_a_failure_says_what_the_command_said(run):
    with pytest.raises(ToolError, match="ended with the exit code 3: no such thing") as failed:
        run("echo no such thing >&2; exit 3", shell=True)
    assert not failed.value.permanent
    with pytest.raises(ToolError, match="killed by SIGKILL"):
        run("kill -9 $$", shell=True)
    assert run("kill -9 $$", shell=True, check=False)["return_code"] == -9
    for command, match in ((["no-such-program-here"], "No such file"), (["./notes.txt"], "Permission denied")):
        with pytest.raises(ToolError, match=match) as failed:
            run(command)
        assert failed.value.permanent
    with pytest.raises(FileMissingError, match='no folder "nowhere"'):
        run("ls", working_dir="nowhere")
    with pytest.raises(ParametersError, match="NUL"):
        run(["echo", "a\0b"])
    with pytest.raises(ParametersError, match="empty"):
        run("")


def test_its_environment_has_no_keys(run, work, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "sk-planted-0123456789")
    monkeypatch.setenv("REGION", "north")
    monkeypatch.setenv("LD_PRELOAD_OFF", "1")
    seen = dict(line.split("=", 1) for line in run("env")["stdout"].splitlines())
    assert not {"SOME_API_KEY", "REGION", "LD_PRELOAD_OFF"} & set(seen)
    assert set(seen) <= {"PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "PYTHONIOENCODING"}
    assert seen["HOME"] != os.environ.get("HOME")
    assert not Path(seen["HOME"]).exists()  # it was the call's own
    allowed = ToolContext(Workspace(work, environment=frozenset({"REGION", "MISSING"})))
    assert run(["sh", "-c", "echo $REGION"], allowed, env=["REGION"])["stdout"] == "north\n"
    assert run(["sh", "-c", "echo $MADE"], env={"MADE": "here"})["stdout"] == "here\n"
    with pytest.raises(ParametersError, match='"SOME_API_KEY" may not be handed') as refused:
        run("env", allowed, env=["SOME_API_KEY"])
    assert "sk-planted" not in str(refused.value)
    with pytest.raises(ParametersError, match='"MISSING" is not set'):
        run("env", allowed, env=["MISSING"])


@pytest.mark.parametrize(
    "script",
    [
        "sleep {mark} & sleep {mark} & wait",
        "(setsid sleep {mark} &) ; (setsid sh -c 'sleep {mark} & sleep {mark}' &) ; sleep {mark}",  # daemons
        "trap '' TERM HUP INT; (trap '' TERM; sleep {mark}) & sleep {mark}; sleep {mark}",  # deaf to being asked
        "nohup sleep {mark} >/dev/null 2>&1 & exec sleep {mark}",
    ],
)
def test_a_timeout_kills_every_process(run, script):
    mark = f"9{os.getpid()}.{abs(hash(script)) % 10**6}"
    with pytest.raises(StepTimeoutError, match=r"timeout of 0\.6 seconds"):
        run(script.format(mark=mark), shell=True, timeout=0.6)
    assert not sleepers(mark)


def test_the_timeout_of_the_step_holds_too(work):
    context = ToolContext(Workspace(work), timeout=0.6)
    mark = f"8{os.getpid()}.25"
    with pytest.raises(StepTimeoutError):
        terminal.find(None).call(context, {"command": f"setsid sleep {mark} & sleep {mark}", "shell": True})
    assert not sleepers(mark)


def test_what_a_command_leaves_behind_is_ended(run):
    mark = f"7{os.getpid()}.5"
    done = run(f"(setsid sleep {mark} </dev/null >/dev/null 2>&1 &); sleep {mark} & echo done", shell=True)
    assert (done["stdout"], done["left"]) == ("done\n", 2)
    assert not sleepers(mark)


def test_a_stopped_run_stops_it(work):
    mark, stop = f"6{os.getpid()}.5", threading.Event()
    context = ToolContext(Workspace(work), interrupted=stop.is_set)

    def when_it_runs() -> None:
        while not sleepers(mark):
            time.sleep(0.05)
        stop.set()

    thread = threading.Thread(target=when_it_runs)
    thread.start()
    with pytest.raises(StepInterruptedError):
        terminal.find(None).call(context, {"command": ["sleep", mark]})
    thread.join()
    assert not sleepers(mark)


def test_when_the_run_is_killed_the_command_ends(work):
    """The run's process gets SIGKILL and can do nothing: the keeper sees its end."""
    mark = f"5{os.getpid()}.5"
    script = (
        "import sys; from pathlib import Path; from orchestrator_dagster.files.workspace import Workspace;"
        "from orchestrator_dagster.tools.tool import ToolContext;"
        "from orchestrator_dagster.tools.commands.terminal import terminal;"
        "terminal.find(None).call(ToolContext(Workspace(Path(sys.argv[1]))),"
        "{'command': f'setsid sleep {sys.argv[2]} & sleep {sys.argv[2]}', 'shell': True})"
    )
    own = work.parent / "temporary"
    own.mkdir()
    environment = {**os.environ, "TMPDIR": str(own)}
    with subprocess.Popen([sys.executable, "-c", script, str(work), mark], env=environment) as process:
        wait_for(lambda: len([one for one in sleepers(mark) if one.name() == "sleep"]) == 2)
        process.kill()
    wait_for(lambda: not sleepers(mark))
    wait_for(lambda: not list(own.iterdir()))  # nor is a file left


def wait_for(condition) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.05)


def test_a_flood_is_stopped(run):
    for command in ("yes", "yes >&2"):
        with pytest.raises(SizeLimitError, match=r"more than 100,000 bytes to its standard"):
            run(command, shell=True, max_output=100_000)
    assert len(run("yes | head -c 99999", shell=True, max_output=100_000)["stdout"]) == 99_999


def test_memory_is_limited(run):
    bomb = [sys.executable, "-c", "x = bytearray(400 * 2**20); print(len(x))"]
    with pytest.raises(ToolError) as failed:
        run(bomb, memory_mb=200)
    assert "MemoryError" in failed.value.message
    assert "memory_mb" in failed.value.hint
    assert run(bomb, memory_mb=700)["return_code"] == 0
    # Each is below the limit, together they are not.
    part = "import time; x = b'x' * (80 * 2**20); time.sleep(60)"
    with pytest.raises(ToolError, match="more than 200 MB of memory"):
        run(f'for i in 1 2 3 4; do {sys.executable} -c "{part}" & done; wait', shell=True, memory_mb=200)


def test_processes_are_limited(run):
    mark = f"4{os.getpid()}.5"
    # A bomb with a fuse: 60 at most, if nothing stopped it.
    bomb = f"i=0; while [ $i -lt 60 ]; do sleep {mark} & i=$((i+1)); done; wait"
    with pytest.raises(ToolError, match=r"more than 20 processes at once|fork"):
        run(bomb, shell=True, max_processes=20, timeout=20)
    assert not sleepers(mark)


def test_the_size_of_files_is_limited(work):
    context = ToolContext(Workspace(work, max_file_bytes=100_000))
    with pytest.raises(ToolError) as failed:
        terminal.find(None).call(context, {"command": ["dd", "if=/dev/zero", "of=big", "bs=1000", "count=1000"]})
    assert "SIGXFSZ" in failed.value.message or "too large" in failed.value.message
    assert (work / "big").stat().st_size <= 100_000


def test_what_it_says_goes_to_the_log(work):
    lines = []
    context = ToolContext(Workspace(work), log=lines.append)
    done = terminal.find(None).call(context, {"command": "cat notes.txt", "capture_output": False})
    assert (lines, done["stdout"]) == (["one", "two", "three"], "")


def test_in_a_pipeline(project, write, instance, monkeypatch):
    monkeypatch.setenv("PLANTED_API_KEY", "sk-planted-0123456789")
    write("data.txt", "b\na\n")
    write(
        "pipelines/p.yaml",
        """
id: p
steps:
  - id: sorted
    tool: terminal
    action: execute
    parameters: {command: "sort data.txt"}
    vars: {text: "{{ result.stdout }}", code: {type: integer, value: "{{ result.return_code }}"}}
  - id: environment
    tool: terminal
    parameters: {command: env}
  - id: fails
    tool: terminal
    parameters: {command: [sh, -c, "exit 4"], check: false}
  - id: slow
    tool: terminal
    parameters: {command: [sleep, "60"]}
    timeout: 0.5
    on_failure: continue
outputs: {text: "{{ sorted.text }}", code: "{{ fails.return_code }}", env: "{{ environment.stdout }}"}
""",
    )
    result = orc.compile("pipelines/p.yaml").run(instance=instance)
    assert result.outputs["text"] == "a\nb\n"
    assert result.outputs["code"] == 4
    assert "PLANTED" not in result.outputs["env"]
    assert result.steps["slow"]["error_type"] == "StepTimeoutError"


def test_older_command_lines(project, write, instance):
    write(
        "pipelines/p.yaml",
        """
id: p
inputs: {word: two}
steps:
  - {id: count, tool: bash, action: execute, parameters: {command: "printf 'two\\\\ntwo\\\\n' | wc -l"}}
outputs: {lines: "{{ count.stdout | trim }}"}
""",
    )
    pipeline = orc.compile("pipelines/p.yaml")
    assert pipeline.run(instance=instance).outputs == {"lines": "2"}
    write(
        "pipelines/q.yaml",
        "id: q\ninputs: {w: x}\nsteps: [{id: a, tool: terminal, parameters: {command: 'grep {{ w }} f | wc'}}]\n",
    )
    with pytest.raises(orc.PipelineError, match="a template, whose value the shell would read too"):
        orc.compile("pipelines/q.yaml")
