"""Loops: the items of a ``for_each``, the passes of ``while`` and ``until``, and what they leave together."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledStep
from orchestrator_dagster.compiler.routes import State
from orchestrator_dagster.errors import InnerStepError, LoopLimitError, StepTimeoutError, TemplateError
from orchestrator_dagster.runtime import in_place
from orchestrator_dagster.runtime.failure import after_paying, inner_error, step_errors, waits
from orchestrator_dagster.runtime.flow import holds
from orchestrator_dagster.runtime.loop_keys import number_of, rendered_key, seconds_of
from orchestrator_dagster.runtime.names import PassView
from orchestrator_dagster.runtime.outcome import Iteration, Outcome, UsageInfo
from orchestrator_dagster.runtime.scope import Scope
from orchestrator_dagster.runtime.step import write_products
from orchestrator_dagster.runtime.variables import variables_of_result
from orchestrator_dagster.runtime.work import Done

#: Items at once, and passes at most, when a loop does not say.
MAX_PARALLEL = 10
MAX_ITERATIONS = 10
#: The most items that a loop may have.
MOST_ITEMS = 100_000


def run_loop(step: CompiledStep, scope: Scope, *, attempt: int = 1, error: Mapping[str, Any] | None = None) -> Outcome:
    """Run a whole loop in place.

    Raises:
        StepError: It failed.
    """
    assert step.loop is not None
    started = datetime.now(timezone.utc)
    scope = scope.at(step)
    decided = scope.decisions
    if error is not None:
        scope = scope.with_own({"error": error})
    with after_paying(lambda: decided.usage):
        with step_errors(step, scope):
            if step.loop.kind == "while":
                iterations = run_passes(step, scope)
            else:
                items = items_of(step, scope)
                workers = max_parallel(step, scope)
                iterations = run_items(step, scope, list(enumerate(items)), len(items), workers)
        outcome = loop_outcome(step, scope, iterations, started=started, attempt=attempt)
    return outcome.having_paid(decided.usage).having_decided(decided.made)


def items_of(step: CompiledStep, scope: Scope) -> list[Any]:
    """The items of a ``for_each``.

    Raises:
        TemplateError: The list cannot be rendered, or is none.
        StepError: There are more than ``max_iterations``.
    """
    loop = step.loop
    assert loop is not None
    with step_errors(step, scope):
        found = rendered_key("for_each", loop.over, step, scope)
        if isinstance(found, str):
            try:
                found = json.loads(found)
            except ValueError:
                shown = found if len(found) <= 60 else f"{found[:57]}..."
                raise TemplateError(
                    f"`for_each` goes over a list, and it is the text {shown!r}",
                    hint="give a list, or a JSON text; `split` makes a list of a text",
                ) from None
        if not isinstance(found, list):
            kind = "nothing" if found is None else "a map" if isinstance(found, dict) else f"{found!r}"
            hint = "`| dictsort` or `.items()` makes a list of a map" if isinstance(found, dict) else None
            raise TemplateError(f"`for_each` goes over a list, and it is {kind}", hint=hint)
        most = MOST_ITEMS if loop.max_iterations is None else number_of(step, scope, "max_iterations", MOST_ITEMS)
        if len(found) > most:
            if loop.max_iterations is not None and loop.on_limit == "continue":
                return found[:most]
            raise TemplateError(
                f"the list has {len(found):,} items, and at most {most:,} are allowed",
                hint="raise `max_iterations`, or set `on_limit: continue` to take the first ones",
            )
        return found


def max_parallel(step: CompiledStep, scope: Scope) -> int:
    """How many items run at once."""
    return number_of(step, scope, "max_parallel", MAX_PARALLEL)


def run_items(
    step: CompiledStep, scope: Scope, items: Sequence[tuple[int, Any]], total: int, workers: int
) -> list[Iteration]:
    """Run the body for some items of a loop, several at once.

    Args:
        step: The loop.
        scope: Where it runs.
        items: The items with their numbers in the whole list.
        total: How many the whole list has.
        workers: How many run at once.

    Returns:
        An iteration for each item, in the order of the items. Where ``on_item_failure`` is ``fail``, those behind a
        failed one may be missing.

    Raises:
        StepInterruptedError: The run was stopped.
        StepTimeoutError: The loop's time is over.
    """
    loop = step.loop
    assert loop is not None
    stops = loop.on_item_failure == "fail"
    scope = scope.until(seconds_of(step, scope))

    def run(index: int, item: Any) -> Iteration:
        own = _item_names(step, index, total, item)
        one = _run_pass(step, scope.inside(loop.steps, own, f"{step.id}[{index}]"), index, {})
        _tell(step, scope, index, total)
        return one

    if workers <= 1 or len(items) <= 1:
        found = []
        for index, item in items:
            found.append(run(index, item))
            if stops and _ends(found[-1]):
                break
        return _in_time(step, scope, found)
    done: dict[int, Iteration] = {}
    left = iter(items)
    lock = threading.Lock()
    stopped = threading.Event()

    def work() -> None:
        """Take one item after the other until none is left; one that fails, or is stopped, is the last for all."""
        while not stopped.is_set():
            with lock:
                one = next(left, None)
            if one is None:
                return
            try:
                found = run(*one)
            except BaseException:
                stopped.set()
                raise
            done[one[0]] = found
            if stops and _ends(found):
                stopped.set()

    count = min(workers, len(items))
    with ThreadPoolExecutor(count, thread_name_prefix=f"{scope.occurrence(step)} ") as pool:
        running = [pool.submit(work) for _ in range(count)]
        try:
            for future in running:
                future.result()
        finally:
            stopped.set()
    return _in_time(step, scope, [done[index] for index, _ in items if index in done])


def _ends(one: Iteration) -> bool:
    """Whether no further item is begun after this one: one that waits for a person keeps no other from asking."""
    return one.status == "failed" and not (one.error and waits(one.error))


def _tell(step: CompiledStep, scope: Scope, index: int, total: int | None) -> None:
    """Say that an item or a pass is done, for a loop that is not inside another."""
    if not scope.path:
        scope.services.item_done(step.id, index, total)


def _in_time(step: CompiledStep, scope: Scope, found: list[Iteration]) -> list[Iteration]:
    """The iterations, when none of them failed because the time of the whole loop was over.

    Raises:
        StepTimeoutError: It was.
    """
    late = [one for one in found if one.error is not None and one.error.type == StepTimeoutError.__name__]
    if not late or not scope.is_over:
        return found
    done = sum(one.status != "failed" for one in found)
    what = "items" if step.loop and step.loop.kind == "for_each" else "passes"
    error = StepTimeoutError(f"the time of the loop is over: {done} of {len(found)} {what} that were begun are done")
    error.location, error.paid = scope.pipeline.location(step), _usage(found)
    raise error


def _usage(found: Iterable[Iteration]) -> UsageInfo:
    return sum((outcome.usage for one in found for outcome in one.steps.values()), UsageInfo())


def run_passes(step: CompiledStep, scope: Scope) -> list[Iteration]:
    """Repeat the body of a ``while`` or ``until``.

    Raises:
        StepError: A condition cannot be evaluated, the limit was reached with it still open, or the time is over.
    """
    found: list[Iteration] = []
    scope = scope.until(seconds_of(step, scope))
    with after_paying(lambda: _usage(found)):
        _repeat(step, scope, found)
    return _in_time(step, scope, found)


def _repeat(step: CompiledStep, scope: Scope, found: list[Iteration]) -> None:
    """Add pass after pass to ``found``."""
    loop = step.loop
    assert loop is not None
    most = number_of(step, scope, "max_iterations", MAX_ITERATIONS)
    seen: Mapping[str, Outcome] = {inner.id: _not_yet(inner) for inner in loop.steps}
    while True:
        index = len(found)
        own = _item_names(step, index, most, None)
        here = scope.inside(loop.steps, own, f"{step.id}[{index}]")
        here = here.seeing({**scope.outcomes, **seen})
        if loop.single:
            here = here.with_own(_pass_view(step, seen, own[step.id]))
        if loop.while_ is not None and not holds(loop.while_, step, here, None, "while"):
            return
        if index >= most:
            _at_limit(step, most)
            return
        one = _run_pass(step, here, index, seen)
        found.append(one)
        _tell(step, scope, index, None)
        seen = one.steps
        if one.status == "failed":
            return
        if loop.until is not None:
            here = here.seeing({**scope.outcomes, **seen})
            if loop.single:
                here = here.with_own(_pass_view(step, seen, own[step.id]))
            if holds(loop.until, step, here, None, "until"):
                return
            if len(found) >= most and loop.while_ is None:
                _at_limit(step, most)
                return


def _at_limit(step: CompiledStep, most: int) -> None:
    """The end of a loop that has used up its limit; a condition that is a literal is never open.

    Raises:
        LoopLimitError: Its condition is open, and ``on_limit`` does not let it go on.
    """
    loop = step.loop
    assert loop is not None
    open_ = [
        key for key, one in (("while", loop.while_), ("until", loop.until)) if one is not None and not _literal(one)
    ]
    if not open_ or loop.on_limit == "continue":
        return
    key = open_[0]
    written = loop.while_ if key == "while" else loop.until
    raise LoopLimitError(
        f"after {most} passes the loop has not ended: `{key}: {written}`",
        hint="raise `max_iterations`, or set `on_limit: continue` to go on with what there is",
    )


def _literal(condition: str | bool) -> bool:
    return isinstance(condition, bool) or condition.strip().lower() in ("true", "false")


def _run_pass(step: CompiledStep, scope: Scope, index: int, seen: Mapping[str, Outcome]) -> Iteration:
    """One item or pass."""
    loop = step.loop
    assert loop is not None
    started = datetime.now(timezone.utc)
    outcomes = in_place.run_body(loop.steps, loop.plan, scope, seen)
    failed = in_place.first_failure(outcomes)
    last = outcomes[_last(step)]
    status = "failed" if failed else "skipped" if last.status == "skipped" and loop.single else "completed"
    return Iteration(
        index=index,
        status=status,
        value=last.value if last.absent_reason is None and not failed else None,
        steps=outcomes,
        error=failed.error if failed else None,
        reason=last.reason if status == "skipped" else None,
        started_at=started,
        completed_at=datetime.now(timezone.utc),
    )


def _last(step: CompiledStep) -> str:
    """The last step of a loop's body, as the file has them."""
    assert step.loop is not None
    written = step.spec.steps
    return written[-1].id if written and not step.loop.single else step.id


def loop_outcome(
    step: CompiledStep, scope: Scope, iterations: Iterable[Iteration], *, started: datetime, attempt: int = 1
) -> Outcome:
    """What a loop leaves when its items or passes are done: the list of their values, and its own products.

    Raises:
        InnerStepError: An item failed, and ``on_item_failure`` does not let the loop go on.
        StepError: Its variables or products cannot be made.
    """
    loop = step.loop
    assert loop is not None
    found = tuple(iterations)
    inner = [outcome for one in found for outcome in one.steps.values()]
    usage = _usage(found)
    failed = [one for one in found if one.status == "failed"]
    waiting = next((one for one in failed if one.error and waits(one.error)), None)
    if waiting is not None:
        raise item_error(step, waiting, usage)
    if failed and (loop.kind == "while" or loop.on_item_failure == "fail"):
        raise item_error(step, failed[0], usage)
    values = [one.value for one in found]
    carried = [failure for outcome in inner for failure in outcome.failures]
    if loop.on_item_failure == "continue":
        carried += [one.error for one in failed if one.error]
    redactor = scope.services.redactor
    with step_errors(step, scope), after_paying(lambda: usage):
        variables = _variables(step, scope, found, values)
        done = Done(value=values, variables=variables)
        written = write_products(step, done, scope.names(), scope)
    files = (*written, *(product for outcome in inner for product in outcome.products))
    return Outcome(
        step=step.id,
        status="completed",
        value=values,
        variables=redactor.value(variables),
        products=files,
        location=files[0].path if files else None,
        tool=step.tool,
        action=step.action,
        model=next((outcome.model for outcome in inner if outcome.model), None) if loop.single else None,
        usage=usage,
        attempts=attempt,
        iterations=found,
        carried=tuple(carried),
        started_at=started,
        completed_at=datetime.now(timezone.utc),
    )


def item_error(step: CompiledStep, one: Iteration, usage: UsageInfo) -> InnerStepError:
    """The failure of a loop because of one of its items."""
    assert one.error is not None
    assert step.loop is not None
    what = "item" if step.loop.kind == "for_each" else "pass"
    inside = "" if step.loop.single else f', step "{one.error.step.rpartition("/")[2]}"'
    return inner_error(f"{what} {one.index}{inside} failed: {one.error.message}", one.error, usage)


def _variables(step: CompiledStep, scope: Scope, found: Sequence[Iteration], values: list[Any]) -> dict[str, Any]:
    """A loop's variables: around a single piece of work those of its items, else taken from the list of values."""
    loop = step.loop
    assert loop is not None
    if not loop.single:
        return variables_of_result(scope.pipeline, step, values, scope.names())
    outcomes = [one.steps[step.id] for one in found]
    if loop.kind == "for_each":
        return {name: [outcome.variables.get(name) for outcome in outcomes] for name in step.variables}
    last = outcomes[-1].variables if outcomes else {}
    return {name: last.get(name) for name in step.variables}


def _item_names(step: CompiledStep, index: int, total: int, item: Any) -> dict[str, Any]:
    """The names that an item has, and the loop's own id with the same numbers."""
    loop = step.loop
    assert loop is not None
    numbers: dict[str, Any] = {"index": index, "iteration": index, "is_first": index == 0}
    if loop.kind == "for_each":
        numbers |= {"item": item, "length": total, "is_last": index == total - 1}
    jinja = {"index": index + 1, "index0": index, "first": index == 0}
    if loop.kind == "for_each":
        jinja |= {"last": index == total - 1, "length": total}
    own = {**numbers, "loop": jinja, step.id: numbers, step.id.replace("-", "_"): numbers}
    if loop.item and loop.kind == "for_each":
        own[loop.item] = item
    return own


def _pass_view(step: CompiledStep, seen: Mapping[str, Outcome], numbers: Mapping[str, Any]) -> dict[str, Any]:
    """The loop's own id inside it, where it also stands for the pass before; ``numbers`` are those of this pass."""
    view = PassView(seen[step.id], numbers)
    return {step.id: view, step.id.replace("-", "_"): view}


def _not_yet(inner: CompiledStep) -> Outcome:
    now = datetime.now(timezone.utc)
    return Outcome(
        step=inner.id, status="skipped", state=State.SKIPPED_BY_ROUTING, reason="no pass has run it yet",
        started_at=now, completed_at=now, attempts=0,
    )  # fmt: skip
