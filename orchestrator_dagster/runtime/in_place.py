"""Steps that run inside an op: the body of a loop, another pipeline. Their flow and their retries are made here.

Steps without a way between them run at once, in threads.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timezone

from orchestrator_dagster.compiler.compiled import CompiledStep
from orchestrator_dagster.compiler.routes import State
from orchestrator_dagster.compiler.routing import RoutePlan
from orchestrator_dagster.errors import StepError, StepInterruptedError
from orchestrator_dagster.language.settings import Retries
from orchestrator_dagster.runtime.failure import after_paying, failed_outcome, usage_of
from orchestrator_dagster.runtime.flow import judge
from orchestrator_dagster.runtime.outcome import Outcome, UsageInfo
from orchestrator_dagster.runtime.scope import Scope
from orchestrator_dagster.runtime.step import run_step

#: Steps of one body, or of another pipeline, that run at once.
MAX_PARALLEL = 10
_LOOK = 0.05  # seconds between two looks at whether the run was stopped
_LONGEST_DELAY = 3600.0


def run_body(
    steps: Sequence[CompiledStep], plan: RoutePlan, scope: Scope, seen: Mapping[str, Outcome] | None = None
) -> dict[str, Outcome]:
    """Run the steps of a body, each when those that decide about it have ended.

    Args:
        steps: The steps; their order is that of the plan, in which routes count as well as dependencies.
        plan: Their flow.
        scope: Where they run; its outcomes are those around the body.
        seen: What the steps themselves show before they have run: the pass before.

    Returns:
        The outcome of every step, also of those that failed or were not reached. After a failure that nothing handles
        the steps behind it are not reached; the others run.

    Raises:
        StepInterruptedError: The run was stopped.
    """
    around = {**scope.outcomes, **(seen or {})}
    done: dict[str, Outcome] = {}
    by_id = {step.id: step for step in steps}
    if seen:
        scope = scope.resting_on(seen)
    if all(len(level) == 1 for level in plan.levels):
        for one in plan.steps:
            done[one.id] = run_one(by_id[one.id], plan, done, scope.seeing({**around, **done}))
        return {step.id: done[step.id] for step in steps}
    waiting = {step.id: set(plan.by_id[step.id].reads) for step in steps}
    running: dict[Future[Outcome], str] = {}
    with ThreadPoolExecutor(MAX_PARALLEL, thread_name_prefix=f"{scope.path or scope.pipeline.id} ") as pool:
        while waiting or running:
            for name in [name for name, before in waiting.items() if before <= done.keys()]:
                del waiting[name]
                here = scope.seeing({**around, **done})
                running[pool.submit(run_one, by_id[name], plan, dict(done), here)] = name
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                done[running.pop(future)] = future.result()
    return {step.id: done[step.id] for step in steps}


def run_one(step: CompiledStep, plan: RoutePlan, done: Mapping[str, Outcome], scope: Scope) -> Outcome:
    """Decide about one step and run it, with its retries. A failure is an outcome.

    Raises:
        StepInterruptedError: The run was stopped.
    """
    from orchestrator_dagster.runtime.loops import run_loop  # which runs bodies itself

    started = datetime.now(timezone.utc)
    own = plan.by_id[step.id]
    reads = {name: done[name] for name in own.reads}
    attempt, paid = 1, UsageInfo()
    scope.check_interrupted()
    scope = scope.at(step).resting_on(reads)
    decided = scope.decisions  # for its condition; the work has its own
    try:
        with after_paying(lambda: decided.usage):
            verdict = judge(step, plan, reads, scope)
        paid += decided.usage
        if not verdict.go:
            return verdict.skipped(step).having_paid(paid).having_decided(decided.made)
        kept = scope.services.journal.get(step, scope) if scope.services.journal and step.loop is None else None
        if kept is not None:
            return kept.having_paid(paid)
        while True:
            try:
                if step.loop is not None:
                    outcome = run_loop(step, scope, attempt=attempt, error=verdict.error)
                else:
                    outcome = run_step(step, scope, attempt=attempt, error=verdict.error)
                break
            except StepInterruptedError:
                raise
            except StepError as error:
                if error.permanent or attempt > step.retries.max:
                    raise
                paid += usage_of(error)
                pause = delay_before(step.retries, attempt, error)
                scope.services.log(f"{scope.occurrence(step)} is tried again in {pause:.1f} s: {error.message}")
                _sleep(pause, scope)
                attempt += 1
    except StepInterruptedError:
        raise
    except StepError as error:
        try:
            outcome = failed_outcome(step, own, error, scope, started=started, attempts=attempt)
        except StepError as unfit:  # its fallback
            outcome = failed_outcome(step, own, unfit, scope, started=started, attempts=attempt, handled=False)
        return outcome.having_paid(paid).having_decided(decided.made)
    outcome = outcome.having_paid(paid).having_decided(decided.made)
    if scope.services.journal and step.loop is None:
        scope.services.journal.put(step, scope, outcome)
    return outcome


def delay_before(retries: Retries, attempt: int, error: StepError | None = None) -> float:
    """Seconds to wait after an attempt, as Dagster's RetryPolicy has them; at least what a provider asked for.

    Args:
        retries: The policy.
        attempt: The attempt that has failed, from 1.
        error: Why.

    >>> delay_before(Retries(max=3, delay=2.0, backoff="exponential"), 3)
    14.0
    """
    base = float(retries.delay) if retries.delay is not None else None
    if base is None:
        base = 1.0 if retries.backoff != "constant" or retries.jitter else 0.0
    factor = {"constant": 1, "linear": attempt, "exponential": 2**attempt - 1}[retries.backoff]
    pause = base * factor
    if retries.jitter == "full":
        pause *= random.random()
    elif retries.jitter == "plus_minus":
        pause += base * (2 * random.random() - 1)
    asked = getattr(error, "retry_after", None) or 0.0
    return float(min(max(pause, asked, 0.0), _LONGEST_DELAY))


def _sleep(seconds: float, scope: Scope) -> None:
    """Wait, unless the run is stopped or the time around the step is over meanwhile."""
    end = time.monotonic() + seconds
    while True:
        scope.check_interrupted()
        scope.remaining(None)
        left = end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(_LOOK, left))


def first_failure(outcomes: Mapping[str, Outcome]) -> Outcome | None:
    """The first step of a body whose failure nothing handled."""
    failed = [one for one in outcomes.values() if one.state is State.FAILED]
    return min(failed, key=lambda one: one.completed_at, default=None)
