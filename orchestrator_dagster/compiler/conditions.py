"""Conditions of steps: parsed, their names resolved, their types compared, as far as can be known before a run."""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator_dagster.compiler.bodies import Draft
from orchestrator_dagster.compiler.kinds import Place
from orchestrator_dagster.compiler.references import OUTCOME_NAMES, STEP_MAPS, TemplateChecker
from orchestrator_dagster.compiler.scopes import Uses
from orchestrator_dagster.language.auto_tags import DECIDED, AutoTag, has_auto, read_auto
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
from orchestrator_dagster.language.types import InputSpec, TypeSpec, type_of
from orchestrator_dagster.text import without_question


@dataclass
class KnownTypes:
    """What is known of values before a run, by the dotted path that reads them: types, and the only values of some."""

    kinds: ChainMap[str, str] = field(default_factory=ChainMap)
    choices: ChainMap[str, Sequence[Any]] = field(default_factory=ChainMap)

    def inside(self) -> KnownTypes:
        """What is known inside a loop: this, and what is noted there."""
        return KnownTypes(self.kinds.new_child(), self.choices.new_child())

    def note(self, path: str, kind: str | None, spec: TypeSpec) -> None:
        """Note a value and the fields that are declared of it."""
        self.kinds.pop(path, None)
        self.choices.pop(path, None)
        if kind is not None:
            self.kinds[path] = kind
        if spec.enum:
            self.choices[path] = spec.enum
        for name, inner in (spec.properties or {}).items():
            self.note(f"{path}.{name}", _kind(inner), inner)

    def outcome(self, step: str) -> None:
        """Note what the names of an outcome are, which win over fields of these names."""
        for name in OUTCOME_NAMES - {"result", "value"}:
            self.kinds.pop(f"{step}.{name}", None)
        self.choices[f"{step}.status"] = ("completed", "skipped", "failed")


def check_condition(
    condition: str | bool,
    place: Place,
    step: str,
    checker: TemplateChecker,
    types: KnownTypes,
    own: frozenset[str] = frozenset(),
) -> Uses:
    """Check one condition.

    Args:
        condition: As it is written.
        place: Where it stands.
        step: Id of its step.
        checker: Knows the names there are.
        types: What is known of the values; see :func:`known_types`.
        own: Names that only this condition has.

    Returns:
        What it reads.
    """
    uses = Uses()
    if isinstance(condition, bool):
        return uses
    document, problems = checker.document, checker.problems
    if has_auto(condition):
        return _check_decided(condition, place, step, checker, own)
    try:
        expression = parse_condition(condition, checker.dashed)
    except ExpressionSyntaxError as error:
        span = text_span(document, place, error.offset, error.end_offset)
        message, near = without_question(error.message)
        problems.add(error.code, f'step "{step}": {message}', span, step=step, suggestion=near, hint=error.hint)
        return uses
    for one in expression.older:
        problems.add(
            "older-spelling",
            f'step "{step}": `{one.written}` is an older spelling of the function',
            text_span(document, place, one.offset, one.end),
            severity="warning",
            step=step,
            hint=f"write `{one.today}`",
        )
    for reference in names(expression):
        if reference.path[0] in own:
            continue
        word = reference.root
        hint = f"put it in quotes if it is a text: '{word}'" if reference.compared else None
        checker.use(NameUse(reference.path, 1, reference.guarded, hint), place, step, uses)
    for offset, message in check_types(expression, types.kinds, types.choices):
        problems.add(
            "expression-type", f'step "{step}": {message}', text_span(document, place, offset, offset + 1), step=step
        )
    return uses


def _check_decided(condition: str, place: Place, step: str, checker: TemplateChecker, own: frozenset[str]) -> Uses:
    """Check a condition with ``<AUTO>``: the templates in its tags, and the expression around them."""
    uses = Uses()
    reading = read_auto(condition)
    if reading.problems:
        return uses  # they are said elsewhere

    def templates(tag: AutoTag) -> None:
        for part in tag.parts:
            if isinstance(part, AutoTag):
                templates(part)
            else:
                uses.add(checker.check(part, place, step, own=own))

    for tag in reading.tags:
        templates(tag)
    if reading.whole is None:
        names_ = [f"{DECIDED}{number}" for number in range(len(reading.tags))]
        left = iter(names_)
        text = "".join(one if isinstance(one, str) else f"{{{{ {next(left)} }}}}" for one in reading.parts)
        uses.add(check_condition(text, place, step, checker, KnownTypes(), own | set(names_)))
    return uses


def known_types(
    inputs: Mapping[str, InputSpec],
    drafts: Mapping[str, Draft],
    around: KnownTypes | None = None,
    *,
    inside: bool = False,
) -> KnownTypes:
    """What is declared of inputs and variables, under every name that a condition may read them by.

    Args:
        inputs: The inputs.
        drafts: The steps of a body. What a loop leaves has other types than a pass of it.
        around: What is known around the body.
        inside: Whether the steps are seen from inside the loop that they are.
    """
    found = KnownTypes() if around is None else around.inside()
    makers = Counter(name for draft in drafts.values() for name in draft.step.vars)
    for draft in drafts.values():
        if draft.repeats and not inside:
            continue
        variables, step = draft.step.vars, draft.step.id.replace("-", "_")
        is_model = draft.work is not None and draft.work.kind == "model"
        for name, spec in variables.items():
            kind = _kind(spec) or ("string" if is_model and not spec.says_shape else None)
            paths = [name] if makers[name] == 1 and name not in drafts else []
            for base in (step, *(f"{holder}.{step}" for holder in STEP_MAPS)):
                paths += [f"{base}.{name}"] if name not in OUTCOME_NAMES else []
                if len(variables) == 1:
                    found.note(base, kind, spec)
                    found.outcome(base)
                    paths += [f"{base}.result", f"{base}.value"]
                else:
                    paths += [f"{base}.result.{name}", f"{base}.value.{name}"]
            for path in paths:
                found.note(path, kind, spec)
        for base in (step, *(f"{holder}.{step}" for holder in STEP_MAPS)):
            found.outcome(base)
    for name, given in inputs.items():  # an input is stronger than a variable of its name
        kind = _kind(given) or (given.kind if not given.enum and not given.asset else None)
        for path in (name, f"inputs.{name}", f"parameters.{name}"):
            found.note(path, "string" if kind in ("path", "secret") else kind, given)
    return found


def _kind(spec: TypeSpec) -> str | None:
    """The type of a value: the declared one, else the one that its only values or its example have."""
    if spec.type is not None:
        return spec.type
    kinds = {type_of(value) for value in (spec.enum or ([spec.example] if spec.example is not None else []))}
    return kinds.pop() if len(kinds) == 1 else None


def text_span(document: Document, place: Place, start: int, end: int) -> Span:
    """Where a part of a value's text stands in the file; the whole value where the text was folded over lines."""
    node, span = document.locate(place)
    if not isinstance(node, ScalarNode) or span.line != span.end_line:
        return span
    column = span.column + (1 if node.quoted else 0)
    if span.end_column - span.column - (2 if node.quoted else 0) != len(node.text):
        return span  # escapes in a quoted text: its columns are not those of the file
    return Span(span.line, column + start, span.line, column + max(end, start + 1))
