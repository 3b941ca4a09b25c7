"""What an ``<AUTO>`` value must be, by the place it stands in: a JSON Schema, and where one is at hand a check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledStep
from orchestrator_dagster.language.json_schema import json_schema
from orchestrator_dagster.language.template_names import read_template, texts_of
from orchestrator_dagster.tools.registry import ToolRegistry

Path = tuple["str | int", ...]
#: Gives what is wrong with a value, in sentences.
Problems = Callable[[Any], "list[str]"]

TEXT: Mapping[str, Any] = {"type": "string"}
BOOLEAN: Mapping[str, Any] = {"type": "boolean"}
SCALAR: Mapping[str, Any] = {"anyOf": [{"type": "boolean"}, {"type": "number"}, {"type": "string"}]}
COUNT: Mapping[str, Any] = {"type": "integer", "minimum": 1}
SECONDS: Mapping[str, Any] = {"type": "number", "exclusiveMinimum": 0}
_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "temperature": {"type": "number", "minimum": 0, "maximum": 2},
    "top_p": {"type": "number", "minimum": 0, "maximum": 1},
    "max_tokens": COUNT,
    "seed": {"type": "integer"},
    "system_prompt": TEXT,
    "response_format": TEXT,
}
_DEEPEST = 6


@dataclass(frozen=True)
class Wanted:
    """What a value must be; ``problems`` knows more about it than the schema says."""

    schema: Mapping[str, Any]
    problems: Problems = lambda value: []


def setting(name: str) -> Wanted:
    """What a setting of a model call must be."""
    return Wanted(_SETTINGS.get(name, SCALAR))


def tool_parameter(step: CompiledStep, tools: ToolRegistry, path: Path) -> Wanted:
    """What a parameter of a tool must be, or a part of it, by the tool's own schema."""
    model = tools.find(str(step.tool)).find(step.action).parameters
    field = model.model_fields.get(str(path[0]))
    if field is None:  # one of those that a tool takes under any name
        return Wanted(SCALAR)
    whole = model.model_json_schema()
    schema = _inside(_property(whole, field.alias or str(path[0])), path[1:], whole)
    found = _plain(schema, whole, 0)
    if len(path) > 1:
        return Wanted(found)

    def problems(value: Any) -> list[str]:
        from pydantic import TypeAdapter, ValidationError

        from orchestrator_dagster.language.values import sentences

        annotation: Any = field.annotation
        for one in field.metadata:
            from typing import Annotated

            annotation = Annotated[annotation, one]
        try:
            TypeAdapter(annotation).validate_python(value)
        except ValidationError as error:
            return sentences(error)
        return []

    return Wanted(found, problems)


def pipeline_input(step: CompiledStep, path: Path) -> Wanted:
    """What an input of the pipeline that a step runs must be."""
    spec = step.pipeline.inputs.get(str(path[0])) if step.pipeline else None
    if spec is None:
        return Wanted(TEXT)
    schema = json_schema(spec)
    schema.pop("description", None)
    schema.pop("examples", None)
    if not schema:
        return Wanted(TEXT)
    return Wanted(_plain(_inside(schema, path[1:], schema), schema, 0))


def loop_list(step: CompiledStep, dashed: frozenset[str]) -> Wanted:
    """What the list of a ``for_each`` must be: of objects, where the body reads fields of the item; else of texts."""
    assert step.loop is not None
    roots = {"item", *([step.loop.item] if step.loop.item else [])}
    fields: dict[str, None] = {}
    for inner in step.loop.steps:
        said = [inner.instruction, inner.condition, inner.parameters, [one.path for one in inner.products]]
        for _, text in texts_of(said):
            for use in read_template(text, dashed).names:
                if use.root in roots and len(use.path) > 1 and isinstance(use.path[1], str):
                    fields[use.path[1]] = None
    item: Mapping[str, Any] = TEXT
    if fields:
        item = {
            "type": "object",
            "properties": dict.fromkeys(fields, SCALAR),
            "required": list(fields),
            "additionalProperties": False,
        }
    return Wanted({"type": "array", "items": item})


def in_words(schema: Mapping[str, Any]) -> str:
    """A schema as a person would say it."""
    if "enum" in schema:
        return f"one of {', '.join(map(repr, schema['enum']))}"
    kind = schema.get("type")
    if kind == "boolean":
        return "true or false"
    if kind in ("integer", "number"):
        low, high = schema.get("minimum"), schema.get("maximum")
        bounds = [f"at least {low}"] if low is not None else []
        bounds += [f"at most {high}"] if high is not None else []
        return f"{'a whole number' if kind == 'integer' else 'a number'}{', ' if bounds else ''}{' and '.join(bounds)}"
    if kind == "array":
        items = schema.get("items") or {}
        return "a list of texts" if items.get("type") == "string" else "a list"
    if kind == "string":
        return "a text"
    return "an object" if kind == "object" else "a value that fits its place"


def _property(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = schema.get("properties", {}).get(name)
    return found if isinstance(found, Mapping) else {}


def _inside(schema: Mapping[str, Any], path: Path, whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of a part of a value; an empty one where nothing is said about it."""
    for part in path:
        schema = _without_null(_resolved(schema, whole))
        inner = schema.get("items") if isinstance(part, int) else _property(schema, part)
        inner = inner or schema.get("additionalProperties")
        schema = inner if isinstance(inner, Mapping) else {}
    return schema


def _resolved(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    found = whole.get("$defs", {}).get(name)
    return found if name and isinstance(found, Mapping) else schema


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    options = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return options[0] if len(options) == 1 and len(schema["anyOf"]) > 1 else schema


def _plain(schema: Mapping[str, Any], whole: Mapping[str, Any], depth: int) -> Mapping[str, Any]:
    """A schema without references and remarks, as a provider takes it; what allows anything is a plain value."""
    found = dict(_without_null(_resolved(schema, whole)))
    found = dict(_resolved(found, whole))
    for remark in ("title", "default", "description", "examples", "$defs"):
        found.pop(remark, None)
    if not found or depth > _DEEPEST:
        return SCALAR
    if isinstance(found.get("items"), Mapping):
        found["items"] = _plain(found["items"], whole, depth + 1)
    elif found.get("type") == "array":
        found["items"] = SCALAR
    if isinstance(found.get("properties"), Mapping):
        found["properties"] = {name: _plain(one, whole, depth + 1) for name, one in found["properties"].items()}
    if isinstance(found.get("anyOf"), list):
        found["anyOf"] = [_plain(one, whole, depth + 1) for one in found["anyOf"]]
    return found
