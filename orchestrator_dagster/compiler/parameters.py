"""Parameters of tool steps, compared with the tool's schema as far as they are known before the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator_dagster.compiler.kinds import Place, Work
from orchestrator_dagster.language.base import has_template
from orchestrator_dagster.language.diagnostics import Problems, Span
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.step import Step
from orchestrator_dagster.language.wording import Fault, faults, path_text
from orchestrator_dagster.text import nearest_name


def check_parameters(step: Step, work: Work, place: Place, document: Document, problems: Problems) -> None:
    """Compare a tool step's parameters with the action's schema, as far as they are known before the run."""
    from pydantic import ValidationError

    model = work.shape.parameters
    known = list(model.model_fields)
    spellings = {name: _spellings(name, field) for name, field in model.model_fields.items()}
    accepted = {spelling for one in spellings.values() for spelling in one}
    literals = {name: value for name, value in work.parameters.items() if not _templated(value)} | work.literals
    found: list[Fault] = []
    try:
        model.model_validate(literals)
    except ValidationError as error:
        at = (*place, "parameters")
        found = faults(error.errors(include_url=False), lambda item: parameter_place(item, at, document))
    unknown = (
        [] if work.shape.takes_further(work.parameters) else [name for name in work.parameters if name not in accepted]
    )
    for name in unknown:
        problems.add(
            "unknown-parameter",
            f'step "{step.id}": {work.tool}.{work.action} has no parameter "{name}"',
            document.key_span((*place, "parameters", name)),
            step=step.id,
            suggestion=nearest_name(name, known),
            hint=f"its parameters: {', '.join(known)}",
        )
    for fault in found:
        name = str(fault.place[0]) if fault.place else ""
        given = any(spelling in work.parameters for spelling in spellings.get(name, {name}))
        if name in unknown or (fault.kind == "missing" and given and len(fault.place) == 1):
            continue
        if fault.kind == "missing" and len(fault.place) == 1:
            problems.add(
                "missing-parameter",
                f'step "{step.id}": {work.tool}.{work.action} needs the parameter "{name}"',
                _missing_span(place, document),
                step=step.id,
                hint=f"its parameters: {', '.join(known)}",
            )
            continue
        last = fault.place[-1:]
        what = f'the parameter "{path_text(fault.place)}" of ' if fault.place else ""
        what += f"{work.tool}.{work.action}"
        said, suggestion, key_is_wrong = fault.sentence, None, False
        if fault.kind == "extra_forbidden":
            said, key_is_wrong = f'there is no "{last[0]}" here', True
        elif fault.kind == "missing":
            said = f'"{last[0]}" is missing'
        elif isinstance(fault.value, str) and fault.options:
            suggestion = nearest_name(fault.value, fault.options)
        where = (*place, "parameters", *fault.place)
        problems.add(
            "wrong-parameter",
            f'step "{step.id}": {what}: {said[:1].lower()}{said[1:]}',
            document.key_span(where) if key_is_wrong else document.span(where),
            step=step.id,
            suggestion=suggestion,
        )


def _spellings(name: str, field: Any) -> set[str]:
    """Every name under which a parameter may be given."""
    choices = getattr(field.validation_alias, "choices", (field.validation_alias,))
    return {name} if field.validation_alias is None else {one for one in choices if isinstance(one, str)}


def _missing_span(place: Place, document: Document) -> Span:
    """Where a missing parameter is missed: at `parameters`, else at what names the operation."""
    if document.has((*place, "parameters")):
        return document.key_span((*place, "parameters"))
    return document.span((*place, "action" if document.has((*place, "action")) else "tool"))


def parameter_place(error: Mapping[str, Any], at: Place, document: Document) -> Place:
    """The place of an error below `parameters`, without the names that Pydantic puts in between."""
    place: Place = ()
    keeps_last = error["type"] in ("missing", "extra_forbidden")
    for number, part in enumerate(error["loc"]):
        if document.has((*at, *place, part)) or (keeps_last and number == len(error["loc"]) - 1):
            place = (*place, part)
    return place


def _templated(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_templated(item) for item in value.values()) or any(has_template(name) for name in value)
    if isinstance(value, (list, tuple)):
        return any(_templated(item) for item in value)
    return has_template(value)
