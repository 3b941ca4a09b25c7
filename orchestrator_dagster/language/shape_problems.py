"""What Pydantic finds wrong with a pipeline's shape, as diagnostics with the keys and places of the file."""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import AliasChoices

from orchestrator_dagster.language.base import Model
from orchestrator_dagster.language.diagnostics import Span
from orchestrator_dagster.language.document import Document, MappingNode, ScalarNode
from orchestrator_dagster.language.pipeline import Pipeline
from orchestrator_dagster.language.wording import Fault, path_text
from orchestrator_dagster.text import nearest_name

if TYPE_CHECKING:
    from orchestrator_dagster.language.read import Reading

_MISSING = {
    "path": "write `path: report.md`",
    "cron": 'write `cron: "0 6 * * *"`',
    "max": "write `max: 3`",
    "model": "write `model: openai:gpt-5`",
    "rubric": "say in `rubric` what a good product is",
}
_LISTS_OF_MAPS = {
    "steps": "a list of steps",
    "schedule": "a map, or a list of maps",
    "triggers": "a map, or a list of maps",
}
_CONDITIONS = ("condition", "if", "while", "until")


def place_of(error: Mapping[str, Any], document: Document) -> tuple[Any, ...]:
    """The place of an error in the file, without what Pydantic and our short forms put in between."""
    place: tuple[Any, ...] = ()
    keeps_last = error["type"] in ("missing", "extra_forbidden")
    for number, part in enumerate(error["loc"]):
        if document.has((*place, part)) or (keeps_last and number == len(error["loc"]) - 1):
            place = (*place, part)
    return place


def report(fault: Fault, reading: Reading) -> tuple[Any, ...] | None:
    """Note a fault as a diagnostic; gives where below its place a validator found it."""
    if reading.problems.has_syntax_problem(reading.document.span(fault.place)):
        return None  # the value is not what was meant, and that is said already
    if fault.kind == "extra_forbidden":
        _unknown_key(fault, reading)
    elif fault.kind == "missing":
        _missing(fault, reading)
    elif fault.kind == "orchestrator":
        return _own(fault, reading)
    else:
        _wrong(fault, reading)
    return None


def _unknown_key(fault: Fault, reading: Reading) -> None:
    place, document, key = fault.place, reading.document, str(fault.place[-1])
    if key.startswith("x-"):
        return
    step, model = step_of(place, document), _model_at(place[:-1])
    for name, others in spellings().items():
        if key in others and model and name in model.model_fields:
            reading.problems.add(
                "yaml-duplicate-key",
                f"`{key}` is another spelling of `{name}`, and both stand here",
                document.key_span(place),
                step=step,
                hint="keep one of the two",
            )
            return
    known = _keys(model) if model else []
    near = nearest_name(key, known)
    holders = [part for part in place[:-1] if isinstance(part, str)]
    where = "in the header" if len(place) == 1 else f"in `{holders[-1]}`"
    where = "in a step" if model is not None and model.__name__ == "Step" else where
    more = " …" if len(known) > 16 else ""
    reading.problems.add(
        "unknown-key",
        f'there is no key "{key}" {where}',
        document.key_span(place),
        step=step,
        suggestion=near,
        hint=None if near else f"the keys are {', '.join(known[:16])}{more}" if known else None,
    )


def _missing(fault: Fault, reading: Reading) -> None:
    place, document = fault.place, reading.document
    if any(place[: len(gone)] == gone for gone in reading.removed):
        return  # it was there, and wrong
    name, step = place[-1], step_of(place, document)
    holder, _ = document.locate(place[:-1])
    others = holder.pairs if isinstance(holder, MappingNode) and document.has(place[:-1]) else {}
    known = _keys(model) if (model := _model_at(place[:-1])) else []
    if any(key not in known and nearest_name(key, known) == name for key in others):
        return  # a misspelled key is reported as that
    if isinstance(name, int):
        message, hint = f"`{_key_text(place[:-1])}` has {name} of its entries, there must be {name + 1}", None
    else:
        holders = [part for part in place[:-1] if isinstance(part, str)]
        message = f"the key `{name}` is missing" + (
            f" in `{holders[-1]}`" if holders and holders[-1] != "steps" else ""
        )
        hint = "write `steps:` and below it `- id: first` …" if name == "steps" else _MISSING.get(name)
    reading.problems.add("missing-key", message, document.span(place[:-1]), step=step, hint=hint)


def _own(fault: Fault, reading: Reading) -> tuple[Any, ...]:
    """An error of one of our validators, which has its words and its place already."""
    context, document = fault.context, reading.document
    place, step = (*fault.place, *context["at"]), step_of(fault.place, document)
    text = str(context["text"])
    if text.startswith("expected ") and fault.place:
        text = f"`{_key_text(fault.place)}`: {text}"
    reading.problems.add(
        context["code"],
        text,
        _own_span(document, place, context),
        step=step,
        suggestion=context["suggestion"],
        hint=context["hint"],
    )
    return tuple(context["at"])


def _own_span(document: Document, place: tuple[Any, ...], context: Mapping[str, Any]) -> Span:
    if context["key"]:
        return document.key_span((*place, context["key"]))
    return document.key_span(place) if context["on_key"] else document.span(place)


def _wrong(fault: Fault, reading: Reading) -> None:
    place, document = fault.place, reading.document
    key = str(next((part for part in reversed(place) if isinstance(part, str)), ""))
    hint = None
    if fault.value is True or fault.value is False:
        hint = f'put it in quotes if it is meant as text: "{str(fault.value).lower()}"' if _wants_text(fault) else None
    if _code(fault) == "product-format":
        hint = "choose one of them, or leave it out: then the path's suffix decides"
    if key in _LISTS_OF_MAPS and len(place) == 1 and fault.expected == ["a list"]:
        fault.expected = [_LISTS_OF_MAPS[key]]
    if key in _CONDITIONS and isinstance(fault.value, (list, tuple)):
        parts = [one.strip() for one in fault.value if isinstance(one, str)]
        shown = " and ".join(parts) if parts and len(parts) == len(fault.value) else "a > 1 and b == 'x'"
        hint = f"write one text, the conditions joined with `and` or `or`: `{shown[:100]}`"
    if hint is None and fault.expected == ["a map"] and (model := _model_at(place)) is not None:
        hint = f"its keys are {', '.join(_keys(model)[:16])}"
    sentence = fault.sentence
    if place == ("steps",):
        hint = "write `steps:` and below it `- id: first` …"
        sentence = "a pipeline has at least one step" if fault.kind == "too_short" else sentence
    reading.problems.add(
        _code(fault),
        f"`{_key_text(place)}`: {sentence}" if place else sentence,
        document.span(place),
        step=step_of(place, document),
        suggestion=nearest_name(fault.value, fault.options) if isinstance(fault.value, str) and fault.options else None,
        hint=hint,
    )


def _code(fault: Fault) -> str:
    if fault.place[-1:] == ("format",) and "products" in fault.place:
        return "product-format"
    return "wrong-value" if fault.is_wrong_value else "wrong-type"


def _wants_text(fault: Fault) -> bool:
    return "a text" in fault.expected


def _key_text(place: tuple[Any, ...]) -> str:
    """A place without the step's number: ``vars.score.minimum``."""
    shown = place
    for number in range(len(place) - 1):
        if place[number] == "steps" and isinstance(place[number + 1], int):
            shown = place[number + 2 :]
    return path_text(shown) or path_text(place)


def step_of(place: tuple[Any, ...], document: Document) -> str | None:
    """The id of the innermost step that a place is in."""
    found = None
    for number in range(len(place) - 1):
        if (
            place[number] == "steps"
            and isinstance(place[number + 1], int)
            and document.has((*place[: number + 2], "id"))
        ):
            node, _ = document.locate((*place[: number + 2], "id"))
            found = node.text if isinstance(node, ScalarNode) else found
    return found


def _keys(model: type[Model]) -> list[str]:
    """Every key that a model takes, with its other spellings."""
    return [key for name, info in model.model_fields.items() for key in _spelled(info, name)]


def _spelled(info: Any, name: str) -> list[str]:
    alias = info.validation_alias
    return (
        [str(choice) for choice in alias.choices]
        if isinstance(alias, AliasChoices)
        else [str(alias or info.alias or name)]
    )


@functools.lru_cache(maxsize=1)
def spellings() -> Mapping[str, tuple[str, ...]]:
    """For each key its other spellings, over all models of the language."""
    found: dict[str, tuple[str, ...]] = {}
    for model in _models_below(Pipeline, set()):
        for name, info in model.model_fields.items():
            others = tuple(spelling for spelling in _spelled(info, name) if spelling != name)
            if others:
                found[name] = others
    return found


def _models_below(model: type[Model], seen: set[type[Model]]) -> Iterator[type[Model]]:
    seen.add(model)
    yield model
    for info in model.model_fields.values():
        inner, _ = _inner(info.annotation)
        if inner and inner not in seen:
            yield from _models_below(inner, seen)


def _model_at(place: tuple[Any, ...]) -> type[Model] | None:
    """The model that the map at ``place`` is read into, None when it is none of ours."""
    model: type[Model] | None = Pipeline
    inside = False  # whether the next part is a name or number inside a container of models
    for part in place:
        if inside:
            inside = False
            continue
        if model is None:
            return None
        info = next((i for n, i in model.model_fields.items() if part in (n, *_spelled(i, n))), None)
        if info is None:
            # The map of an object's fields may be written without `properties`.
            if "properties" in model.model_fields:
                continue
            return None
        model, inside = _inner(info.annotation)
        if isinstance(part, str) and part in ("schedule", "triggers") and not isinstance(_next(place, part), int):
            inside = False
    return None if inside else model


def _next(place: tuple[Any, ...], part: str) -> Any:
    number = place.index(part) + 1
    return place[number] if number < len(place) else None


def _inner(annotation: Any) -> tuple[type[Model] | None, bool]:
    """The model inside an annotation, and whether it stands in a list or map."""
    origin = typing.get_origin(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation, False
    if origin is typing.Annotated:
        return _inner(typing.get_args(annotation)[0])
    for part in typing.get_args(annotation):
        model, inside = _inner(part)
        if model:
            union = origin in (typing.Union, types.UnionType)
            return model, inside if union else True
    return None, False
