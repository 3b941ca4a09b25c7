"""One attempt of a step in a thread of its own."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TypeVar

import dagster as dg
from dagster import DagsterExecutionInterruptedError

from orchestrator_dagster.definitions.executors._dagster_private import (
    DagsterEvent,
    ExecutionStep,
    KnownExecutionState,
    PlanExecutionContext,
    StepExecutionContext,
    dagster_event_sequence_for_step,
    hook_events,
    only_records_of,
    use_event_loop,
)
from orchestrator_dagster.definitions.steps.interruption import interrupted_by
from orchestrator_dagster.processes import end_children

T = TypeVar("T")

_current: contextvars.ContextVar[StepThread | None] = contextvars.ContextVar("orchestrator_step_thread", default=None)


@dataclass(frozen=True)
class Ended:
    """The last message of an attempt. ``error`` is what escaped from it, None where all is told by its events."""

    error: BaseException | None = None


Outbox = SimpleQueue[tuple["StepThread", "DagsterEvent | Ended"]]


class StepThread:
    """An attempt of a step: runs in a daemon thread and puts its events, in their order, into an outbox.

    Args:
        context: The run's context; the step's own is made in the thread.
        step: The step.
        known: What was known when the attempt started. Not changed by anybody.
        outbox: Where ``(self, event)`` go, at last ``(self, Ended)``.
    """

    def __init__(
        self, context: PlanExecutionContext, step: ExecutionStep, known: KnownExecutionState, outbox: Outbox
    ) -> None:
        self.step = step
        self.interruption = threading.Event()
        self.settled = False
        self.retry: DagsterEvent | None = None
        self._run_context, self._known, self._outbox = context, known, outbox
        self._loop = _StepEventLoop()
        self._log: dg.DagsterLogManager | None = None
        self._left = False
        # Context variables are those of the run's thread, as when the step ran there.
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._run,), name=f"step {step.key}", daemon=True)

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: The system has no thread left.
        """
        self._thread.start()

    def interrupt(self) -> None:
        """Ask the step to stop: its event is set, its async work cancelled, its child processes are asked to end."""
        self.interruption.set()
        self._loop.cancel()
        end_children(self._thread.native_id)

    def leave(self) -> None:
        """Give the step up: whatever it does from now on is not recorded any more; its child processes are killed."""
        self._left = True
        self.interruption.set()
        if self._log is not None:
            self._log.disabled = True
        self._loop.cancel()
        end_children(self._thread.native_id, kill=True)

    def new_context(self) -> StepExecutionContext:
        """A context of the step for events that are made outside of its thread."""
        return self._run_context.for_step(self.step, self._known)

    def _run(self) -> None:
        _current.set(self)
        interrupted_by(self.interruption)
        error: BaseException | None = None
        try:
            for event in self._events():
                self._outbox.put((self, event))
        except BaseException as escaped:  # goes to the run's thread, which decides
            error = escaped
        try:
            self._loop.close()
        except Exception as escaped:
            error = error or escaped
        self._outbox.put((self, Ended(error)))

    def _events(self) -> Iterator[DagsterEvent]:
        context = self.new_context()
        use_event_loop(context, self._loop)
        only_records_of(context, self._takes_records)
        self._log = context.log
        _check_resources(context)
        if self._left:
            return
        told: list[DagsterEvent] = []
        events = dagster_event_sequence_for_step(context)
        for event in events:
            if self._left:
                # Closing the generator would be recorded as a failure by Dagster; this unwinds the step in silence.
                events.throw(DagsterExecutionInterruptedError())
                return
            told.append(event)
            yield event
        yield from hook_events(context, told)

    def _takes_records(self) -> bool:
        # Threads that the step has started itself may have no context: what they say goes to any step that runs.
        return not self._left and _current.get() in (self, None)


class _StepEventLoop:
    """The event loop of one step, made when it is first needed. Only what Dagster asks of a loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._cancelled = False

    def run_until_complete(self, work: Awaitable[T]) -> T:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        task = self._loop.create_task(_awaited(work))
        if self._cancelled:
            task.cancel()
        try:
            return self._loop.run_until_complete(task)
        except asyncio.CancelledError:
            if self._cancelled:
                raise DagsterExecutionInterruptedError("The run was stopped while this step was running.") from None
            raise

    def cancel(self) -> None:
        self._cancelled = True
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # it is closed: there is nothing left to cancel
                loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])

    def close(self) -> None:
        if self._loop is not None:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()


async def _awaited(work: Awaitable[T]) -> T:
    return await work


def _check_resources(context: StepExecutionContext) -> None:
    missing = sorted(key for key in context.required_resource_keys if not hasattr(context.resources, key))
    if missing:
        raise dg.DagsterInvariantViolationError(
            f'the step "{context.step.key}" needs the resources {missing}, which were not initialized'
        )
