"""Signals to the process that leads a run: the run ends as canceled, with everything it has started, and is resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus
from faulty import COMMAND, command

from orchestrator_dagster.definitions.instance.home import open_instance

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TOOLS = '''
import os
import subprocess
import time
from pathlib import Path

from orchestrator_dagster import tool


@tool
def hold() -> dict:
    """Hangs the first time, with a process of its own; goes on the second time."""
    if Path("held").exists():
        return {"text": "let go"}
    child = subprocess.Popen(["sleep", "300"])
    Path("held.new").write_text(f"{os.getpid()} {child.pid}")
    os.rename("held.new", "held")
    child.wait()
    time.sleep(300)
    return {"text": "nobody stopped it"}


@tool
def note() -> dict:
    """Notes that it was called."""
    with open("calls.log", "a") as log:
        log.write("called\\n")
    return {"text": "noted"}
'''
PIPELINE = """
id: held
executor: EXECUTOR
steps:
  - {id: first, tool: note, vars: [one: "{{ result.text }}"], products: [one: one.txt]}
  - {id: hold, dependencies: [first], tool: hold, vars: [held: "{{ result.text }}"], products: [held: held.txt]}
"""


def lives(process: int) -> bool:
    """Whether a process lives; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def wait_for(path: Path, run: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < until, "the step did not start"
        time.sleep(0.05)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
@pytest.mark.parametrize(
    ("signals", "executor"),
    [
        (["SIGINT"], "threads"), (["SIGTERM"], "threads"), (["SIGHUP"], "threads"), (["SIGINT", "SIGINT"], "threads"),
        (["SIGTERM"], "multiprocess"), (["SIGTERM"], "in_process"),
    ],
)  # fmt: skip
def test_the_run_is_canceled_and_resumed(
    signals: list[str], executor: str, project: Path, write: Callable[[str, str], Path]
) -> None:
    write("tools.py", TOOLS)
    file = write("pipelines/held.yaml", PIPELINE.replace("EXECUTOR", executor))
    run = subprocess.Popen(
        [*COMMAND, "run", str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for(project / "held", run)
    processes = [int(word) for word in (project / "held").read_text().split()]
    for name in signals:
        os.kill(run.pid, getattr(signal, name))
    out, said = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "\ninterrupted\nnext: orchestrator resume " in said
    assert "Traceback" not in said
    document = json.loads(out)
    assert document["status"] == "canceled"
    assert {name: step["status"] for name, step in document["steps"].items()} == {
        "first": "completed",
        "hold": "failed",
    }
    assert not [one for one in processes if lives(one)]
    assert sorted(one.name for one in (project / "outputs" / "held").iterdir()) == ["one.txt"]
    with open_instance(project) as instance:
        assert statuses(instance) == [DagsterRunStatus.CANCELED]
    ran = command("resume", document["execution_id"], "-q")
    assert ran.returncode == 0, ran.stderr
    assert (project / "outputs" / "held" / "held.txt").read_text() == "let go"
    assert (project / "calls.log").read_text() == "called\n"


def statuses(instance: DagsterInstance) -> list[DagsterRunStatus]:
    return [run.status for run in instance.get_runs()]


def test_nohup(project: Path, write: Callable[[str, str], Path]) -> None:
    """A signal that is ignored stays ignored."""
    write("tools.py", TOOLS)
    file = write("pipelines/held.yaml", PIPELINE.replace("EXECUTOR", "threads"))
    run = subprocess.Popen(
        [*COMMAND, "run", str(file)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )  # fmt: skip
    wait_for(project / "held", run)
    os.kill(run.pid, signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        run.wait(1)
    os.kill(run.pid, signal.SIGINT)
    run.communicate(timeout=60)
    assert run.returncode == 130


def test_who_reads_the_progress_goes_away(project: Path, write: Callable[[str, str], Path]) -> None:
    """`orchestrator run … 2>&1 | head`: the run goes on."""
    write("tools.py", TOOLS)
    (project / "held").touch()
    file = write("pipelines/held.yaml", PIPELINE.replace("EXECUTOR", "threads"))
    run = subprocess.Popen([*COMMAND, "run", str(file), "-o", "result.json"], stderr=subprocess.PIPE)
    assert run.stderr is not None
    run.stderr.close()
    assert run.wait(60) == 0
    assert json.loads((project / "result.json").read_text())["success"]
