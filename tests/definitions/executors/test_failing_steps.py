"""Steps that fail on threads, an executor that fails, and runs of some steps."""

# No `from __future__ import annotations` here: Dagster looks at the types of ops themselves.

import threading
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus
from executing import PATIENCE, dag_job, job_of, op, reconstructable, run_job

from orchestrator_dagster.definitions.executors.executor import threads_executor, was_interrupted


def test_independent_steps_go_on_after_a_failure(instance: DagsterInstance) -> None:
    failed = threading.Event()

    @dg.op
    def fails() -> int:
        failed.set()
        raise ValueError("as planned")

    @dg.op
    def waits() -> int:
        assert failed.wait(PATIENCE)
        return 1

    @dg.op
    def takes(value: int) -> int:
        return value

    @dg.job(executor_def=threads_executor)
    def branches() -> None:
        takes.alias("after_failure_2")(takes.alias("after_failure")(fails()))
        takes.alias("after_success")(waits())

    ran = run_job(branches, instance)
    assert ran.run.status == DagsterRunStatus.FAILURE
    assert set(ran.steps(DagsterEventType.STEP_SUCCESS)) == {"waits", "after_success"}
    assert ran.steps(DagsterEventType.STEP_FAILURE) == ["fails"]
    assert not any(event.step_key and "after_failure" in event.step_key for event in ran.events)


def test_an_error_of_the_executor_fails_the_run(instance: DagsterInstance) -> None:
    @dg.op
    def leaves_no_memory_for_threads() -> int:
        threading.stack_size(1 << 46)
        return 1

    @dg.op
    def comes_after(value: int) -> None:
        raise AssertionError(f"started with {value}")

    @dg.job(executor_def=threads_executor)
    def breaks() -> None:
        comes_after(leaves_no_memory_for_threads())

    before = threading.stack_size()
    try:
        ran = run_job(breaks, instance)
    finally:
        threading.stack_size(before)
    assert ran.run.status == DagsterRunStatus.FAILURE
    ended = ran.events[-1]
    assert ended.event_type == DagsterEventType.RUN_FAILURE
    assert "can't start new thread" in ended.job_failure_data.error.message


def test_what_escapes_from_a_step_ends_the_run(instance: DagsterInstance) -> None:
    """A step that raises an interrupt itself ends the run, as in process; others are asked to stop."""
    running = threading.Event()

    def raises(_: Any) -> None:
        assert running.wait(PATIENCE)
        raise KeyboardInterrupt

    def looks(context: dg.OpExecutionContext) -> None:
        from orchestrator_dagster.definitions.steps.interruption import interruption

        running.set()
        assert interruption().wait(PATIENCE)

    ran = run_job(job_of(op("raises", raises), op("looks", looks), config={"interrupt_grace": 30.0}), instance)
    assert ran.run.status == DagsterRunStatus.FAILURE
    assert ran.steps(DagsterEventType.STEP_FAILURE) == ["raises"]
    assert ran.steps(DagsterEventType.STEP_SUCCESS) == ["looks"]
    assert [event for event in ran.events if was_interrupted(event)]


def test_a_plan_that_cannot_go_on_fails(instance: DagsterInstance) -> None:
    limits = [{"key": "kind", "value": "db", "limit": 0}]
    job = job_of(op("never", lambda _: None, tags={"kind": "db"}), config={"tag_concurrency_limits": limits})
    ran = run_job(job, instance)
    assert ran.run.status == DagsterRunStatus.FAILURE
    assert "without completing the execution plan" in ran.events[-1].job_failure_data.error.message


@pytest.mark.parametrize("config", [{"max_concurrent": 0}, {"interrupt_grace": -1.0}])
def test_settings_out_of_range(config: dict[str, Any], instance: DagsterInstance) -> None:
    ran = run_job(job_of(op("any", lambda _: None), config=config), instance)
    assert ran.run.status == DagsterRunStatus.FAILURE
    assert next(iter(config)) in ran.events[-1].job_failure_data.error.message
    assert not ran.steps(DagsterEventType.STEP_START)


def test_only_the_steps_asked_for(instance: DagsterInstance) -> None:
    seen: dict[str, Any] = {}
    job = dag_job([[], [0], [1]], seen, threads_executor)
    ran = run_job(job, instance, steps=["n0", "n1"])
    assert ran.success
    assert set(seen) == {"n0", "n1"}


def test_reexecution_from_failure(instance: DagsterInstance) -> None:
    job = reconstructable("fails_in_the_middle")
    first = dg.execute_job(job, instance)
    assert not first.success
    again = dg.execute_job(
        job, instance, reexecution_options=dg.ReexecutionOptions.from_failure(first.run_id, instance)
    )
    assert again.success
    started = {event.step_key for event in again.all_events if event.event_type == DagsterEventType.STEP_START}
    assert started == {"fails_at_first", "takes_both"}
