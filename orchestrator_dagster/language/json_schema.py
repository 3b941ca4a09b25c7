"""Types of the language as JSON Schema, and the check of a value against one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from orchestrator_dagster.frozen import thaw
from orchestrator_dagster.language.types import InputSpec, TypeSpec, type_of

_FORMATS = {"date": "date", "email": "email", "uri": "uri"}
#: Formats that JSON Schema has no word for: who writes the value has to be told.
_IN_WORDS = {"json": "JSON text", "csv": "CSV text with a header line", "markdown": "Markdown text"}


def json_schema(spec: TypeSpec) -> dict[str, Any]:
    """The JSON Schema of a type. Inline ``schema`` stands as it is; a file's must be read in before."""
    if isinstance(spec.schema_, Mapping):
        schema: dict[str, Any] = thaw(dict(spec.schema_))
        return {**schema, "description": spec.description} if spec.description else schema
    kind: str | None = spec.type
    if kind in ("path", "secret"):
        kind = "string"
    if kind is None and spec.example is not None:
        schema = schema_of_example(thaw(spec.example))
    else:
        schema = {"type": kind or implied_type(spec)} if kind or implied_type(spec) else {}
    said = [text for text in (spec.description, _IN_WORDS.get(spec.format or "")) if text]
    if said:
        schema["description"] = " ".join(said) if len(said) == 1 else f"{said[0].rstrip('.')} ({said[1]})"
    if spec.enum is not None:
        schema["enum"] = thaw(spec.enum)
    low, high = spec.limits
    if low is not None:
        schema["minimum"] = int(low) if low == int(low) else low
    if high is not None:
        schema["maximum"] = int(high) if high == int(high) else high
    if spec.pattern is not None:
        schema["pattern"] = spec.pattern
    if spec.format in _FORMATS:
        schema["format"] = _FORMATS[spec.format]
    if spec.items is not None:
        schema["items"] = json_schema(spec.items)
    if spec.properties is not None:
        schema["properties"] = {name: json_schema(field) for name, field in spec.properties.items()}
        schema["required"] = list(spec.properties)
        schema["additionalProperties"] = False
    if spec.example is not None:
        schema["examples"] = [thaw(spec.example)]
    return schema


def implied_type(spec: TypeSpec) -> str | None:
    """The type that other keys imply."""
    if spec.properties is not None:
        return "object"
    if spec.items is not None:
        return "array"
    if spec.minimum is not None or spec.maximum is not None or spec.range is not None:
        return "number"
    if spec.pattern is not None or spec.format in ("csv", "markdown", "date", "email", "uri"):
        return "string"
    if spec.enum:
        kinds = {type_of(value) for value in spec.enum}
        return kinds.pop() if len(kinds) == 1 else None
    if isinstance(spec, InputSpec) and spec.default is not None:
        return type_of(spec.default)
    return None


def schema_of_example(example: Any) -> dict[str, Any]:
    """The shape of an example: types all the way down, every field of an object required."""
    if isinstance(example, Mapping):
        fields = {str(name): schema_of_example(value) for name, value in example.items()}
        return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
    if isinstance(example, (list, tuple)):
        return {"type": "array", "items": schema_of_example(example[0])} if example else {"type": "array"}
    kind = type_of(example)
    return {"type": kind} if kind else {}


@dataclass(frozen=True)
class SchemaProblem:
    """What a value breaks: where (names and indexes from its root), what is wrong, which keyword says so, what stands
    there.
    """

    path: tuple[str | int, ...]
    message: str
    rule: str
    value: Any

    @property
    def place(self) -> str:
        """Where it is, as in ``items[0].name``; empty for the value itself."""
        return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path).lstrip(".")

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.path else self.message


def schema_errors(
    schema: Mapping[str, Any], value: Any, find: Callable[[str], Mapping[str, Any] | None] | None = None
) -> list[SchemaProblem]:
    """Everything that is wrong with a JSON value under a JSON Schema, in the order of the places.

    Args:
        schema: The schema; nothing is fetched for it, from no file and from no network.
        value: The value.
        find: Gives the schema that a relative ``$ref`` names, None where there is none.

    Raises:
        ValueError: A ``$ref`` leads nowhere; the message names it.
    """
    import referencing
    from jsonschema.validators import validator_for
    from referencing.exceptions import NoSuchResource, Unresolvable
    from referencing.jsonschema import DRAFT202012

    def retrieve(uri: str) -> Any:
        found = find(uri) if find is not None else None
        if found is None:
            raise NoSuchResource(ref=uri)  # type: ignore[call-arg]  # an attrs class
        return referencing.Resource.from_contents(found, default_specification=DRAFT202012)

    kind = validator_for(schema)
    # A registry of its own: the library's default one opens addresses that stand in a schema.
    validator = kind(schema, format_checker=_checker(kind), registry=referencing.Registry(retrieve=retrieve))  # type: ignore[call-arg]
    try:
        errors = list(validator.iter_errors(thaw(value)))
    except Unresolvable as error:
        raise ValueError(f'"{error.ref}", to which it refers, is not there') from None
    errors.sort(
        key=lambda error: [(0, one, "") if isinstance(one, int) else (1, 0, one) for one in error.absolute_path]
    )
    found = [
        SchemaProblem(tuple(error.absolute_path), _sentence(error), str(error.validator), error.instance)
        for error in errors
    ]
    # The library says for each missing field that it is missing; the sentence names them together.
    return list({(problem.path, problem.message): problem for problem in found}.values())


def schema_problems(schema: Mapping[str, Any], value: Any, most: int = 12) -> list[str]:
    """What is wrong with a JSON value under a JSON Schema, one sentence each with its place; the first ``most``."""
    try:
        return [str(problem) for problem in schema_errors(schema, value)[:most]]
    except ValueError as error:
        return [f"the schema cannot be used: {error}"]


def _sentence(error: Any) -> str:
    value = repr(error.instance)
    value = value if len(value) <= 60 else value[:57] + "…"
    if error.validator == "type":
        wanted = error.validator_value
        return f"expected {' or '.join(wanted) if isinstance(wanted, list) else wanted}, found {value}"
    if error.validator == "enum":
        return f"{value} is none of {', '.join(map(repr, error.validator_value))}"
    if error.validator == "minimum":
        return f"{value} is less than {error.validator_value:g}"
    if error.validator == "maximum":
        return f"{value} is more than {error.validator_value:g}"
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"missing: {', '.join(missing)}"
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        extra = [name for name in error.instance if name not in error.schema.get("properties", {})]
        return f"unexpected: {', '.join(extra)}"
    if error.validator == "format":
        return f"{value} is no {error.validator_value}"
    return str(error.message)[:200]


def _is_date(value: Any) -> bool:
    if not isinstance(value, str):
        return True
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", value)) and bool(date.fromisoformat(value))


def _checker(kind: Any) -> Any:
    from jsonschema import FormatChecker

    checker = FormatChecker(formats=())
    checker.checks("date", raises=ValueError)(_is_date)
    checker.checks("email")(lambda v: not isinstance(v, str) or bool(re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", v)))
    checker.checks("uri", raises=ValueError)(lambda v: not isinstance(v, str) or bool(urlsplit(v).scheme))
    return checker


def object_schema(fields: Mapping[str, TypeSpec], required: Sequence[str] | None = None) -> dict[str, Any]:
    """The JSON Schema of an object with these fields, all required unless said otherwise."""
    return {
        "type": "object",
        "properties": {name: json_schema(spec) for name, spec in fields.items()},
        "required": list(fields) if required is None else list(required),
        "additionalProperties": False,
    }
