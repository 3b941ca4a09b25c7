"""Runs that are ended: what is told, and that nothing is left."""

# No `from __future__ import annotations` here: Dagster looks at the types of ops themselves.

import os
import signal
import threading
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator
from executing import PATIENCE, job_of, op, start, wait_for

from orchestrator_dagster.definitions.executors.executor import was_interrupted
from orchestrator_dagster.processes import started


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "asked_for"), [(signal.SIGTERM, True), (signal.SIGINT, False)], ids=["terminated", "Ctrl-C"]
)
def test_an_interrupted_run(number: int, asked_for: bool, files: Path, instance: DagsterInstance) -> None:
    """Dagster calls a run canceled when somebody asked for it before, else failed."""
    steps = {"hangs", "has_a_child", "has_a_stubborn_group", "looks_at_interruption", "awaits"}
    process = start("interrupted", files, instance)
    try:
        wait_for(lambda: steps <= set(os.listdir(files)))
        children = [int(pid) for name in files.iterdir() for pid in name.read_text().split()]
        assert len(children) == 3
        (run,) = instance.get_runs()
        if asked_for:
            instance.report_run_canceling(run)
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()

    (run,) = instance.get_runs()
    assert run.status == (DagsterRunStatus.CANCELED if asked_for else DagsterRunStatus.FAILURE)
    wait_for(lambda: not any(started(child) for child in children))
    assert "was_asked_to_stop" in os.listdir(files)
    assert "comes_after" not in os.listdir(files)
    events = [record.dagster_event for record in instance.all_logs(run.run_id) if record.dagster_event]
    ended = {event.step_key: event.event_type for event in events if event.is_step_failure or event.is_step_success}
    assert set(ended) == steps
    assert ended["looks_at_interruption"] == DagsterEventType.STEP_SUCCESS
    assert ended["hangs"] == ended["awaits"] == DagsterEventType.STEP_FAILURE
    interrupted = [event for event in events if was_interrupted(event)]
    assert {"hangs", "awaits"} <= {event.step_key for event in interrupted}
    assert not interrupted[0].is_step_failure  # the executor says first that it stops


def test_a_run_that_only_waits_is_interrupted(files: Path, instance: DagsterInstance) -> None:
    process = start("waits_for_retry", files, instance)
    try:
        wait_for(lambda: "fails_once" in os.listdir(files))
        (run,) = instance.get_runs()
        wait_for(lambda: any(
            record.dagster_event and record.dagster_event.is_step_up_for_retry
            for record in instance.all_logs(run.run_id)
        ))  # fmt: skip
        instance.report_run_canceling(run)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
    (run,) = instance.get_runs()
    assert run.status == DagsterRunStatus.CANCELED


def test_a_closed_run_leaves_its_steps_behind(instance: DagsterInstance) -> None:
    go_on, started = threading.Event(), threading.Event()

    def waits(context: dg.OpExecutionContext) -> None:
        started.set()
        assert go_on.wait(PATIENCE)
        context.log.info("too late")

    job = job_of(op("waits", waits))
    run = instance.create_run_for_job(job)
    events = execute_run_iterator(InMemoryJob(job), run, instance)
    while next(events).event_type != DagsterEventType.STEP_START:
        pass
    assert started.wait(PATIENCE)
    (thread,) = [one for one in threading.enumerate() if one.name == "step waits"]
    events.close()  # type: ignore[attr-defined]
    before = len(instance.all_logs(run.run_id))
    go_on.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert len(instance.all_logs(run.run_id)) == before
