"""Executors: many steps that wait, and a chain of small steps; with a real instance on disk."""

# No `from __future__ import annotations` here: Dagster looks at the types of ops themselves.
import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterInstance
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator

from benchmarks.measuring import Row, medians
from orchestrator_dagster.definitions.executors.executor import threads_executor, tuned_multiprocess_executor

WAITING = 50
CHAIN = 50
QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}


@dg.op
def waits() -> None:
    time.sleep(1)


@dg.op
async def awaits() -> None:
    await asyncio.sleep(1)


@dg.op
def adds_one(number: int) -> int:
    return number + 1


@dg.op
def zero() -> int:
    return 0


@dg.graph
def chain() -> None:
    number = zero()
    for _ in range(CHAIN - 1):
        number = adds_one(number)


def many(op: Any, count: int, executor: dg.ExecutorDefinition) -> dg.JobDefinition:
    @dg.graph
    def steps() -> None:
        for _ in range(count):
            op()

    return steps.to_job(executor_def=executor)


chain_in_processes = chain.to_job(name="chain_in_processes", executor_def=dg.multiprocess_executor)
chain_in_forks = chain.to_job(name="chain_in_forks", executor_def=tuned_multiprocess_executor)


def chain_by_default() -> dg.JobDefinition:
    return chain_in_processes


def chain_tuned() -> dg.JobDefinition:
    return chain_in_forks


@contextmanager
def on_disk() -> Iterator[DagsterInstance]:
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        with DagsterInstance.from_config(home) as instance:
            yield instance


def run(job: dg.JobDefinition, instance: DagsterInstance) -> None:
    made = instance.create_run_for_job(job, run_config=QUIET)
    for event in execute_run_iterator(InMemoryJob(job), made, instance):
        assert not event.is_failure, event.message


def run_in_processes(job: Any, instance: DagsterInstance) -> None:
    assert dg.execute_job(dg.reconstructable(job), instance, run_config=QUIET).success


def seconds(function: Any) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measure() -> list[Row]:
    """The rows of this benchmark."""
    with on_disk() as instance:

        def timed(op: Any, count: int, executor: dg.ExecutorDefinition) -> float:
            job = many(op, count, executor)
            return medians({"it": lambda: run(job, instance)}, rounds=3)["it"]

        run(many(zero, 1, threads_executor), instance)  # what is loaded once is no step's cost
        rows = [Row(f"{WAITING} steps of 1 s on threads", timed(waits, WAITING, threads_executor), 1, "ideal", "2.5 s")]
        rows += _beside_async(timed)
        jobs = {
            "threads": chain.to_job(executor_def=threads_executor),
            "in process": chain.to_job(executor_def=dg.in_process_executor),
        }
        found = medians({name: lambda job=job: run(job, instance) for name, job in jobs.items()}, rounds=5)
        by_default = seconds(lambda: run_in_processes(chain_by_default, instance))
        tuned = seconds(lambda: run_in_processes(chain_tuned, instance))
    return [
        *rows,
        Row(f"chain of {CHAIN} small steps on threads", found["threads"], found["in process"], "in process", "1.3"),
        Row(f"chain of {CHAIN} small steps on threads", found["threads"], by_default, "multiprocess", "0.05"),
        Row(f"chain of {CHAIN} small steps, tuned multiprocess", tuned, by_default, "multiprocess", "0.25"),
    ]


def _beside_async(timed: Any) -> list[Row]:
    """Rows beside dagster-async-executor, where it is installed."""
    try:
        from dagster_async_executor import async_executor
    except ImportError:
        return []
    name = "dagster-async-executor"
    return [
        Row(f"{WAITING} async steps of 1 s on threads", timed(awaits, WAITING, threads_executor),
            timed(awaits, WAITING, async_executor), name),
        Row("5 plain steps of 1 s on threads", timed(waits, 5, threads_executor),
            timed(waits, 5, async_executor), name),
    ]  # fmt: skip
