"""Jobs of ops on threads, in this process or one of their own, and what their runs told."""

# No `from __future__ import annotations` here: Dagster looks at the types of ops themselves.

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus
from dagster._core.code_pointer import FileCodePointer
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._core.execution.api import create_execution_plan, execute_run_iterator

from orchestrator_dagster.definitions.executors.executor import threads_executor

#: Jobs that run in a process of their own.
JOBS = Path(__file__).parent / "executors" / "executor_jobs.py"
#: Seconds after which a test gives up waiting for something that must come.
PATIENCE = 60


@dataclass
class Ran:
    """A run that has ended, and what it told."""

    run: dg.DagsterRun
    events: list[dg.DagsterEvent]
    instance: DagsterInstance

    @property
    def success(self) -> bool:
        return self.run.status == DagsterRunStatus.SUCCESS

    def steps(self, kind: DagsterEventType) -> list[str]:
        """Keys of the steps with an event of this kind, in the order of the events."""
        return [event.step_key or "" for event in self.events if event.event_type == kind]

    def records(self) -> list[Any]:
        return list(self.instance.all_logs(self.run.run_id))


def run_job(
    job: dg.JobDefinition,
    instance: DagsterInstance,
    *,
    steps: Sequence[str] | None = None,
    config: dict[str, Any] | None = None,
) -> Ran:
    plan = create_execution_plan(job, run_config=config or {}, step_keys_to_execute=steps)
    run = instance.create_run_for_job(job, execution_plan=plan, run_config=config)
    events = list(execute_run_iterator(InMemoryJob(job), run, instance))
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return Ran(found, events, instance)


def job_of(*nodes: Any, config: dict[str, Any] | None = None, **settings: Any) -> dg.JobDefinition:
    """A job of independent ops, on threads."""
    graph = dg.GraphDefinition("independent", node_defs=list(nodes))
    return graph.to_job(executor_def=threads_executor.configured(config) if config else threads_executor, **settings)


def op(name: str, work: Callable[[Any], Any], **settings: Any) -> dg.OpDefinition:
    @dg.op(name=name, **settings)
    def body(context: dg.OpExecutionContext) -> Any:
        return work(context)

    return body


def dag_job(dag: list[list[int]], seen: dict[str, Any], made_by: dg.ExecutorDefinition) -> dg.JobDefinition:
    def node(number: int) -> dg.OpDefinition:
        def compute(_: dg.OpExecutionContext, given: Any) -> Iterator[dg.Output[Any]]:
            seen[f"n{number}"] = dict(given)
            yield dg.Output(number + sum(given.values()), "result")

        return dg.OpDefinition(
            compute, f"n{number}", ins={f"from_{one}": dg.In(int) for one in dag[number]}, outs={"result": dg.Out(int)}
        )

    return dg.GraphDefinition(
        "dag",
        node_defs=[node(number) for number in range(len(dag))],
        dependencies={
            f"n{number}": {f"from_{one}": dg.DependencyDefinition(f"n{one}", "result") for one in takes}
            for number, takes in enumerate(dag)
        },
    ).to_job(executor_def=made_by)


class AtOnce:
    """How many are inside at once, at most."""

    def __init__(self) -> None:
        self.lock, self.now, self.most = threading.Lock(), 0, 0

    def __enter__(self) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.now -= 1


def reconstructable(name: str) -> ReconstructableJob:
    """A job of the other file, as a run's process gets it."""
    return ReconstructableJob(ReconstructableRepository(FileCodePointer(str(JOBS), name)), name)


def start(job: str, folder: Path, instance: DagsterInstance) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "DAGSTER_HOME": instance.root_directory}
    return subprocess.Popen([sys.executable, str(JOBS), job, str(folder)], env=environment)


def wait_for(what: Callable[[], Any]) -> Any:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come")
