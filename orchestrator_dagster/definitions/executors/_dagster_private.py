"""Everything of Dagster's insides that the executors stand on, in one place.

These names are no part of Dagster's public interface and may go with any release. Nothing else of the package imports
them; :data:`orchestrator_dagster.definitions.executors.executor.TRIED_WITH` says with which releases they were tried.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

from dagster._core.definitions.reconstruct import ReconstructableJob
from dagster._core.events import DagsterEvent, EngineEventData
from dagster._core.execution.api import ExecuteRunWithPlanIterable
from dagster._core.execution.compute_logs import create_compute_log_file_key
from dagster._core.execution.context.system import (
    PlanExecutionContext,
    PlanOrchestrationContext,
    StepExecutionContext,
)
from dagster._core.execution.context_creation_job import PlanExecutionContextManager
from dagster._core.execution.plan.active import ActiveExecution
from dagster._core.execution.plan.execute_plan import _trigger_hook, dagster_event_sequence_for_step
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.execution.plan.objects import ErrorSource, step_failure_event_from_exc_info
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.plan.state import KnownExecutionState
from dagster._core.execution.plan.step import ExecutionStep
from dagster._core.execution.retries import RetryMode
from dagster._core.execution.step_dependency_config import StepDependencyConfig
from dagster._core.executor import multiprocess
from dagster._core.executor.multiprocess import MultiprocessExecutor, MultiprocessExecutorChildProcessCommand
from dagster._utils.error import serializable_error_info_from_exc_info

__all__ = [
    "ActiveExecution",
    "DagsterEvent",
    "EngineEventData",
    "ExecuteRunWithPlanIterable",
    "ExecutionPlan",
    "ExecutionStep",
    "KnownExecutionState",
    "MultiprocessExecutor",
    "PlanExecutionContext",
    "PlanExecutionContextManager",
    "PlanOrchestrationContext",
    "PromptClaims",
    "ReconstructableJob",
    "RetryMode",
    "StepDependencyConfig",
    "StepExecutionContext",
    "captured_logs_key",
    "dagster_event_sequence_for_step",
    "engine_error",
    "hook_events",
    "known_state",
    "only_records_of",
    "quiet_step_processes",
    "seconds_to_retry",
    "step_stopped",
    "use_event_loop",
]


class PromptClaims(InstanceConcurrencyContext):
    """Claims of pools that are tried again as soon as this run gives a slot back.

    Dagster asks again for a slot after 1 s, then less and less often, up to 15 s, also when the step that held the slot
    is of the same run. Slots that other runs give back are still found by asking.
    """

    def __init__(self, instance: Any, run: Any) -> None:
        super().__init__(instance, run)
        self._pool_of: dict[str, str] = {}
        self._waiting: dict[str, dict[str, int]] = {}

    def claim(self, concurrency_key: str, step_key: str, step_priority: int = 0) -> bool:
        """Whether the step has a slot of the pool now."""
        claimed = super().claim(concurrency_key, step_key, step_priority)
        waiting = self._waiting.setdefault(concurrency_key, {})
        if claimed:
            self._pool_of[step_key] = concurrency_key
            waiting.pop(step_key, None)
        else:
            waiting.setdefault(step_key, step_priority)
        return claimed

    def free_step(self, step_key: str) -> None:
        """Give the step's slot back; the storage hands it to the first of those that wait with the highest priority."""
        super().free_step(step_key)
        waiting = self._waiting.get(self._pool_of.pop(step_key, ""))
        if waiting:
            self._pending_timeouts[max(waiting, key=waiting.__getitem__)] = 0.0


class _QuietStepProcess(MultiprocessExecutorChildProcessCommand):
    """What a step's process executes; Dagster prints its first event on the terminal, whatever loggers the job has."""

    def execute(self) -> Iterator[DagsterEvent]:
        """The events of the step."""
        events = super().execute()
        with redirect_stderr(io.StringIO()):
            first = next(events, None)
        if first is not None:
            yield first
            yield from events


@contextmanager
def quiet_step_processes() -> Iterator[None]:
    """Let the multiprocess executor start step processes that do not print their first event."""
    usual = multiprocess.MultiprocessExecutorChildProcessCommand
    multiprocess.MultiprocessExecutorChildProcessCommand = _QuietStepProcess  # type: ignore[misc]
    try:
        yield
    finally:
        multiprocess.MultiprocessExecutorChildProcessCommand = usual  # type: ignore[misc]


def captured_logs_key(context: PlanExecutionContext) -> list[str]:
    """A new key for the output of the run's process."""
    manager = context.instance.compute_log_manager
    return list(manager.build_log_key_for_run(context.run_id, create_compute_log_file_key()))  # type: ignore[no-untyped-call]


def hook_events(context: StepExecutionContext, events: list[DagsterEvent]) -> Iterator[DagsterEvent]:
    """Run the hooks of a step that has ended with these events."""
    return _trigger_hook(context, events)


def known_state(active: ActiveExecution) -> KnownExecutionState:
    """What is known now, as a snapshot that threads may read while the execution goes on."""
    state = active.get_known_state()
    return state._replace(ready_outputs=set(state.ready_outputs))


def seconds_to_retry(active: ActiveExecution) -> float | None:
    """Seconds until the next step is due that waits before its next attempt, None if none waits."""
    due = active._waiting_to_retry.values()
    return max(0.0, min(due) - time.time()) if due else None


def use_event_loop(context: StepExecutionContext, loop: Any) -> None:
    """Give the step an event loop of its own: that of the run can only run in one thread at a time."""
    context._event_loop = loop


def only_records_of(context: StepExecutionContext, wanted: Callable[[], bool]) -> None:
    """Let the step's log take a record only while ``wanted()``.

    While a step runs, its handler hangs on loggers of the whole process; so steps that run at once would take each
    other's records.
    """
    handler = context.log._dagster_handler
    usual = handler.filter
    handler.filter = lambda record: wanted() and usual(record)  # type: ignore[method-assign]


def step_stopped(context: StepExecutionContext, error: BaseException) -> DagsterEvent:
    """The event of a step that was stopped from outside."""
    try:
        raise error
    except type(error):
        event: DagsterEvent = step_failure_event_from_exc_info(
            context, sys.exc_info(), error_source=ErrorSource.INTERRUPT
        )
    return event


def engine_error(context: PlanExecutionContext, message: str, error: BaseException, **metadata: str) -> DagsterEvent:
    """An event of the run itself that shows an error."""
    shown = serializable_error_info_from_exc_info((type(error), error, error.__traceback__))  # type: ignore[arg-type]
    return DagsterEvent.engine_event(
        context, message, event_specific_data=EngineEventData(metadata=metadata, error=shown)
    )
