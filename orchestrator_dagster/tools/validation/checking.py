"""The action validate: a value against a JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field

from orchestrator_dagster.errors import ParametersError, ToolError
from orchestrator_dagster.language.json_schema import SchemaProblem, schema_errors
from orchestrator_dagster.tools.tool import ToolContext
from orchestrator_dagster.tools.validation.values import FilePath, Schema, neighbours, schema_of, types_of, value_of


class Problem(BaseModel):
    """What is wrong at one place: ``path`` (``items[0].name``), a sentence, the schema's keyword, what stands there."""

    path: str
    message: str
    rule: str
    value: Any


class Validation(BaseModel):
    """Whether a value is valid, every error as a sentence and in its parts, and the value as it was checked."""

    valid: bool
    errors: list[str]
    error_count: int
    problems: list[Problem]
    data: Any


def _by_word(value: Any) -> Any:
    """A mode by its name."""
    word = value.strip().lower() if isinstance(value, str) else value
    return {"strict": True, "lenient": False, "report_only": False}.get(word, value) if isinstance(word, str) else value


def validate(
    context: ToolContext,
    schema: Annotated[
        Schema,
        Field(
            description="A JSON Schema, or the file (JSON or YAML) that holds one.",
            validation_alias=AliasChoices("schema", "json_schema", "schema_path"),
        ),
    ],
    data: Annotated[
        Any, Field(description="The value. A text is read as JSON where the schema does not allow a text.")
    ] = None,
    path: FilePath = None,
    coerce: Annotated[
        bool, Field(description="Whether texts that read as the type asked for become it: '5' an integer.")
    ] = False,
    strict: Annotated[
        bool,
        BeforeValidator(_by_word),
        Field(
            description="Whether a value that is not valid fails the step; in words: strict, lenient or report_only."
        ),
    ] = False,
    max_errors: Annotated[int, Field(ge=1, le=10_000, description="Most errors to give; all are counted.")] = 100,
) -> Validation:
    """Check a value by a JSON Schema; what is wrong is in the answer, with `strict` it fails the step.

    A result of ``data-processing`` stands for its rows where the schema asks for an array.

    Raises:
        ParametersError: The schema is none, or one that it refers to is not there.
        ToolError: The value is not valid, and ``strict`` is set.
    """
    known = schema_of(context, schema)
    value = as_asked(value_of(context, data, path), known)
    if coerce:
        value = coerced(value, known)
    try:
        found = schema_errors(known, value, neighbours(context, schema))
    except ValueError as error:
        raise ParametersError(f"`schema` cannot be used: {error}", hint="put it beside the schema's file") from None
    except RecursionError:
        raise ParametersError("`schema` refers to itself without an end, or the value is nested too deep") from None
    if found and strict:
        shown = "; ".join(map(str, found[:10])) + (f" … ({len(found)} in all)" if len(found) > 10 else "")
        raise ToolError(f"the data is not valid: {shown}", permanent=True)
    shown_problems = found[:max_errors]
    return Validation(
        valid=not found,
        errors=[str(one) for one in shown_problems],
        error_count=len(found),
        problems=[_problem(one) for one in shown_problems],
        data=value,
    )


def _problem(found: SchemaProblem) -> Problem:
    # A whole table in each of its errors would be a result larger than the data.
    value = found.value if not isinstance(found.value, dict | list | str) else _short(found.value)
    return Problem(path=found.place, message=found.message, rule=found.rule, value=value)


def _short(value: Any) -> Any:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return value if len(text) <= 200 else text[:199] + "…"


def as_asked(value: Any, schema: Mapping[str, Any]) -> Any:
    """Texts of JSON, and tables in a result of data-processing, as what the schema asks for."""
    types = types_of(schema)
    if isinstance(value, str) and types and "string" not in types:
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return value
    if "array" in types and isinstance(value, dict) and {"data", "columns", "row_count"} <= value.keys():
        return value["data"]
    return value


def coerced(value: Any, schema: Any) -> Any:
    """The value with its texts turned into the numbers, booleans and nulls that a schema asks for.

    >>> coerced({"n": "5", "ok": "yes"}, {"properties": {"n": {"type": "integer"}, "ok": {"type": "boolean"}}})
    {'n': 5, 'ok': True}
    """
    if not isinstance(schema, Mapping):
        return value
    if isinstance(value, dict):
        fields = schema.get("properties", {})
        rest = schema.get("additionalProperties")
        return {name: coerced(one, fields.get(name, rest)) for name, one in value.items()}
    if isinstance(value, list):
        return [coerced(one, schema.get("items")) for one in value]
    types = types_of(schema)
    if isinstance(value, str) and types and "string" not in types:
        return _from_text(value.strip(), types, value)
    if isinstance(value, int | float) and types == {"string"} and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value.is_integer() and "integer" in types and "number" not in types:
        return int(value)
    return value


def _from_text(text: str, types: frozenset[str], value: str) -> Any:
    for kind, make in (("integer", int), ("number", float)):
        if kind in types and "_" not in text:
            try:
                made = make(text)
            except ValueError:
                continue
            if made == made and abs(made) != float("inf"):
                return made
    if "boolean" in types and text.lower() in ("true", "yes", "false", "no", "1", "0"):
        return text.lower() in ("true", "yes", "1")
    return None if "null" in types and text.lower() in ("", "null", "none") else value
