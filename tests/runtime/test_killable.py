"""Tools with a timeout: their work is stopped, with every process it has started, and nothing else changes."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.errors import (
    FileMissingError,
    ParametersError,
    StepError,
    StepInterruptedError,
    StepTimeoutError,
    ToolError,
)
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.models.clients import ModelClients
from orchestrator_dagster.runtime.killable import server, servers
from orchestrator_dagster.runtime.killable.call import call_killable
from orchestrator_dagster.runtime.names import RunInfo
from orchestrator_dagster.runtime.scope import Scope
from orchestrator_dagster.runtime.secrets import Redactor
from orchestrator_dagster.runtime.services import Services
from orchestrator_dagster.runtime.step import run_step
from orchestrator_dagster.tools.decorator import tool
from orchestrator_dagster.tools.registry import ToolRegistry
from orchestrator_dagster.tools.tool import ToolContext

RUN = RunInfo("run-1", datetime(2026, 1, 31, 12, 0, tzinfo=timezone.utc))
Compile = Callable[[str], CompiledPipeline]
PATIENCE = 60.0
LONG = 60.0

TOOLS = '''
import asyncio, ctypes, datetime, decimal, os, random, signal, subprocess, sys, tempfile, threading, time
from pathlib import Path
from orchestrator_dagster import ToolContext, tool
from orchestrator_dagster.errors import FileMissingError, StepError, ToolError


class OwnError(StepError):
    """An error of this project."""

    permanent = True


class Stubborn(StepError):
    def __init__(self, message, *, hint=None):
        super().__init__(message, hint=hint)
        self.lock = threading.Lock()


@tool
def busy(context: ToolContext, name: str = "pids") -> dict:
    """Start processes of every kind, say which, and go on for minutes."""
    trap = "trap '' TERM INT HUP; "
    started = [
        subprocess.Popen(["sleep", "600"]),
        subprocess.Popen(["sleep", "600"], start_new_session=True),
        subprocess.Popen(["sh", "-c", trap + "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE),
        subprocess.Popen(["sh", "-c", "setsid sleep 600 & echo $!"], stdout=subprocess.PIPE),
    ]
    told = [int(one.stdout.readline()) for one in started[2:]]
    started[3].wait()
    pids = [os.getpid(), os.getppid(), *(one.pid for one in started[:3]), *told]
    context.workspace.write(name, " ".join(map(str, pids)).encode())
    while True:
        try:
            time.sleep(600)
        except BaseException:  # it does not want to end either
            pass


@tool
def half(context: ToolContext, stubborn: bool) -> dict:
    """Write half a file, for minutes."""
    def pieces():
        yield b"half"
        context.workspace.write("begun", b"")
        while True:
            try:
                time.sleep(600)
            except BaseException:
                if not stubborn:
                    raise
    context.workspace.write("whole.txt", pieces())


@tool
def ends(how: str) -> dict:
    """End this process."""
    if how == "exit":
        os._exit(3)
    if how == "closes":
        os.closerange(3, 1000)
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "crash":
        import resource
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "sys.exit":
        sys.exit("enough")
    if how == "memory":
        raise MemoryError
    if how == "interrupt":
        raise KeyboardInterrupt


@tool
def gives(what: str):
    """Give a value of some kind."""
    return {
        "date": lambda: datetime.date(2026, 1, 31),
        "decimal": lambda: decimal.Decimal("1.50"),
        "set": lambda: {1, 2},
        "path": lambda: Path("a"),
        "lock": threading.Lock,
        "function": lambda: (lambda: None),
        "generator": lambda: (n for n in range(3)),
        "nothing": lambda: None,
    }[what]()


@tool
def raises(what: str) -> None:
    """Raise."""
    if what == "missing":
        raise FileMissingError("no such thing", hint="look elsewhere")
    if what == "permanent":
        raise ToolError("never", hint="do not try", permanent=True)
    if what == "own":
        raise OwnError("ours", hint="read our manual")
    if what == "stubborn":
        raise Stubborn("cannot travel", hint="stay")
    raise ValueError("anything")


@tool
def echoes(value: object) -> object:
    """Give the value back."""
    return value


@tool
def sees(context: ToolContext) -> dict:
    """What this tool sees around it."""
    context.log("one")
    thread = threading.Thread(target=context.log, args=("two",))
    thread.start()
    thread.join()
    return {
        "pid": os.getpid(), "timeout": context.timeout, "folders": list(context.folders), "cwd": os.getcwd(),
        "variable": os.environ.get("OWN_VARIABLE"), "path": sys.path[:], "root": str(context.workspace.root),
        "interrupted": context.interrupted(), "random": random.random(), "limit": context.workspace.max_file_bytes,
        "threads": threading.active_count(), "stdin": sys.stdin.read(),
    }


@tool
def prints(lines: int) -> int:
    """Print a lot, and have a process print."""
    for number in range(lines):
        print("line", number, "x" * 100)
    print("to errors", file=sys.stderr)
    subprocess.run(["echo", "from a child"], check=True)
    return lines


@tool
def leaves(context: ToolContext) -> int:
    """Leave a process running on purpose."""
    return subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).pid


@tool
async def awaits(context: ToolContext, name: str = "awaiting") -> dict:
    """Wait for a process, for minutes."""
    child = await asyncio.create_subprocess_exec("sh", "-c", "trap '' TERM; sleep 600 & echo $!; wait", stdout=-1)
    below = int(await child.stdout.readline())
    context.workspace.write(name, f"{child.pid} {below}".encode())
    await child.wait()


@tool
async def never_ends() -> None:
    """Refuse to be cancelled."""
    while True:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            pass
'''


def lives(pid: int) -> bool:
    """Whether a process runs: one that has ended and waits for its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def wait_for(true: Callable[[], Any], what: str) -> None:
    until = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def all_gone(path: Path) -> None:
    """Check that the processes of ``busy`` have ended; its keeper, which has seen to that, is just about to."""
    worker, keeper, *others = pids_of(path)
    assert [pid for pid in (worker, *others) if lives(pid)] == []
    wait_for(lambda: not lives(keeper), "the keeper lives")


def pids_of(path: Path) -> list[int]:
    return [int(one) for one in path.read_text().split()]


@pytest.fixture
def tools(project: Path) -> ToolRegistry:
    (project / "tools.py").write_text(TOOLS)
    registry = ToolRegistry()
    registry.load_file(project / "tools.py")
    return registry


@pytest.fixture
def context(project: Path) -> ToolContext:
    return ToolContext(Workspace(project), timeout=LONG)


@pytest.fixture
def call(tools: ToolRegistry, context: ToolContext) -> Callable[..., Any]:
    def made(name: str, context: ToolContext = context, action: str | None = None, **parameters: Any) -> Any:
        return call_killable(tools, tools.find(name).find(action), context, parameters)

    return made


def test_what_takes_too_long_is_stopped_with_all_it_has_started(
    call: Callable[..., Any], context: ToolContext, project: Path
) -> None:
    with pytest.raises(StepTimeoutError) as caught:
        call("busy", replace(context, timeout=1.5))
    assert "busy.execute took longer than its timeout of 1.5 seconds and was stopped" in str(caught.value)
    assert not caught.value.permanent
    assert len(pids_of(project / "pids")) == 7
    all_gone(project / "pids")


def test_a_run_that_is_stopped_stops_the_tool(call: Callable[..., Any], context: ToolContext, project: Path) -> None:
    stopping = replace(context, interrupted=(project / "pids").exists)
    with pytest.raises(StepInterruptedError, match=r"busy\.execute"):
        call("busy", stopping)
    all_gone(project / "pids")


def test_an_interrupt_of_the_thread_that_waits_stops_the_tool(call: Callable[..., Any], project: Path) -> None:
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        wait_for((project / "pids").exists, "it did not start")
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        call("busy")
    thread.join()
    all_gone(project / "pids")


@pytest.mark.parametrize("stubborn", [False, True])
def test_no_half_written_file_stays(
    call: Callable[..., Any], context: ToolContext, project: Path, stubborn: bool
) -> None:
    before = sorted(path.name for path in project.iterdir())
    stopping = replace(context, interrupted=(project / "begun").exists)
    with pytest.raises(StepInterruptedError):
        call("half", stopping, stubborn=stubborn)
    assert sorted(path.name for path in project.iterdir()) == sorted([*before, "begun"])


@pytest.mark.parametrize(
    ("how", "said", "hint"),
    [
        ("exit", "the process of ends.execute ended with the exit code 3 before there was a result", None),
        ("closes", "ended with the exit code 1", None),
        ("killed", "was killed by SIGKILL", "memory"),
        ("crash", "was killed by SIGSEGV", None),
        ("sys.exit", "SystemExit: enough", None),
        ("interrupt", "KeyboardInterrupt", None),
        ("memory", "ends.execute failed: MemoryError", None),
    ],
)
def test_a_process_that_ends_by_itself(call: Callable[..., Any], how: str, said: str, hint: str | None) -> None:
    with pytest.raises(ToolError, match=said) as caught:
        call("ends", how=how)
    assert not caught.value.permanent
    assert (hint or "") in (caught.value.hint or "")
    assert call("echoes", value=1) == 1


@pytest.mark.parametrize("what", ["date", "decimal", "set", "path", "nothing"])
def test_a_result_is_the_one_that_the_tool_gave(call: Callable[..., Any], tools: ToolRegistry, what: str) -> None:
    given = call("gives", what=what)
    wanted = tools.find("gives").find(None).call(ToolContext(Workspace(Path())), {"what": what})
    assert (given, type(given)) == (wanted, type(wanted))


@pytest.mark.parametrize("what", ["lock", "function", "generator"])
def test_a_result_that_cannot_be_passed(call: Callable[..., Any], what: str) -> None:
    with pytest.raises(ToolError, match=r"the result of gives\.execute cannot be passed") as caught:
        call("gives", what=what)
    assert caught.value.permanent
    assert "plain values" in str(caught.value.hint)


def test_parameters_that_cannot_be_passed(call: Callable[..., Any]) -> None:
    with pytest.raises(ToolError, match=r"the parameters of echoes\.execute cannot be passed"):
        call("echoes", value=threading.Lock())


def test_a_large_value_goes_there_and_back(call: Callable[..., Any]) -> None:
    value = os.urandom(100 << 20)
    assert call("echoes", value=value) == value


@pytest.mark.parametrize(
    ("what", "kind", "message", "hint", "permanent"),
    [
        ("missing", "FileMissingError", "no such thing", "look elsewhere", True),
        ("permanent", "ToolError", "never", "do not try", True),
        ("own", "OwnError", "ours", "read our manual", True),
        ("stubborn", "ToolError", "Stubborn: cannot travel", "stay", False),
        ("any", "ToolError", "raises.execute failed: ValueError: anything", None, False),
    ],
)
def test_an_error_is_the_one_that_the_tool_raised(
    call: Callable[..., Any], what: str, kind: str, message: str, hint: str | None, permanent: bool
) -> None:
    with pytest.raises(StepError) as caught:
        call("raises", what=what)
    error = caught.value
    assert (type(error).__name__, error.message, error.hint, error.permanent) == (kind, message, hint, permanent)
    assert what != "missing" or isinstance(error, FileMissingError)


def test_wrong_parameters_are_told_before_a_process_starts(call: Callable[..., Any]) -> None:
    with pytest.raises(ParametersError, match='there is no parameter "valeu"; did you mean "value"'):
        call("echoes", valeu=1)


def test_the_tool_sees_what_it_would_see_in_the_run(
    call: Callable[..., Any], context: ToolContext, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("echoes", value=1)  # so that the helper is there, and what is changed now is newer
    monkeypatch.setenv("OWN_VARIABLE", "set later")
    (project / "below").mkdir()
    monkeypatch.chdir(project / "below")
    monkeypatch.syspath_prepend(str(project / "below"))
    lines: list[str] = []
    own = replace(
        context, workspace=Workspace(project, max_file_bytes=1234), folders=("a", "b"), log=lines.append, timeout=50.0
    )
    random.seed(1)
    seen = [call("sees", own), call("sees", own)]
    for one in seen:
        assert one.pop("pid") != os.getpid()
    assert seen[0].pop("random") != seen[1].pop("random")
    assert seen[0] == {
        "timeout": 50.0,
        "folders": ["a", "b"],
        "cwd": str(project / "below"),
        "variable": "set later",
        "path": sys.path,
        "root": str(project),
        "interrupted": False,
        "limit": 1234,
        "threads": 1,
        "stdin": "",
    }
    assert lines == ["one", "two", "one", "two"]


def test_what_a_tool_prints_goes_where_the_run_prints(
    call: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    print("before", flush=False)
    assert call("prints", lines=20_000) == 20_000
    out, err = capfd.readouterr()
    assert out.startswith("before\nline 0 x")
    assert "line 19999 " in out
    assert out.endswith("from a child\n")
    assert err == "to errors\n"


def test_a_tool_that_ends_in_time_may_leave_a_process(call: Callable[..., Any]) -> None:
    left = call("leaves")
    try:
        call("echoes", value=1)
        assert lives(left)
    finally:
        os.kill(left, signal.SIGKILL)


def test_calls_at_the_same_time(call: Callable[..., Any]) -> None:
    found: list[Any] = []
    threads = [threading.Thread(target=lambda n=n: found.append(call("echoes", value=n))) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(12))


def test_the_file_counts_as_it_was_when_it_was_loaded(
    call: Callable[..., Any], tools: ToolRegistry, project: Path
) -> None:
    (project / "tools.py").write_text("raise SystemExit('changed')")
    assert call("echoes", value="as before") == "as before"


def test_a_file_that_starts_threads_is_loaded_for_each_call(project: Path) -> None:
    (project / "own.py").write_text(
        "import threading, time\nfrom orchestrator_dagster import tool\n"
        "answers = []\n"
        "ready = threading.Event()\n"
        "def work():\n    ready.wait()\n    answers.append(threading.active_count())\n"
        "thread = threading.Thread(target=work, daemon=True)\nthread.start()\n"
        "@tool\ndef asks() -> int:\n    ready.set()\n    thread.join()\n    return answers[0]\n"
    )
    registry = ToolRegistry()
    registry.load_file(project / "own.py")
    for _ in range(2):
        assert call_killable(registry, registry.find("asks").find(None), ToolContext(Workspace(project), 30.0), {}) == 2


def test_built_in_tools(call: Callable[..., Any], project: Path) -> None:
    made = call("filesystem", action="write", path="a.csv", content="n\n1\n2\n")
    assert made["size"] == 6
    assert call("filesystem", action="read", path="a.csv")["content"] == "n\n1\n2\n"
    for _ in range(2):
        found = call("data-processing", action="load", path="a.csv")
        assert found["row_count"] == 2


def test_a_helper_that_was_killed_is_replaced(call: Callable[..., Any], tools: ToolRegistry) -> None:
    call("echoes", value=1)
    (pid,) = {servers._servers[key]._process.pid for key in servers._servers if key == _key(tools)}
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not lives(pid), "it still runs")
    assert call("echoes", value=2) == 2


def _key(tools: ToolRegistry) -> str:
    return servers.fingerprint(tools.files())


def test_what_a_killed_helper_or_keeper_leaves_is_stopped(
    call: Callable[..., Any], context: ToolContext, tools: ToolRegistry, project: Path
) -> None:
    """Whoever of the processes is killed from outside: the call ends with an error, and the worker with it."""
    for victim in ("helper", "keeper", "worker"):
        (project / "pids").unlink(missing_ok=True)

        def kill(victim: str = victim) -> None:
            wait_for((project / "pids").exists, "it did not start")
            worker, keeper, *_ = pids_of(project / "pids")
            helper = servers._servers[_key(tools)]._process.pid
            os.kill({"helper": helper, "keeper": keeper, "worker": worker}[victim], signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        with pytest.raises(ToolError, match="was killed by SIGKILL"):
            call("busy")
        thread.join()
        if victim == "keeper":  # the only one that could find the others is gone
            pids = pids_of(project / "pids")
            wait_for(lambda pids=pids: not lives(pids[0]), "the worker lives")
            for pid in pids[2:]:
                if lives(pid):
                    os.kill(pid, signal.SIGKILL)
        else:
            all_gone(project / "pids")


def test_a_tool_of_this_program_alone_is_refused_when_it_is_called(context: ToolContext) -> None:
    @tool
    def local() -> int:
        return 1

    registry = ToolRegistry()
    registry.add(local)
    with pytest.raises(ToolError, match="exists only in this program's memory") as caught:
        call_killable(registry, local.find(None), context, {})
    assert caught.value.permanent
    assert "tools.py" in str(caught.value.hint)


# Through a step of a pipeline.


def run_one(text: str, compiled: Compile, services: Services) -> Any:
    pipeline = compiled(text)
    return run_step(pipeline.steps[0], Scope.of(pipeline, {"output_dir": "outputs/p"}, RUN, services))


@pytest.fixture
def services(project: Path, tools: ToolRegistry) -> Services:
    return Services(Workspace(project), tools, ModelClients())


@pytest.mark.parametrize(
    "text",
    [
        "steps: [{id: a, tool: busy, timeout: 1500ms}]",
        "timeout: 1500ms\nsteps: [{id: a, tool: busy}]",
        'timeout: 1h\nsteps: [{id: a, tool: busy, timeout: "{{ 1 + 0.5 }}"}]',
    ],
)
def test_a_step_is_stopped(compiled: Compile, services: Services, project: Path, text: str) -> None:
    with pytest.raises(StepTimeoutError, match=r"busy\.execute took longer than its timeout of 1\.5 seconds") as caught:
        run_one(text, compiled, services)
    assert str(caught.value.location).startswith("pipelines/p.yaml:")
    all_gone(project / "pids")


def test_builtin_actions_take_a_timeout(compiled: Compile, services: Services) -> None:
    text = "timeout: 1s\nsteps: [{id: a, action: echo, timeout: 2s, parameters: {message: hi}}]"
    assert run_one(text, compiled, services).value == "hi"


def test_an_async_tool_is_cancelled_in_this_process(compiled: Compile, services: Services, project: Path) -> None:
    with pytest.raises(StepTimeoutError, match=r"awaits\.execute took longer than its timeout of 1 seconds"):
        run_one("steps: [{id: a, tool: awaits, timeout: 1}]", compiled, services)
    assert [pid for pid in pids_of(project / "awaiting") if lives(pid)] == []
    with pytest.raises(StepTimeoutError):
        run_one("steps: [{id: a, tool: never_ends, timeout: 300ms}]", compiled, services)


def test_an_async_tool_is_stopped_with_the_run(compiled: Compile, services: Services, project: Path) -> None:
    stopping = replace(services, interrupted=(project / "awaiting").exists)
    with pytest.raises(StepInterruptedError):
        run_one("steps: [{id: a, tool: awaits}]", compiled, stopping)
    assert [pid for pid in pids_of(project / "awaiting") if lives(pid)] == []


def test_secrets_stay_out_of_the_error_of_another_process(
    compiled: Compile, services: Services, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "verysecretvalue")
    (project / "more.py").write_text(
        "import os\nfrom orchestrator_dagster import tool\n"
        "@tool\ndef tells() -> int:\n    raise ValueError(os.environ['SOME_API_KEY'])\n"
    )
    services.tools.load_file(project / "more.py")
    (project / "tools.py").write_text((project / "more.py").read_text())
    with pytest.raises(ToolError) as caught:
        run_one("steps: [{id: a, tool: tells, timeout: 30}]", compiled, replace(services, redactor=Redactor()))
    assert "verysecretvalue" not in str(caught.value)


# The end of the run's own process.

PROGRAM = """
import sys, threading
from pathlib import Path
from orchestrator_dagster.runtime.killable.call import call_killable
from orchestrator_dagster.tools.registry import ToolRegistry
from orchestrator_dagster.tools.tool import ToolContext
from orchestrator_dagster.files.workspace import Workspace

tools = ToolRegistry()
tools.load_file("tools.py")
def call(name):
    call_killable(tools, tools.find("busy").find(None), ToolContext(Workspace(Path(".")), 600.0), {"name": name})
for name in ("one", "two"):
    threading.Thread(target=call, args=(name,), daemon=True).start()
if sys.argv[1] == "fork":
    import os
    while not (Path("one").exists() and Path("two").exists()):
        pass
    if os.fork() == 0:
        Path("forked").write_text(str(os.getpid()))
        threading.Event().wait(600)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["ends", "killed", "fork"])
def test_no_process_outlives_the_run(tools: ToolRegistry, project: Path, how: str) -> None:
    """Nor when a process that was forked from the run holds its sockets open."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, how], stdin=subprocess.PIPE)
    marks = [project / "one", project / "two", *([project / "forked"] if how == "fork" else [])]
    wait_for(lambda: all(mark.exists() for mark in marks), "it did not start")
    pids = pids_of(project / "one") + pids_of(project / "two")
    helpers = {_parent(pids[1]), _parent(pids[8])}
    assert len(helpers) == 1
    if how == "ends":
        process.communicate()
    else:
        process.kill()
        process.wait()
    try:
        wait_for(lambda: not [pid for pid in [*pids, *helpers] if lives(pid)], "something lives")
    finally:
        if how == "fork":
            os.kill(pids_of(project / "forked")[0], signal.SIGKILL)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_helper_without_work_ends() -> None:
    code = (
        "import sys\nfrom orchestrator_dagster.runtime.killable import server\n"
        "server.IDLE = server.LOOK = 0.05\nserver.main(int(sys.argv[1]))"
    )
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen([sys.executable, "-c", code, str(theirs.fileno())], pass_fds=[theirs.fileno()])
        server._send(ours, servers.wire.JOB, {})
        assert process.wait(PATIENCE) == 0
