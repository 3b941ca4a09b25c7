"""Schemas as providers take them, and answers as they were meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from orchestrator_dagster.models.strict_schema import strict_schema, without_absent

#: What OpenAI's Structured Outputs take: https://platform.openai.com/docs/guides/structured-outputs
KEYWORDS = frozenset(
    "type enum anyOf properties required additionalProperties items description pattern format multipleOf maximum "
    "exclusiveMaximum minimum exclusiveMinimum minItems maxItems $ref $defs".split()
)


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and every one inside it."""
    yield schema
    inside = [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *schema.get("$defs", {}).values()]
    for one in (*inside, *([schema["items"]] if "items" in schema else ())):
        yield from parts(one)


def check_strict(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object"
    for part in parts(schema):
        assert part.keys() <= KEYWORDS, part
        if part.get("type") in ("object", ["object", "null"]):
            assert part["additionalProperties"] is False
            assert part["required"] == list(part["properties"])


Pair = tuple[dict[str, Any], st.SearchStrategy[Any]]
NAMES = st.sampled_from(["a", "b", "title", "properties", "type", "$defs", "required", "ä"])


def leaves() -> st.SearchStrategy[Pair]:
    number = st.integers(-5, 5).flatmap(
        lambda low: st.just(({"type": "integer", "minimum": low, "maximum": low + 3}, st.integers(low, low + 3)))
    )
    options = st.lists(st.sampled_from(["x", "y", 1, 2.5, True]), min_size=1, max_size=3, unique_by=repr)
    return st.one_of(
        st.just(({"type": "string", "description": "A text"}, st.text(max_size=5))),
        st.just(({"type": ["string", "null"]}, st.one_of(st.none(), st.text(max_size=3)))),
        st.just(({"type": "boolean"}, st.booleans())),
        st.just(({"type": "string", "format": "date"}, st.dates().map(str))),
        options.map(lambda values: ({"enum": values}, st.sampled_from(values))),
        number,
        st.just(({"anyOf": [{"type": "string"}, {"type": "null"}]}, st.one_of(st.none(), st.text(max_size=3)))),
    )


@st.composite
def objects(draw: st.DrawFn, inner: st.SearchStrategy[Pair]) -> Pair:
    fields = draw(st.dictionaries(NAMES, inner, min_size=1, max_size=4))
    required = [name for name in fields if draw(st.booleans())]
    schema = {"type": "object", "properties": {name: one for name, (one, _) in fields.items()}, "required": required}
    if draw(st.booleans()):
        schema["additionalProperties"] = False
    must = {name: value for name, (_, value) in fields.items() if name in required}
    may = {name: value for name, (_, value) in fields.items() if name not in required}
    return schema, st.fixed_dictionaries(must, optional=may)


def arrays(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    return inner.map(lambda one: ({"type": "array", "items": one[0]}, st.lists(one[1], max_size=3)))


PAIRS = st.recursive(leaves(), lambda inner: st.one_of(objects(inner), arrays(inner)), max_leaves=8)
ROOTS = objects(PAIRS)


def filled(value: Any, schema: dict[str, Any]) -> Any:
    """A value as a model has to give it in the strict form: what was left out is null."""
    if isinstance(value, dict) and "properties" in schema:
        return {name: filled(value[name], one) if name in value else None for name, one in schema["properties"].items()}
    return [filled(item, schema.get("items", {})) for item in value] if isinstance(value, list) else value


@given(st.data())
def test_there_and_back(data: st.DataObject) -> None:
    schema, values = data.draw(ROOTS)
    value = data.draw(values)
    Draft202012Validator(schema).validate(value)
    strict = strict_schema(schema)
    assert strict is not None
    check_strict(strict)
    sent = filled(value, schema)
    Draft202012Validator(strict).validate(sent)
    # Where null is a value of its own, what was left out comes back as null: it fits as well.
    back = without_absent(sent, schema)
    Draft202012Validator(schema).validate(back)
    assert filled(back, schema) == sent
    assert without_absent(value, schema) == value


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "string"}},
        {"type": "object"},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {"type": "string"}}}},
        {"type": "object", "properties": {"a": {"type": "array"}}},
        {"type": "object", "properties": {"a": {"allOf": [{"type": "string"}]}}},
        {"type": "object", "properties": {"a": {"$ref": "https://example.com/a.json"}}},
        {"type": "object", "properties": {"a": {"type": "array", "prefixItems": [{"type": "string"}]}}},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": {"enum": list(range(1001))}}},
    ],
)
def test_what_cannot_be_said_strictly(schema: dict[str, Any]) -> None:
    assert strict_schema(schema) is None


def test_further_keywords_are_told_in_words() -> None:
    schema = {
        "type": "object",
        "properties": {
            "code": {"type": "string", "pattern": "^[A-Z]+$", "minLength": 2, "description": "A code"},
            "odd": {"type": "string", "pattern": r"\A(?i)x\Z", "title": "Odd"},
            "link": {"type": "string", "format": "uri", "default": "x"},
            "rows": {"type": "array", "items": {"const": 3}, "minItems": 1, "uniqueItems": True, "examples": [[3]]},
            "either": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        },
        "required": ["code", "odd", "link", "rows", "either"],
        "title": "Answer",
    }
    strict = strict_schema(schema)
    assert strict is not None
    check_strict(strict)
    fields = strict["properties"]
    assert fields["code"] == {"type": "string", "pattern": "^[A-Z]+$", "description": "A code (minLength: 2)"}
    assert fields["odd"] == {"type": "string", "description": r"(pattern: \A(?i)x\Z)"}
    assert fields["link"] == {"type": "string", "description": "(format: uri)"}
    assert fields["rows"]["items"] == {"type": "integer", "enum": [3]}
    assert fields["rows"]["description"] == "(uniqueItems: True; example: [3])"
    assert fields["either"] == {"anyOf": [{"type": "string"}, {"type": "integer"}]}


def test_references_and_alternatives() -> None:
    schema = {
        "type": "object",
        "properties": {
            "tree": {"$ref": "#/$defs/node"},
            "maybe": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "string"}]},
        },
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "note": {"type": "string"},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                },
                "required": ["name", "children"],
            }
        },
    }
    strict = strict_schema(schema)
    assert strict is not None
    check_strict(strict)
    leaf = {"name": "b", "note": None, "children": []}
    sent = {"tree": {"name": "a", "note": "n", "children": [leaf]}, "maybe": leaf}
    Draft202012Validator(strict).validate(sent)
    back = without_absent(sent, schema)
    bare = {"name": "b", "children": []}
    assert back == {"tree": {"name": "a", "note": "n", "children": [bare]}, "maybe": bare}
    assert without_absent({"tree": None, "maybe": None}, schema) == {}
