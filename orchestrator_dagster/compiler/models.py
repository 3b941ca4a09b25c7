"""Which model a step asks: its own, its expert's, or the pipeline's default; the language's order of precedence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from orchestrator_dagster.compiler.kinds import Place, Work
from orchestrator_dagster.compiler.model_names import ModelNameChecker, names_of
from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.older.tree import line
from orchestrator_dagster.language.read import Reading
from orchestrator_dagster.language.step import Step
from orchestrator_dagster.text import nearest_name


class ModelChoice(BaseModel):
    """The model of a step, why it is this one, and what its expert brings along."""

    model_config = ConfigDict(frozen=True)

    names: tuple[str, ...]
    reason: str
    settings: Mapping[str, Any] = Field(default_factory=dict)
    personality: str | None = None


#: Settings among a model step's parameters, and the key of the step that says the same today.
_TODAY = {
    "model": "model", "temperature": "temperature", "max_tokens": "max_tokens", "system_prompt": "personality",
    "response_format": "vars", "schema": "vars",
}  # fmt: skip


def note_older_settings(step: Step, work: Work, place: Place, document: Document, problems: Problems) -> None:
    """Warn of settings of the model that stand among the parameters: the earlier dialect's place for them."""
    for name in work.settings:
        today = _TODAY.get(name)
        if today is not None:
            value = "…" if today == "vars" else work.settings[name]
            problems.add(
                "older-spelling",
                f'step "{step.id}": `{name}` in `parameters` is an older spelling of the step\'s `{today}`',
                document.key_span((*place, "parameters", name)),
                severity="warning",
                step=step.id,
                hint=f"write `{line(today, value)}` beside `parameters`",
            )


def model_of(reading: Reading, step: Step, work: Work, place: Place, names: ModelNameChecker) -> ModelChoice | None:
    """The model of a model step; None, with the problem noted, when nothing names one.

    What the header and the keys of the steps name was checked before; see :meth:`ModelNameChecker.check_pipeline`.
    """
    pipeline, document, problems = reading.pipeline, reading.document, reading.problems
    assert pipeline is not None
    own = work.settings.get("model")
    choice: ModelChoice | None = None
    where: Place = (*place, "model")
    if step.model:
        choice = ModelChoice(names=step.model, reason="the step's model")
    elif own is not None:
        where = (*place, "parameters", "model")
        choice = ModelChoice(
            names=tuple(map(str, own)) if isinstance(own, list) else (str(own),), reason="the step's model"
        )
        for number, name in enumerate(choice.names):
            names.check(name, (*where, number), step.id)
    elif step.expert is not None:
        expert = pipeline.experts.get(step.expert)
        where = ("experts", step.expert)
        if expert is None:
            if reading.lost(("experts", step.expert)):
                return None
            problems.add(
                "unknown-expert",
                f'step "{step.id}" names the expert "{step.expert}"',
                document.span((*place, "expert")),
                step=step.id,
                suggestion=nearest_name(step.expert, pipeline.experts),
                hint="add it to `experts` in the header",
            )
            return None
        settings = {
            key: getattr(expert, key) for key in ("temperature", "max_tokens") if getattr(expert, key) is not None
        }
        choice = ModelChoice(
            names=names_of(expert),
            reason=f'the expert "{step.expert}"',
            settings=settings,
            personality=expert.personality,
        )
    elif pipeline.default_model:
        where = ("default_model",)
        choice = ModelChoice(names=pipeline.default_model, reason="the pipeline's default_model")
    if choice is None:
        if work.kind == "tool" and any(work.parameters.get(name) for name in ("model", "models")):
            return None  # the tool is told by its own parameter
        if reading.lost(place, "model", "expert") or reading.lost((), "default_model", "experts"):
            return None  # it was there, and wrong
        problems.add(
            "no-model",
            f'step "{step.id}" asks a model, and nothing names one',
            document.key_span((*place, *work.instruction_place)),
            severity="warning",
            step=step.id,
            hint="a run is refused until something does, such as `default_model: builtin:extractive` in the header",
        )
        return None
    if any(names.error(name) for name in choice.names):
        return None
    if len(choice.names) > 1:
        problems.add(
            "not-supported",
            f'step "{step.id}": this release does not choose among several models ({", ".join(choice.names)})',
            document.span(where),
            severity="warning",
            step=step.id,
            hint="name one model; a run is refused while there are several",
        )
    return choice
