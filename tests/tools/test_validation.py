from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_dagster.errors import FileMissingError, ParametersError, PathError, ToolError
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.language.json_schema import schema_errors, schema_problems
from orchestrator_dagster.tools.tool import ToolContext
from orchestrator_dagster.tools.validation import validation

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}, "größe": {"type": "number"}},
    "required": ["name", "age"],
}
PEOPLE = {"type": "array", "items": PERSON}


@pytest.fixture
def context(tmp_path):
    return ToolContext(Workspace(tmp_path / "w"), folders=(str(tmp_path / "w" / "pipelines"), str(tmp_path / "w")))


@pytest.fixture
def call(context, tmp_path):
    (tmp_path / "w" / "pipelines").mkdir(parents=True)
    return lambda action, **parameters: validation.find(action).call(context, parameters)


def test_validate_says_every_error_and_its_place(call):
    answer = call("validate", data=[{"name": "Ana", "age": 4}, {"name": 5, "age": -1}, {}], schema=PEOPLE)
    assert not answer["valid"]
    assert answer["errors"] == [
        "[1].age: -1 is less than 0", "[1].name: expected string, found 5", "[2]: missing: name, age",
    ]  # fmt: skip
    assert {one["path"] for one in answer["problems"]} == {"[1].age", "[1].name", "[2]"}
    assert answer["error_count"] == len(answer["errors"])
    fine = call("validate", data={"name": "Ärö", "age": 4, "größe": 1.5}, schema=PERSON)
    assert (fine["valid"], fine["errors"], fine["data"]["größe"]) == (True, [], 1.5)


def test_validate_reads_text_files_and_results_of_tables(call, tmp_path):
    (tmp_path / "w/people.csv").write_text("name,age\nAna,4\nBo,-2\n", encoding="utf-8")
    (tmp_path / "w/people.json").write_text('[{"name": "Ana", "age": "4"}]', encoding="utf-8")
    (tmp_path / "w/pipelines/people.yaml").write_text(json.dumps(PEOPLE), encoding="utf-8")
    by_file = call("validate", path="people.csv", schema="people.yaml")
    assert by_file["errors"] == ["[1].age: -2 is less than 0"]
    assert call("validate", path="people.json", schema=PEOPLE)["error_count"] == 1
    assert call("validate", path="people.json", schema=PEOPLE, coerce=True)["data"] == [{"name": "Ana", "age": 4}]
    assert call("validate", data='[{"name": "Ana", "age": 4}]', schema=PEOPLE)["valid"]
    table = {"data": [{"name": "Ana", "age": 4}], "columns": ["name", "age"], "row_count": 1}
    assert call("validate", data=table, schema=PEOPLE)["valid"]
    assert call("validate", data="a text", schema={"type": "string"})["valid"]


def test_strict_fails_the_step_and_says_why(call):
    with pytest.raises(ToolError, match="not valid: age: expected integer, found 'x'") as problem:
        call("validate", data={"name": "A", "age": "x"}, schema=PERSON, strict=True)
    assert problem.value.permanent


def test_wrong_calls_of_validate(call):
    for parameters, said in (
        ({"schema": PERSON}, "either `data` or `path`"),
        ({"schema": {"type": "objct"}, "data": 1}, "no JSON Schema"),
        ({"schema": {"pattern": "(a+)+$"}, "data": "a"}, "forever"),
        ({"schema": {"patternProperties": {"(a|a)*$": {}}}, "data": "a"}, "forever"),
        ({"schema": "people.json", "data": 1, "path": "x"}, "missing|no file|both"),
    ):
        with pytest.raises((ParametersError, FileMissingError), match=said):
            call("validate", **parameters)


def test_a_schema_fetches_nothing_and_reads_only_its_neighbours(call, tmp_path, model_server):
    (tmp_path / "secret.json").write_text('{"type": "string"}')
    far = (f"{model_server.url}/schema.json", (tmp_path / "secret.json").as_uri(), "../secret.json", "other.json")
    for address in far:
        with pytest.raises(ParametersError, match="is not there"):
            call("validate", data=1, schema={"$ref": address})
    with pytest.raises(PathError):
        call("validate", data=1, schema="../secret.json")
    assert not model_server.calls
    (tmp_path / "w/schemas").mkdir()
    (tmp_path / "w/schemas/age.json").write_text('{"type": "integer"}')
    (tmp_path / "w/schemas/man.json").write_text('{"properties": {"age": {"$ref": "age.json"}}}')
    assert call("validate", data={"age": "x"}, schema="schemas/man.json")["errors"] == [
        "age: expected integer, found 'x'"
    ]
    assert schema_problems({"$ref": "http://127.0.0.1:1/x"}, 1)[0].startswith("the schema cannot be used")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(value=json_values, ranges=st.booleans(), closed=st.booleans(), choices=st.integers(0, 3))
def test_a_value_fits_the_schema_that_was_inferred_from_it(value, ranges, closed, choices):
    if value in ([], {}, "", None) or (isinstance(value, str) and value.lstrip()[:1] in ("[", "{")):
        return
    made = validation.find("infer_schema").call(
        ToolContext(Workspace(Path())), {"data": value, "ranges": ranges, "closed": closed, "max_choices": choices}
    )["schema"]
    assert schema_errors(made, value) == []


def test_infer_schema_of_rows(call, tmp_path):
    rows = [
        {"id": 1, "day": "2026-01-31", "mail": "a@b.de", "kind": "x", "note": None},
        {"id": 2.5, "day": "2026-02-01", "mail": "c@d.de", "kind": "x", "more": [1, None]},
    ]
    made = call("infer_schema", data=rows, ranges=True, max_choices=1)
    assert made["count"] == 2
    fields = made["schema"]["items"]["properties"]
    assert fields == {
        "id": {"type": "number", "minimum": 1, "maximum": 2.5},
        "day": {"type": "string", "format": "date"},
        "mail": {"type": "string", "format": "email"},
        "kind": {"type": "string", "enum": ["x"]},
        "note": {"type": "null"},
        "more": {"type": "array", "items": {"type": ["integer", "null"], "minimum": 1, "maximum": 1}},
    }
    assert made["schema"]["items"]["required"] == ["id", "day", "mail", "kind"]
    for nothing in ([], {}, ""):
        with pytest.raises(ParametersError, match="nothing to infer"):
            call("infer_schema", data=nothing)


ROWS = [
    {"id": 1, "name": "Ana", "units": 4, "day": "2026-01-01"},
    {"id": 2, "name": "Bö ", "units": None, "day": "2026-01-02"},
    {"id": 2, "name": "", "units": 99, "day": "soon"},
]


def test_quality_check_by_rules(call):
    answer = call(
        "quality_check",
        data=ROWS,
        rules=[
            {"column": "id", "unique": True},
            {"column": "units", "not_null": True, "min": 1, "max": 50},
            {"column": "day", "type": "date"},
            {"column": "name", "min_length": 1, "pattern": "^[A-ZÄ-Ü]", "severity": "warning"},
            {"column": ["id", "name"], "unique": True},
            {"expression": "units > 3"},
            {"min_rows": 3, "max_rows": 3},
        ],
    )
    assert not answer["passed"]
    assert not answer["valid"]
    assert answer["errors"] == [
        "id: 1 of 3 cells repeat an earlier value (2 in row 3)",
        "units: 1 of 3 cells have no value (row 2)",
        "units: 1 of 2 cells are more than 50 (99 in row 3)",
        "day: 1 of 3 cells are no date ('soon' in row 3)",
        "1 of 3 rows break units > 3 (row 2)",
    ]
    assert [one.split(" (")[0] for one in answer["warnings"]] == [
        "name: 1 of 3 cells do not match ^[A-ZÄ-Ü]", "name: 1 of 3 cells are shorter than 1 characters",
    ]  # fmt: skip
    assert answer["failed_rows"] == 2
    assert 0 < answer["score"] < 1
    json.dumps(answer)


def test_tolerance_score_and_strict(call):
    assert call("quality_check", data=ROWS, rules={"units": {"not_null": True, "tolerance": 0.4}})["passed"]
    low = call("quality_check", data=ROWS, rules={"units": {"not_null": True, "tolerance": 0.4}}, min_score=0.9)
    assert low["errors"] == ["the score is 0.6667, at least 0.9 was asked for"]
    with pytest.raises(ToolError, match="no value"):
        call("quality_check", data=ROWS, rules={"units": {"not_null": True}}, strict=True)


def test_the_usual_checks_without_rules(call):
    rows = [{"n": n % 7, "t": "a"} for n in range(40)] + [{"n": 10_000, "t": " b"}, {"n": 3, "t": None}]
    answer = call("quality_check", data=rows)
    assert any("no value" in one for one in answer["errors"])
    assert any("repeat" in one for one in answer["errors"])
    assert len(answer["warnings"]) == 2
    clean = call("quality_check", data=[{"n": n, "t": f"t{n}"} for n in range(30)])
    assert (clean["passed"], clean["score"], clean["failed_rows"]) == (True, 1.0, 0)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([], "empty"),
        ([{"column": "idd", "unique": True}], 'did you mean "id"'),
        ([{"column": "id", "notnull": True}], 'did you mean "not_null"'),
        ([{"column": "id"}], "asks for nothing"),
        ([{"unique": True}], "names no `column`"),
        ({"id": True}, "a map such as"),
        ([{"column": "name", "pattern": "(x+)+$"}], "forever"),
        ([{"column": "id", "pattern": "x"}], "needs a text column"),
    ],
)
def test_wrong_rules(call, rules, said):
    with pytest.raises(ParametersError, match=said):
        call("quality_check", data=ROWS, rules=rules)


def test_an_empty_table_is_no_success(call):
    with pytest.raises(ParametersError, match="nothing to check"):
        call("quality_check", data={"columns": ["a"], "data": []}, rules=[{"column": "a", "not_null": True}])
    assert call("quality_check", data={"columns": ["a"], "data": []}, rules=[{"min_rows": 0}])["passed"]


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ('Sure:\n```json\n{"name": "Ana", "age": 4}\n```\nDone {"name": 1}', "json"),
        ('noise { "x": 1 } then {"name": "Ana", "age": 4} end', "json"),
        ("# Person\n\n**Name:** Ana\n- *Age* = 4\nNo: 5", "labels"),
        ("name : Ana\nAGE: 4", "labels"),
    ],
)
def test_extract_an_object(call, text, source):
    answer = call("extract_structured", text=text.replace("*Age*", "Age"), schema=PERSON)
    assert (answer["data"], answer["source"], answer["missing"]) == ({"name": "Ana", "age": 4}, source, ["größe"])


def test_extract_tables_and_patterns(call):
    table = "text\n\n| Name | Age | x \\| y |\n| :-- | --: | --- |\n| Ana | 4 | a |\n| Bo | 5 |\n\nmore | text"
    answer = call("extract_structured", text=table, schema=PEOPLE)
    assert answer["data"] == [{"name": "Ana", "age": 4, "x | y": "a"}, {"name": "Bo", "age": 5}]
    found = call(
        "extract_structured", text="Order A-12\ntotal 5 EUR", patterns={"order": r"[A-Z]-\d+", "age": r"(\d+) EUR"},
        schema={"properties": {"age": {"type": "integer"}}},
    )  # fmt: skip
    assert found["data"] == {"order": "A-12", "age": 5}


def test_what_cannot_be_extracted_is_an_error(call):
    with pytest.raises(ToolError, match="holds no JSON"):
        call("extract_structured", text="A man came.", schema=PERSON)
    with pytest.raises(ToolError, match="does not fit the schema: missing: age"):
        call("extract_structured", text="name: Ana", schema={**PERSON, "additionalProperties": False})
    lenient = call("extract_structured", text="name: Ana", schema=PERSON, strict=False)
    assert (lenient["valid"], lenient["missing"]) == (False, ["age", "größe"])
    with pytest.raises(ParametersError, match="forever"):
        call("extract_structured", text="a", patterns={"x": "(a+)+b"})


def test_hostile_texts_end_soon(call):
    for text in (
        " " * 200_000,
        "[" * 100_000,
        '["' + "a[" * 100_000,
        "a" + " " * 9_990 + ":",
        "|" * 50_000 + "\n|---|\n|",
    ):
        begun = time.process_time()
        with pytest.raises(ToolError):
            call("extract_structured", text=text, schema=PEOPLE if "|" in text else PERSON)
        assert time.process_time() - begun < 20  # seconds; what would take forever takes hours


def test_strict_in_words(call):
    assert call("validate", data=1, schema={"type": "string"}, strict="LENIENT")["valid"] is False
    with pytest.raises(ToolError):
        call("validate", data=1, schema={"type": "string"}, strict="STRICT")
