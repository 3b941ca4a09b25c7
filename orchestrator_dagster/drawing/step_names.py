"""Which inputs a step reads, from all that it says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator_dagster.language.expressions import ExpressionSyntaxError, names, parse_condition
from orchestrator_dagster.language.step import Step
from orchestrator_dagster.language.template_names import read_template, texts_of
from orchestrator_dagster.language.template_text import has_template

_OF_INPUTS = ("inputs", "parameters")
_NO_TEMPLATES = {"id", "name", "metadata", "tags", "steps"}
_CONDITIONS = ("condition", "while_", "until")

_Path = tuple[str | int, ...]


def inputs_read(step: Step, inputs: Sequence[str], dashed: frozenset[str]) -> tuple[str, ...]:
    """The inputs that a step reads, its loop's body included, in the order of ``inputs``.

    Args:
        step: The step.
        inputs: The names of the pipeline's inputs.
        dashed: Step ids with a ``-``, which templates take for one name.
    """
    found = {_named(path, _OF_INPUTS) for path in _paths(step, dashed)}
    return tuple(name for name in inputs if name in found)


def _named(path: _Path, maps: tuple[str, ...]) -> str:
    """The name meant: the root itself, or behind one of the maps that also have it (``steps.read``)."""
    return str(path[1] if path[0] in maps and len(path) > 1 else path[0]).replace("$", "")


def _paths(step: Step, dashed: frozenset[str]) -> Iterator[_Path]:
    fields = step.model_dump(exclude_unset=True, exclude=_NO_TEMPLATES | set(_CONDITIONS))
    for _, text in texts_of(fields):
        if has_template(text):
            yield from (use.path for use in read_template(text, dashed).names)
    for key in _CONDITIONS:
        yield from _of_condition(getattr(step, key), dashed)
    for inner in step.steps or ():
        yield from _paths(inner, dashed)


def _of_condition(text: str | bool | None, dashed: frozenset[str]) -> Iterator[_Path]:
    if not isinstance(text, str):
        return
    try:
        yield from (reference.path for reference in names(parse_condition(text, dashed)))
    except ExpressionSyntaxError:
        # What a model decides (<AUTO>) is no expression, and names nothing but in its templates.
        yield from (use.path for use in read_template(text, dashed).names)
