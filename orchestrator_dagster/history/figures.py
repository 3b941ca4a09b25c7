"""What is known of one run, as far as the report over runs needs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Taken:
    """What model calls took. ``cost`` is the known part, in US dollars; ``unpriced`` counts the calls without one."""

    calls: int = 0
    tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0

    @classmethod
    def of(cls, calls: int, tokens: int, cost: float | None) -> Taken:
        """From what a record says, where None is a cost that is not known."""
        return cls(calls, tokens, cost or 0.0, calls if cost is None else 0)

    def __add__(self, other: Taken) -> Taken:
        return Taken(
            self.calls + other.calls,
            self.tokens + other.tokens,
            self.cost + other.cost,
            self.unpriced + other.unpriced,
        )


@dataclass(frozen=True)
class StepFigures:
    """A step in one run: how it ended, its seconds, how often it was tried, and what its models took."""

    status: str
    seconds: float | None = None
    attempts: int = 1
    taken: Taken = Taken()
    models: dict[str, Taken] = field(default_factory=dict)


@dataclass(frozen=True)
class RunFigures:
    """One run of one pipeline.

    ``root`` is the first run of those that were resumed one after the other, itself where it resumed none. ``whole`` is
    whether it did all of the pipeline by itself, to its end: its time can be compared. ``error`` and ``failed_step``
    say what ended it. ``steps`` are those that it worked at, empty where that is not recorded.
    """

    id: str
    root: str
    pipeline: str
    status: str
    started_at: datetime
    seconds: float | None
    whole: bool
    taken: Taken = Taken()
    models: dict[str, Taken] = field(default_factory=dict)
    steps: dict[str, StepFigures] = field(default_factory=dict)
    error: str | None = None
    failed_step: str | None = None
