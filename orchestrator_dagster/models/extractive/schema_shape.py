"""JSON Schema without a library: references and alternatives resolved, a value checked against what this model fills.

The keywords that are understood are those below; a schema that asserts something else is refused, so that an answer
never breaks a rule that nobody looked at.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from orchestrator_dagster.errors import ModelRequestError
from orchestrator_dagster.models.extractive.values import has_format
from orchestrator_dagster.models.extractive.words import listed

Schema = Mapping[str, Any]

_ASSERTIONS = listed(
    """type enum const minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength pattern format
    items prefixItems minItems maxItems uniqueItems properties required additionalProperties minProperties
    maxProperties anyOf oneOf allOf $ref nullable not propertyNames patternProperties"""
)
_NOTES = listed(
    """$schema $id $defs definitions $comment $anchor title description default examples example deprecated readOnly
    writeOnly contentMediaType contentEncoding discriminator"""
)
_REFUSED = listed(
    """if then else contains minContains maxContains additionalItems unevaluatedItems unevaluatedProperties
    dependentSchemas dependentRequired dependencies $dynamicRef $recursiveRef"""
)
_DEEPEST = 24
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "array": (list,),
    "object": (dict,),
    "boolean": (bool,),
    "null": (type(None),),
}


class Shapes:
    """One root schema: resolves what stands in it and checks values against it.

    Raises:
        ModelRequestError: The schema has a keyword that ``builtin:extractive`` does not know how to honour, a
            reference that leads nowhere, or a pattern that is no regular expression.
    """

    def __init__(self, root: Schema) -> None:
        self.root = root
        self._refuse_unknown(root, 0)

    def _refuse_unknown(self, schema: Any, depth: int) -> None:
        if not isinstance(schema, Mapping) or depth > 60:
            return
        unknown = [key for key in schema if key in _REFUSED]
        if unknown:
            raise ModelRequestError(
                f'builtin:extractive cannot fill a schema with the keyword "{unknown[0]}"; it knows '
                f"{', '.join(sorted(_ASSERTIONS))}.",
                hint="Take the keyword out of the schema, or name a language model in `model`.",
            )
        if isinstance(schema.get("pattern"), str):
            _compiled(schema["pattern"])
        if isinstance(schema.get("$ref"), str):
            self._target(schema["$ref"])
        for key in ("items", "additionalProperties", "not", "propertyNames"):
            self._refuse_unknown(schema.get(key), depth + 1)
        for key in ("prefixItems", "anyOf", "oneOf", "allOf"):
            for part in schema.get(key) or ():
                self._refuse_unknown(part, depth + 1)
        for key in ("properties", "patternProperties", "$defs", "definitions"):
            for name, part in (schema.get(key) or {}).items():
                if key == "patternProperties":
                    _compiled(name)
                self._refuse_unknown(part, depth + 1)

    def _target(self, reference: str) -> Any:
        found: Any = self.root
        parts = reference.removeprefix("#").strip("/")
        for part in parts.split("/") if parts else ():
            part = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, Mapping) and part in found:
                found = found[part]
            elif isinstance(found, list) and part.isdigit() and int(part) < len(found):
                found = found[int(part)]
            else:
                found = None
        if not reference.startswith("#") or found is None:
            raise ModelRequestError(
                f'The schema\'s reference "{reference}" leads nowhere; builtin:extractive follows references inside '
                "the schema (#/$defs/Name).",
                hint="Put the definition under `$defs`.",
            )
        return found

    def merged(self, schema: Any, depth: int = 0) -> dict[str, Any]:
        """The schema with its reference and ``allOf`` parts put into one."""
        if not isinstance(schema, Mapping):
            return {} if schema is not False else {"not": {}}
        result = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
        if depth < _DEEPEST:
            parts = [self._target(schema["$ref"])] if isinstance(schema.get("$ref"), str) else []
            for part in [*parts, *(schema.get("allOf") or ())]:
                result = _joined(self.merged(part, depth + 1), result)
        return result

    def alternatives(self, schema: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
        """Each way to fit the schema, in order, each with at most one type; ``null`` comes last."""
        whole = self.merged(schema)
        branches = [part for key in ("anyOf", "oneOf") for part in whole.get(key) or ()]
        base = {key: value for key, value in whole.items() if key not in ("anyOf", "oneOf")}
        ways: list[dict[str, Any]] = []
        if branches and depth < _DEEPEST:
            for branch in branches:
                ways.extend(_joined(base, way) for way in self.alternatives(branch, depth + 1))
        else:
            types = base.get("type", _guessed_type(base))
            for kind in types if isinstance(types, list) else [types]:
                ways.append({**base, "type": kind})
        if whole.get("nullable") is True:
            ways.append({"type": "null"})
        yield from (way for way in ways if way["type"] != "null")
        yield from (way for way in ways if way["type"] == "null")

    def fits(self, value: Any, schema: Any) -> bool:
        """Whether a JSON value is valid against the schema, both where ``format`` is checked and where it is a note.

        Validators differ in that, and under ``oneOf`` and ``not`` an unchecked format can make a value invalid.
        """
        return all(self._valid(value, schema, 0, formats) for formats in (True, False))

    def _valid(self, value: Any, schema: Any, depth: int, formats: bool) -> bool:
        if schema is True or depth > 60:
            return True
        if not isinstance(schema, Mapping):
            return False
        if value is None and schema.get("nullable") is True:
            return True
        deeper = depth + 1
        if "$ref" in schema and not self._valid(value, self._target(schema["$ref"]), deeper, formats):
            return False
        if not all(self._valid(value, part, deeper, formats) for part in schema.get("allOf") or ()):
            return False
        if "anyOf" in schema and not any(self._valid(value, part, deeper, formats) for part in schema["anyOf"]):
            return False
        if "oneOf" in schema and sum(self._valid(value, part, deeper, formats) for part in schema["oneOf"]) != 1:
            return False
        if "not" in schema and self._valid(value, schema["not"], deeper, formats):
            return False
        kinds = schema.get("type")
        if kinds is not None and not any(_is(value, kind) for kind in (kinds if isinstance(kinds, list) else [kinds])):
            return False
        if "enum" in schema and not any(same(value, option) for option in schema["enum"]):
            return False
        if "const" in schema and not same(value, schema["const"]):
            return False
        if isinstance(value, str):
            return _string_fits(value, schema, formats)
        if isinstance(value, list):
            return self._array_fits(value, schema, deeper, formats)
        if isinstance(value, dict):
            return self._object_fits(value, schema, deeper, formats)
        return isinstance(value, bool) or value is None or number_fits(value, schema)

    def _array_fits(self, value: list[Any], schema: Schema, depth: int, formats: bool) -> bool:
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            return False
        if schema.get("uniqueItems") and len(unique(value)) < len(value):
            return False
        first = schema.get("prefixItems") or []
        return all(self._valid(item, part, depth, formats) for item, part in zip(value, first, strict=False)) and all(
            self._valid(item, schema.get("items", True), depth, formats) for item in value[len(first) :]
        )

    def _object_fits(self, value: dict[str, Any], schema: Schema, depth: int, formats: bool) -> bool:
        if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value)):
            return False
        if any(key not in value for key in schema.get("required") or ()):
            return False
        known, patterns = schema.get("properties") or {}, schema.get("patternProperties") or {}
        for key, item in value.items():
            rules = [known[key]] if key in known else []
            rules += [rule for pattern, rule in patterns.items() if _compiled(pattern).search(key)]
            rules = rules or [schema.get("additionalProperties", True)]
            if not all(self._valid(item, rule, depth, formats) for rule in rules):
                return False
            if not self._valid(key, schema.get("propertyNames", True), depth, formats):
                return False
        return True


def _joined(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both schemas at once. Properties and requirements add up; of two bounds the narrower one counts."""
    result = dict(base)
    for key, value in over.items():
        if key == "properties" and isinstance(result.get(key), Mapping):
            mine = result[key]
            both = {name: {"allOf": [mine[name], part]} if name in mine else part for name, part in value.items()}
            result[key] = {**mine, **both}
        elif key == "required" and key in result:
            result[key] = [*result[key], *(name for name in value if name not in result[key])]
        elif key in ("minimum", "minLength", "minItems", "minProperties", "exclusiveMinimum") and key in result:
            result[key] = max(result[key], value)
        elif key in ("maximum", "maxLength", "maxItems", "maxProperties", "exclusiveMaximum") and key in result:
            result[key] = min(result[key], value)
        elif key == "enum" and key in result:
            result[key] = [option for option in value if any(same(option, other) for other in result[key])]
        else:
            result[key] = value
    return result


def _guessed_type(schema: Schema) -> str | list[str]:
    """The type of a schema that names none: by its keywords, by an example's shape, else text."""
    if "const" in schema or "enum" in schema:
        return list(dict.fromkeys(type_of(value) for value in schema.get("enum", [schema.get("const")]))) or "string"
    for kind, keys in (
        ("object", ("properties", "additionalProperties", "patternProperties", "minProperties")),
        ("array", ("items", "prefixItems", "minItems", "maxItems", "uniqueItems")),
        ("string", ("pattern", "minLength", "maxLength", "format")),
        ("number", ("minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum")),
    ):
        if any(key in schema for key in keys):
            return kind
    examples = schema.get("examples")
    shown = examples[0] if isinstance(examples, list) and examples else schema.get("example")
    return type_of(shown) if shown is not None else "string"


def type_of(value: Any) -> str:
    """The JSON type of a value."""
    for kind in ("null", "boolean", "string", "integer", "number", "array", "object"):
        if _is(value, kind):
            return kind
    return "string"


def _is(value: Any, kind: Any) -> bool:
    if kind in _TYPES:
        return isinstance(value, _TYPES[kind])
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return kind == "number" or (kind == "integer" and (isinstance(value, int) or value.is_integer()))


def same(one: Any, other: Any) -> bool:
    """Equality of JSON values: 1 is 1.0 but not true."""
    return _key(one) == _key(other)


def unique(values: list[Any]) -> list[Any]:
    """The values without those that stand there before."""
    return list({_key(value): value for value in reversed(values)}.values())[::-1]


def _key(value: Any) -> str:
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def _string_fits(value: str, schema: Schema, formats: bool) -> bool:
    pattern = schema.get("pattern")
    if formats and not has_format(value, schema.get("format")):
        return False
    return schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)) and (
        not isinstance(pattern, str) or bool(_compiled(pattern).search(value))
    )


def number_fits(value: float, schema: Schema) -> bool:
    """Whether a number holds the bounds and ``multipleOf`` of a schema."""
    least, most = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    if value < least or value > most:
        return False
    low, high = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is True or high is True:  # the spelling of draft 4
        return not (low is True and value <= least) and not (high is True and value >= most)
    if isinstance(low, (int, float)) and low is not False and value <= low:
        return False
    if isinstance(high, (int, float)) and high is not False and value >= high:
        return False
    step = schema.get("multipleOf")
    if not step:
        return True
    if isinstance(step, int) and float(value).is_integer():
        return int(value) % step == 0
    quotient = value / step
    return math.isfinite(quotient) and int(quotient) == quotient


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ModelRequestError(
            f'The schema\'s pattern "{pattern}" is no regular expression that Python knows: {error}.',
            hint="Correct the pattern, or leave it out.",
        ) from error
