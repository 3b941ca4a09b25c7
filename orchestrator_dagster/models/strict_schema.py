"""JSON Schemas in the form that providers hold a model to, and the way back from answers in that form.

Providers accept a part of JSON Schema only: every object closed, every property required, few keywords. (The part here
is that of OpenAI's Structured Outputs, which the others' are close to.) What is sent is made to fit it; the answer is
still checked against the schema that was meant. A property that may be left out is sent as one that may be null, and a
null there is read as left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

_DEEPEST = 10  # levels, https://platform.openai.com/docs/guides/structured-outputs
_MOST_PROPERTIES = 5000
_MOST_OPTIONS = 1000
_FORMATS = frozenset(("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"))
_LIMITS = ("multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "minItems", "maxItems")
#: Keywords that are kept, and those that say nothing about which values fit.
_KEPT = frozenset(("type", "enum", "const", "anyOf", "oneOf", "properties", "items", "$ref", *_LIMITS))
_SILENT = frozenset(
    ("$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated", "required",
     "additionalProperties", "$defs", "definitions")
)  # fmt: skip
#: Without these the rest of the schema would say something else.
_UNFIT = frozenset(
    ("allOf", "not", "if", "then", "else", "patternProperties", "dependentSchemas", "prefixItems", "$dynamicRef",
     "unevaluatedProperties", "propertyNames")
)  # fmt: skip
_NOT_EVERYWHERE = re.compile(r"\(\?|\\[AZzbBGpP\d]")  # of Python's patterns, what others' have not


class _UnfitError(Exception):
    """The schema cannot be said in that part of JSON Schema."""


def strict_schema(schema: Schema) -> dict[str, Any] | None:
    """The schema in the form that providers hold a model to; None when it cannot be said in it.

    Whatever fits the result fits ``schema`` too, apart from keywords that only stand in descriptions there, and from
    nulls: see :func:`without_absent`.

    >>> strict_schema({"type": "object", "properties": {"n": {"type": "integer", "description": "How many"}}})
    ... # doctest: +NORMALIZE_WHITESPACE
    {'type': 'object', 'properties': {'n': {'type': ['integer', 'null'], 'description': 'How many'}},
     'required': ['n'], 'additionalProperties': False}
    """
    fitter = _Fitter()
    try:
        made = fitter.fit(schema, 1)
        for name in ("$defs", "definitions"):
            if isinstance(schema.get(name), Mapping):
                made[name] = {key: fitter.fit(one, 1) for key, one in schema[name].items()}
    except _UnfitError:
        return None
    return made if made.get("type") == "object" else None


class _Fitter:
    def __init__(self) -> None:
        self.properties = 0
        self.options = 0

    def fit(self, schema: Any, depth: int) -> dict[str, Any]:
        """One schema, with those inside it."""
        if not isinstance(schema, Mapping) or depth > _DEEPEST or not _UNFIT.isdisjoint(schema):
            raise _UnfitError
        if "$ref" in schema:
            if not str(schema["$ref"]).startswith("#"):
                raise _UnfitError
            return {"$ref": schema["$ref"]}
        made: dict[str, Any] = {}
        kind = _kind(schema)
        if kind is not None:
            made["type"] = kind
        options = [schema["const"]] if "const" in schema else schema.get("enum")
        if options is not None:
            self.options += len(options)
            made["enum"] = list(options)
        either = schema.get("anyOf", schema.get("oneOf"))
        if either is not None:
            if ("anyOf" in schema and "oneOf" in schema) or "properties" in schema:
                raise _UnfitError
            made.pop("type", None)
            made["anyOf"] = [self.fit(one, depth) for one in either]
        if not {"type", "enum", "anyOf"} & made.keys() or self.options > _MOST_OPTIONS:
            raise _UnfitError
        if "anyOf" not in made and _is(kind, "object"):
            made |= self.object(schema, depth)
        if "anyOf" not in made and _is(kind, "array"):
            made["items"] = self.fit(schema.get("items"), depth + 1)
        made |= {name: schema[name] for name in _LIMITS if name in schema}
        return self.described(schema, made)

    def object(self, schema: Schema, depth: int) -> dict[str, Any]:
        """Every property required, nothing else allowed."""
        fields: Schema = schema.get("properties") or {}
        required = set(schema.get("required") or ())
        if not fields and schema.get("additionalProperties", True) is not False:
            raise _UnfitError  # a map of any names
        if not required <= fields.keys():
            raise _UnfitError
        self.properties += len(fields)
        if self.properties > _MOST_PROPERTIES:
            raise _UnfitError
        made = {}
        for name, one in fields.items():
            fitted = self.fit(one, depth + 1)
            made[name] = fitted if name in required else _nullable(fitted)
        return {"properties": made, "required": list(fields), "additionalProperties": False}

    def described(self, schema: Schema, made: dict[str, Any]) -> dict[str, Any]:
        """Add what is not kept as a keyword to the description, which the model reads."""
        said = []
        for name, value in schema.items():
            if (name == "format" and value in _FORMATS) or (
                name == "pattern" and not _NOT_EVERYWHERE.search(str(value))
            ):
                made[name] = value
            elif name not in _KEPT and name not in _SILENT:
                said.append(f"{name}: {value}")
            elif name == "examples" and value:
                said.append(f"example: {value[0]}")
        text = " ".join([str(schema["description"])] if schema.get("description") else [])
        if said:
            text = f"{text} ({'; '.join(said)})".strip()
        if text:
            made["description"] = text
        return made


def _kind(schema: Schema) -> Any:
    """The type or types, also those that other keywords imply."""
    declared = schema.get("type")
    if declared is not None:
        return list(declared) if isinstance(declared, (list, tuple)) else declared
    if "properties" in schema:
        return "object"
    if "items" in schema:
        return "array"
    options = [schema["const"]] if "const" in schema else schema.get("enum") or []
    kinds = list(dict.fromkeys(_kind_of(value) for value in options))
    return kinds[0] if len(kinds) == 1 else kinds or None


def _kind_of(value: Any) -> str:
    for python, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string")):
        if isinstance(value, python):
            return name
    return "null" if value is None else "object" if isinstance(value, Mapping) else "array"


def _is(kind: Any, name: str) -> bool:
    return kind == name or (isinstance(kind, list) and name in kind)


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in schema or "$ref" in schema:
        rest = {name: value for name, value in schema.items() if name == "description"}
        inner = {name: value for name, value in schema.items() if name != "description"}
        options = inner.pop("anyOf", None)
        return {"anyOf": [*(options if options is not None else [inner]), {"type": "null"}], **rest}
    kinds = schema.get("type", [])
    kinds = list(kinds) if isinstance(kinds, list) else [kinds]
    made = {**schema, "type": kinds if "null" in kinds else [*kinds, "null"]}
    if "enum" in schema and None not in schema["enum"]:
        made["enum"] = [*schema["enum"], None]
    return made


def without_absent(value: Any, schema: Any) -> Any:
    """An answer in the strict form as ``schema`` means it: properties that may be left out and are null are left out.

    >>> without_absent({"n": None}, {"type": "object", "properties": {"n": {"type": "integer"}}})
    {}
    """
    return _without_absent(value, schema, schema)


def _without_absent(value: Any, schema: Any, root: Any) -> Any:
    schema = _meant(value, _resolved(schema, root), root)
    if not isinstance(schema, Mapping):
        return value
    if isinstance(value, Mapping):
        fields, required = schema.get("properties") or {}, schema.get("required") or ()
        return {
            name: _without_absent(item, fields.get(name), root)
            for name, item in value.items()
            if item is not None or name in required or name not in fields or _takes_null(fields[name], root)
        }
    if isinstance(value, (list, tuple)):
        return [_without_absent(item, schema.get("items"), root) for item in value]
    return value


def _resolved(schema: Any, root: Any) -> Any:
    """What a reference into the same schema leads to; the schema itself when it is none, None when it leads nowhere."""
    for _ in range(_DEEPEST):
        if not isinstance(schema, Mapping) or "$ref" not in schema:
            return schema
        here = root
        for part in str(schema["$ref"]).removeprefix("#").strip("/").split("/"):
            if part:
                here = here.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(here, Mapping) else None
        schema = here
    return None


def _meant(value: Any, schema: Any, root: Any) -> Any:
    """Of alternatives the one that can be meant; None where several can."""
    if not isinstance(schema, Mapping):
        return None
    options: Sequence[Any] | None = schema.get("anyOf", schema.get("oneOf"))
    if options is None:
        return schema
    kind = "object" if isinstance(value, Mapping) else "array" if isinstance(value, (list, tuple)) else None
    fitting = [one for one in (_resolved(option, root) for option in options) if isinstance(one, Mapping)]
    fitting = [one for one in fitting if kind and _is(_kind(one), kind)]
    return fitting[0] if len(fitting) == 1 else None


def _takes_null(schema: Any, root: Any, depth: int = 0) -> bool:
    schema = _resolved(schema, root)
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return True
    options = schema.get("anyOf", schema.get("oneOf"))
    if options is not None:
        return any(_takes_null(one, root, depth + 1) for one in options)
    if "enum" in schema or "const" in schema:
        return None in ([schema["const"]] if "const" in schema else schema["enum"])
    kind = _kind(schema)
    return kind is None or _is(kind, "null")
