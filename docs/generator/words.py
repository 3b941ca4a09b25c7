"""Types in words: what a person writes for a key of a pipeline file."""

from __future__ import annotations

import types
import typing
from typing import Any

from pydantic import BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from generator.markdown import value
from orchestrator_dagster.language.base import Duration, Model, Names, OneMap, OneMapOrNames
from orchestrator_dagster.language.pipeline import Automation
from orchestrator_dagster.language.settings import Models

_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
_PLAIN: dict[Any, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "`true` or `false`",
    Any: "any value",
    type(None): "nothing",
}
_LABELS = {
    "Step": "step",
    "InputSpec": "input",
    "VariableSpec": "variable",
    "TypeSpec": "type",
    "ProductSpec": "product",
    "Retries": "retries",
    "FailureHandler": "failure handlers",
    "Expert": "expert",
    "SelectionSchema": "selection schema",
    "ModelNeeds": "needs",
    "Budget": "budget",
    "Schedule": "schedule",
    "Trigger": "trigger",
    "Partitions": "partitions",
    "Qc": "quality checks",
    "Alignment": "alignment",
}
_KNOWN = [
    (Names, "a name, a comma list or a list of names"),
    (Duration, "duration: seconds (`30`) or a text (`500ms`, `2m`, `1h30m`)"),
    (Automation, "`eager`, `on_missing` or a map with `cron` and `timezone`"),
    (Models, "a model, or a list of models"),
]


def in_words(hint: Any, anchors: dict[str, str]) -> str:
    """A type in words.

    Args:
        hint: The annotation, with its extras.
        anchors: Anchor on the page for the name of a model that has a section there.
    """
    known = next((words for one, words in _KNOWN if hint == one), None) or _PLAIN.get(hint)
    if known:
        return known
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _annotated(arguments[0], arguments[1:], anchors)
    if origin in (typing.Union, types.UnionType):
        options = [one for one in arguments if one is not type(None)]
        return " or ".join(dict.fromkeys(in_words(one, anchors) for one in options))
    if origin is typing.Literal:
        return ", ".join(f"`{one}`" for one in arguments)
    if origin in (tuple, list):
        inner = in_words(arguments[0], anchors) if arguments else "values"
        if origin is tuple and Ellipsis not in arguments:
            return f"list of {len(arguments)} {inner}s"
        return f"list of {_plural(inner)}"
    if origin is dict:
        return f"map of name to {in_words(arguments[1], anchors)}"
    if isinstance(hint, type) and issubclass(hint, Model):
        return f"[{_LABELS[hint.__name__]}]({anchors[hint.__name__]})" if hint.__name__ in anchors else "map"
    raise TypeError(f"no words for the type {hint!r}")


def _plural(words: str) -> str:
    if words == "any value":
        return "values"
    return f"{words}s" if words in ("map", "text", "integer", "number") else words


def _annotated(base: Any, extras: tuple[Any, ...], anchors: dict[str, str]) -> str:
    words = in_words(base, anchors)
    if any(one is OneMap or one is OneMapOrNames for one in extras):
        return f"{words}; or a list of one-key maps"
    if any(isinstance(one, BeforeValidator) and getattr(one.func, "__name__", "") == "_list" for one in extras):
        return f"{words}, or one of them"
    limits = [one for extra in extras for one in (extra.metadata if isinstance(extra, FieldInfo) else (extra,))]
    return words + bounds(limits)


def bounds(extras: typing.Iterable[Any]) -> str:
    """Limits of a number, as they follow its type."""
    said = []
    for one in extras:
        said += [f"{words} {getattr(one, name):g}" for name, words in _BOUNDS.items() if hasattr(one, name)]
    return f", {' and '.join(said)}" if said else ""


def default(info: FieldInfo) -> str:
    """The default of a field, for the table."""
    if info.is_required():
        return "required"
    found = info.get_default(call_default_factory=True)
    return "" if found in (None, (), {}, PydanticUndefined) else value(found)
