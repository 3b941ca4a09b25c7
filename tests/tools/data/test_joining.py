from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator_dagster.errors import ParametersError, SizeLimitError
from orchestrator_dagster.tools.data import data_processing
from orchestrator_dagster.tools.tool import ToolContext

ORDERS = [
    {"id": 1, "who": "a", "n": 5},
    {"id": 2, "who": "b", "n": 6},
    {"id": 3, "who": None, "n": 7},
    {"id": 4, "who": "z", "n": 8},
]
PEOPLE = [{"who": "a", "age": 30}, {"who": "b", "age": 40}, {"who": None, "age": 50}, {"who": "c", "age": 60}]


def test_left_join_of_files(run):
    run("save", data=ORDERS, path="orders.csv")
    run("save", data=PEOPLE, path="people.parquet")
    result = run("merge", left="orders.csv", right="people.parquet", on="who", how="left")
    assert result["data"] == [
        {"id": 1, "who": "a", "n": 5, "age": 30},
        {"id": 2, "who": "b", "n": 6, "age": 40},
        {"id": 3, "who": None, "n": 7, "age": None},
        {"id": 4, "who": "z", "n": 8, "age": None},
    ]
    assert (result["unmatched_left"], result["unmatched_right"], result["warnings"]) == (2, 2, [])
    assert type(result["data"][0]["age"]) is int


def test_names_of_keys_and_columns(run):
    right = [{"name": "a", "n": 1}]
    result = run("join", data=ORDERS, right=right, left_on="who", right_on="name")
    assert result["data"] == [{"id": 1, "who": "a", "n_left": 5, "name": "a", "n_right": 1}]
    result = run("merge", left=ORDERS, right=right, left_on="who", right_on="name", suffixes=["", "_2"])
    assert result["columns"] == ["id", "who", "n", "name", "n_2"]
    crossed = run("merge", left=[{"a": 1}, {"a": 2}], right=[{"b": 3}, {"b": None}], how="cross")
    assert crossed["data"] == [{"a": a, "b": b} for a in (1, 2) for b in (3, None)]
    three = run("merge", datasets=[ORDERS, PEOPLE, [{"who": "a", "x": 9}]], on="who")
    assert three["data"] == [{"id": 1, "who": "a", "n": 5, "age": 30, "x": 9}]


def test_fan_out_is_said(context):
    lines: list[str] = []
    loud = ToolContext(context.workspace, log=lines.append)
    merge = data_processing.find("merge")
    double = [{"who": "a", "x": 1}, {"who": "a", "x": 2}]
    result = merge.call(loud, {"left": ORDERS, "right": double})
    assert result["row_count"] == 2
    assert result["warnings"] == ["1 left rows come out several times: their keys repeat on the right"]
    assert lines == [f"data_processing.merge: {result['warnings'][0]}"]
    result = merge.call(loud, {"left": ORDERS + ORDERS[:1], "right": double})
    assert result["warnings"] == [
        "many to many: 1 keys repeat in both tables, 2 left and 2 right rows give 4"
    ]  # fmt: skip


def test_an_explosion_is_refused_before_it_happens(run):
    rows = [{"k": 1} for _ in range(4_000)]
    with pytest.raises(SizeLimitError, match="16,000,000 rows"):
        run("merge", left=rows, right=rows, on="k")
    with pytest.raises(SizeLimitError, match="16,000,000 rows"):
        run("merge", left=rows, right=rows, how="cross")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"on": "whoo"}, 'the left table has no column "whoo"; did you mean "who"'),
        ({"left_on": "id", "right_on": "agee"}, 'the right table has no column "agee"; did you mean "age"'),
        ({"left_on": "id", "right_on": "who"}, r'"id" of the left table \(number, int64\) cannot match "who"'),
        ({"left_on": ["id"], "right_on": []}, "1 columns"),
        ({"on": "who", "left_on": "who", "right_on": "who"}, "not both"),
        ({"on": "who", "how": "cross"}, "takes no keys"),
        ({"on": "who", "how": "iner"}, "how"),
        ({"right": [{"who": "a"}] * 2, "validate": "many_to_one"}, "not many_to_one.*right.* a 2 times"),
        ({"right": [{"x": 1}]}, "no column in common"),
        ({"right": None}, "no `right` table"),
        ({"datasets": [[{"a": 1}]]}, "two tables or more"),
    ],
)  # fmt: skip
def test_mistakes_are_named(run, parameters: dict[str, Any], message: str):
    with pytest.raises(ParametersError, match=message):
        run("merge", **{"left": ORDERS, "right": PEOPLE, **parameters})


def test_relation_holds(run):
    assert run("merge", left=ORDERS, right=PEOPLE, on="who", validate="one_to_one")["row_count"] == 2


KEY = st.none() | st.integers(0, 3)
SIDE = st.lists(st.tuples(KEY, st.none() | st.sampled_from("xy")), min_size=1, max_size=7)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(left=SIDE, right=SIDE, how=st.sampled_from(["inner", "left", "right", "outer"]), two=st.booleans())
def test_agrees_with_nested_loops(run, left, right, how: str, two: bool):
    ones = [{"k": k, "j": j, "a": place} for place, (k, j) in enumerate(left)]
    others = [{"k": k, "j": j, "b": place} for place, (k, j) in enumerate(right)]
    keys = ["k", "j"] if two else ["k"]
    if not two:
        ones, others = ([{name: row[name] for name in row if name != "j"} for row in side] for side in (ones, others))
    expected, matched_left, matched_right = [], set(), set()
    for one in ones:
        for other in others:
            if all(one[key] is not None and one[key] == other[key] for key in keys):
                expected.append({**one, **other})
                matched_left.add(one["a"])
                matched_right.add(other["b"])
    if how in ("left", "outer"):
        expected += [{**one, "b": None} for one in ones if one["a"] not in matched_left]
    if how in ("right", "outer"):
        expected += [{"a": None, **other} for other in others if other["b"] not in matched_right]
    result = run("merge", left=ones, right=others, on=keys, how=how)

    def ordered(rows: list[dict[str, Any]]) -> list[str]:
        return sorted(str(sorted(row.items())) for row in rows)

    assert ordered(result["data"]) == ordered(expected)
    assert result["unmatched_left"] == len(ones) - len(matched_left)
    assert result["unmatched_right"] == len(others) - len(matched_right)
    if how == "left":
        assert [row["a"] for row in result["data"]] == sorted(row["a"] for row in result["data"])


def test_concat(run):
    result = run("concat", datasets=[[{"a": 1}], "a,b\n2,x\n", [{"b": "y", "c": 1.5}]])
    assert result["data"] == [
        {"a": 1, "b": None, "c": None},
        {"a": 2, "b": "x", "c": None},
        {"a": None, "b": "y", "c": 1.5},
    ]
    assert type(result["data"][0]["a"]) is int
    assert run("append", datasets=[[{"a": 1, "b": 2}], [{"a": 3}]], columns="common")["data"] == [{"a": 1}, {"a": 3}]
    assert run("concat", datasets=[[{"a": 1}], [{"a": "x"}]])["data"] == [{"a": 1}, {"a": "x"}]
    with pytest.raises(ParametersError, match="table 2 lacks the columns b"):
        run("concat", datasets=[[{"a": 1, "b": 2}], [{"a": 3}]], columns="same")
    with pytest.raises(ParametersError, match="empty"):
        run("concat", datasets=[])
