from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_dagster.testing.pattern_text import pattern_text
from orchestrator_dagster.testing.schemas import NoInstanceError, schema_instance

_NAMES = st.sampled_from(["title", "score", "rows", "url"])


def _limits(low: str, high: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    pairs = st.tuples(values, values).map(sorted)
    return st.one_of(
        st.just({}),
        values.map(lambda value: {low: value}),
        values.map(lambda value: {high: value}),
        pairs.map(lambda pair: {low: pair[0], high: pair[1]}),
    )


_LEAVES = st.one_of(
    st.just({}),
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.just({"type": ["string", "null"]}),
    st.lists(st.integers() | st.text(), min_size=1, max_size=3).map(lambda values: {"enum": values}),
    st.integers().map(lambda value: {"const": value}),
    _limits("minLength", "maxLength", st.integers(0, 20)).map(lambda limits: {"type": "string", **limits}),
    _limits("minimum", "maximum", st.integers(-50, 50)).map(lambda limits: {"type": "integer", **limits}),
    _limits("minimum", "maximum", st.floats(-50, 50)).map(lambda limits: {"type": "number", **limits}),
    _limits("exclusiveMinimum", "maximum", st.integers(-9, 9))
    .filter(lambda limits: len(limits) < 2 or limits["exclusiveMinimum"] < limits["maximum"])
    .map(lambda limits: {"type": "number", **limits}),
    st.sampled_from(["date", "date-time", "email", "uri", "uuid"]).map(lambda f: {"type": "string", "format": f}),
    st.sampled_from([r"^[A-Z]{3}-\d{2,4}$", r"a+|b", r"^\w+@\w+\.(com|org)$", r"[^0-9]", r"^.{5,}$"]).map(
        lambda pattern: {"type": "string", "pattern": pattern}
    ),
    st.tuples(st.integers(-3, 3), st.integers(1, 7)).map(
        lambda pair: {"type": "integer", "minimum": pair[0], "multipleOf": pair[1]}
    ),
)


def _bigger(parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    properties = st.dictionaries(_NAMES, parts, max_size=4)
    objects = st.tuples(properties, st.lists(_NAMES, unique=True), st.booleans()).map(
        lambda t: {
            "type": "object",
            "properties": t[0],
            "required": [name for name in t[1] if name in t[0]],
            "additionalProperties": t[2],
        }
    )
    arrays = st.tuples(parts, _limits("minItems", "maxItems", st.integers(0, 4))).map(
        lambda pair: {"type": "array", "items": pair[0], **pair[1]}
    )
    return objects | arrays | st.lists(parts, min_size=1, max_size=3).map(lambda branches: {"anyOf": branches})


@settings(max_examples=300, deadline=None)
@given(st.recursive(_LEAVES, _bigger, max_leaves=8))
def test_an_instance_is_valid_and_always_the_same(schema: dict[str, Any]) -> None:
    instance = schema_instance(schema)
    jsonschema.Draft202012Validator(schema).validate(instance)
    assert schema_instance(schema) == instance


def test_all_properties_are_filled_in() -> None:
    schema = {"properties": {"title": {"type": "string"}, "score": {"type": "number", "minimum": 0, "maximum": 1}}}
    assert schema_instance(schema) == {"title": "title", "score": 0.5}


def test_references_and_combinations() -> None:
    schema = {
        "$defs": {"name": {"type": "string", "minLength": 12}, "a/b": {"type": "integer"}},
        "type": "object",
        "properties": {
            "who": {"$ref": "#/$defs/name", "maxLength": 12},
            "count": {"$ref": "#/$defs/a~1b"},
            "both": {"allOf": [{"properties": {"x": {"type": "integer"}}, "required": ["x"]}, {"required": ["y"]}]},
            "one": {"oneOf": [{"type": "string", "const": "left"}, {"type": "integer"}]},
            "pair": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]},
            "different": {"type": "array", "items": {"type": "string"}, "minItems": 4, "uniqueItems": True},
        },
        "required": ["who", "count", "both", "one", "pair", "different"],
    }
    jsonschema.validate(schema_instance(schema), schema)


def test_a_recursive_schema_ends() -> None:
    schema = {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "label": {"type": "string"},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                },
                "required": ["label", "next", "children"],
            }
        },
        "$ref": "#/$defs/node",
    }
    jsonschema.validate(schema_instance(schema), schema)


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"type": "object", "properties": {"a": {"enum": []}}, "required": ["a"]}, "'a'"),
        ({"type": "integer", "minimum": 2, "maximum": 1}, "'answer'"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "minLength 3"),
        ({"$ref": "#/$defs/missing"}, "'#/$defs/missing'"),
        ({"$ref": "#"}, "leads to itself"),
        ({"type": "string", "pattern": "(?=b)a"}, "pattern"),
        ({"type": "object", "properties": {"me": {"$ref": "#"}}, "required": ["me"]}, "never ends"),
    ],
)
def test_what_cannot_be_made_is_named(schema: dict[str, Any], named: str) -> None:
    with pytest.raises(NoInstanceError) as caught:
        schema_instance(schema)
    assert named in str(caught.value)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 12), st.integers(0, 12))
def test_a_pattern_keeps_to_the_lengths(least: int, more: int) -> None:
    text = pattern_text(r"^[a-f]+\d*$", least, least + more + 1)
    assert text is not None
    assert least <= len(text) <= least + more + 1
