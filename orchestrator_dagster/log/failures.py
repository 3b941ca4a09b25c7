"""The failures of a run, the one that ended it first, each with what came of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.compiler.routes import State
from orchestrator_dagster.log.document import WAITING, LogFailure
from orchestrator_dagster.runtime.outcome import ErrorInfo, Outcome

#: The most failures that a log has.
MOST_FAILURES = 100
_INDEX = re.compile(r"\[\d+\]")
ROUTED = "handled: the run went"
_WENT_ON = "the run went on and ends failed"


def failures_of(
    pipeline: CompiledPipeline, outcomes: Mapping[str, Outcome], error: Mapping[str, Any] | None
) -> tuple[LogFailure, ...]:
    """Every failure: those of steps, of items of loops, and of the run outside of its steps.

    Args:
        pipeline: The pipeline.
        outcomes: The outcome of every step that has one.
        error: ``type``, ``message`` and ``step`` of what ended the run.
    """
    found: list[LogFailure] = []
    for step in pipeline.steps:
        outcome = outcomes.get(step.id)
        if outcome is not None:
            found += _of_step(outcome)
    ended = _INDEX.sub("", str(error.get("step") or "")) if error else None
    if error and not any(one.step == ended or (ended == "finish" and not one.handled) for one in found):
        found.append(_of_run(error))
        ended = found[-1].step or ""
    order = sorted(range(len(found)), key=lambda at: (found[at].handled, (found[at].step or "") != ended, at))
    return tuple(found[at] for at in order)[:MOST_FAILURES]


def failure_of(error: ErrorInfo, outcome: Outcome) -> LogFailure:
    """The failure of a step, with what came of it."""
    effects = {
        State.FAILED_ROUTED: (f'{ROUTED} to "{outcome.routed_to}"', True),
        State.FAILED_SKIPPING: ("the run went on without the steps after it", True),
        State.FAILED_CONTINUED: (_WENT_ON, False),
    }
    ended = "the run goes on when it is answered" if error.type == WAITING else "it ended the run"
    effect, handled = effects.get(outcome.state, (ended, False))
    return LogFailure(**_said(error), effect=effect, handled=handled)


def _of_step(outcome: Outcome) -> Iterator[LogFailure]:
    if outcome.error is not None:
        yield failure_of(outcome.error, outcome)
    carried = {(one.type, one.message): one for one in outcome.carried}
    alike: dict[tuple[str, str], list[ErrorInfo]] = {}
    for one in outcome.iterations or ():
        if one.status == "failed" and one.error is not None:
            alike.setdefault((one.error.type, one.error.message), []).append(one.error)
    for key, errors in alike.items():
        if outcome.error is None or errors[0].message not in outcome.error.message:
            goes_on = key in carried
            kept = outcome.status == "completed" and not goes_on
            ended = "the loop went on without them" if kept else "it ended the loop"
            said = {**_said(errors[0]), "step": _INDEX.sub("", errors[0].step)}
            yield LogFailure(**said, items=len(errors), effect=_WENT_ON if goes_on else ended, handled=kept)
    for key, error in carried.items():
        if key not in alike:
            yield LogFailure(**_said(error), effect=_WENT_ON)


def _said(error: ErrorInfo) -> dict[str, Any]:
    return {
        "type": error.type,
        "message": error.message,
        "step": error.step,
        "location": error.location,
        "hint": error.hint,
        "note": error.note,
        "trace": error.trace,
        "attempts": error.attempts,
    }


def _of_run(error: Mapping[str, Any]) -> LogFailure:
    message, _, hint = str(error.get("message") or "no reason is known").partition("\n  next: ")
    step = error.get("step")
    return LogFailure(
        type=str(error.get("type") or "Failure"),
        message=message,
        step=str(step) if step else None,
        hint=hint.strip() or None,
        effect="it ended the run",
    )
