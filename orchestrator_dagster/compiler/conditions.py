"""Conditions of steps: parsed, their names resolved, their types compared, as far as can be known before a run."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator_dagster.compiler.bodies import Draft
from orchestrator_dagster.compiler.kinds import Place
from orchestrator_dagster.compiler.references import TemplateChecker
from orchestrator_dagster.compiler.scopes import Uses
from orchestrator_dagster.language.diagnostics import Span
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.expressions import (
    ExpressionSyntaxError,
    check_types,
    names,
    parse_condition,
)
from orchestrator_dagster.language.nodes import ScalarNode
from orchestrator_dagster.language.template_names import NameUse
from orchestrator_dagster.language.types import InputSpec


def check_condition(
    condition: str | bool,
    place: Place,
    step: str,
    checker: TemplateChecker,
    types: Mapping[str, str],
    own: frozenset[str] = frozenset(),
) -> Uses:
    """Check one condition.

    Args:
        condition: As it is written.
        place: Where it stands.
        step: Id of its step.
        checker: Knows the names there are.
        types: Type of every name that has a known one.
        own: Names that only this condition has.

    Returns:
        What it reads.
    """
    uses = Uses()
    if isinstance(condition, bool) or "<AUTO" in condition:
        return uses
    document, problems = checker.document, checker.problems
    try:
        expression = parse_condition(condition, checker.dashed)
    except ExpressionSyntaxError as error:
        span = text_span(document, place, error.offset, error.end_offset)
        problems.add("expression-syntax", f'step "{step}": {error.message}', span, step=step, hint=error.hint)
        return uses
    for reference in names(expression):
        if reference.path[0] in own:
            continue
        checker.use(NameUse(reference.path, 1, reference.guarded), place, step, uses)
    for offset, message in check_types(expression, types):
        problems.add(
            "expression-type", f'step "{step}": {message}', text_span(document, place, offset, offset + 1), step=step
        )
    return uses


def known_types(
    inputs: Mapping[str, InputSpec], drafts: Mapping[str, Draft], *, inside: bool = False
) -> dict[str, str]:
    """The type of every name whose type is declared: inputs, and variables by their own and their step's name.

    What a loop leaves has other types than a pass of it: they are only known ``inside`` it.
    """
    found: dict[str, str] = {}
    for name, spec in inputs.items():
        kind = spec.kind
        if kind in ("string", "integer", "number", "boolean", "array", "object") and not spec.enum:
            found[name] = found[f"inputs.{name}"] = kind
    for draft in drafts.values():
        if draft.repeats and not inside:
            continue
        step = draft.step.id.replace("-", "_")
        for name, variable in draft.step.vars.items():
            if variable.type is not None:
                found[f"{step}.{name}"] = found[f"steps.{step}.{name}"] = variable.type
                if len(draft.step.vars) == 1:
                    found[step] = variable.type
    return found


def text_span(document: Document, place: Place, start: int, end: int) -> Span:
    """Where a part of a value's text stands in the file; the whole value where the text was folded over lines."""
    node, span = document.locate(place)
    if not isinstance(node, ScalarNode) or span.line != span.end_line:
        return span
    column = span.column + (1 if node.quoted else 0)
    if span.end_column - span.column - (2 if node.quoted else 0) != len(node.text):
        return span  # escapes in a quoted text: its columns are not those of the file
    return Span(span.line, column + start, span.line, column + max(end, start + 1))
