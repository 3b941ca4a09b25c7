"""The description of a pipeline: intention, architecture, alignment; by the orchestrator model, else structural."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.errors import AlignmentError
from orchestrator_dagster.intelligence.step_words import as_sentence
from orchestrator_dagster.intelligence.structural import LABEL, structural_architecture, structural_intention
from orchestrator_dagster.models.references import BUILTIN
from orchestrator_dagster.runtime.outcome import ModelUsage

#: Raised when a prompt or a check of this package changes what is written, so that what is kept counts as old.
PROMPTS = 1
#: What a finding names that is not about one step.
WHOLE = "pipeline"


class Finding(BaseModel):
    """A mismatch: the step (or ``pipeline``), what does not fit, how to fix it, and where it stands in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    what: str
    fix: str
    location: str | None = None

    def __str__(self) -> str:
        at = f"{self.location}: " if self.location else ""
        who = f'step "{self.step}"' if self.step != WHOLE else "the pipeline"
        return f"{at}{who}: {as_sentence(self.what)}\n    next: {as_sentence(self.fix)}"


class Alignment(BaseModel):
    """What the judgement came to.

    Args:
        state: ``aligned``, ``misaligned``, or ``not checked`` with its ``reason``.
        findings: The mismatches.
        reason: Why it was not checked.
        ignored: The reason for which the pipeline file says that a mismatch is to be ignored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: Literal["aligned", "misaligned", "not checked"]
    findings: tuple[Finding, ...] = ()
    reason: str | None = None
    ignored: str | None = None

    @property
    def stops(self) -> bool:
        """Whether it is a mismatch that nobody has overridden."""
        return self.state == "misaligned" and self.ignored is None

    def check(self, pipeline: str) -> None:
        """Refuse a pipeline that does not do what it is meant to do.

        Raises:
            AlignmentError: It does not, and nobody has overridden that.
        """
        if self.stops:
            raise AlignmentError(pipeline, self.findings)


class Text(BaseModel):
    """A text of a description: Markdown, who made it, and why no model did where one is named."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    made_by: str = "structure"
    reason: str | None = None

    @property
    def structural(self) -> bool:
        """Whether it was made from the compiled pipeline alone."""
        return self.made_by == "structure"

    @property
    def labelled(self) -> str:
        """The text, with a line before it that says so where no model wrote it."""
        if not self.structural:
            return self.text
        why = f" ({' '.join(self.reason.split())})" if self.reason else ""
        return f"*{LABEL}{why}.*\n\n{self.text}"


class Description(BaseModel):
    """What a pipeline is meant to do, how it is built, and whether both agree.

    Args:
        pipeline: Id of the pipeline.
        fingerprint: Of the pipeline as it was described.
        prompts: Version of the prompts.
        orchestrator: The model as the pipeline names it, None when it names none.
        intention: What it is meant to do.
        architecture: How it is built.
        alignment: Whether both agree.
        usage: What the model calls took.
        made_at: When, in UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pipeline: str
    fingerprint: str
    prompts: int = PROMPTS
    orchestrator: str | None = None
    intention: Text
    architecture: Text
    alignment: Alignment
    usage: ModelUsage = Field(default_factory=ModelUsage)
    made_at: str | None = None

    @property
    def complete(self) -> bool:
        """Whether the model has made all of it."""
        made = not self.intention.structural and not self.architecture.structural
        return made and self.alignment.state != "not checked"

    @property
    def source(self) -> Literal["model", "structure", "both"]:
        """Who made it."""
        structural = {self.intention.structural, self.architecture.structural}
        return "both" if len(structural) == 2 else "structure" if True in structural else "model"

    def to_json(self) -> dict[str, Any]:
        """The description as a JSON object."""
        return {"complete": self.complete, **self.model_dump(mode="json")}


def structural_description(pipeline: CompiledPipeline, reason: str | None = None) -> Description:
    """The description that no model has made.

    Args:
        pipeline: The pipeline.
        reason: Why none did, where one was asked.
    """
    return Description(
        pipeline=pipeline.id,
        fingerprint=pipeline.fingerprint,
        orchestrator=pipeline.orchestrator,
        intention=Text(text=structural_intention(pipeline), reason=reason),
        architecture=Text(text=structural_architecture(pipeline), reason=reason),
        alignment=Alignment(state="not checked", reason=reason or "no model was asked", ignored=ignored_of(pipeline)),
    )


def ignored_of(pipeline: CompiledPipeline) -> str | None:
    """The reason for which a mismatch is ignored, None when it is not."""
    return pipeline.alignment.ignore if pipeline.alignment is not None else None


def names_orchestrator(pipeline: CompiledPipeline) -> bool:
    """Whether the pipeline names a model that can describe and judge: the built-in one only takes sentences."""
    name = (pipeline.orchestrator or "").strip()
    return bool(name) and name.replace("/", ":").partition(":")[0] != BUILTIN
