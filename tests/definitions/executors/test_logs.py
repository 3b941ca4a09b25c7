"""What steps on threads print and log, and the event log below it."""

# No `from __future__ import annotations` here: Dagster looks at the types of ops themselves.

import logging
import threading
from collections import defaultdict
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterEventType, DagsterInstance
from executing import PATIENCE, job_of, op, run_job, start

from orchestrator_dagster.definitions.instance.event_log import event_log_open


def test_the_process_output_is_captured_once(files: Path, instance: DagsterInstance) -> None:
    assert start("prints", files, instance).wait(PATIENCE) == 0  # Dagster captures nothing inside of pytest
    (run,) = instance.get_runs()
    events = [record.dagster_event for record in instance.all_logs(run.run_id) if record.dagster_event]
    (captured,) = [event for event in events if event.event_type == DagsterEventType.LOGS_CAPTURED]
    data = captured.logs_captured_data
    assert set(data.step_keys or ()) == {"first", "second"}
    logs = instance.compute_log_manager.get_log_data([run.run_id, "compute_logs", data.file_key])
    assert sorted((logs.stdout or b"").decode().split("\n")[:-1]) == ["from first", "from second"]


@pytest.mark.slow
def test_log_lines_stay_with_their_step(instance: DagsterInstance) -> None:
    """Many writers at once: nothing is lost in the SQLite event log, and no step takes the records of another."""
    steps, lines, meets = 16, 10, threading.Barrier(16)

    def work(context: dg.OpExecutionContext) -> None:
        logger = dg.get_dagster_logger()
        meets.wait(PATIENCE)
        for _ in range(lines):
            logger.info("by logger of %s", context.op.name)
            context.log.info(f"by context of {context.op.name}")

    ran = run_job(job_of(*(op(f"o{n}", work) for n in range(steps))), instance)
    assert ran.success
    found: dict[str, list[str]] = defaultdict(list)
    for record in ran.records():
        if record.level == logging.INFO and " of " in record.user_message:
            found[record.step_key].append(record.user_message)
    assert len(found) == steps
    for name, said in found.items():
        assert sorted(said) == sorted([f"by logger of {name}", f"by context of {name}"] * lines)


def test_the_sqlite_journal_is_kept_while_a_run_writes(instance: DagsterInstance) -> None:
    run = instance.create_run_for_job(job_of(op("any", lambda _: None)))
    journal = Path(f"{instance.event_log_storage.path_for_shard(run.run_id)}-wal")  # type: ignore[attr-defined]
    instance.report_engine_event("one", run)
    assert not journal.exists()
    with event_log_open(instance, run.run_id):
        instance.report_engine_event("two", run)
        assert journal.exists()
    assert not journal.exists()
    assert [record.dagster_event.message for record in instance.all_logs(run.run_id)] == ["one", "two"]
    with DagsterInstance.ephemeral() as other, event_log_open(other, run.run_id):
        other.report_engine_event("three", run)  # a storage without files is left alone
