"""Timeouts of tool steps in real runs: retried, recorded, and nothing left when the run itself is ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from dagster import DagsterEventType, DagsterInstance

import orchestrator_dagster as orc

Write = Callable[[str, str], Path]
PATIENCE = 90.0

TOOLS = '''
import os, subprocess, time
from orchestrator_dagster import ToolContext, tool


@tool
def hangs(context: ToolContext, name: str = "pids") -> None:
    """Start processes, one of them in a session of its own, say which, and sleep for minutes."""
    pids = [subprocess.Popen(["sleep", "600"], start_new_session=own).pid for own in (False, True)]
    context.log("it hangs now")
    context.workspace.append(name, f"{os.getpid()} {pids[0]} {pids[1]}\\n".encode())
    time.sleep(600)


@tool
def second_time(context: ToolContext) -> dict:
    """Hang the first time."""
    if not (context.workspace.root / "first").exists():
        context.workspace.write("first", b"")
        time.sleep(600)
    return {"tried": "again"}
'''


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def left(path: Path) -> list[int]:
    return [pid for pid in map(int, path.read_text().split()) if lives(pid)]


def test_a_timeout_is_retried_and_recorded(write: Write, project: Path, instance: DagsterInstance) -> None:
    write("tools.py", TOOLS)
    path = write(
        "pipelines/slow.yaml",
        """\
id: slow
retries: {max: 1, delay: 0.01s}
steps:
  - {id: hang, tool: hangs, timeout: 1s}
  - {id: next, action: echo, depends_on: hang, parameters: {message: hello}}
""",
    )
    result = orc.compile(path).run(instance=instance)
    assert not result.success
    assert result.error is not None
    assert (
        result.error.items()
        >= {
            "type": "StepTimeoutError",
            "step": "hang",
            "message": "hangs.execute took longer than its timeout of 1 seconds and was stopped",
        }.items()
    )
    hang = result.steps["hang"]
    assert (hang["status"], hang["timed_out"], hang["retries"]) == ("failed", True, 1)
    assert not result.steps["next"]["timed_out"]
    pids = (project / "pids").read_text().split()
    assert len(pids) == 6
    assert left(project / "pids") == []
    (entry,) = instance.all_logs(result.run_id, of_type=DagsterEventType.STEP_FAILURE)
    failure = entry.dagster_event.step_failure_data.user_failure_data  # type: ignore[union-attr]
    assert failure.metadata["orchestrator/error"].value == "StepTimeoutError"
    said = [one.user_message for one in instance.all_logs(result.run_id) if one.user_message == "it hangs now"]
    assert len(said) == 2


def test_the_next_attempt_may_succeed(write: Write, instance: DagsterInstance) -> None:
    write("tools.py", TOOLS)
    path = write(
        "pipelines/again.yaml",
        "id: again\ntimeout: 3s\nsteps: [{id: a, tool: second_time, retries: {max: 1, delay: 0.01s}}]\n"
        'outputs: {tried: "{{ a.tried }}"}\n',
    )
    result = orc.compile(path).run(instance=instance)
    assert result.success, result.error
    assert result.outputs == {"tried": "again"}
    assert (result.steps["a"]["retries"], result.steps["a"]["timed_out"]) == (1, False)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda one: one.name)
def test_a_run_that_is_ended_leaves_nothing(write: Write, project: Path, number: signal.Signals) -> None:
    write("tools.py", TOOLS)
    write(
        "pipelines/slow.yaml",
        "id: slow\ntimeout: 10m\nsteps:\n"
        "  - {id: one, tool: hangs, retries: 3, parameters: {name: pids_one}}\n"
        "  - {id: two, tool: hangs, retries: 3, parameters: {name: pids_two}}\n",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator_dagster.cli", "run", "pipelines/slow.yaml"],
        cwd=project,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    marks = [project / "pids_one", project / "pids_two"]
    until = time.monotonic() + PATIENCE
    while not all(mark.exists() for mark in marks):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in err
    while any(left(mark) for mark in marks):
        assert time.monotonic() < until, [left(mark) for mark in marks]
        time.sleep(0.05)
    assert all(len(mark.read_text().split()) == 3 for mark in marks)  # no second attempt
    if number == signal.SIGINT:
        assert process.returncode == 130
        document = json.loads(out)
        assert document["status"] == "canceled"
        assert document["steps"]["one"]["error_type"] == "StepInterruptedError"
        assert "which was stopped too" in document["steps"]["one"]["error"]
        assert not document["steps"]["one"]["timed_out"]
        assert document["steps"]["one"]["retries"] == 0
