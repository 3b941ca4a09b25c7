"""The JSON Schema of a pipeline file, made from the models: editors complete and check with it.

The models say the long form of everything. What may also be written short (a retry count for a map of retries, a list
of one-key maps for a map) is added here, with the other spellings of keys.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from orchestrator_dagster.language.base import Model
from orchestrator_dagster.language.pipeline import Pipeline
from orchestrator_dagster.language.settings import Expert, Retries, SelectionSchema
from orchestrator_dagster.language.step import ProductSpec, Step
from orchestrator_dagster.language.types import INPUT_TYPE_NAMES, TYPE_NAMES, InputSpec, TypeSpec, VariableSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXT: dict[str, Any] = {"type": ["string", "number"]}
_MODEL: dict[str, Any] = {
    "type": "string",
    "description": "A model, as provider:name.",
    "examples": ["openai:gpt-5", "anthropic:claude-sonnet-4-5", "ollama:llama3.2", "builtin:extractive"],
}
_MODELS: dict[str, Any] = {"anyOf": [_MODEL, {"type": "array", "items": _MODEL, "minItems": 1}]}
_NAMES: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_DURATION: dict[str, Any] = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "pattern": r"(^\s*[0-9.]+\s*(ms|s|sec|m|min|h|d)?.*$)|\{\{"},
    ],
    "examples": [30, "500ms", "2m", "1h30m"],
}

#: What may stand in place of a model's map.
_SHORT: dict[type[Model], list[dict[str, Any]]] = {
    Retries: [{"type": "integer", "minimum": 0, "maximum": 100}],
    SelectionSchema: [{"enum": ["cost", "performance", "balanced"]}],
    Expert: [_MODELS],
    ProductSpec: [{"type": "string", "description": "Path of the file, relative to the output folder."}],
    TypeSpec: [{"enum": sorted(TYPE_NAMES)}, {"type": "string"}],
    VariableSpec: [{"type": ["string", "null"], "description": "What the value is, a type, or one {{ expression }}."}],
    InputSpec: [{"not": {"type": "object"}, "description": "The default value; None where a launch must give one."}],
}

_LATER: dict[str, Any] = {"type": "string", "pattern": r"\{\{|\{%|<AUTO"}  # a value that is known when the step runs

#: Fields whose type in the file is wider than that of the model.
_FIELDS: dict[tuple[type[Model], str], dict[str, Any]] = {
    (Pipeline, "default_model"): _MODELS,
    (Pipeline, "owners"): {"type": "array", "items": {"type": "string"}, "examples": [["team:research"]]},
    (Pipeline, "outputs"): {"type": "object"},
    (Pipeline, "automation"): {"anyOf": [{"enum": ["eager", "on_missing"]}, {"type": "object"}]},
    (Step, "model"): _MODELS,
    (Step, "temperature"): {"anyOf": [{"type": "number", "minimum": 0, "maximum": 2}, _LATER]},
    (Step, "max_tokens"): {"anyOf": [{"type": "integer", "minimum": 1}, _LATER]},
    (Step, "parameters"): {"type": ["object", "null"]},
    (Expert, "model"): _MODELS,
    (TypeSpec, "type"): {"enum": sorted(TYPE_NAMES)},
    (VariableSpec, "type"): {"enum": sorted(TYPE_NAMES)},
    (InputSpec, "type"): {"enum": sorted(INPUT_TYPE_NAMES)},
    (ProductSpec, "key"): {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
}
_ONE_MAP = {(Pipeline, "inputs"), (Pipeline, "experts"), (Pipeline, "outputs"), (Step, "vars"), (Step, "products")}
_LISTS = {(Pipeline, "schedule"), (Pipeline, "triggers")}
_MODELS_OF_THE_LANGUAGE: tuple[type[Model], ...] = (Pipeline, Step, *_SHORT)


def pipeline_schema(tools: Mapping[str, Iterable[str]] | None = None) -> dict[str, Any]:
    """The JSON Schema of a pipeline file.

    Args:
        tools: Names of the tools there are, each with the names of its actions; they become suggestions.
    """
    schema = Pipeline.model_json_schema(by_alias=True, mode="validation")
    schema = _standard(schema)
    definitions: dict[str, Any] = schema.pop("$defs")
    definitions["Pipeline"] = schema
    models = {model.__name__: model for model in _subclasses(Model)}
    for name, definition in definitions.items():
        model = models.get(name)
        if model is not None:
            _widen(model, definition)
    for model, short in _SHORT.items():
        long = definitions[model.__name__]
        either = [long, *copy.deepcopy(short)]
        definitions[model.__name__] = {"description": long.get("description", ""), "anyOf": either}
    # A map of fields is an object's type: `items: {title: string}`.
    fields = {"type": "object", "additionalProperties": {"$ref": "#/$defs/TypeSpec"}}
    definitions["TypeSpec"]["anyOf"].append(fields)
    root = definitions.pop("Pipeline")
    root["required"] = ["steps"]
    if tools is not None:
        _suggest_tools(definitions["Step"], tools)
    return {"$schema": DIALECT, "title": "Pipeline file of orchestrator-dagster", **root, "$defs": definitions}


_LIMITS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}


def _standard(value: Any) -> Any:
    """Pydantic leaves its own words for limits where a validator stands before them."""
    if isinstance(value, dict):
        return {
            _LIMITS.get(name, name) if not isinstance(item, dict) else name: _standard(item)
            for name, item in value.items()
        }
    return [_standard(item) for item in value] if isinstance(value, list) else value


def _subclasses(model: type[Model]) -> list[type[Model]]:
    return [found for child in model.__subclasses__() for found in (child, *_subclasses(child))]


def _widen(model: type[Model], definition: dict[str, Any]) -> None:
    """Add other spellings and short forms to the keys of a model; keys starting with ``x-`` are free."""
    properties: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        keys = _spellings(info, name)
        written = next(key for key in (*keys, name) if key in definition["properties"])
        value = _property(model, name, f"{info.annotation} {info.metadata}", definition["properties"][written])
        for number, key in enumerate(keys):
            properties[key] = value if number == 0 else {**value, "description": f"Other spelling of `{keys[0]}`."}
    definition["properties"] = properties
    definition["patternProperties"] = {"^x-": True}
    if model in (Pipeline, Step):
        definition["properties"].setdefault("metadata", True)
    required = [name for name in definition.get("required", ()) if len(_keys(model, name)) == 1]
    definition["required"] = required


def _keys(model: type[Model], key: str) -> list[str]:
    for name, info in model.model_fields.items():
        keys = _spellings(info, name)
        if key in (*keys, name):
            return keys
    return [key]


def _spellings(info: FieldInfo, name: str) -> list[str]:
    """Every spelling of a key, the usual one first."""
    alias = info.validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [str(alias or info.alias or name)]


def _property(model: type[Model], name: str, annotation: str, made: dict[str, Any]) -> dict[str, Any]:
    """The schema of one key as the file may have it; ``annotation`` tells what its validators take besides."""
    owner = next((one for one in (model, *model.__mro__) if (one, name) in _FIELDS), None)
    said = {key: made[key] for key in ("description", "default") if made.get(key) not in (None, [], {})}
    value: dict[str, Any]
    if owner is not None:
        value = copy.deepcopy(_FIELDS[(owner, name)])
    elif "_duration" in annotation:
        value = copy.deepcopy(_DURATION)
    elif "_names" in annotation and (model, name) not in _ONE_MAP:
        value = copy.deepcopy(_NAMES)
    else:
        value = {key: item for key, item in made.items() if key not in ("description", "default", "title")}
    value = _with_numbers_as_text(value)
    if (model, name) in _ONE_MAP:
        value = {"anyOf": [value, {"type": "array", "items": {"anyOf": [value, {"type": "string"}]}}]}
    if (model, name) in _LISTS:
        value = {"anyOf": [value, *_items(value)]}
    return {**said, **value}


def _items(value: Mapping[str, Any]) -> list[Any]:
    """The type of a list's items, which may also stand without the list."""
    found = [value["items"]] if "items" in value else []
    return found + [item for option in value.get("anyOf", ()) for item in _items(option)]


def _with_numbers_as_text(value: dict[str, Any]) -> dict[str, Any]:
    """Where a text is expected, a number is its text: `version: 1.2`."""
    if value.get("type") == "string" and "enum" not in value and "pattern" not in value:
        return {**value, **_TEXT}
    if "anyOf" in value:
        return {**value, "anyOf": [_with_numbers_as_text(option) for option in value["anyOf"]]}
    return value


def _suggest_tools(step: dict[str, Any], tools: Mapping[str, Iterable[str]]) -> None:
    """Tool and action names as suggestions: both spellings of a name with `_` are right, and own tools may be added."""
    names = sorted({spelling for name in tools for spelling in (name, name.replace("_", "-"))})
    actions = sorted({action for found in tools.values() for action in found})
    step["properties"]["tool"] = {**step["properties"]["tool"], "anyOf": [{"enum": names}, {"type": "string"}]}
    step["properties"]["action"] = {**step["properties"]["action"], "anyOf": [{"enum": actions}, {"type": "string"}]}
