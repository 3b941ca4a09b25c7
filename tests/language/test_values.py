"""Values checked against their types: what is taken, what it becomes, and what is said when it does not fit."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator_dagster.language.json_schema import json_schema, object_schema, schema_problems
from orchestrator_dagster.language.types import TypeSpec
from orchestrator_dagster.language.values import checked_value, problems_of, sentences, values_model


def spec(value: Any) -> TypeSpec:
    return TypeSpec.model_validate(value)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("string", "a", "a"),
        ("integer", 3, 3),
        ("integer", "3", 3),
        ("integer", 3.0, 3),
        ("number", 3, 3),
        ("number", "1.5", 1.5),
        ("boolean", True, True),
        ("boolean", "false", False),
        ("array", [1, "a"], [1, "a"]),
        ("object", {"a": [1]}, {"a": [1]}),
        ({"type": "array", "items": "integer"}, ["1", 2], [1, 2]),
        ({"enum": ["a", 3]}, "3", 3),
        ({"enum": ["a", 3]}, "a", "a"),
        ({"enum": [1.5, 2]}, 1.5, 1.5),
        ({"type": "array", "enum": ["a", "b"]}, ["a", "a"], ["a", "a"]),
        ({"a": "integer", "b": {"c": "string"}}, {"a": "1", "b": {"c": "x"}}, {"a": 1, "b": {"c": "x"}}),
        ({"type": "string", "format": "date"}, "2026-01-31", "2026-01-31"),
        ({"example": [{"t": "A", "n": 1}]}, [{"t": "B", "n": 2}], [{"t": "B", "n": 2}]),
        ({"schema": {"type": "array", "maxItems": 1}}, [1], [1]),
    ],
)
def test_values_that_fit(kind: Any, value: Any, expected: Any) -> None:
    found = checked_value(spec(kind), value)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("string", 3, "expected a text, found the number 3"),
        ("string", None, "expected a text, found nothing"),
        ("integer", "x", 'expected an integer, found the text "x"'),
        ("integer", 1.5, "expected an integer, found the number 1.5"),
        ("integer", True, "expected a number, found true"),
        ("number", "x", 'expected a number, found the text "x"'),
        ("number", False, "expected a number, found false"),
        ("number", math.nan, "expected a finite number, found the number nan"),
        ("boolean", "maybe", 'expected true or false, found the text "maybe"'),
        ("array", "a", 'expected a list, found the text "a"'),
        ("object", [1], "expected a map, found a list"),
        ({"type": "integer", "minimum": 3}, 2, "expected at least 3, found the number 2"),
        ({"type": "number", "range": [0, 1]}, 2, "expected at most 1, found the number 2"),
        ({"enum": ["a", "b"]}, "c", 'expected one of "a" or "b", found the text "c"'),
        ({"enum": ["a", "b"]}, ["a"], 'expected one of "a" or "b", found a list'),
        ({"type": "string", "pattern": "^a"}, "b", "'b' does not match '^a'"),
        ({"type": "string", "format": "date"}, "31.1.2026", "'31.1.2026' is no date such as 2026-01-31"),
        ({"type": "string", "format": "date"}, "20260131", "'20260131' is no date such as 2026-01-31"),
        ({"type": "string", "format": "email"}, "x", "'x' is no e-mail address"),
        ({"type": "string", "format": "uri"}, "x", "'x' is no URI such as https://example.com"),
        ({"type": "string", "format": "json"}, "{", "the text is no JSON"),
        ({"type": "array", "items": "integer"}, [1, "x", "y"], '[1]: expected an integer, found the text "x"'),
        ({"a": "integer", "b": "string"}, {"a": 1}, "b: missing"),
        ({"a": "integer"}, {"a": 1, "z": 2}, "z: unexpected"),
        ({"a": {"b": {"c": "integer"}}}, {"a": {"b": {"c": "x"}}}, "a.b.c: expected an integer"),
        ({"example": {"t": "A"}}, {"t": 1}, "t: expected string, found 1"),
        ({"schema": {"type": "array", "maxItems": 1}}, [1, 2], "is too long"),
    ],
)
def test_values_that_do_not_fit(kind: Any, value: Any, said: str) -> None:
    found = problems_of(spec(kind), value)
    assert said in found[0]
    assert not [one for one in found if "Input should" in one or "valid" in one]


def test_all_problems_of_a_value_are_found() -> None:
    found = problems_of(
        spec({"type": "array", "items": {"a": "integer", "b": "string"}}), [{"a": "x"}, {"b": 1, "c": 2}]
    )
    assert found == [
        '[0].a: expected an integer, found the text "x"',
        "[0].b: missing",
        "[1].a: missing",
        "[1].b: expected a text, found the number 1",
        "[1].c: unexpected",
    ]


def test_fields_may_have_any_name() -> None:
    names = ["_id", "first name", "copy", "json", "schema", "class", "model_config", "model_dump", "é", "a.b", "self"]
    model = values_model("odd", {name: spec("integer") for name in names})
    value = {name: number for number, name in enumerate(names)}
    assert model.model_validate(value).model_dump() == value
    assert checked_value(spec({"type": "object", "properties": dict.fromkeys(names, "integer")}), value) == value
    with pytest.raises(ValidationError) as caught:
        model.model_validate({**value, "_id": "x"})
    assert sentences(caught.value) == ['_id: expected an integer, found the text "x"']


TYPES = st.recursive(
    st.one_of(
        st.sampled_from([{"type": name} for name in ("string", "integer", "number", "boolean")]),
        st.builds(
            lambda low, size: {"type": "integer", "minimum": low, "maximum": low + size},
            st.integers(-9, 9),
            st.integers(0, 9),
        ),
        st.builds(
            lambda values: {"enum": values},
            st.lists(st.sampled_from(["a", "b", 1, 2]), min_size=1, max_size=3, unique=True),
        ),
    ),
    lambda inner: st.one_of(
        st.builds(lambda item: {"type": "array", "items": item}, inner),
        st.builds(
            lambda fields: {"type": "object", "properties": fields},
            st.dictionaries(st.sampled_from(["a", "b", "_c", "type"]), inner, min_size=1, max_size=3),
        ),
    ),
    max_leaves=5,
)
VALUES = st.recursive(
    st.one_of(st.sampled_from(["a", "b"]), st.integers(-20, 20), st.booleans(), st.just(1.5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["a", "b", "_c", "type"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(TYPES, VALUES)
@settings(max_examples=200, deadline=None)
def test_the_schema_a_model_is_given_says_what_is_checked(kind: Any, value: Any) -> None:
    # The check is kinder in one direction only: what the schema allows is taken, as it is.
    if not schema_problems(json_schema(spec(kind)), value):
        assert checked_value(spec(kind), value) == value


def test_json_schemas() -> None:
    kind = spec({"type": "array", "items": {"title": "string", "score": {"type": "number", "range": [0, 1]}}})
    assert json_schema(kind) == {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"title": {"type": "string"}, "score": {"type": "number", "minimum": 0, "maximum": 1}},
            "required": ["title", "score"],
            "additionalProperties": False,
        },
    }
    assert object_schema({"a": spec("text")})["required"] == ["a"]
    assert json_schema(spec({"example": {"a": [1]}, "description": "d"}))["properties"]["a"]["items"] == {
        "type": "integer"
    }
