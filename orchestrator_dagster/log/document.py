"""The log of a run as a document. JSON, versioned: what is written today can be read by later versions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator_dagster.errors import LogError
from orchestrator_dagster.runtime.outcome import Decision, DecisionInfo, ModelUsage, UsageInfo

#: The type of the failure of a step that waits for the answer of a person.
WAITING = "WaitingForAnswerError"
#: Version of the document. It is raised when a field changes its meaning or goes; new fields do not raise it.
VERSION = 1

RunStatus = Literal["completed", "failed", "canceled", "running"]
StepStatus = Literal["completed", "skipped", "failed", "running", "interrupted"]


class Entry(BaseModel):
    """Base of all parts. Fields that a later version has added are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class LogPipeline(Entry):
    """The pipeline that was run, as it was then."""

    id: str
    name: str | None = None
    description: str | None = None
    version: str | None = None
    file: str
    fingerprint: str


class LogRun(Entry):
    """A run: the one that the log is of, or one that it resumed. ``steps`` are those that it started.

    ``launched_by`` is ``command``, ``ui``, ``schedule NAME``, ``sensor NAME``, ``backfill ID`` or ``python``.
    """

    id: str
    status: RunStatus
    launched_by: str
    started_at: datetime
    completed_at: datetime | None = None
    steps: tuple[str, ...] = ()


class LogFailure(Entry):
    """A failure: of a step, of items of a loop (``items`` counts those alike), or of the run outside of its steps.

    ``effect`` says what came of it: ``ended the run``, ``the run went on and ends failed``, ``handled by …``.
    ``handled`` is whether the run may complete all the same. ``location`` is ``file:line:column``.
    """

    type: str
    message: str
    step: str | None = None
    location: str | None = None
    hint: str | None = None
    note: str | None = None
    trace: str | None = None
    attempts: int = 1
    items: int | None = None
    effect: str
    handled: bool = False


class LogAttempt(Entry):
    """One try at a step, or at a part of its items (``part``). ``run`` is the run that made it."""

    run: str
    part: str = ""
    number: int = 1
    started_at: datetime
    completed_at: datetime | None = None
    ended: Literal["completed", "failed", "tried again", "running", "interrupted"]
    error: str | None = None


class LogModel(Entry):
    """The model that a step asked, why it was this one, and how it was chosen."""

    name: str
    provider: str
    reason: str
    about: str | None = None
    structure: str | None = None
    decision: DecisionInfo | None = None


class LogItem(Entry):
    """One item of a loop, or one pass. ``value`` is cut."""

    index: int
    status: Literal["completed", "skipped", "failed"]
    started_at: datetime
    completed_at: datetime
    value: Any = None
    reason: str | None = None
    error: str | None = None
    steps: dict[str, str] = Field(default_factory=dict)


class LogLoop(Entry):
    """The items of a loop: how many there were, and some of them: those that failed first, then the first ones."""

    total: int
    completed: int
    failed: int
    skipped: int
    items: tuple[LogItem, ...] = ()
    left_out: int = 0


class LogProduct(Entry):
    """A product that was written, with the beginning of its content as Markdown (``preview``)."""

    step: str
    variable: str
    key: tuple[str, ...]
    path: str
    format: str
    bytes: int
    sha256: str
    rows: int | None = None
    columns: tuple[str, ...] | None = None
    preview: str = ""
    faults: tuple[tuple[str, str, str], ...] = ()


class LogCall(Entry):
    """A call of a model or a tool. ``at`` is its end; ``by`` is ``model`` where a step's model asked for the tool.

    ``step`` is the place of the step, ``each[3]/draft`` inside a loop. ``cost`` is in US dollars, None when unknown.
    """

    at: datetime
    run: str | None = None
    step: str = ""
    kind: Literal["model", "tool"]
    name: str
    by: str | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)
    seconds: float = 0.0
    ok: bool = True
    error: str | None = None
    result_bytes: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cost: float | None = None
    asked_for: tuple[str, ...] = ()


class LogStep(Entry):
    """A step: how it ended and why, what it decided, whom it asked, what it left.

    ``does`` is what it does in a few words. ``reason`` is why it was skipped, ``route`` the route that led to it or
    past it, ``goes_to`` the step that its failure went to. ``run`` is the run that did it: of a resumed run, what was
    done before stands with the run that did it. ``values`` are its variables, or ``value``; long ones are cut.
    """

    id: str
    title: str
    kind: str
    does: str
    location: str
    status: StepStatus
    dependencies: tuple[str, ...] = ()
    condition: str | None = None
    reason: str | None = None
    route: str | None = None
    goes_to: str | None = None
    run: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    seconds: float | None = None
    attempts: tuple[LogAttempt, ...] = ()
    error: LogFailure | None = None
    tool: str | None = None
    action: str | None = None
    model: LogModel | None = None
    usage: UsageInfo = Field(default_factory=UsageInfo)
    decisions: tuple[Decision, ...] = ()
    value: Any = None
    values: dict[str, Any] = Field(default_factory=dict)
    products: tuple[str, ...] = ()
    loop: LogLoop | None = None

    @property
    def shown(self) -> str:
        """The status as a report has it."""
        return "waiting" if self.error is not None and self.error.type == WAITING else self.status


class LogNext(Entry):
    """What to do now, as a sentence, and the command for it."""

    text: str
    command: str | None = None


class Log(Entry):
    """The log of a run.

    ``failures`` has all of them, the one that ended the run first. ``runs`` are the run and those that it resumed, the
    first one first. ``asked`` are the products that were asked for, None for the whole pipeline. ``calls`` and
    ``products`` are bounded: ``calls_left_out`` and ``products_left_out`` more were made. ``notes`` say what the log
    does not have, and why.
    """

    version: int = VERSION
    pipeline: LogPipeline
    run_id: str
    status: RunStatus
    started_at: datetime
    completed_at: datetime | None = None
    seconds: float
    partition: str | None = None
    asked: tuple[str, ...] | None = None
    inputs: dict[str, Any] = Field(default_factory=dict)
    outputs: dict[str, Any] = Field(default_factory=dict)
    failures: tuple[LogFailure, ...] = ()
    next: tuple[LogNext, ...] = ()
    steps: tuple[LogStep, ...]
    calls: tuple[LogCall, ...] = ()
    calls_left_out: int = 0
    products: tuple[LogProduct, ...] = ()
    products_left_out: int = 0
    usage: UsageInfo = Field(default_factory=UsageInfo)
    models: dict[str, ModelUsage] = Field(default_factory=dict)
    runs: tuple[LogRun, ...] = ()
    resumed_by: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def waits(self) -> bool:
        """Whether all that it needs to go on are answers of people."""
        open_ = [one for one in self.failures if not one.handled]
        return self.status == "failed" and bool(open_) and all(one.type == WAITING for one in open_)


def read_log(value: Mapping[str, Any]) -> Log:
    """A log from its JSON.

    Raises:
        LogError: It is no log, or one of a later version.
    """
    version = value.get("version") if isinstance(value, Mapping) else None
    if isinstance(version, int) and version > VERSION:
        raise LogError(
            f"the log has version {version}, this release reads up to {VERSION}",
            hint="install a later release of orchestrator-dagster",
        )
    try:
        return Log.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        raise LogError(
            f"this is no log of a run: {place}: {first['msg']}", hint="give `result.log`, or a file that has it as JSON"
        ) from None
