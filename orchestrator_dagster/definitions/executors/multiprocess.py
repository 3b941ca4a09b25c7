"""Dagster's multiprocess executor, with step processes forked from one that has everything loaded."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from multiprocessing.connection import Connection, wait
from typing import Any

from orchestrator_dagster.definitions.executors import preloaded
from orchestrator_dagster.definitions.executors._dagster_private import (
    DagsterEvent,
    ExecutionPlan,
    MultiprocessExecutor,
    PlanOrchestrationContext,
    ReconstructableJob,
    RetryMode,
    StepDependencyConfig,
    quiet_step_processes,
)
from orchestrator_dagster.definitions.location.served import told_to_fork_server

#: What every step process needs: the executor, the storages (SQLAlchemy and alembic), and this package's definitions.
PRELOADED = (
    "dagster._core.executor.multiprocess",
    "dagster._core.storage.event_log",
    "dagster._core.storage.runs",
    "dagster._core.storage.schedules",
    "dagster._core.storage.sqlite_storage",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.root",
    "dagster._core.storage.migration.utils",
    "dagster._core.instance.factory",
    "dagster._core.workspace.autodiscovery",
    "upath.implementations.local",
    "alembic.command",
    "alembic.config",
    "alembic.runtime.migration",
    "alembic.script",
    "orchestrator_dagster.definitions.runs.command_job",
)
#: Seconds that the fork server may take to load everything before it is given up on.
START_TIMEOUT = 120.0


class PreloadedMultiprocessExecutor(MultiprocessExecutor):
    """Forks each step's process from a server that has the definitions loaded, and says so when it has not.

    Args:
        modules: What the server loads before the first step.
        settings: The other settings of Dagster's executor.
    """

    def __init__(self, modules: Sequence[str], **settings: Any) -> None:
        self._modules = [*dict.fromkeys([*modules, preloaded.__name__])]
        super().__init__(start_method="forkserver", explicit_forkserver_preload=self._modules, **settings)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], job: Any) -> PreloadedMultiprocessExecutor:
        """The executor with the settings of a run.

        Args:
            config: The executor's config.
            job: The job; the module that its code location is loaded from is preloaded too.
        """
        location = job.get_module() if isinstance(job, ReconstructableJob) else None
        return cls(
            [*PRELOADED, *([location] if location else []), *config.get("preload_modules", [])],
            retries=RetryMode(next(iter(config["retries"]))),
            max_concurrent=config.get("max_concurrent"),
            tag_concurrency_limits=config.get("tag_concurrency_limits") or [],
            step_dependency_config=StepDependencyConfig.from_config(config.get("step_dependency_config")),
        )

    def execute(self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan) -> Iterator[DagsterEvent]:
        """Execute the plan; a warning in the run's log names the modules that could not be preloaded."""
        loaded = plan_context.reconstructable_job.repository.repository_load_data
        with told_to_fork_server(loaded.reconstruction_metadata if loaded else {}):
            problems = failed_preloads(self._modules)
        if problems:
            lines = "\n".join(f"  - {name}: {reason}" for name, reason in problems.items())
            plan_context.log.warning(f"Steps start slowly, because these modules are not preloaded:\n{lines}")
        with quiet_step_processes():
            yield from super().execute(plan_context, execution_plan)


def failed_preloads(modules: Sequence[str]) -> dict[str, str]:
    """Start the fork server with these modules, if it does not run yet, and ask which of them it has not loaded.

    Args:
        modules: Names of modules, :mod:`orchestrator_dagster.definitions.executors.preloaded` as the last one.

    Returns:
        The reason for each module that is not loaded.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(modules))
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(sender, list(modules)), daemon=True)
    process.start()
    sender.close()
    wait([receiver, process.sentinel], START_TIMEOUT)
    try:
        if not receiver.poll():
            raise EOFError
        found: dict[str, str] = receiver.recv()
    except EOFError:
        process.kill()
        process.join()
        return {"every module": f"the fork server did not answer (exit code {process.exitcode})"}
    process.join()
    return found


def _report(sender: Connection, modules: Sequence[str]) -> None:
    """In a process forked from the server: what is missing, and why."""
    forked = os.getpid() != preloaded.PROCESS
    missing = {}
    for name in modules:
        if not forked or name not in preloaded.MODULES:
            try:
                import_module(name)
            except Exception as error:
                missing[name] = f"{type(error).__name__}: {error}"
            else:
                missing[name] = "it can be imported by a step, but the fork server was started without it"
    sender.send(missing)
