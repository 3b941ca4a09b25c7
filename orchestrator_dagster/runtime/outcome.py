"""What a step leaves behind. Everything here is JSON: outcomes are stored, and read by later steps and later runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator_dagster.compiler.routes import State
from orchestrator_dagster.models.client import Usage

Status = Literal["completed", "skipped", "failed"]


class Record(BaseModel):
    """Base of what is stored."""

    model_config = ConfigDict(frozen=True)


class ErrorInfo(Record):
    """Why a step failed: the error's class and message, where the step stands, the next thing to do.

    ``note`` is the text that a failure handler keeps with it. ``trace`` is the end of Python's own traceback, where
    code that is not this package's raised it. ``kinds`` are the names of the error's classes and of those of its
    causes, ``permanent`` says that trying again cannot help: what is around the step decides by them.
    """

    type: str
    message: str
    step: str
    location: str
    hint: str | None = None
    attempts: int = 1
    note: str | None = None
    trace: str | None = None
    kinds: tuple[str, ...] = ()
    permanent: bool = True

    def shown(self) -> dict[str, Any]:
        """The error as templates see it."""
        return self.model_dump(exclude={"kinds", "permanent"})


class ModelUsage(Record):
    """What the calls of one model took: counts, US dollars (None when a price is unknown), seconds."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost: float | None = 0.0
    seconds: float = 0.0

    @classmethod
    def of(cls, usage: Usage, seconds: float) -> ModelUsage:
        """From a client's usage and the time that its calls took."""
        return cls(
            calls=usage.calls,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_tokens=usage.cached_tokens,
            cost=usage.cost,
            seconds=round(seconds, 3),
        )

    def __add__(self, other: ModelUsage) -> ModelUsage:
        known = self.cost is not None and other.cost is not None
        return ModelUsage(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cost=(self.cost or 0.0) + (other.cost or 0.0) if known else None,
            seconds=round(self.seconds + other.seconds, 3),
        )


class UsageInfo(Record):
    """What model calls took: counts of calls and tokens, US dollars (None when a price is unknown), seconds.

    ``cached_tokens`` came from the provider's own cache. ``served`` calls were not made, because the call store had the
    answer; they count nowhere else. ``models`` is the same by the model that was asked, as ``provider:name``.
    """

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost: float | None = 0.0
    seconds: float = 0.0
    served: int = 0
    models: dict[str, ModelUsage] = Field(default_factory=dict)

    @classmethod
    def of(cls, usage: Usage, seconds: float, served: int = 0) -> UsageInfo:
        """From a client's usage, the time its calls took, and the calls that the store made unnecessary."""
        return cls(
            calls=usage.calls,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_tokens=usage.cached_tokens,
            cost=usage.cost,
            seconds=round(seconds, 3),
            served=served,
        )

    @property
    def tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens

    def by(self, models: Mapping[str, ModelUsage]) -> UsageInfo:
        """The same, with what it took by model."""
        return self.model_copy(update={"models": _joined(self.models, models)})

    def __add__(self, other: UsageInfo) -> UsageInfo:
        known = self.cost is not None and other.cost is not None
        return UsageInfo(
            models=_joined(self.models, other.models),
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cost=(self.cost or 0.0) + (other.cost or 0.0) if known else None,
            seconds=round(self.seconds + other.seconds, 3),
            served=self.served + other.served,
        )


class CandidateInfo(Record):
    """A model that was considered: ``price`` in US dollars per million tokens, ``cost`` of one call as estimated."""

    model: str
    fits: bool
    score: float | None = None
    quality: float | None = None
    price: float | None = None
    cost: float | None = None
    refused: str | None = None
    notes: str | None = None


class DecisionInfo(Record):
    """How a model was chosen: by which strategy (None for one that is named), among whom, and which was asked.

    ``by`` is what says so in the file. ``taken`` differs from ``chosen`` when the models in ``fell_back`` failed, each
    with its error. ``servers`` are the local servers that were asked whether they answer. ``left_out`` counts further
    candidates.
    """

    strategy: str | None
    by: str
    taken: str
    chosen: str | None = None
    candidates: tuple[CandidateInfo, ...] = ()
    left_out: int = 0
    fell_back: tuple[str, ...] = ()
    servers: dict[str, bool] = Field(default_factory=dict)


def _joined(one: Mapping[str, ModelUsage], other: Mapping[str, ModelUsage]) -> dict[str, ModelUsage]:
    return {name: one.get(name, ModelUsage()) + other.get(name, ModelUsage()) for name in dict.fromkeys((*one, *other))}


class Decision(Record):
    """What was decided for an ``<AUTO>`` tag: where it stands, what was asked, the value, who decided it and why.

    ``served`` says that the call store had the decision already.
    """

    place: str
    question: str
    value: Any = None
    reason: str = ""
    model: str = ""
    served: bool = False


class ModelUse(Record):
    """The model a step asked: its name, what it is, why it was this one, and how it was chosen.

    ``structure`` is how it was made to answer in a structure: ``schema`` (held to it by the provider), ``tool`` (the
    arguments of a call) or ``prompt``; None for a text, and for an answer from the call store.
    """

    name: str
    provider: str
    reason: str
    about: str | None = None
    structure: str | None = None
    decision: DecisionInfo | None = None


class ToolCallInfo(Record):
    """A tool call of a model: the tool's action, its arguments as JSON text (no secrets, cut), seconds, the size of the
    result in characters, and whether it succeeded.
    """

    name: str
    arguments: str
    seconds: float
    characters: int
    ok: bool


class ProductFile(Record):
    """A product that was written. ``path`` is relative to the workspace root where it stands below it.

    ``faults`` are what it does not meet: the part, why, and the next step (:mod:`.product_checks`).
    """

    variable: str
    key: tuple[str, ...]
    path: str
    format: str
    bytes: int
    sha256: str
    rows: int | None = None
    columns: tuple[str, ...] | None = None
    column_types: tuple[str, ...] | None = None
    preview: str = ""
    faults: tuple[tuple[str, str, str], ...] = ()


class Iteration(Record):
    """One item of a loop, or one pass. ``value`` is that of its last step, ``steps`` has the outcomes of all."""

    index: int
    status: Status
    value: Any = None
    steps: dict[str, Outcome] = Field(default_factory=dict)
    error: ErrorInfo | None = None
    reason: str | None = None
    started_at: datetime
    completed_at: datetime


class Outcome(Record):
    """The end of one step: its value and variables when it completed, the reason when it did not.

    ``state`` is how the flow of the others sees it, ``routed_to`` the step its failure went to. A loop has its
    ``iterations``. ``tool_calls`` are those of its model in the last attempt. ``carried`` are failures inside it that
    the run goes on past, and ends failed with. ``decisions`` are those of its own ``<AUTO>`` values, not of the steps
    inside it.
    """

    step: str
    status: Status
    value: Any = None
    variables: dict[str, Any] = Field(default_factory=dict)
    products: tuple[ProductFile, ...] = ()
    location: str | None = None
    error: ErrorInfo | None = None
    reason: str | None = None
    tool: str | None = None
    action: str | None = None
    model: ModelUse | None = None
    usage: UsageInfo = Field(default_factory=UsageInfo)
    tool_calls: tuple[ToolCallInfo, ...] = ()
    attempts: int = 1
    state: State = State.COMPLETED
    routed_to: str | None = None
    iterations: tuple[Iteration, ...] | None = None
    carried: tuple[ErrorInfo, ...] = ()
    decisions: tuple[Decision, ...] = ()
    started_at: datetime
    completed_at: datetime

    def having_paid(self, before: UsageInfo) -> Outcome:
        """This outcome with what earlier attempts took as well."""
        return self.model_copy(update={"usage": before + self.usage}) if before != UsageInfo() else self

    def having_decided(self, decisions: Sequence[Decision]) -> Outcome:
        """This outcome with what was decided before the work."""
        return self.model_copy(update={"decisions": (*decisions, *self.decisions)}) if decisions else self

    @property
    def all_tool_calls(self) -> tuple[ToolCallInfo, ...]:
        """The tool calls of its model, and of the models of the steps that it repeats."""
        inside = (step for one in self.iterations or () for step in one.steps.values())
        return (*self.tool_calls, *(call for step in inside for call in step.all_tool_calls))

    @property
    def failures(self) -> tuple[ErrorInfo, ...]:
        """The failures in it that the run ends failed with, after everything else is done."""
        own = (self.error,) if self.state is State.FAILED_CONTINUED and self.error else ()
        return (*own, *self.carried)

    @property
    def duration(self) -> float:
        """Seconds from start to end."""
        return (self.completed_at - self.started_at).total_seconds()

    @property
    def absent_reason(self) -> str | None:
        """Why there is no value, None when there is one."""
        if self.status == "completed":
            return None
        if self.status == "skipped":
            return f'step "{self.step}" was skipped because {self.reason or "nothing asked for it"}'
        return f'step "{self.step}" failed: {self.error.message if self.error else "no reason is known"}'


Iteration.model_rebuild()
