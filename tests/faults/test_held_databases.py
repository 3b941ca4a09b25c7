"""Another process holds one of the instance's SQLite files: the run waits for it, or ends and says which one it is."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from faulty import PIPELINE, TOOLS, calls, command

import orchestrator_dagster as orc
from orchestrator_dagster.definitions.instance.home import open_instance
from orchestrator_dagster.definitions.runs.resume import resume_run
from orchestrator_dagster.definitions.steps.progress import Progress
from orchestrator_dagster.errors import RecordingError

HOLDER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.readline()
"""
FILES = ["history/runs.db", "history/runs/index.db", "history/runs/{run}.db"]


@pytest.fixture
def pipeline(write: Callable[[str, str], Path]) -> Path:
    write("tools.py", TOOLS)
    return write("pipelines/big.yaml", PIPELINE)


@contextmanager
def held(file: Path) -> Iterator[Callable[[], None]]:
    """Another process holds a database; gives a function that lets it go."""
    holder = subprocess.Popen(
        [sys.executable, "-S", "-c", HOLDER, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"

    def let_go() -> None:
        if holder.poll() is None:
            holder.communicate("\n")

    try:
        yield let_go
    finally:
        let_go()


def runs_of(project: Path) -> list[str]:
    with open_instance(project) as instance:
        return [run.run_id for run in instance.get_runs()]


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_it_is_held_too_long(name: str, project: Path, pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first step on; the run is resumed when the database is free."""
    monkeypatch.setattr(sqlite_event_log, "SQLITE_BUSY_TIMEOUT_SECONDS", 0.5)  # Dagster's 30, and 5 for runs.db
    home = project / ".orchestrator"
    with open_instance(project):
        pass
    holding: list[object] = []

    def hold(event: Progress) -> None:
        if not holding and event.kind == "started":
            context = held(home / name.format(run=runs_of(project)[0]))
            holding.extend((context, context.__enter__()))

    message = None
    try:
        result = orc.compile(pipeline).run(on_progress=hold)
        assert not result.success
        message, run_id = result.error["message"], result.run_id
    except RecordingError as error:
        message, (run_id,) = str(error), runs_of(project)
        assert str(home / name.format(run=run_id)) in message
        assert f"orchestrator resume {run_id}" in message
    finally:
        holding[0].__exit__(None, None, None)  # type: ignore[attr-defined]
    assert "database is locked" in message
    assert "INSERT" not in message
    assert "UPDATE" not in message
    assert "sqlalche.me" not in message
    with open_instance(project) as instance:
        document = resume_run(run_id, root=project, instance=instance)
    assert document["success"], document["error"]
    assert len(calls(project)) <= 4  # at most one step was done and could not be recorded


def test_the_run_waits_for_a_short_while(project: Path, pipeline: Path) -> None:
    """The other process lets it go while the run waits: nothing of it is to be seen."""
    import threading

    held_for: list[str] = []

    def hold(event: Progress) -> None:
        if event.kind == "started" and event.step == "small":
            context = held(project / ".orchestrator" / "history" / "runs" / f"{runs_of(project)[0]}.db")
            let_go = context.__enter__()
            held_for.append("held")
            threading.Timer(1.0, let_go).start()

    result = orc.compile(pipeline).run(on_progress=hold)
    assert held_for
    assert result.success, result.error
    assert calls(project) == ["1000", "300000", "10"]


@pytest.mark.slow
def test_no_run_can_be_made(project: Path, pipeline: Path) -> None:
    with open_instance(project):
        pass
    file = project / ".orchestrator" / "history" / "runs.db"
    assert sqlite3.connect(file).execute("SELECT count(*) FROM runs").fetchone() == (0,)
    with held(file):
        ran = command("run", str(pipeline))
    assert ran.returncode == 1
    assert f'database is locked; another process holds "{file}"' in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not calls(project)
