"""An instance of a JSON Schema, the same every time."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator_dagster.testing.pattern_text import pattern_text

_DEEP = 6  # below this many levels only what is required is filled in, so that recursive schemas end
_TOO_DEEP = 60
# Only notations that the name of the format itself prescribes (RFC 3339, RFC 5321, RFC 3986, RFC 4122 …).
_FORMATS = {
    "date": "2024-01-31",
    "time": "12:30:00Z",
    "date-time": "2024-01-31T12:30:00Z",
    "duration": "P1D",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uri-reference": "https://example.com/",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "regex": "a",
    "json-pointer": "/a",
}
_TYPE_OF_KEYWORD = {
    "properties": "object",
    "required": "object",
    "items": "array",
    "prefixItems": "array",
    "minItems": "array",
    "pattern": "string",
    "minLength": "string",
    "maxLength": "string",
    "format": "string",
    "minimum": "number",
    "maximum": "number",
    "multipleOf": "number",
}


class NoInstanceError(ValueError):
    """No instance of the schema can be made here; the message names the part. Script an answer for it."""


def schema_instance(schema: Mapping[str, Any]) -> Any:
    """An instance that is valid against ``schema``, the same every time, all properties filled in.

    Understands what structured outputs use: types, enums, references into the same schema, combinations (``anyOf``,
    ``oneOf``: the first branch that works; ``allOf``), limits, patterns, formats. Not understood: ``not``, ``if``,
    ``patternProperties``, ``dependentSchemas``; they are passed over.

    Raises:
        NoInstanceError: The schema cannot be satisfied, or not by this function.
    """
    return _Maker(schema).make(schema, "answer", 0)


class _Maker:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root = root

    def make(self, schema: Any, name: str, depth: int, number: int = 0) -> Any:
        """An instance of ``schema``; ``number`` tells the items of one array apart."""
        if depth > _TOO_DEEP:
            raise NoInstanceError(f"The schema of {name!r} never ends.")
        schema = self._resolved(schema, depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return _enum_value(schema, name, number)
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self._first_branch(schema, key, name, depth, number)
        kind = _kind(schema)
        if kind == "object":
            return self._object(schema, name, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind == "string":
            return _string(schema, name, number)
        if kind in ("number", "integer"):
            return _number(schema, name, number, kind == "integer")
        return {"boolean": number % 2 == 0, "null": None}[kind]

    def _resolved(self, schema: Any, depth: int) -> Mapping[str, Any]:
        """``schema`` with its reference and its ``allOf`` merged into it."""
        if schema is True:
            return {}
        if not isinstance(schema, Mapping):
            raise NoInstanceError("A part of the schema is false: nothing is valid for it.")
        if "$ref" in schema:
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            if depth > _TOO_DEEP:
                raise NoInstanceError(f"The reference {schema['$ref']!r} leads to itself.")
            return self._resolved(_merged(self._target(str(schema["$ref"])), rest), depth + 1)
        if "allOf" in schema:
            whole: Mapping[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
            for part in schema["allOf"]:
                whole = _merged(whole, self._resolved(part, depth + 1))
            return self._resolved(whole, depth + 1)
        return schema

    def _target(self, reference: str) -> Mapping[str, Any]:
        here: Any = self.root
        path = reference.removeprefix("#").strip("/")
        try:
            for part in path.split("/") if path else []:
                key = part.replace("~1", "/").replace("~0", "~")
                here = here[int(key)] if isinstance(here, list) else here[key]
        except (KeyError, IndexError, ValueError, TypeError):
            raise NoInstanceError(f"The reference {reference!r} leads nowhere in the schema.") from None
        if not isinstance(here, Mapping) or not reference.startswith("#"):
            raise NoInstanceError(f"The reference {reference!r} does not lead to a schema in the same document.")
        return here

    def _first_branch(self, schema: Mapping[str, Any], key: str, name: str, depth: int, number: int) -> Any:
        rest = {k: v for k, v in schema.items() if k != key}
        branches: Sequence[Any] = schema[key]
        if depth > _DEEP:  # the simplest branch first, so that recursion ends
            branches = sorted(branches, key=lambda branch: len(json.dumps(branch)) + 1000 * ("$ref" in branch))
        problems = []
        for branch in branches:
            try:
                return self.make(_merged(rest, self._resolved(branch, depth)), name, depth + 1, number)
            except NoInstanceError as problem:
                problems.append(str(problem))
        raise NoInstanceError(f"No branch of {key} of {name!r} can be made: {' '.join(problems)}")

    def _object(self, schema: Mapping[str, Any], name: str, depth: int) -> dict[str, Any]:
        properties: Mapping[str, Any] = schema.get("properties", {})
        required = list(schema.get("required", []))
        made = {}
        for key, part in properties.items():
            if key not in required and (depth > _DEEP or part is False):
                continue
            try:
                made[key] = self.make(part, key, depth + 1)
            except NoInstanceError:
                if key in required:
                    raise
        others = schema.get("additionalProperties", True)
        missing = [key for key in required if key not in made]
        while len(made) + len(missing) < schema.get("minProperties", 0):
            missing.append(f"key_{len(made) + len(missing)}")
        for key in missing:
            made[key] = self.make(others, key, depth + 1)
        return made

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        first: Sequence[Any] = schema.get("prefixItems", [])
        least = schema.get("minItems", 0)
        length = least if depth > _DEEP else max(least, len(first) or 1)
        length = min(length, schema.get("maxItems", length))
        made: list[Any] = []
        for position in range(length):
            part = first[position] if position < len(first) else schema.get("items", True)
            made.append(self._item(schema, part, made, name, depth, position))
        return made

    def _item(self, schema: Mapping[str, Any], part: Any, made: list[Any], name: str, depth: int, position: int) -> Any:
        for number in range(position, position + 50):
            item = self.make(part, name, depth + 1, number)
            if not schema.get("uniqueItems") or item not in made:
                return item
        raise NoInstanceError(f"Not enough different items can be made for {name!r}.")


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    """Both schemas in one: properties and required together, the narrower limit, else the second wins."""
    whole = dict(one)
    for key, value in other.items():
        if key == "properties":
            mine = whole.get(key, {})
            both = {name: {"allOf": [mine[name], value[name]]} for name in value if name in mine}
            whole[key] = {**mine, **value, **both}
        elif key == "required":
            whole[key] = [*whole.get(key, []), *(name for name in value if name not in whole.get(key, []))]
        elif key in ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties") and key in whole:
            whole[key] = max(whole[key], value)
        elif key in ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties") and key in whole:
            whole[key] = min(whole[key], value)
        elif key == "allOf" and key in whole:
            whole[key] = [*whole[key], *value]
        else:
            whole[key] = value
    return whole


def _kind(schema: Mapping[str, Any]) -> str:
    declared = schema.get("type")
    if isinstance(declared, list):
        return str(next((kind for kind in declared if kind != "null"), "null"))
    if declared is not None:
        return str(declared)
    return next((kind for keyword, kind in _TYPE_OF_KEYWORD.items() if keyword in schema), "string")


def _enum_value(schema: Mapping[str, Any], name: str, number: int) -> Any:
    values = schema["enum"]
    if not values:
        raise NoInstanceError(f"The enum of {name!r} is empty.")
    return values[number % len(values)]


def _string(schema: Mapping[str, Any], name: str, number: int) -> str:
    least: int = schema.get("minLength", 0)
    most: float = schema.get("maxLength", math.inf)
    if least > most:
        raise NoInstanceError(f"No text fits {name!r}: minLength {least} is above maxLength {most}.")
    if "pattern" in schema:
        text = pattern_text(str(schema["pattern"]), least, most)
        if text is None:
            raise NoInstanceError(f"No text can be made for the pattern {schema['pattern']!r} of {name!r}.")
        return text
    formed = _FORMATS.get(str(schema.get("format")))
    if formed is not None and least <= len(formed) <= most:
        return formed
    text = f"{name} {number}" if number else name
    if len(text) > most:
        # what tells items apart stands at the end, so the end is kept
        return text[-int(most) :] if most else ""
    return text + "." * (least - len(text))


def _number(schema: Mapping[str, Any], name: str, number: int, whole: bool) -> float | int:
    least, most = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    above, below = schema.get("exclusiveMinimum", -math.inf), schema.get("exclusiveMaximum", math.inf)
    step = schema.get("multipleOf", 1 if whole else None)

    def fits(value: float) -> bool:
        return least <= value <= most and above < value < below and (not whole or value == int(value))

    for candidate in _candidates(max(least, above), min(most, below), step, number):
        if fits(candidate):
            return int(candidate) if candidate == int(candidate) else candidate
    raise NoInstanceError(f"No number fits {name!r}: {json.dumps(dict(schema))}.")


def _candidates(low: float, high: float, step: float | None, number: int) -> Iterator[float]:
    if step is not None:
        start = math.ceil(low / step) if low > -math.inf else min(0, math.floor(high / step)) if high < 0 else 0
        if high < 0 and low == -math.inf:
            yield from ((start - number - n) * step for n in range(100))
        yield from ((start + number + n) * step for n in range(100))
        yield from ((start + n) * step for n in range(100))
        return
    if low == -math.inf and high == math.inf:
        yield number + 0.5
    elif high == math.inf:
        yield from (low + number, low + number + 1)
    elif low == -math.inf:
        yield from (high - number, high - number - 1)
    else:
        yield low + (high - low) * (number + 1) / (number + 2)
        yield from (low, high)
