"""Loops: which keys go together, and what a ``for_each`` can go over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from orchestrator_dagster.language.base import has_template, whole_expression
from orchestrator_dagster.language.diagnostics import Span
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.read import Reading
from orchestrator_dagster.language.step import Step
from orchestrator_dagster.language.wording import described

Place = tuple[str | int, ...]

#: Names that a step inside any loop has beside those around it; `index` and `iteration` count from 0.
PASS_NAMES = frozenset(("index", "is_first", "iteration"))
#: Those that it has inside a `for_each`, where there is an item, and the number of items is known.
ITEM_NAMES = frozenset(("item", "is_last", "length")) | PASS_NAMES
#: All names that only a loop has.
LOOP_NAMES = ITEM_NAMES | {"loop"}
#: Fields of `loop`, as in Jinja, in any loop and in a `for_each`.
JINJA_PASS = ("index", "index0", "first")
JINJA_ITEM = (*JINJA_PASS, "last", "length")
#: Fields of a loop, from outside; it has a value and an outcome like every step besides.
LOOP_FIELDS = frozenset(("results", "iterations", "failed", "count"))

_SPELLINGS = {"while_": "while", "as_": "as"}
_ANY_LOOP = ("max_iterations", "on_limit")
_FOR_EACH = ("as_", "max_parallel", "on_item_failure")
_LIST_HINT = 'write a list, or a template in quotes that gives one: `for_each: "{{ some_step.items }}"`'


def is_loop(step: Step) -> bool:
    """Whether a step repeats."""
    return step.for_each is not None or step.while_ is not None or step.until is not None


def check_loop(step: Step, place: Place, reading: Reading) -> None:
    """Note loop keys that clash, or that nothing reads, and a literal ``for_each`` that is no list."""
    document, problems = reading.document, reading.problems
    if reading.lost(place, "for_each", "foreach", "while", "until"):
        return  # what repeats it was wrong
    conditions = [key for key in ("while_", "until") if getattr(step, key) is not None]
    if step.for_each is not None and conditions:
        other = _SPELLINGS.get(conditions[0], conditions[0])
        problems.add(
            "step-kind",
            f'step "{step.id}" has `for_each` and `{other}`: a loop goes over a list, or repeats by a condition',
            later(document, place, "for_each", other),
            step=step.id,
            hint="remove one of them, or put one loop into the other's `steps`",
        )
    if not is_loop(step):
        for key in (*_FOR_EACH, *_ANY_LOOP):
            if getattr(step, key) is not None:
                _unused(
                    step, key, "nothing repeats it", "add `for_each`, `while` or `until`, or remove it", place, reading
                )
    elif step.for_each is None:
        for key in _FOR_EACH:
            if getattr(step, key) is not None:
                _unused(step, key, "only a `for_each` reads it", "remove it", place, reading)
    elif step.max_iterations is None and step.on_limit is not None:
        _unused(step, "on_limit", "no `max_iterations` limits it", "add `max_iterations`, or remove it", place, reading)
    if step.for_each is not None:
        _check_list(step, place, reading)


def _unused(step: Step, key: str, why: str, hint: str, place: Place, reading: Reading) -> None:
    spelling = _SPELLINGS.get(key, key)
    reading.problems.add(
        "unused-key",
        f'step "{step.id}" has `{spelling}`, and {why}',
        reading.document.key_span((*place, spelling)),
        step=step.id,
        hint=hint,
    )


def _check_list(step: Step, place: Place, reading: Reading) -> None:
    value: Any = step.for_each
    if isinstance(value, (list, tuple)):
        return
    wrong = None
    if not isinstance(value, str):
        wrong = f"expected a list, found {described(value)}"
    elif not has_template(value) and "<AUTO" not in value and not _is_json_list(value):
        wrong = f'"{value[:60]}" is no list, no template and no JSON list'
    elif has_template(value) and whole_expression(value) is None and not value.lstrip().startswith(("[", "{%")):
        return  # a text made by a template: it may be JSON, which is known when it runs
    if wrong:
        reading.problems.add(
            "wrong-type",
            f'step "{step.id}": `for_each` goes over a list: {wrong}',
            reading.document.span((*place, "for_each")),
            step=step.id,
            hint=_LIST_HINT,
        )


def check_item_type(step: Step, place: Place, types: Mapping[str, str], reading: Reading) -> None:
    """Note a ``for_each`` over one name whose declared type is no list.

    Args:
        step: The loop.
        place: Where it stands.
        types: Type of every name that has a known one.
        reading: The file.
    """
    name = whole_expression(step.for_each) if isinstance(step.for_each, str) else None
    kind = types.get(name.strip()) if name else None
    if kind in ("integer", "number", "boolean", "object"):
        reading.problems.add(
            "wrong-type",
            f'step "{step.id}": `for_each` goes over a list, and "{(name or "").strip()}" is of the type {kind}',
            reading.document.span((*place, "for_each")),
            step=step.id,
            hint=_LIST_HINT,
        )


def later(document: Document, place: Place, *keys: str) -> Span:
    """Where that of two keys stands which comes later in the file."""
    spans = [document.key_span((*place, key)) for key in keys]
    return max(spans, key=lambda span: (span.line, span.column))


def _is_json_list(text: str) -> bool:
    try:
        return isinstance(json.loads(text), list)
    except ValueError:
        return False
