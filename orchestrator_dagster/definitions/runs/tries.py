"""The tries at each step of a run, from the event log: when each began, how it ended, in which run it was made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from dagster import DagsterEvent, DagsterEventType

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.steps.progress import error_message, failure_message, op_of, part_of

Ended = Literal["completed", "failed", "tried again", "running"]
_MOST = 200  # tries of one step that are kept


@dataclass(frozen=True)
class Try:
    """One try. ``part`` is empty, or the ticket of a loop's items that it was for."""

    run: str
    part: str
    number: int
    started_at: datetime
    completed_at: datetime | None = None
    ended: Ended = "running"
    error: str | None = None


@dataclass
class Tries:
    """All tries, by Dagster's step key. What :meth:`read` is not told of stays ``running``."""

    made: dict[str, list[Try]] = field(default_factory=dict)

    def read(self, event: DagsterEvent, at: datetime, run: str) -> None:
        """Take an event into account; those that say nothing of tries are passed over."""
        key, kind = event.step_key, event.event_type
        if key is None or part_of(key) not in ("", "run"):
            return
        tries = self.made.setdefault(key, [])
        if kind in (DagsterEventType.STEP_START, DagsterEventType.STEP_RESTARTED):
            number = sum(one.run == run for one in tries) + 1
            if len(tries) < _MOST:
                tries.append(Try(run, key.partition("[")[2].rstrip("]"), number, at))
        elif not tries or tries[-1].ended != "running":
            return
        elif kind == DagsterEventType.STEP_SUCCESS:
            tries[-1] = replace(tries[-1], completed_at=at, ended="completed")
        elif kind == DagsterEventType.STEP_FAILURE:
            tries[-1] = replace(tries[-1], completed_at=at, ended="failed", error=failure_message(event))
        elif kind == DagsterEventType.STEP_UP_FOR_RETRY:
            said = error_message(event.step_retry_data.error)
            tries[-1] = replace(tries[-1], completed_at=at, ended="tried again", error=said)

    def by_step(self, pipeline: CompiledPipeline) -> dict[str, list[Try]]:
        """The tries at each step of a pipeline, by its id, in the order in which they began."""
        found: dict[str, list[Try]] = {}
        for key, tries in self.made.items():
            step = pipeline.by_op.get(op_of(key))
            if step is not None:
                found.setdefault(step.id, []).extend(tries)
        return {step: sorted(tries, key=lambda one: one.started_at) for step, tries in found.items()}

    def steps_of(self, run: str, pipeline: CompiledPipeline) -> Iterator[str]:
        """The steps at which a run has tried, by their ids."""
        for step, tries in self.by_step(pipeline).items():
            if any(one.run == run for one in tries):
                yield step
