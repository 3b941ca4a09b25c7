"""Which model a step asks: its own, its expert's, or the pipeline's default; the language's order of precedence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from orchestrator_dagster.compiler.kinds import Place, Work
from orchestrator_dagster.compiler.model_names import AUTO, ModelNameChecker, names_of
from orchestrator_dagster.compiler.needs import StepChoice, needs_of
from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.older.tree import line
from orchestrator_dagster.language.pipeline import Pipeline
from orchestrator_dagster.language.read import Reading
from orchestrator_dagster.language.settings import Expert, SelectionSchema
from orchestrator_dagster.language.step import Step, walk_steps
from orchestrator_dagster.text import nearest_name

#: Two names that are so alike are one name, misspelt: one letter in ten is another.
_MISSPELT = 0.85


class ModelChoice(BaseModel):
    """A step's candidates (none: the catalogue), what says so, how one is chosen, and what its expert brings along."""

    model_config = ConfigDict(frozen=True)

    names: tuple[str, ...]
    reason: str
    settings: Mapping[str, Any] = Field(default_factory=dict)
    personality: str | None = None
    choice: StepChoice = Field(default_factory=StepChoice)


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


@dataclass(frozen=True)
class _Named:
    """The candidates that something names, and what comes with them."""

    names: tuple[str, ...]
    reason: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    personality: str | None = None


def model_of(reading: Reading, step: Step, work: Work, place: Place, names: ModelNameChecker) -> ModelChoice | None:
    """How the model of a model step is found; None, with the problem noted, when what names one is wrong.

    What the header and the keys of the steps name was checked before; see :meth:`ModelNameChecker.check_pipeline`.
    """
    pipeline = reading.pipeline
    assert pipeline is not None
    if step.expert is not None and step.expert not in pipeline.experts and not step.model:
        if not reading.lost(("experts", step.expert)):
            _unknown_expert(reading, step, place)
        return None
    _note_unread(reading, step, place)
    schema = step.selection_schema or pipeline.selection_schema
    found = _named(reading, step, work, place, names)
    if found is None and (
        reading.lost(place, "model", "expert", "selection_schema")
        or reading.lost((), "default_model", "experts", "selection_schema")
    ):
        return None  # it was there, and wrong
    if found is not None and any(names.error(name) for name in found.names):
        return None
    told = work.kind == "tool" and any(work.parameters.get(name) for name in ("model", "models"))
    if found is None and schema is None and told:
        return None  # the tool is told by its own parameter
    reason = _catalogue_reason(step, schema, found)
    if reason is None:
        assert found is not None
        choice = StepChoice(selection=schema or SelectionSchema(strategy="balanced"), needs=needs_of(step))
        return ModelChoice(
            names=found.names,
            reason=found.reason,
            settings=found.settings,
            personality=found.personality,
            choice=choice,
        )
    told = work.kind == "tool" and any(work.parameters.get(name) for name in ("model", "models"))
    if schema is None and found is None and step.requires_model is None and not told:
        _nothing_named(reading, step, work, place)
    return ModelChoice(
        names=(),
        reason=reason,
        settings=found.settings if found else {},
        personality=found.personality if found else None,
        choice=StepChoice(
            selection=schema or SelectionSchema(strategy="balanced"), needs=needs_of(step), catalogue=True
        ),
    )


def _note_unread(reading: Reading, step: Step, place: Place) -> None:
    """Warn of keys that choose a model in a step that names it."""
    if step.model is None or len(step.model) != 1 or AUTO in step.model[0]:
        return
    chooses = step.selection_schema is not None and step.selection_schema.model_fields_set == {"strategy"}
    for key in (*(["expert"] if step.expert is not None else []), *(["selection_schema"] if chooses else [])):
        reading.problems.add(
            "unused-key",
            f'step "{step.id}" names its `model`, so `{key}` is not read',
            reading.document.key_span((*place, key)),
            severity="warning",
            step=step.id,
            hint="remove one of them",
        )


def _catalogue_reason(step: Step, schema: SelectionSchema | None, found: _Named | None) -> str | None:
    """Why the schema picks from the catalogue; None when it does not."""
    whose = "the step's" if step.selection_schema else "the pipeline's"
    if found is None:
        return f"{whose} selection_schema" if schema else "nothing names a model"
    if any(AUTO in name for name in found.names):
        return f"{found.reason} leaves it to the selection_schema"
    if schema is not None and schema.override and len(found.names) == 1:
        return f"{whose} selection_schema, instead of {found.reason} ({found.names[0]})"
    return None


def _named(reading: Reading, step: Step, work: Work, place: Place, names: ModelNameChecker) -> _Named | None:
    """What names candidates for a step, in the language's order of precedence."""
    pipeline = reading.pipeline
    assert pipeline is not None
    own = work.settings.get("model")
    if step.model:
        return _Named(step.model, "the step's model")
    if own is not None:
        found = tuple(map(str, own)) if isinstance(own, list) else (str(own),)
        for number, name in enumerate(found):
            names.check(name, (*place, "parameters", "model", number), step.id)
        return _Named(found, "the step's model")
    if step.expert is not None:
        return _expert(step.expert, pipeline.experts[step.expert])
    tools = (*step.tools, *([work.tool] if work.tool else []))
    experts = {name: expert for tool in tools for name, expert in pipeline.experts.items() if _same(name, tool)}
    if len(experts) == 1:
        return _expert(*next(iter(experts.items())))
    if experts:
        found = tuple(dict.fromkeys(name for expert in experts.values() for name in names_of(expert)))
        return _Named(found, f"the experts {', '.join(experts)}")
    if step.selection_schema is None and pipeline.default_model:
        return _Named(pipeline.default_model, "the pipeline's default_model")
    return None


def _same(name: str, tool: str) -> bool:
    """Whether an expert has the name of a tool, or of the tool whose action (``tool.action``) is offered."""
    return name.replace("-", "_").lower() == tool.partition(".")[0].replace("-", "_").lower()


def _expert(name: str, expert: Expert) -> _Named:
    settings = {key: getattr(expert, key) for key in ("temperature", "max_tokens") if getattr(expert, key) is not None}
    return _Named(names_of(expert), f'the expert "{name}"', settings, expert.personality)


def _unknown_expert(reading: Reading, step: Step, place: Place) -> None:
    assert reading.pipeline is not None
    reading.problems.add(
        "unknown-expert",
        f'step "{step.id}" names the expert "{step.expert}"',
        reading.document.span((*place, "expert")),
        step=step.id,
        suggestion=nearest_name(str(step.expert), reading.pipeline.experts),
        hint="add it to `experts` in the header",
    )


def check_unused_experts(pipeline: Pipeline, tools: Iterable[str], document: Document, problems: Problems) -> None:
    """Warn of an expert that nothing asks and whose name is nearly that of a tool: it was meant to be the tool's.

    Args:
        pipeline: The pipeline.
        tools: The names of the tools there are.
        document: Its file.
        problems: Takes the warnings.
    """
    named = {step.expert for _, step in walk_steps(pipeline.steps)}
    idle = [name for name in pipeline.experts if name not in named]
    known = list(tools) if idle else []
    for name in idle:
        if any(_same(name, tool) for tool in known):
            continue
        near = nearest_name(name, known)  # which may be far: other names are for other files, or for later
        if near is not None and SequenceMatcher(None, name.replace("-", "_").lower(), near).ratio() >= _MISSPELT:
            problems.add(
                "unknown-expert",
                f'no step names the expert "{name}", and no tool is called so',
                document.key_span(("experts", name)),
                severity="warning",
                suggestion=near,
                hint="an expert is asked by the steps that name it as `expert`, or use the tool of its name",
            )


def _nothing_named(reading: Reading, step: Step, work: Work, place: Place) -> None:
    reading.problems.add(
        "no-model",
        f'step "{step.id}" asks a model, and nothing names one: it is chosen from the catalogue when the step runs',
        reading.document.key_span((*place, *work.instruction_place)),
        severity="warning",
        step=step.id,
        hint="name one, for example `default_model: builtin:extractive` in the header, or write"
        " `selection_schema: balanced` there when that is meant",
    )
