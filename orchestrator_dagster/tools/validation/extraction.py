"""The action extract_structured: values that stand in a text in a form that can be read without a model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, Field

from orchestrator_dagster.errors import ParametersError, ToolError
from orchestrator_dagster.language.json_schema import schema_errors
from orchestrator_dagster.language.safe_patterns import check_pattern
from orchestrator_dagster.tools.tool import ToolContext
from orchestrator_dagster.tools.validation.checking import coerced
from orchestrator_dagster.tools.validation.values import Schema, neighbours, schema_of, types_of

#: Longest text that is looked through, in characters.
MAX_CHARACTERS = 5_000_000
#: Most places in a text at which JSON is tried.
_MOST_STARTS = 500
_FENCED = re.compile(r"```[a-zA-Z0-9_-]*[ \t]*\n(.*?)\n[ \t]*```", re.DOTALL)
_LABEL = re.compile(
    r"^(?:[-*+][ \t]+)?(?:\*\*|__)?([^\s:=*|][^:=\n*|]{0,79}?)(?:\*\*|__)?[ \t]*[:=][ \t]*(?:\*\*|__)?[ \t]*(.*)$"
)
_RULE = re.compile(r"^\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")


class Extracted(BaseModel):
    """What was found in a text, in which form, whether it fits the schema, and which of its fields are missing."""

    data: Any
    valid: bool
    errors: list[str]
    source: Literal["json", "table", "labels", "patterns"]
    missing: list[str]


def extract_structured(
    context: ToolContext,
    text: Annotated[
        str, Field(description="The text to look through.", validation_alias=AliasChoices("text", "content", "data"))
    ],
    schema: Annotated[
        Schema | None,
        Field(
            description="JSON Schema of what is wanted, or its file; an object or an array of objects. Or `patterns`."
        ),
    ] = None,
    patterns: Annotated[
        dict[str, str] | None,
        Field(description="field -> regular expression; its first group, or the whole match, is the value."),
    ] = None,
    strict: Annotated[bool, Field(description="Whether data that does not fit the schema fails the step.")] = True,
) -> Extracted:
    """Take structured data out of a text: JSON in it, a Markdown table, lines such as `Name: value`, or by patterns.

    Values are brought to the schema's types where they read as such. What only a reader could find is the work of a
    model: use a step with a ``prompt`` and ``vars`` for that.

    Raises:
        ParametersError: Neither ``schema`` nor ``patterns`` is given, or one of them is wrong.
        ToolError: Nothing was found, or it does not fit the schema and ``strict`` is set.
    """
    if schema is None and patterns is None:
        raise ParametersError(
            "`schema` or `patterns` is needed: nothing says what to extract",
            hint="write `schema: {type: object, properties: {name: {type: string}}}` for lines such as `Name: value`",
        )
    if len(text) > MAX_CHARACTERS:
        raise ParametersError(f"the text has {len(text):,} characters, {MAX_CHARACTERS:,} are allowed")
    known = schema_of(context, schema) if schema is not None else {}
    best: Extracted | None = None
    for source, value in _candidates(text, known, patterns):
        value = coerced(value, known)
        errors = [str(error) for error in _errors(context, known, value, schema)]
        made = Extracted(
            data=value, valid=not errors, errors=errors[:100], source=source, missing=_missing(value, known)
        )
        if best is None or (made.valid, -len(errors)) > (best.valid, -len(best.errors)):
            best = made
        if made.valid:
            break
    if best is None:
        raise ToolError(
            "the text holds no JSON, no table and no labelled line of what is asked for",
            hint="give `patterns`, or let a model read it: a step with `prompt` and `vars`",
            permanent=True,
        )
    if not best.valid and strict:
        raise ToolError(
            f"what stands in the text does not fit the schema: {'; '.join(best.errors[:10])}",
            hint="set `strict: false` to get it as it is",
            permanent=True,
        )
    return best


def _errors(context: ToolContext, known: dict[str, Any], value: Any, schema: Schema | None) -> list[Any]:
    try:
        return list(schema_errors(known, value, neighbours(context, schema if schema is not None else {})))
    except ValueError as error:
        raise ParametersError(f"`schema` cannot be used: {error}") from None


def _missing(value: Any, schema: Mapping[str, Any]) -> list[str]:
    if not isinstance(value, dict):
        return []
    return [name for name in schema.get("properties", {}) if value.get(name) is None]


def _candidates(
    text: str, schema: dict[str, Any], patterns: dict[str, str] | None
) -> Iterator[tuple[Literal["json", "table", "labels", "patterns"], Any]]:
    """Everything in the text that may be meant, the surest first."""
    if patterns is not None:
        found = _by_patterns(text, patterns)
        if found:
            yield "patterns", found
        return
    wanted = types_of(schema)
    for value in _json_in(text):
        if isinstance(value, dict) and "object" not in wanted and "array" in wanted:
            value = [value]
        yield "json", value
    names = _properties(schema)
    if "array" in wanted:
        for rows in _tables(text, names):
            yield "table", rows
    elif names:
        fields = _labels(text, names)
        if fields:
            yield "labels", fields


def _properties(schema: Mapping[str, Any]) -> dict[str, str]:
    """Field names of the object (or of the array's objects) that is asked for, as a text would write them."""
    items = schema.get("items")
    shape = items if "array" in types_of(schema) and isinstance(items, dict) else schema
    return {_plain(name): name for name in shape.get("properties", {})}


def _plain(name: str) -> str:
    return " ".join(re.sub(r"[_\-\s*`]+", " ", name).split()).casefold()


def _json_in(text: str) -> Iterator[Any]:
    """The JSON objects and arrays of a text, those in code fences first, larger ones before what they hold."""
    for block in _FENCED.findall(text):
        try:
            value = json.loads(block)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict | list):
            yield value
    decoder = json.JSONDecoder()
    place = tried = 0
    while (start := re.compile(r"[\[{]").search(text, place)) and tried < _MOST_STARTS:
        tried += 1
        try:
            value, place = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            place = start.start() + 1
            continue
        if value:
            yield value


def _tables(text: str, names: Mapping[str, str]) -> Iterator[list[dict[str, Any]]]:
    """The Markdown tables of a text, with the columns under the names of the schema where they are these."""
    lines = text.splitlines()
    for number in range(1, len(lines)):
        if not _RULE.match(lines[number]) or "|" not in lines[number - 1]:
            continue
        header = [names.get(_plain(cell), cell) for cell in _cells(lines[number - 1])]
        rows = []
        for line in lines[number + 1 :]:
            if "|" not in line:
                break
            cells = _cells(line)
            rows.append({name: cell for name, cell in zip(header, cells, strict=False) if cell})
        if rows:
            yield rows


def _cells(line: str) -> list[str]:
    cells = re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))
    return [cell.strip().replace("\\|", "|") for cell in cells]


def _labels(text: str, names: Mapping[str, str]) -> dict[str, Any]:
    """Lines such as ``Name: value`` whose label is a field's name; the first of each counts."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        match = _LABEL.match(line[:10_000].strip())
        name = names.get(_plain(match.group(1))) if match else None
        if match and name and name not in found and match.group(2).strip():
            found[name] = match.group(2).strip().removesuffix("**").strip()
    return found


def _by_patterns(text: str, patterns: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, pattern in patterns.items():
        if wrong := check_pattern(pattern):
            raise ParametersError(f'the pattern for "{name}" {wrong}')
        match = re.search(pattern, text, re.MULTILINE)
        if match:
            found[name] = (match.group(1) if match.re.groups else match.group()) or ""
    return found
