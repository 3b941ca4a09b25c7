from __future__ import annotations

from typing import Any

import pytest

from orchestrator_dagster.errors import ParametersError, SizeLimitError


def after(run, rows: Any, *operations: dict[str, Any]) -> list[dict[str, Any]]:
    return run("transform", data=rows, operations=list(operations))["data"]


def test_a_chain_on_a_file(run, sales):
    result = run(
        "transform",
        data=sales,
        operations=[
            {"filter": "units is not null"},
            {"fill_null": {"region": "unknown", "price": 0}},
            {"derive": {"total": "price * units", "big": "total > 30"}},
            {"rename": {"region": "area"}},
            {"select": ["id", "area", "total", "big"]},
        ],
        output_path="out.parquet",
    )
    assert result["data"] == [
        {"id": 1, "area": "north", "total": 31.5, "big": True},
        {"id": 3, "area": "north", "total": 7.25, "big": False},
        {"id": 4, "area": "unknown", "total": 1188.0, "big": True},
        {"id": 5, "area": "east", "total": 0.0, "big": False},
    ]
    assert run("load", data="out.parquet")["data"] == result["data"]


def test_both_spellings(run):
    rows = [{"a": 1, "b": None}]
    for operation in (
        {"operation": "rename", "columns": {"a": "x"}},
        {"type": "rename", "columns": {"a": "x"}},
        {"rename": {"a": "x"}},
        {"rename": {"columns": {"a": "x"}}},
    ):
        assert after(run, rows, operation) == [{"x": 1, "b": None}]
    assert after(run, [{"columns": 1}], {"rename": {"columns": "x"}}) == [{"x": 1}]
    assert after(run, rows, {"operation": "derive", "column": "c", "expression": "a + 1"})[0]["c"] == 2
    assert after(run, rows, {"operation": "fillna", "column": "b", "value": 7}) == [{"a": 1, "b": 7}]
    assert after(run, rows, {"drop": "b"}) == after(run, rows, {"drop": {"columns": ["b"]}}) == [{"a": 1}]


def test_cast(run):
    rows = [{"a": "1", "b": 1.0, "c": "yes", "d": 5, "e": True}, {"a": None, "b": None, "c": "0", "d": 6, "e": None}]
    cast = {"cast": {"a": "integer", "b": "int", "c": "boolean", "d": "text", "e": "integer"}}
    assert after(run, rows, cast) == [
        {"a": 1, "b": 1, "c": True, "d": "5", "e": 1},
        {"a": None, "b": None, "c": False, "d": "6", "e": None},
    ]
    assert after(run, [{"a": "12345678901234567890123"}], {"cast": {"a": "integer"}}) == [
        {"a": 12345678901234567890123}
    ]
    assert after(run, [{"a": "1.5"}, {"a": "x"}], {"cast": {"columns": {"a": "number"}, "on_error": "null"}}) == [
        {"a": 1.5}, {"a": None},
    ]  # fmt: skip
    for cell, target in (("1.5", "integer"), (1.5, "integer"), ("maybe", "boolean"), ("2024-13-01", "date"),
                         ("1_000", "number"), ("nan", "number"), ([1], "integer"), (5, "date")):  # fmt: skip
        with pytest.raises(ParametersError, match=f'1 of 1 cells of "a" are no {target}'):
            after(run, [{"a": cell}], {"cast": {"a": target}})


def test_dates(run):
    rows = [{"d": "05.03.2024", "i": "2024-03-05T10:00:00+02:00"}, {"d": "?", "i": None}]
    parse = {"operation": "parse_dates", "columns": "d", "format": "%d.%m.%Y"}
    with pytest.raises(ParametersError, match=r"operation 1 \(parse_dates\).*'\?' \(row 2\)"):
        after(run, rows, parse)
    assert after(run, rows, {**parse, "on_error": None})[1] == {"d": None, "i": None}  # `on_error: null` in a file
    changed = after(run, rows, {**parse, "on_error": "null"}, {"parse_dates": ["i"]}, {"derive": {"y": "year(d)"}})
    assert changed == [
        {"d": "2024-03-05", "i": "2024-03-05T08:00:00+00:00", "y": 2024},
        {"d": None, "i": None, "y": None},
    ]


def test_fill_and_drop_null(run):
    rows = [{"a": 1, "b": None, "c": None}, {"a": None, "b": "x", "c": None}, {"a": 4, "b": None, "c": None}]
    assert [row["a"] for row in after(run, rows, {"fill_null": {"columns": "a", "method": "mean"}})] == [1.0, 2.5, 4.0]
    assert [row["a"] for row in after(run, rows, {"fill_null": {"columns": "a", "method": "forward"}})] == [1, 1, 4]
    assert [row["b"] for row in after(run, rows, {"fill_null": {"columns": "b", "method": "backward"}})] == [
        "x", "x", None,
    ]  # fmt: skip
    assert [row["a"] for row in after(run, rows, {"fill_null": {"a": 0.5}})] == [1, 0.5, 4]
    assert [row["c"] for row in after(run, rows, {"fill_null": {"c": [1]}})] == [[1], [1], [1]]
    assert len(after(run, rows, {"drop_null": ["a"]})) == 2
    assert after(run, rows, {"drop_null": {}}) == []
    assert len(after(run, rows, {"operation": "drop_null", "columns": ["b", "c"], "how": "all"})) == 1
    for wrong in ({"fill_null": {"a": "x"}}, {"fill_null": {"columns": "b", "method": "mean"}}, {"fill_null": {}}):
        with pytest.raises(ParametersError, match="fill"):
            after(run, rows, wrong)


def test_numbers(run):
    rows = [{"a": 0, "b": 5}, {"a": 10, "b": 5}, {"a": None, "b": None}, {"a": 5, "b": 5}]
    scaled = after(run, rows, {"normalize": ["a", "b"]})
    assert [(row["a"], row["b"]) for row in scaled] == [(0.0, 0), (1.0, 0), (None, None), (0.5, 0)]
    scores = after(run, rows, {"operation": "normalize", "columns": "a", "method": "zscore"})
    assert [row["a"] for row in scores] == [-1.0, 1.0, None, 0.0]
    assert [row["a"] for row in after(run, rows, {"clip": {"columns": "a", "lower": 1, "upper": 6}})] == [1, 6, None, 5]
    assert [row["a"] for row in after(run, rows, {"clip": {"columns": "a", "upper": 4.5}})] == [0.0, 4.5, None, 4.5]
    for wrong in ({"clip": {"columns": "a"}}, {"clip": {"columns": "a", "lower": 2, "upper": 1}}):
        with pytest.raises(ParametersError, match="clip"):
            after(run, rows, wrong)
    with pytest.raises(ParametersError, match="needs a number column"):
        after(run, [{"t": "x"}], {"normalize": "t"})


def test_replace_and_split(run):
    rows = [{"t": "a.b.c", "n": 1}, {"t": None, "n": 2}, {"t": "a", "n": None}]
    cells = {"operation": "replace", "column": "n", "values": {"1": 10, "null": 0}}
    assert [row["n"] for row in after(run, rows, cells)] == [10, 2, 0]
    part = {"operation": "replace", "column": "t", "old": ".", "new": r"\1"}
    assert [row["t"] for row in after(run, rows, part)] == [r"a\1b\1c", None, "a"]
    pattern = {"operation": "replace", "column": "t", "old": "([a-z])", "new": r"<\1>", "regex": True}
    assert [row["t"] for row in after(run, rows, pattern)] == ["<a>.<b>.<c>", None, "<a>"]
    assert after(run, rows, {"split": {"column": "t", "separator": "."}})[0]["t"] == ["a", "b", "c"]
    into = after(run, rows, {"split": {"column": "t", "separator": ".", "into": ["x", "y"]}})
    assert [(row["x"], row["y"]) for row in into] == [("a", "b.c"), (None, None), ("a", None)]
    for wrong in (
        {"column": "t"},
        {"column": "t", "old": "("},
        {"column": "t", "old": "a", "new": r"\9", "regex": True},
    ):
        if wrong.get("old") == "(":
            wrong["regex"] = True
        with pytest.raises(ParametersError):
            after(run, rows, {"operation": "replace", **wrong})
    grow = {"operation": "replace", "column": "t", "old": "a", "new": "a" * 1_000}
    with pytest.raises(SizeLimitError, match="characters"):
        after(run, [{"t": "a"}], grow, grow, grow)


def test_lag_and_rolling(run):
    rows = [{"g": "x", "n": 1}, {"g": "y", "n": 10}, {"g": "x", "n": 3}, {"g": "x", "n": None}, {"g": "y", "n": 20}]
    lagged = after(run, rows, {"operation": "lag", "column": "n", "group_by": "g"})
    assert [row["n_lag1"] for row in lagged] == [None, None, 1, 3, 10]
    assert [row["next"] for row in after(run, rows, {"lag": {"column": "n", "periods": -1, "into": "next"}})] == [
        10, 3, None, 20, None,
    ]  # fmt: skip
    moving = after(run, rows, {"rolling": {"column": "n", "window": 2, "group_by": ["g"]}})
    assert [row["n_mean2"] for row in moving] == [None, None, 2.0, None, 15.0]
    least = after(
        run, rows, {"rolling": {"column": "n", "window": 3, "min_periods": 1, "function": "sum", "into": "s"}}
    )
    assert [row["s"] for row in least] == [1.0, 11.0, 14.0, 13.0, 23.0]
    with pytest.raises(ParametersError, match="min_periods"):
        after(run, rows, {"rolling": {"column": "n", "window": 2, "min_periods": 3}})


def test_bin(run):
    rows = [{"n": number} for number in (0, 5, 9, 10, None, 11)]
    edges = after(run, rows, {"bin": {"column": "n", "edges": [0, 5, 10]}})
    assert [row["n_bin"] for row in edges] == ["[0, 5)", "[5, 10]", "[5, 10]", "[5, 10]", None, None]
    named = after(run, rows, {"bin": {"column": "n", "bins": 2, "labels": ["low", "high"], "into": "b"}})
    assert [row["b"] for row in named] == ["low", "low", "high", "high", None, "high"]
    counts = after(run, rows, {"bin": {"column": "n", "bins": 2, "method": "quantile", "labels": ["a", "b"]}})
    assert [row["n_bin"] for row in counts] == ["a", "a", "b", "b", None, "b"]
    assert after(run, [{"n": 3}, {"n": 3}], {"bin": {"column": "n", "bins": 3}})[0]["n_bin"] == "[3, 3]"
    for wrong in ({}, {"edges": [2, 1]}, {"edges": [1]}, {"bins": 2, "labels": ["x"]}):
        with pytest.raises(ParametersError):
            after(run, rows, {"operation": "bin", "column": "n", **wrong})


def test_rows_are_sorted_between_other_operations(run):
    rows = [{"a": 1}, {"a": None}, {"a": 3}]
    assert after(run, rows, {"type": "sort", "by": "a", "order": "desc"}, {"drop_null": ["a"]}) == [{"a": 3}, {"a": 1}]


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ({"operation": "renam", "columns": {}}, 'operation 1: there is no operation "renam"; did you mean "rename"'),
        ({"derive": {"x": "b + 1"}}, r'operation 1 \(derive\): the table has no column "b"'),
        ({"operation": "lag", "colum": "a"}, r'"colum"; did you mean "column"'),
        ({"rename": {"a": "z", "zz": "y"}}, 'no column "zz"'),
        ({"rename": {"a": "c"}}, 'two columns "c"'),
        ({"select": ["q"]}, "its columns: a, c"),
        ({"a": 1, "b": 2}, "names none"),
        ({"derive": {"x": "a.__class__"}}, "refused"),
        ({"cast": {"a": "textt"}}, 'no type "textt"; did you mean "text"'),
    ],
)
def test_mistakes_are_named(run, operation: dict[str, Any], message: str):
    with pytest.raises(ParametersError, match=message):
        after(run, [{"a": 1, "c": 2}], operation)
