"""How inputs and variables may be described, and what a description means."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator_dagster.language.types import InputSpec, TypeSpec, VariableSpec, type_of


@pytest.mark.parametrize("value", [None, "None", "null", "~", " None "])
def test_an_input_that_says_nothing_is_required(value: Any) -> None:
    spec = InputSpec.model_validate(value)
    assert spec.is_required
    assert spec.kind == "string"


@pytest.mark.parametrize(
    ("value", "required", "default", "kind"),
    [
        ("academic", False, "academic", "string"),
        (3, False, 3, "integer"),
        (1.5, False, 1.5, "number"),
        (False, False, False, "boolean"),
        ([1, 2], False, (1, 2), "array"),
        ({"a": 1}, False, {"a": 1}, "object"),  # a map without type, default, description or required is a default
        ({"enum": [1], "minimum": 2}, False, {"enum": (1,), "minimum": 2}, "object"),
        ({}, False, {}, "object"),
        ("", False, "", "string"),
        ({"type": "integer"}, True, None, "integer"),
        ({"description": "x"}, True, None, "string"),
        ({"required": True}, True, None, "string"),
        ({"required": False}, False, None, "string"),
        ({"type": "list", "required": False}, False, None, "array"),
        ({"default": None}, False, None, "string"),
        ({"default": "None", "type": "string"}, False, None, "string"),
        ({"default": 4, "required": True}, False, 4, "integer"),
        ({"type": "path", "default": "data"}, False, "data", "path"),
        ({"type": "secret", "default": "MY_KEY"}, False, "MY_KEY", "secret"),
    ],
)
def test_inputs(value: Any, required: bool, default: Any, kind: str) -> None:
    spec = InputSpec.model_validate(value)
    assert (spec.is_required, spec.default, spec.kind) == (required, default, kind)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("string", "string"), ("str", "string"), ("Text", "string"), ("int", "integer"), ("float", "number"),
        ("bool", "boolean"), ("list", "array"), ("dict", "object"), ("map", "object"), (" object ", "object"),
    ],
)  # fmt: skip
def test_type_names(written: str, name: str) -> None:
    assert TypeSpec.model_validate(written).type == name
    assert TypeSpec.model_validate({"type": written}).type == name
    assert VariableSpec.model_validate(written).type == name


def test_variables_are_descriptions_types_or_expressions() -> None:
    text = VariableSpec.model_validate("Structured findings with sources")
    assert (text.type, text.description, text.says_shape) == (None, "Structured findings with sources", False)
    assert VariableSpec.model_validate(None) == VariableSpec()
    typed = VariableSpec.model_validate({"type": "number", "minimum": 0, "maximum": 1, "description": "Score"})
    assert typed.limits == (0, 1)
    assert typed.says_shape
    taken = VariableSpec.model_validate("{{ result.items }}")
    assert taken.expression == " result.items "


def test_a_map_of_names_is_an_objects_fields() -> None:
    spec = VariableSpec.model_validate(
        {"type": "array", "items": {"title": "string", "type": "string", "n": {"type": "int"}}}
    )
    assert spec.items is not None
    assert spec.items.type == "object"
    assert spec.items.properties is not None
    assert {name: field.type for name, field in spec.items.properties.items()} == {
        "title": "string", "type": "string", "n": "integer",
    }  # fmt: skip
    described = TypeSpec.model_validate({"type": "string", "description": "a title"})
    assert described.properties is None
    nested = TypeSpec.model_validate({"a": {"b": {"c": "integer"}}})
    assert nested.properties["a"].properties["b"].properties["c"].type == "integer"  # type: ignore[index]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"type": "strng"}, 'there is no type "strng"'),
        ({"type": "number", "minimum": 3, "maximum": 1}, "the minimum 3 is larger than the maximum 1"),
        ({"type": "number", "range": [3, 1]}, "the minimum 3 is larger than the maximum 1"),
        ({"type": "string", "maximum": 1}, "`maximum` belongs to the type integer or number"),
        ({"type": "integer", "pattern": "a"}, "`pattern` belongs to the type string"),
        ({"type": "string", "items": "string"}, "`items` belongs to the type array"),
        ({"type": "array", "properties": {"a": "string"}}, "`properties` belongs to the type object"),
        ({"type": "string", "enum": []}, "the list of values allowed is empty"),
        ({"type": "string", "pattern": "[a"}, "the pattern is no regular expression"),
        ({"type": "string", "pattern": "(a*)*"}, "may take forever"),
        ({"type": "number", "minimum": True}, "expected a number, found true"),
        (3, "a variable is described by"),
        ("about {{ x }}", "one whole {{ expression }}"),
        ({"type": "array", "items": "strng"}, 'there is no type "strng"'),
    ],
)
def test_descriptions_that_cannot_be_met(value: Any, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        VariableSpec.model_validate(value)
    assert said in str(caught.value)


def test_types_of_values() -> None:
    values = [None, True, 1, 1.5, "a", [1], {"a": 1}]
    assert [type_of(value) for value in values] == [None, "boolean", "integer", "number", "string", "array", "object"]


@pytest.mark.parametrize(
    "value",
    [
        None, 3, [1, {"a": None}], {"type": "array", "items": {"a": "string"}}, {"default": "x", "enum": ["x", 1, None]},
        {"type": "number", "range": [0, 1]}, {"type": "object", "schema": {"type": "object"}, "description": "d"},
    ],
)  # fmt: skip
def test_descriptions_survive_json(value: Any) -> None:
    spec = InputSpec.model_validate(value)
    again = InputSpec.model_validate_json(spec.model_dump_json(exclude_unset=True, by_alias=True))
    assert again == spec
    assert again.is_required == spec.is_required
