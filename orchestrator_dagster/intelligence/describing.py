"""Having the orchestrator model describe a pipeline and judge it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.errors import ModelAnswerError, StepError
from orchestrator_dagster.intelligence.alignment import ask_alignment
from orchestrator_dagster.intelligence.architecture import ask_architecture
from orchestrator_dagster.intelligence.asking import TIMEOUT, Asker, orchestrator_of
from orchestrator_dagster.intelligence.description import (
    Alignment,
    Description,
    Text,
    ignored_of,
    structural_description,
)
from orchestrator_dagster.intelligence.facts import Facts
from orchestrator_dagster.intelligence.intention import ask_intention
from orchestrator_dagster.intelligence.structural import structural_architecture, structural_intention
from orchestrator_dagster.runtime.services import Services


def describe(pipeline: CompiledPipeline, services: Services, *, timeout: float = TIMEOUT) -> Description:
    """Have the orchestrator model describe a pipeline and judge it. What it cannot make is structural, with the reason.

    Args:
        pipeline: The pipeline.
        services: The models, the budgets and the record of calls.
        timeout: Seconds that each of the three questions may take with its repairs.
    """
    within = services.within(pipeline.budget, "description", "the description")
    try:
        asker = Asker(orchestrator_of(pipeline, services.known_models), within, timeout)
    except StepError as error:
        return structural_description(pipeline, _said(error))
    making = _Making(pipeline, asker)
    intention = making.text(lambda: ask_intention(making.facts, asker), lambda: structural_intention(pipeline))
    architecture = making.text(
        lambda: ask_architecture(making.facts, intention.text, asker), lambda: structural_architecture(pipeline)
    )
    alignment = making.alignment(intention.text, architecture.text)
    return Description(
        pipeline=pipeline.id,
        fingerprint=pipeline.fingerprint,
        orchestrator=pipeline.orchestrator,
        intention=intention,
        architecture=architecture,
        alignment=alignment,
        usage=asker.usage,
        made_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


class _Making:
    """The parts of one description; when the model cannot be asked at all, it is not asked for the next part."""

    def __init__(self, pipeline: CompiledPipeline, asker: Asker) -> None:
        self.pipeline, self.asker, self.facts = pipeline, asker, Facts(pipeline)
        self.gone: str | None = None

    def text(self, ask: Callable[[], str], structural: Callable[[], str]) -> Text:
        """A text by the model, else the structural one."""
        if self.gone is None:
            try:
                return Text(text=ask(), made_by=str(self.asker.model))
            except StepError as error:
                return Text(text=structural(), reason=self.failed(error))
        return Text(text=structural(), reason=self.gone)

    def alignment(self, intention: str, architecture: str) -> Alignment:
        """The judgement, else why there is none."""
        reason = self.gone
        if reason is None:
            try:
                return ask_alignment(self.facts, intention, architecture, self.asker)
            except StepError as error:
                reason = self.failed(error)
        return Alignment(state="not checked", reason=reason, ignored=ignored_of(self.pipeline))

    def failed(self, error: StepError) -> str:
        """The reason; a wrong answer is a matter of one part, everything else of all that follow."""
        reason = _said(error)
        if not isinstance(error, ModelAnswerError):
            self.gone = reason
        return reason


def _said(error: StepError) -> str:
    return f"{error.message}{f'; next: {error.hint}' if error.hint else ''}"
