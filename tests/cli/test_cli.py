"""The command, as a process: what stands on stdout and stderr, exit codes, files."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from orchestrator_dagster.language.document import read_file

Write = Callable[[str, str], Path]

FIVE_MISTAKES = """\
id: five
descripton: Five mistakes
inputs:
  - topic: None
steps:
  - id: read
    tool: filesytem
    parameters: {path: a.txt}
  - id: write
    tool: filesystem
    action: write
    parameters: {path: b.txt, content: "{{ tpic }}"}
    products:
      - text: ../b.txt
  - id: late
    depends_on: [wrte]
    action: echo
    parameters: {message: hello}
"""


def orchestrator(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestrator_dagster.cli", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def at_a_terminal(*arguments: str, cwd: Path) -> str:
    """What a person sees: stdout and stderr are a terminal."""
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "orchestrator_dagster.cli", *arguments]
    process = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=its, stderr=its)
    os.close(its)
    seen = b""
    with contextlib.suppress(OSError):  # the other side was closed
        while part := os.read(ours, 65536):
            seen += part
    os.close(ours)
    process.wait()
    return seen.decode().replace("\r\n", "\n")


def test_run_prints_the_document_and_progress(demo: Path) -> None:
    done = orchestrator("run", "pipelines/research_report.yaml", "-i", "topic=shade", "-i", "max_findings=3", cwd=demo)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["success"] is True
    assert document["outputs"]["findings"] == 3
    assert "extract_findings: completed" in done.stderr
    assert "wrote outputs/research_report/report.md" in done.stderr
    assert "DEBUG" not in done.stderr
    assert (demo / ".orchestrator" / "history").is_dir()


GREETING = """\
id: greeting
inputs: [{topic: None}, {times: 1}]
steps: [{id: greet, action: echo, parameters: {message: "{{ topic * times }}"}}]
outputs: {said: "{{ greet }}"}
"""


def test_run_writes_the_document_to_a_file(write: Write, project: Path) -> None:
    write("pipelines/greeting.yaml", GREETING)
    command = ("run", "pipelines/greeting.yaml", "-i", "topic=shade", "-o", "out/result.json", "--quiet")
    done = orchestrator(*command, cwd=project)
    assert done.returncode == 0
    assert done.stdout == ""
    assert done.stderr == ""
    assert json.loads((project / "out/result.json").read_text())["status"] == "completed"


def test_inputs_from_a_file_and_from_options(write: Write, project: Path) -> None:
    write("pipelines/greeting.yaml", GREETING)
    write("inputs.yaml", "topic: ho\ntimes: 2\n")
    command = ("run", "pipelines/greeting.yaml", "--inputs-file", "inputs.yaml", "-i", "times=3")
    done = orchestrator(*command, cwd=project)
    assert json.loads(done.stdout)["outputs"] == {"said": "hohoho"}


def test_a_failed_run_prints_its_document_and_exits_1(write: Write, project: Path) -> None:
    write(
        "pipelines/f.yaml",
        "id: f\nsteps:\n  - {id: read, tool: filesystem, action: read, parameters: {path: no.txt}}\n",
    )
    done = orchestrator("run", "pipelines/f.yaml", cwd=project)
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["status"] == "failed"
    assert document["error"]["step"] == "read"
    assert "pipelines/f.yaml:3:5" in done.stderr
    assert "Traceback" not in done.stderr
    *_, next_ = done.stderr.splitlines()
    assert next_ == f"next: orchestrator resume {document['execution_id'][:8]}"

    (project / "no.txt").write_text("here it is")
    resumed = orchestrator(*next_.split()[2:], cwd=project)
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["steps"]["read"]["value"]["content"] == "here it is"
    assert "next:" not in resumed.stderr
    again = orchestrator(*next_.split()[2:], "--quiet", cwd=project)
    assert again.returncode == 2
    assert "has been resumed or re-executed before" in again.stderr
    assert "next: orchestrator" not in again.stderr


def test_five_mistakes_give_five_messages(write: Write, project: Path) -> None:
    write("pipelines/five.yaml", FIVE_MISTAKES)
    for command in (["validate"], ["run"]):
        done = orchestrator(*command, "pipelines/five.yaml", cwd=project)
        assert done.returncode == 2
        lines = [line for line in done.stderr.splitlines() if line.startswith("pipelines/five.yaml:")]
        places = [line.split(" ")[0].rstrip(":").split(":", 1)[1] for line in lines]
        assert places == ["2:1", "7:11", "12:44", "14:15", "16:18"], done.stderr
        assert 'did you mean "filesystem"' in done.stderr
        assert 'did you mean "description"' in done.stderr
        assert 'did you mean "topic"' in done.stderr
        assert 'did you mean "write"' in done.stderr
        assert "^" in done.stderr
        assert "Traceback" not in done.stderr
    assert not (project / ".orchestrator").exists()


def test_validate_as_json(write: Write, project: Path) -> None:
    write("pipelines/five.yaml", FIVE_MISTAKES)
    write("pipelines/good.yaml", "id: good\nsteps:\n  - {id: a, action: echo, parameters: {message: hi}}\n")
    done = orchestrator("validate", "--json", "pipelines", cwd=project)
    assert done.returncode == 2
    found = json.loads(done.stdout)
    assert len(found) == 5
    assert found[1] == {
        "code": "unknown-tool",
        "severity": "error",
        "message": 'step "read" names the tool "filesytem"',
        "file": "pipelines/five.yaml",
        "line": 7,
        "column": 11,
        "end_line": 7,
        "end_column": 20,
        "step": "read",
        "suggestion": "filesystem",
        "hint": "`orchestrator tools` lists them",
    }
    assert orchestrator("validate", "pipelines/good.yaml", cwd=project).returncode == 0


def test_validate_as_sarif(write: Write, project: Path) -> None:
    write("pipelines/five mistakes.yaml", FIVE_MISTAKES)
    done = orchestrator("validate", "--sarif", "pipelines", cwd=project)
    assert done.returncode == 2
    log = json.loads(done.stdout)
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(run["results"]) == 5
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "pipelines/five%20mistakes.yaml"
        region = place["region"]
        assert (region["endLine"], region["endColumn"]) > (region["startLine"], region["startColumn"])
    assert 'did you mean "filesystem"' in run["results"][1]["message"]["text"]
    help_of = {rule["id"]: rule["help"] for rule in run["tool"]["driver"]["rules"]}
    assert help_of["unknown-tool"]["text"] == orchestrator("explain", "unknown-tool", cwd=project).stdout.strip()
    assert "```yaml\n" in help_of["unknown-tool"]["markdown"]
    assert "](" not in help_of["unknown-tool"]["markdown"]


def test_validate_says_once_where_a_code_is_explained(write: Write, project: Path) -> None:
    """To people, that is at a terminal; what programs read stays as it is."""
    write("pipelines/five.yaml", FIVE_MISTAKES)
    write("pipelines/good.yaml", "id: good\nsteps:\n  - {id: a, action: echo, parameters: {message: hi}}\n")
    terminal = at_a_terminal("validate", "pipelines", cwd=project)
    assert terminal.count("orchestrator explain") == 1
    last = terminal.splitlines()[-1]
    code = last.removeprefix("what a code means: orchestrator explain ")
    assert f"error[{code}]" in terminal
    assert orchestrator("explain", code, cwd=project).returncode == 0
    assert "orchestrator explain" not in at_a_terminal("validate", "pipelines/good.yaml", cwd=project)
    assert "orchestrator explain" not in orchestrator("validate", "pipelines", cwd=project).stderr
    assert "what a code means" not in at_a_terminal("validate", "--json", "pipelines", cwd=project)


@pytest.mark.parametrize(
    ("step", "code", "place"),
    [
        ("{id: a, tool: video-processing, action: cut, parameters: {path: a.mp4}}", "not-supported", ":3:19:"),
        ("{id: a, prompt: <AUTO>ask about trees</AUTO>, model: 'builtin:extractive'}", "no-orchestrator", ":3:21:"),
    ],
)
def test_what_this_release_does_not_run_can_be_checked(
    write: Write, project: Path, step: str, code: str, place: str
) -> None:
    write("pipelines/later.yaml", f"id: later\nsteps:\n  - {step}\n")
    checked = orchestrator("validate", "pipelines/later.yaml", cwd=project)
    assert checked.returncode == 0, checked.stderr
    assert f"pipelines/later.yaml{place} warning[{code}]" in checked.stderr + checked.stdout
    ran = orchestrator("run", "pipelines/later.yaml", cwd=project)
    assert ran.returncode == 2, ran.stderr
    assert f"pipelines/later.yaml{place} error[{code}]" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (project / "outputs").exists()


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        (None, "file-missing", ":1:1:"),
        ("", "yaml-empty", ":1:1:"),
        ("id: x\nsteps: [\n", "yaml-syntax", ":2:"),
        ("id: x\nsteps:\n  - id: a\n    prompt: {{ topic }}\n", "yaml-unquoted-template", ":4:13:"),
        ("- just\n- a list\n", "not-a-map", ":1:1:"),
        ("id: x\nsteps:\n  - {id: a, action: echo, parameters: {message: '{{ nobody }}'}}\n", "unknown-name", ":3:53:"),
        (
            "id: x\noutput_dir: ../elsewhere\nsteps:\n  - {id: a, action: echo, parameters: {message: hi}}\n",
            "output-path",
            ":2:13:",
        ),
    ],
)
def test_bad_files(write: Write, project: Path, text: str | None, code: str, place: str) -> None:
    if text is not None:
        write("pipelines/bad.yaml", text)
    for command in ("validate", "run"):
        done = orchestrator(command, "pipelines/bad.yaml", cwd=project)
        assert done.returncode == 2, done.stderr
        assert f"pipelines/bad.yaml{place}" in done.stderr
        assert f"error[{code}]" in done.stderr
        assert "Traceback" not in done.stderr
    assert not (project / "outputs").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-i", "topc=x"], 'did you mean "topic"'),
        (["-i", "nonsense"], "KEY=VALUE"),
        (["--inputs-file", "missing.yaml"], "missing.yaml"),
        (["-i", "topic=x", "-i", "max_findings=none"], "max_findings"),
    ],
)
def test_wrong_inputs_exit_2(demo: Path, arguments: list[str], said: str) -> None:
    done = orchestrator("run", "pipelines/research_report.yaml", *arguments, cwd=demo)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (demo / "outputs").exists()


def test_tools_are_listed_and_described(project: Path) -> None:
    listed = orchestrator("tools", cwd=project)
    assert "filesystem" in listed.stdout
    shown = orchestrator("tools", "data-processing", cwd=project)
    assert "group_by" in shown.stdout
    assert '    how: inner, left, right, outer, cross; default "inner". ' in shown.stdout
    assert "    parse_dates (columns; format; on_error: fail, null): " in shown.stdout
    assert "None" not in shown.stdout
    assert "null_values: string/array, optional. " in shown.stdout
    wrong = orchestrator("tools", "filesytem", cwd=project)
    assert wrong.returncode == 2
    assert 'did you mean "filesystem"' in wrong.stderr


def test_an_interrupted_run_is_canceled_and_printed(write: Write, project: Path) -> None:
    write(
        "tools.py",
        """\
import time
from orchestrator_dagster import ToolContext, tool

@tool
def wait(context: ToolContext, seconds: float) -> dict:
    \"\"\"Say that it waits, and wait.\"\"\"
    (context.workspace.root / "waiting").touch()
    time.sleep(seconds)
    return {}
""",
    )
    write(
        "pipelines/wait.yaml",
        """\
id: wait_run
steps:
  - {id: first, action: echo, parameters: {message: hello}}
  - {id: wait, tool: wait, depends_on: first, parameters: {seconds: 120}}
""",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator_dagster.cli", "run", "pipelines/wait.yaml"],
        cwd=project,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not (project / "waiting").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    document = json.loads(out)
    assert document["status"] == "canceled"
    assert document["steps"]["first"]["status"] == "completed"
    assert "Traceback" not in err
    assert err.endswith(f"interrupted\nnext: orchestrator resume {document['execution_id'][:8]}\n")


def test_two_files_of_a_folder_with_one_id(write: Write, project: Path) -> None:
    for name in ("one", "two"):
        write(f"pipelines/{name}.yaml", "id: same\nsteps:\n  - {id: a, action: echo, parameters: {message: hi}}\n")
    done = orchestrator("validate", "pipelines", cwd=project)
    assert done.returncode == 2
    assert "pipelines/two.yaml:1:5: error[duplicate-id]" in done.stderr
    assert "pipelines/one.yaml: valid" in done.stdout


def test_a_folder_without_pipelines_is_wrong(project: Path) -> None:
    (project / "notes").mkdir()
    assert orchestrator("validate", "notes", cwd=project).returncode == 2


def test_a_quiet_run_still_says_why_it_failed(write: Write, project: Path) -> None:
    write("pipelines/f.yaml", "id: f\nsteps:\n  - {id: read, tool: filesystem, parameters: {path: no.txt}}\n")
    done = orchestrator("run", "pipelines/f.yaml", "-q", "-o", "r.json", cwd=project)
    assert done.returncode == 1
    assert "read: pipelines/f.yaml:3:5: there is no file" in done.stderr


@pytest.mark.parametrize("output", ["pipelines", "workspace.yaml/r.json"])
def test_a_result_that_cannot_be_written_is_told_before_the_run(write: Write, project: Path, output: str) -> None:
    text = "id: f\nsteps:\n  - {id: w, tool: filesystem, action: write, parameters: {path: out.txt, content: x}}\n"
    write("pipelines/f.yaml", text)
    done = orchestrator("run", "pipelines/f.yaml", "-o", output, cwd=project)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not (project / "out.txt").exists()


def test_runs_that_cannot_be_recorded(write: Write, project: Path) -> None:
    write("pipelines/f.yaml", "id: f\nsteps:\n  - {id: a, action: echo, parameters: {message: hi}}\n")
    (project / ".orchestrator").touch()
    done = orchestrator("run", "pipelines/f.yaml", cwd=project)
    assert done.returncode == 1
    assert "cannot be recorded" in done.stderr
    assert "Traceback" not in done.stderr


def test_init_writes_a_pipeline_that_runs(tmp_path: Path) -> None:
    made = orchestrator("init", "fresh", cwd=tmp_path)
    assert made.returncode == 0
    assert "wrote fresh/pipelines/first.yaml" in made.stdout
    done = orchestrator("run", "pipelines/first.yaml", cwd=tmp_path / "fresh")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["outputs"]["count"] >= 2
    assert "Young trees need water" in (tmp_path / "fresh/outputs/first/report.md").read_text()
    assert "$schema=../pipeline.schema.json" in (tmp_path / "fresh/pipelines/first.yaml").read_text()
    schema = (tmp_path / "fresh/pipeline.schema.json").read_text()
    assert schema == orchestrator("schema", cwd=tmp_path / "fresh").stdout
    pipeline, _ = read_file(tmp_path / "fresh/pipelines/first.yaml")
    assert not list(Draft202012Validator(json.loads(schema)).iter_errors(pipeline.value()))
    assert (tmp_path / "fresh/.gitignore").read_text().splitlines()[1:3] == [".orchestrator/", "outputs/"]
    again = orchestrator("init", "fresh", cwd=tmp_path)
    assert again.returncode == 2
    assert "there already" in again.stderr


def test_init_leaves_a_gitignore_as_it_is(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n")
    made = orchestrator("init", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert ".gitignore" not in made.stdout
    assert (tmp_path / ".gitignore").read_text() == "mine\n"


def test_a_skipped_step_at_a_terminal(write: Write, project: Path) -> None:
    write(
        "pipelines/maybe.yaml",
        """\
id: maybe
steps:
  - id: never
    condition: 1 > 2
    action: echo
    parameters: {message: hello}
  - id: always
    dependencies: never
    action: echo
    parameters: {message: hello}
""",
    )
    said = at_a_terminal("run", "pipelines/maybe.yaml", "-o", "result.json", cwd=project)
    assert json.loads((project / "result.json").read_text())["success"]
    said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)
    assert re.search(r"– *never *skipped *because its condition is false: 1 > 2", said)
    assert "2 of 2 steps" in said


def test_a_run_that_went_on_past_a_failure_says_at_its_end_that_it_failed(write: Write, project: Path) -> None:
    write(
        "pipelines/past.yaml",
        """\
id: past
steps:
  - id: read
    tool: filesystem
    action: read
    parameters: {path: nothing.txt}
    on_failure: continue
  - id: say
    action: echo
    parameters: {message: "{{ read.error.message }}"}
""",
    )
    done = orchestrator("run", "pipelines/past.yaml", cwd=project)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2] == "the run failed: read"
    error = json.loads(done.stdout)["error"]
    assert (error["step"], error["type"]) == ("read", "FileMissingError")
    assert 'pipelines/past.yaml:3:5: step "read" failed: ' in error["message"]


def test_an_output_that_cannot_be_made_is_told(write: Write, project: Path) -> None:
    write(
        "pipelines/out.yaml",
        """\
id: out
inputs:
  - number: 3
steps:
  - id: say
    action: echo
    parameters: {message: hello}
outputs:
  wrong: "{{ number + say }}"
""",
    )
    done = orchestrator("run", "pipelines/out.yaml", cwd=project)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2].startswith("error: finish: ")
