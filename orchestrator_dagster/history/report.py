"""The report over runs: sums, and rows by pipeline, step and model, failures, and a trend."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Literal

from pydantic import BaseModel, ConfigDict

from orchestrator_dagster.history.figures import RunFigures, StepFigures, Taken

#: Version of the document; raised when a field changes its meaning or goes.
VERSION = 1
Width = Literal["hour", "day", "week"]
_STEP = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}


class Part(BaseModel):
    """Base of all parts."""

    model_config = ConfigDict(frozen=True)


class Sums(Part):
    """Sums over runs. Times are seconds of completed runs that did all of their pipeline by themselves.

    ``running`` are those that go on, or wait for the answer of a person. ``success_rate`` counts a run together with
    those that resumed it: it is that of the last one; None when none has ended. ``cost`` is None as soon as the cost of
    one call is not known: ``known_cost`` is what is known, and ``unpriced_calls`` are the others.
    """

    runs: int
    completed: int
    failed: int
    canceled: int
    running: int
    resumed: int
    success_rate: float | None
    median_seconds: float | None
    p95_seconds: float | None
    calls: int
    tokens: int
    cost: float | None
    known_cost: float
    unpriced_calls: int


class PipelineRow(Sums):
    """The runs of one pipeline."""

    pipeline: str


class StepRow(Part):
    """A step over runs: how often it was worked at, failed and was tried again, its times, and what its models took."""

    pipeline: str
    step: str
    runs: int
    failed: int
    retries: int
    median_seconds: float | None
    p95_seconds: float | None
    calls: int
    tokens: int
    cost: float | None
    known_cost: float


class ModelRow(Part):
    """What one model was asked, over runs; ``runs`` counts those that asked it."""

    model: str
    runs: int
    calls: int
    tokens: int
    cost: float | None
    known_cost: float
    cost_per_call: float | None


class FailureRow(Part):
    """A failure that ended runs: where, of what kind, how often, and the last run that it ended."""

    pipeline: str
    step: str | None
    error: str
    runs: int
    last_run: str
    last_at: datetime


class TrendRow(Sums):
    """The runs that began in one hour, day or week."""

    begins: datetime


class History(Part):
    """The report over runs that began from ``since`` to ``until``."""

    version: int = VERSION
    since: datetime
    until: datetime
    pipeline: str | None = None
    total: Sums
    pipelines: tuple[PipelineRow, ...]
    steps: tuple[StepRow, ...]
    models: tuple[ModelRow, ...]
    failures: tuple[FailureRow, ...]
    width: Width
    trend: tuple[TrendRow, ...]


def history(
    runs: Sequence[RunFigures], *, since: datetime | None, until: datetime, pipeline: str | None = None
) -> History:
    """The report over runs.

    Args:
        runs: The runs, in any order.
        since: From when on they were looked for, None for the first of them.
        until: Until when.
        pipeline: The pipeline that was asked for, None for all.
    """
    runs = sorted(runs, key=lambda run: run.started_at)
    first = since or (runs[0].started_at if runs else until)
    width = width_of(until - first)
    return History(
        since=first,
        until=until,
        pipeline=pipeline,
        total=_sums(runs),
        pipelines=tuple(
            PipelineRow(pipeline=name, **_sums(some).model_dump())
            for name, some in sorted(_grouped(runs, lambda run: run.pipeline).items())
        ),
        steps=_steps(runs),
        models=_models(runs),
        failures=_failures(runs),
        width=width,
        trend=_trend(runs, first, until, width),
    )


def width_of(span: timedelta) -> Width:
    """How wide the parts of a trend are, so that there are no more than some fifty."""
    return "hour" if span <= timedelta(days=2) else "day" if span <= timedelta(days=60) else "week"


def percentile(values: Iterable[float], share: float) -> float | None:
    """The smallest value that at least this share of the values does not exceed (nearest rank); None for none.

    >>> percentile([4, 1, 3, 2], 0.5), percentile([1, 2, 3], 0.95)
    (2, 3)
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def _sums(runs: Sequence[RunFigures]) -> Sums:
    states = [run.status for run in runs]
    ended = {run.root: run.status == "completed" for run in runs if run.status != "running"}  # the last one counts
    times = [run.seconds for run in runs if run.whole and run.status == "completed" and run.seconds is not None]
    taken = sum((run.taken for run in runs), Taken())
    return Sums(
        runs=len(runs),
        completed=states.count("completed"),
        failed=states.count("failed"),
        canceled=states.count("canceled"),
        running=states.count("running"),
        resumed=sum(run.root != run.id for run in runs),
        success_rate=sum(ended.values()) / len(ended) if ended else None,
        median_seconds=percentile(times, 0.5),
        p95_seconds=percentile(times, 0.95),
        calls=taken.calls,
        tokens=taken.tokens,
        unpriced_calls=taken.unpriced,
        **_costs(taken),
    )


def _costs(taken: Taken) -> dict[str, float | None]:
    known = round(taken.cost, 10)
    return {"cost": None if taken.unpriced else known, "known_cost": known}


def _grouped(runs: Iterable[RunFigures], key: Callable[[RunFigures], str]) -> dict[str, list[RunFigures]]:
    found: dict[str, list[RunFigures]] = {}
    for run in runs:
        found.setdefault(key(run), []).append(run)
    return found


def _steps(runs: Iterable[RunFigures]) -> tuple[StepRow, ...]:
    found: dict[tuple[str, str], list[StepFigures]] = {}
    for run in runs:
        for step, figures in run.steps.items():
            if figures.status != "skipped":
                found.setdefault((run.pipeline, step), []).append(figures)
    rows = []
    for (pipeline, step), some in found.items():
        times = [one.seconds for one in some if one.seconds is not None and one.status == "completed"]
        taken = sum((one.taken for one in some), Taken())
        rows.append(
            StepRow(
                pipeline=pipeline,
                step=step,
                runs=len(some),
                failed=sum(one.status == "failed" for one in some),
                retries=sum(one.attempts - 1 for one in some),
                median_seconds=percentile(times, 0.5),
                p95_seconds=percentile(times, 0.95),
                calls=taken.calls,
                tokens=taken.tokens,
                **_costs(taken),
            )
        )
    return tuple(sorted(rows, key=lambda row: (row.pipeline, -(row.median_seconds or 0.0) * row.runs, row.step)))


def _models(runs: Iterable[RunFigures]) -> tuple[ModelRow, ...]:
    found: dict[str, list[Taken]] = {}
    for run in runs:
        for model, taken in run.models.items():
            found.setdefault(model, []).append(taken)
    rows = []
    for model, some in found.items():
        taken = sum(some, Taken())
        costs = _costs(taken)
        cost = costs["cost"]
        each = cost / taken.calls if cost is not None and taken.calls else None
        rows.append(
            ModelRow(
                model=model,
                runs=len(some),
                calls=taken.calls,
                tokens=taken.tokens,
                cost_per_call=each,
                **costs,
            )
        )
    return tuple(sorted(rows, key=lambda row: (-row.known_cost, -row.tokens, row.model)))


def _failures(runs: Iterable[RunFigures]) -> tuple[FailureRow, ...]:
    found: dict[tuple[str, str | None, str], list[RunFigures]] = {}
    for run in runs:
        if run.status == "failed":
            found.setdefault((run.pipeline, run.failed_step, run.error or "unknown"), []).append(run)
    rows = [
        FailureRow(
            pipeline=key[0],
            step=key[1],
            error=key[2],
            runs=len(some),
            last_run=some[-1].id,
            last_at=some[-1].started_at,
        )
        for key, some in found.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.runs, row.pipeline, row.step or "", row.error)))


def _trend(runs: Iterable[RunFigures], since: datetime, until: datetime, width: Width) -> tuple[TrendRow, ...]:
    """A row for each hour, day or week, also for those without a run."""
    parts = _grouped(runs, lambda run: _begin(run.started_at, width).isoformat())
    rows, at = [], _begin(since, width)
    while at <= until:
        rows.append(TrendRow(begins=at, **_sums(parts.get(at.isoformat(), [])).model_dump()))
        at += _STEP[width]
    return tuple(rows)


def _begin(at: datetime, width: Width) -> datetime:
    """When the hour, day or week began, in UTC."""
    at = at.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)
    if width == "hour":
        return at
    at = at.replace(hour=0)
    return at if width == "day" else at - timedelta(days=at.weekday())
