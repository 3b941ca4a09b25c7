"""Tools that do what no tool should: each is the failure, or the value, of its own step, and the run ends in order."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus
from faulty import command

import orchestrator_dagster as orc

TOOLS = '''
import os
import signal
import sys
import threading
import time

from orchestrator_dagster import tool


class Worse(BaseException):
    pass


class Odd:
    def __repr__(self):
        return "<odd>"


@tool
def close_streams() -> dict:
    """Closes the streams of the process."""
    sys.stdout.close()
    sys.stderr.close()
    return {"text": "closed"}


@tool
def change_folder(to: str) -> dict:
    """Changes the current folder."""
    os.chdir(to)
    return {"text": "moved"}


@tool
def set_handlers() -> dict:
    """Takes the signals."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return {"text": "set"}


@tool
def start_threads() -> dict:
    """Starts threads that never end."""
    for number in range(3):
        threading.Thread(target=time.sleep, args=(3000,), name=f"endless {number}").start()
    return {"text": "started"}


@tool
def fill_memory() -> dict:
    """Takes more memory than it may."""
    import resource

    usual = resource.getrlimit(resource.RLIMIT_AS)
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 512 * 2**20, usual[1]))
    try:
        return {"text": str(len(bytearray(2 * 2**30)))}
    finally:
        resource.setrlimit(resource.RLIMIT_AS, usual)


@tool
def fail_with(kind: str) -> dict:
    """Raises what is no Exception."""
    raise {"exit": SystemExit(3), "interrupt": KeyboardInterrupt(), "worse": Worse("worse")}[kind]


@tool
async def fail_awaited(kind: str) -> dict:
    """Raises what is no Exception, where it is awaited."""
    raise {"exit": SystemExit(3), "interrupt": KeyboardInterrupt(), "worse": Worse("worse")}[kind]


@tool
def give(kind: str) -> object:
    """Gives what is no JSON."""
    loop = []
    loop.append(loop)
    return {
        "odd": Odd(), "not_finite": {"n": float("nan"), "i": float("inf")}, "text": "x" * 50_000_000, "loop": loop,
        "bytes": b"a", "set": {1}, "keys": {(1, 2): 3}, "surrogate": "a" + chr(0xD800), "number": 10**5000,
    }[kind]

'''
#: A step that does something, and others that are not to notice: one beside it, one behind that.
PIPELINE = """
id: hostile
executor: {executor}
steps:
  - {{id: odd, tool: {tool}, parameters: {parameters}, vars: [odd: "{{{{ result }}}}"]}}
  - {{id: beside, action: echo, parameters: {{message: beside}}, vars: [beside: "{{{{ result }}}}"], products: [beside: beside.txt]}}
  - {{id: behind, dependencies: [beside], action: echo, parameters: {{message: behind}}, vars: [behind: "{{{{ result }}}}"], products: [behind: behind.txt]}}
  - {{id: after, dependencies: [odd], action: echo, parameters: {{message: after}}}}
"""

Run = Callable[..., orc.Result]


@pytest.fixture
def pipeline(write: Callable[[str, str], Path]) -> Callable[..., Path]:
    write("tools.py", TOOLS)

    def make(tool: str, executor: str = "threads", **parameters: str) -> Path:
        text = PIPELINE.format(tool=tool, parameters=json.dumps(parameters), executor=executor)
        return write("pipelines/hostile.yaml", text)

    return make


def check_others(project: Path, document: dict, instance: DagsterInstance) -> None:
    steps = document["steps"]
    assert [steps[name]["status"] for name in ("beside", "behind")] == ["completed", "completed"]
    assert (project / "outputs" / "hostile" / "behind.txt").read_text() == "behind"
    (run,) = instance.get_runs()
    assert run.status == (DagsterRunStatus.SUCCESS if document["success"] else DagsterRunStatus.FAILURE)


RAISED = {"exit": "SystemExit: 3", "interrupt": "KeyboardInterrupt", "worse": "Worse: worse"}


@pytest.mark.parametrize("kind", RAISED)
@pytest.mark.parametrize("tool", ["fail_with", "fail_awaited"])
def test_what_it_raises_ends_its_step_only(
    tool: str, kind: str, project: Path, pipeline: Callable[..., Path], instance: DagsterInstance
) -> None:
    result = orc.compile(pipeline(tool, kind=kind)).run(instance=instance)
    assert result.error is not None
    assert result.error.items() >= {
        "type": "ToolError", "step": "odd", "message": f"{tool}.execute wanted to stop the run: {RAISED[kind]}",
    }.items()  # fmt: skip
    assert result.document["status"] == "failed"
    assert result.document["steps"]["after"]["status"] == "skipped"
    check_others(project, result.document, instance)


VALUES = {
    "odd": "<odd>", "not_finite": {"n": None, "i": None}, "text": "x" * 50_000_000, "bytes": "b'a'", "set": [1],
    "keys": {"(1, 2)": 3},
}  # fmt: skip


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind == "text")) for kind in VALUES])
def test_a_value_that_is_no_json_becomes_one(
    kind: str, project: Path, pipeline: Callable[..., Path], instance: DagsterInstance
) -> None:
    result = orc.compile(pipeline("give", kind=kind)).run(instance=instance)
    assert result.success, result.error
    assert result.document["steps"]["odd"]["value"] == VALUES[kind]
    check_others(project, result.document, instance)


ERRORS = {
    "loop": "is nested too deeply",
    "surrogate": 'what "odd" has left cannot be kept in',
    "number": "Exceeds the limit (4300 digits) for integer string conversion",
}


@pytest.mark.parametrize("kind", ERRORS)
def test_a_value_that_cannot_be_kept_fails_its_step(
    kind: str, project: Path, pipeline: Callable[..., Path], instance: DagsterInstance
) -> None:
    result = orc.compile(pipeline("give", kind=kind)).run(instance=instance)
    assert result.error["step"] == "odd"
    assert ERRORS[kind] in result.error["message"]
    check_others(project, result.document, instance)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is Linux's")
def test_it_takes_more_memory_than_there_is(
    project: Path, pipeline: Callable[..., Path], instance: DagsterInstance
) -> None:
    result = orc.compile(pipeline("fill_memory")).run(instance=instance)
    assert result.error["message"] == "fill_memory.execute failed: MemoryError: "
    check_others(project, result.document, instance)


def test_it_takes_the_signals(project: Path, pipeline: Callable[..., Path], instance: DagsterInstance) -> None:
    """Only a process' main thread may, and steps do not run in it."""
    result = orc.compile(pipeline("set_handlers")).run(instance=instance)
    assert "signal only works in main thread" in result.error["message"]
    check_others(project, result.document, instance)


def test_it_changes_the_current_folder(
    project: Path, tmp_path: Path, pipeline: Callable[..., Path], instance: DagsterInstance
) -> None:
    try:
        result = orc.compile(pipeline("change_folder", to=str(tmp_path))).run(instance=instance)
        assert Path.cwd() == tmp_path
    finally:
        os.chdir(project)
    assert result.success, result.error
    check_others(project, result.document, instance)


@pytest.mark.slow
def test_the_result_is_written_where_the_command_was_given(
    project: Path, tmp_path: Path, pipeline: Callable[..., Path]
) -> None:
    ran = command("run", str(pipeline("change_folder", to=str(tmp_path))), "-o", "result.json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads((project / "result.json").read_text())["success"]


@pytest.mark.slow
def test_it_closes_the_streams(project: Path, pipeline: Callable[..., Path]) -> None:
    ran = command("run", str(pipeline("close_streams")), "-o", "result.json")
    assert ran.returncode == 0
    assert json.loads((project / "result.json").read_text())["success"]
    ran = command("run", str(pipeline("close_streams")))
    assert ran.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["threads", "in_process"])
def test_it_starts_threads_that_never_end(executor: str, project: Path, pipeline: Callable[..., Path]) -> None:
    ran = command("run", str(pipeline("start_threads", executor)), "-q")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["success"]
    # Threads of a step's thread are daemons as that is, those of the main thread are not.
    left = "left behind, because they do not end: endless 0, endless 1, endless 2"
    assert ran.stderr.strip() == ("" if executor == "threads" else left)


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["in_process", "multiprocess"])
@pytest.mark.parametrize("kind", ["exit", "worse"])
def test_what_it_raises_with_other_executors(
    kind: str, executor: str, project: Path, pipeline: Callable[..., Path]
) -> None:
    ran = command("run", str(pipeline("fail_with", executor, kind=kind)))
    assert ran.returncode == 1
    document = json.loads(ran.stdout)
    assert document["error"]["step"] == "odd"
    assert RAISED[kind].partition(":")[0].lower() in json.dumps(document["error"]).lower()
    assert "Traceback" not in ran.stderr
