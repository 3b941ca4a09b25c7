"""The items of a loop as a log has them: counted, and some of them shown."""

from __future__ import annotations

from orchestrator_dagster.log.document import LogItem, LogLoop
from orchestrator_dagster.log.short import short
from orchestrator_dagster.runtime.outcome import Iteration, Outcome

#: The most items that a log shows of a loop, and how many of them may be failed ones.
MOST_ITEMS, MOST_FAILED = 30, 20


def loop_of(outcome: Outcome) -> LogLoop | None:
    """The items of a step that repeats; None for another."""
    items = outcome.iterations
    if items is None:
        return None
    failed = [one for one in items if one.status == "failed"]
    shown = failed[:MOST_FAILED]
    shown += [one for one in items if one.status != "failed"][: MOST_ITEMS - len(shown)]
    return LogLoop(
        total=len(items),
        completed=sum(one.status == "completed" for one in items),
        failed=len(failed),
        skipped=sum(one.status == "skipped" for one in items),
        items=tuple(_item(one) for one in sorted(shown, key=lambda one: one.index)),
        left_out=len(items) - len(shown),
    )


def _item(one: Iteration) -> LogItem:
    return LogItem(
        index=one.index,
        status=one.status,
        started_at=one.started_at,
        completed_at=one.completed_at,
        value=short(one.value, depth=2),
        reason=one.reason,
        error=one.error.message if one.error else None,
        steps={name: step.status for name, step in one.steps.items()},
    )
