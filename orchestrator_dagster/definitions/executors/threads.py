"""An executor that runs the steps of a run in threads of the run's own process."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from queue import Empty, SimpleQueue
from typing import Any

import dagster as dg
from dagster import DagsterExecutionInterruptedError

from orchestrator_dagster.definitions.executors._dagster_private import (
    ActiveExecution,
    DagsterEvent,
    EngineEventData,
    ExecuteRunWithPlanIterable,
    ExecutionPlan,
    PlanExecutionContext,
    PlanExecutionContextManager,
    PlanOrchestrationContext,
    PromptClaims,
    RetryMode,
    StepDependencyConfig,
    captured_logs_key,
    engine_error,
    known_state,
    seconds_to_retry,
    step_stopped,
)
from orchestrator_dagster.definitions.instance.event_log import event_log_open
from orchestrator_dagster.definitions.steps.step_threads import Ended, Outbox, StepThread

#: Seconds between two looks at interrupts, retries that are due and pools, while no step has anything to tell.
POLL = 0.1
#: Events that are taken before the next look.
BATCH = 200
_INTERRUPTS = (KeyboardInterrupt, DagsterExecutionInterruptedError)

#: Held by the run that captures the output of this process.
_captures = threading.Lock()


class ThreadsExecutor(dg.Executor):
    """Runs each step in a thread as soon as its inputs are there. Resources are initialized once and shared.

    Args:
        retries: Whether steps are tried again.
        max_concurrent: Steps that run at once, at most.
        tag_concurrency_limits: Further limits by tag, as Dagster's multiprocess executor takes them.
        step_dependency_config: Whether a step waits for the steps before it to end, or only for their outputs.
        interrupt_grace: Seconds that running steps are given to end after an interrupt; then they are left behind.
    """

    def __init__(
        self,
        *,
        retries: RetryMode,
        max_concurrent: int,
        tag_concurrency_limits: list[dict[str, Any]],
        step_dependency_config: StepDependencyConfig,
        interrupt_grace: float,
    ) -> None:
        if max_concurrent < 1:
            raise dg.DagsterInvariantViolationError(f"threads: max_concurrent must be 1 or more, not {max_concurrent}")
        if interrupt_grace < 0:
            raise dg.DagsterInvariantViolationError(f"threads: interrupt_grace is negative: {interrupt_grace}")
        self._retries = retries
        self._max_concurrent = max_concurrent
        self._tag_concurrency_limits = tag_concurrency_limits
        self._step_dependency_config = step_dependency_config
        self._interrupt_grace = interrupt_grace

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ThreadsExecutor:
        """The executor with the settings of a run."""
        return cls(
            retries=RetryMode(next(iter(config["retries"]))),
            max_concurrent=config["max_concurrent"],
            tag_concurrency_limits=config.get("tag_concurrency_limits") or [],
            step_dependency_config=StepDependencyConfig.from_config(config.get("step_dependency_config")),
            interrupt_grace=config["interrupt_grace"],
        )

    @property
    def retries(self) -> RetryMode:
        """Whether steps are tried again."""
        return self._retries

    @property
    def step_dependency_config(self) -> StepDependencyConfig:
        """What a step waits for."""
        return self._step_dependency_config

    def execute(self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan) -> Iterator[DagsterEvent]:
        """Execute the plan; events come in the order in which the run's thread takes notice of them."""
        process, keys = os.getpid(), execution_plan.step_keys_to_execute
        yield DagsterEvent.engine_event(
            plan_context,
            f"Executing steps in threads, {self._max_concurrent} at most (pid: {process})",
            event_specific_data=EngineEventData.in_process(process, keys),
        )
        started = time.perf_counter()
        plan_events = ExecuteRunWithPlanIterable(
            execution_plan=execution_plan,
            iterator=self._execute_in_context,
            execution_context_manager=PlanExecutionContextManager(
                job=plan_context.job,
                retry_mode=self._retries,
                execution_plan=execution_plan,
                run_config=plan_context.run_config,
                dagster_run=plan_context.dagster_run,
                instance=plan_context.instance,
                raise_on_error=plan_context.raise_on_error,
                output_capture=plan_context.output_capture,
                step_dependency_config=self._step_dependency_config,
            ),
        )
        with event_log_open(plan_context.instance, plan_context.run_id):
            yield from plan_events
        yield DagsterEvent.engine_event(
            plan_context,
            f"Finished steps in threads in {time.perf_counter() - started:.2f} s (pid: {process})",
            event_specific_data=EngineEventData.in_process(process, keys),
        )

    def _execute_in_context(
        self, job_context: PlanExecutionContext, execution_plan: ExecutionPlan
    ) -> Iterator[DagsterEvent]:
        with (
            PromptClaims(job_context.instance, job_context.dagster_run) as claims,
            ActiveExecution(
                execution_plan,
                retry_mode=self._retries,
                max_concurrent=self._max_concurrent,
                tag_concurrency_limits=self._tag_concurrency_limits,
                instance_concurrency_context=claims,
                step_dependency_config=self._step_dependency_config,
            ) as active,
            ExitStack() as captured,
        ):
            yield from _capture(job_context, execution_plan, captured)
            running = _Running(job_context, active, claims, self._max_concurrent, self._interrupt_grace)
            yield from running.events()
            try:
                captured.close()
            except Exception as error:
                yield engine_error(job_context, "The capture of the process' output could not be ended.", error)


class _Running:
    """The run, seen from its own thread: starts steps, takes their events, and ends."""

    def __init__(
        self,
        context: PlanExecutionContext,
        active: ActiveExecution,
        claims: PromptClaims,
        max_concurrent: int,
        interrupt_grace: float,
    ) -> None:
        self._context, self._active, self._claims = context, active, claims
        self._max_concurrent, self._interrupt_grace = max_concurrent, interrupt_grace
        self._outbox: Outbox = SimpleQueue()
        self._threads: dict[StepThread, None] = {}  # an ordered set

    def events(self) -> Iterator[DagsterEvent]:
        """Everything until the plan is complete.

        Raises:
            DagsterExecutionInterruptedError: The run was interrupted.
            BaseException: Whatever escaped from a step.
        """
        try:
            yield from self._until_complete()
        except GeneratorExit:  # nobody listens any more
            raise
        except BaseException as error:
            yield from self._stop(error)
            raise
        finally:
            for thread in self._threads:
                thread.leave()

    def _until_complete(self) -> Iterator[DagsterEvent]:
        while True:
            if self._active.check_for_interrupts():
                raise DagsterExecutionInterruptedError("The run was interrupted.")
            yield from self._active.plan_events_iterator(self._context)
            self._start_steps()
            yield from self._active.concurrency_event_iterator(self._context)
            if not self._threads and not self._waits():
                return  # complete; or it cannot go on, which ActiveExecution reports
            for thread, message in self._arrived(self._patience()):
                yield from self._take(thread, message)
                if isinstance(message, Ended) and message.error is not None:
                    raise message.error

    def _waits(self) -> bool:
        return seconds_to_retry(self._active) is not None or self._claims.has_pending_claims()

    def _patience(self) -> float:
        due = seconds_to_retry(self._active)
        return POLL if due is None else min(POLL, due)

    def _start_steps(self) -> None:
        room = self._max_concurrent - len(self._threads)
        steps = self._active.get_steps_to_execute(limit=room) if room > 0 else []
        if not steps:
            return
        known = known_state(self._active)
        for step in steps:
            thread = StepThread(self._context, step, known, self._outbox)
            thread.start()
            self._threads[thread] = None

    def _arrived(self, timeout: float) -> Iterator[tuple[StepThread, DagsterEvent | Ended]]:
        """What the threads have told since, after waiting for the first."""
        try:
            yield self._outbox.get(timeout=timeout)
            for _ in range(BATCH):
                yield self._outbox.get_nowait()
        except Empty:
            return

    def _take(self, thread: StepThread, message: DagsterEvent | Ended) -> Iterator[DagsterEvent]:
        if isinstance(message, Ended):
            del self._threads[thread]
            if thread.retry is not None:
                self._active.handle_event(thread.retry)
            elif message.error is None:
                self._active.verify_complete(self._context, thread.step.key)
            return
        yield message
        if message.is_step_up_for_retry:
            thread.retry = message  # counts when the thread has ended: two attempts must not run at once
        else:
            self._active.handle_event(message)
        thread.settled = thread.settled or (
            message.is_step_up_for_retry or message.is_step_failure or message.is_step_success
        )

    def _stop(self, error: BaseException) -> Iterator[DagsterEvent]:
        """Start nothing more, give running steps some time, and leave those behind that do not end."""
        yield self._stopping(error)
        if isinstance(error, _INTERRUPTS):
            self._active.mark_interrupted()
        for thread in self._threads:
            thread.interrupt()
        until = time.monotonic() + self._interrupt_grace
        while self._threads and time.monotonic() < until and not self._active.check_for_interrupts():
            for thread, message in self._arrived(POLL):
                yield from self._take(thread, message)
        left = list(self._threads)
        for thread in left:
            thread.leave()
        for thread, message in self._arrived(0.001):  # what was recorded before they were left
            if isinstance(message, DagsterEvent):
                yield from self._take(thread, message)
        for thread in left:
            if not thread.settled:
                stopped = DagsterExecutionInterruptedError(
                    "The run was stopped while this step was running. Its thread did not end in "
                    f"{self._interrupt_grace:g} s and was left behind."
                )
                event = step_stopped(thread.new_context(), stopped)
                yield event
                self._active.handle_event(event)

    def _stopping(self, error: BaseException) -> DagsterEvent:
        keys = [thread.step.key for thread in self._threads]
        if isinstance(error, _INTERRUPTS):
            return DagsterEvent.engine_event(
                self._context,
                f"The run was interrupted: no more steps are started; {len(keys)} running.",
                event_specific_data=EngineEventData.interrupted(keys),
            )
        return engine_error(
            self._context, f"An error stops the run; {len(keys)} steps running.", error, steps_running=str(keys)
        )


def _capture(context: PlanExecutionContext, plan: ExecutionPlan, stack: ExitStack) -> Iterator[DagsterEvent]:
    """Capture stdout and stderr of the process, once for all steps: they share them.

    Of several runs in threads of one process the first captures. A second would put the first one's file back in the
    place of the process' stdout at its end, and what the program prints from then on would be lost.
    """
    if not _captures.acquire(blocking=False):
        note = (
            "Another run in this process captures its output; what steps of this run print stands in that one's logs."
        )
        yield DagsterEvent.engine_event(context, note, EngineEventData())
        return
    stack.callback(_captures.release)
    try:
        key = captured_logs_key(context)
        captured = stack.enter_context(context.instance.compute_log_manager.capture_logs(key))
        steps = [step.key for step in plan.get_steps_to_execute_in_topo_order()]
        event = DagsterEvent.capture_logs(context, steps, key, captured)
    except Exception as error:  # the run goes on without
        event = engine_error(context, "The process' output cannot be captured.", error)
    yield event
