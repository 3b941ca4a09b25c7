"""The times of a run's steps as a picture of text, which reads in a terminal, on a code host, and in the UI."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from orchestrator_dagster.log.document import Log, LogAttempt, LogStep
from orchestrator_dagster.log.words import duration

_MARKS = {"completed": "█", "failed": "▓", "interrupted": "▓", "running": "▒", "waiting": "▒", "skipped": "·"}
_ROWS, _NAME = 40, 28


def timeline(log: Log, width: int = 48) -> str:
    """One row a step, in the order in which they began; empty when none has begun in this run.

    Steps that were done in an earlier run have no row: their time was another one. Of many, the longest are shown.

    Args:
        log: The log.
        width: Characters of the whole time.
    """
    steps = [one for one in log.steps if one.started_at is not None and one.run in (None, log.run_id)]
    if not steps:
        return ""
    start = min([log.started_at, *(one.started_at for one in steps if one.started_at)])
    ends = [one.completed_at or log.completed_at for one in steps]
    end = max([log.completed_at or start, *(at for at in ends if at)])
    if log.completed_at is None:
        end = max(end, max((_end(one, start) for one in steps), key=lambda at: at))
    total = max((end - start).total_seconds(), 0.001)
    shown = _chosen(steps)
    room = min(_NAME, max(len(one.id) for one in shown))
    lines = [_row(one, start, total, width, room) for one in shown]
    if len(shown) < len(steps):
        lines.append(f"and {len(steps) - len(shown):,} more that took less")
    return "\n".join([f"{'':{room}}  {_scale(total, width)}", *lines])


def _end(one: LogStep, start: datetime) -> datetime:
    return one.completed_at or (one.started_at or start) + timedelta(seconds=one.seconds or 0.0)


def _chosen(steps: Sequence[LogStep]) -> list[LogStep]:
    if len(steps) <= _ROWS:
        return list(steps)
    order = sorted(
        range(len(steps)), key=lambda at: (steps[at].status in ("completed", "skipped"), -(steps[at].seconds or 0.0))
    )
    return [steps[at] for at in sorted(order[:_ROWS])]


def _scale(total: float, width: int) -> str:
    left, right = "0", duration(total)
    return f"{left}{right:>{width - len(left)}}"


def _row(one: LogStep, start: datetime, total: float, width: int, room: int) -> str:
    name = one.id if len(one.id) <= room else f"{one.id[: room - 1]}…"
    assert one.started_at is not None
    bar = [" "] * width
    if one.status == "skipped":
        _draw(bar, (one.started_at - start).total_seconds() / total, 0.0, _MARKS["skipped"])
    elif len(_tries(one)) > 1:
        for tried in _tries(one):
            begin = (tried.started_at - start).total_seconds() / total
            seconds = ((tried.completed_at or _end(one, start)) - tried.started_at).total_seconds()
            _draw(bar, begin, seconds / total, _MARKS["completed" if tried.ended == "completed" else "failed"])
    else:
        _draw(bar, (one.started_at - start).total_seconds() / total, (one.seconds or 0.0) / total, _MARKS[one.shown])
    said = "" if one.status == "completed" else f" {one.shown}"
    tries = f", {len(_tries(one))} tries" if len(_tries(one)) > 1 else ""
    figures = "" if one.status == "skipped" else f" {duration(one.seconds)}"
    return f"{name:{room}}  {''.join(bar)} {figures}{said}{tries}".rstrip()


def _tries(one: LogStep) -> list[LogAttempt]:
    """The tries at a step in the run that did it last; none of a loop, whose items have their own."""
    return [] if one.loop else [tried for tried in one.attempts if tried.run == one.run]


def _draw(bar: list[str], begin: float, share: float, mark: str) -> None:
    width = len(bar)
    first = min(width - 1, max(0, int(begin * width)))
    last = min(width, max(first + 1, round((begin + share) * width)))
    bar[first:last] = [mark] * (last - first)
