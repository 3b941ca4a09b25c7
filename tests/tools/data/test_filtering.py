from __future__ import annotations

import operator
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator_dagster.errors import ParametersError

ROWS = [
    {"id": 1, "name": "Ann", "price": 10.5, "n": 3, "ok": True, "day": "2024-01-05"},
    {"id": 2, "name": "bob", "price": 20.0, "n": None, "ok": False, "day": "2024-02-10"},
    {"id": 3, "name": None, "price": None, "n": 5, "ok": None, "day": None},
    {"id": 4, "name": "Anton", "price": 1.0, "n": -1, "ok": True, "day": "2023-12-31"},
]


def ids(result: dict[str, Any]) -> list[int]:
    return [row["id"] for row in result["data"]]


@pytest.mark.parametrize(
    ("column", "name", "value", "expected"),
    [
        ("n", "==", 3, [1]), ("n", "!=", 3, [3, 4]), ("n", ">", 3, [3]), ("n", ">=", 3, [1, 3]), ("n", "<", 0, [4]),
        ("price", "<=", 10.5, [1, 4]), ("n", "in", [3, -1], [1, 4]), ("n", "not_in", [3], [3, 4]),
        ("n", "in", [3, None], [1, 2]), ("name", "not_in", ["bob", None], [1, 4]), ("name", "contains", "n", [1, 4]),
        ("name", "starts_with", "An", [1, 4]), ("name", "ends_with", "n", [1, 4]), ("name", "matches", "^.n.$", [1]),
        ("name", "is_null", None, [3]), ("n", "not_null", None, [1, 3, 4]), ("price", "between", [1, 10.5], [1, 4]),
        ("day", "between", ["2024-01-01", "2024-12-31"], [1, 2]), ("ok", "==", True, [1, 4]), ("ok", "!=", True, [2]),
        ("name", "==", None, [3]), ("name", "!=", None, [1, 2, 4]), ("name", ">", "Ann", [2, 4]),
        ("n", "equals", 3, [1]), ("n", "greater than", 3, [3]), ("n", "=", 3, [1]), ("name", "regex", "o", [2, 4]),
    ],
)  # fmt: skip
def test_operators(run, column: str, name: str, value: Any, expected: list[int]):
    assert ids(run("filter", data=ROWS, conditions=[{"column": column, "operator": name, "value": value}])) == expected


def test_forms_of_conditions(run):
    both = [{"field": "ok", "op": "==", "value": True}, {"column": "n", "operator": ">", "value": 0}]
    assert ids(run("filter", data=ROWS, conditions=both)) == [1]
    assert ids(run("filter", data=ROWS, conditions=both, match="any")) == [1, 3, 4]
    assert ids(run("filter", data=ROWS, conditions={"ok": True, "name": ["Ann", "bob"]})) == [1]
    assert ids(run("filter", data=ROWS, conditions={"column": "n", "operator": ">", "value": 3})) == [3]
    assert ids(run("filter", data=ROWS, where="ok and n > 0")) == [1]
    lower = [{"column": "name", "operator": "starts_with", "value": "AN", "ignore_case": True}]
    assert ids(run("filter", data=ROWS, conditions=lower)) == [1, 4]
    assert run("filter", data=ROWS, conditions="n > 0")["rows_before"] == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("price > 10 and name in ['Ann', 'bob']", [1, 2]),
        ("not (price > 10)", [4]),
        ("1 < n <= 3", [1]),
        ("name is null or n == -1", [3, 4]),
        ("name is not None", [1, 2, 4]),
        ("ok", [1, 4]),
        ("not ok", [2]),
        ("ok == false", [2]),
        ("n not in (3, -1)", [3]),
        ("lower(name) == 'ann'", [1]),
        ("length(name) > 3", [4]),
        ("contains(name, 'nt') or matches(name, '^b')", [2, 4]),
        ("year(day) == 2024 and month(day) < 2", [1]),
        ("day >= '2024-01-05'", [1, 2]),
        ("n * 2 + 1 == 7", [1]),
        ("price / 0 is null", [1, 2, 3, 4]),
        ("n % 2 == 1", [1, 3, 4]),
        ("`price` > 10", [1, 2]),
        ("coalesce(n, 0) == 0", [2]),
        ("3 < n", [3]),
        ("null == n", [2]),
        ("true", [1, 2, 3, 4]),
        ("1 > 2", []),
        ("n > 0\nand price > 0", [1]),
    ],
)
def test_expressions(run, text: str, expected: list[int]):
    assert ids(run("filter", data=ROWS, conditions=text)) == expected


def test_names_in_backticks(run):
    rows = [{"unit price": 1, "true": 5, "class": 7, "a`b": 1}, {"unit price": 3, "true": 6, "class": 8, "a`b": 1}]
    assert run("filter", data=rows, conditions="`unit price` > 2 and `class` == 8")["row_count"] == 1
    assert run("filter", data=rows, conditions="true == 5")["row_count"] == 1
    assert run("filter", data=[{"a": "`x`", "b": 1}], conditions="a == '`x`'")["row_count"] == 1


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ("prise > 1", r'no column "prise"; did you mean "price"\?\n.*id, name, price, n, ok, day'),
        ({"nam": "x"}, 'no column "nam"; did you mean "name"'),
        ([{"column": "n", "operator": "gretter", "value": 1}], 'no operator "gretter"'),
        ([{"column": "n", "operator": "startswit", "value": 1}], 'did you mean "startswith"'),
        ([{"column": "price", "operator": ">", "value": "10"}], r'"price" \(number, float64\) .* the text \'10\''),
        ("name > 5", r'"name" \(text, .*\) cannot be compared \(>\) with the number \'5\''),
        ("ok == 1", r'"ok" \(boolean, boolean\)'),
        ("n in ['a']", "cannot hold the text 'a'"),
        ("name == price", r'with the column "price" \(number'),
        ("contains(n, 'x')", "needs a text column"),
        ([{"column": "name", "operator": "contains", "value": 1}], "needs a text"),
        ([{"column": "name", "operator": "matches", "value": "("}], "pattern .* is wrong"),
        ([{"column": "n", "operator": "in", "value": 3}], "needs a list"),
        ([{"column": "n", "operator": "between", "value": [3]}], r"needs \[from, to\]"),
        ([{"column": "n", "operator": ">"}], "has no `value`"),
        ([{"operator": ">", "value": 1}], "names no `column`"),
        ([{"column": "n", "oprator": ">", "value": 1}], 'unknown key "oprator"; did you mean "operator"'),
        ([{"column": "n", "operator": ">", "value": 1, "ignore_case": True}], "ignore_case"),
        ([], "empty"),
        ("n + 1", "is no condition"),
        ("n and ok", "join conditions"),
        ("name + 1 == 2", "needs numbers"),
        ("year(name) == 2024", "needs dates, the column .* has 'Ann'"),
        ("day", "is no condition"),
    ],
)
def test_mistakes_are_named(run, conditions: Any, message: str):
    with pytest.raises(ParametersError, match=re.compile(message, re.DOTALL)):
        run("filter", data=ROWS, conditions=conditions)


def test_dates_are_compared_as_dates(run):
    data = {"id": [1, 2, 3], "t": ["2024-05-01T10:00:00+02:00", "2024-05-01T10:00:00Z", None]}
    loaded = "transform"
    ops = [{"parse_dates": ["t"]}, {"filter": "t < '2024-05-01 09:00'"}]
    assert ids(run(loaded, data=data, operations=ops)) == [1]
    with pytest.raises(ParametersError, match="holds dates, the text 'soon' is none"):
        run(loaded, data=data, operations=[{"parse_dates": ["t"]}, {"filter": "t < 'soon'"}])


def test_mixed_columns_know_equality_only(run):
    rows = [{"id": 1, "v": 1}, {"id": 2, "v": "1"}, {"id": 3, "v": None}, {"id": 4, "v": [1]}, {"id": 5, "v": True}]
    assert ids(run("filter", data=rows, conditions=[{"column": "v", "operator": "==", "value": 1}])) == [1]
    assert ids(run("filter", data=rows, conditions="v in ['1', 1]")) == [1, 2]
    with pytest.raises(ParametersError, match="mixed"):
        run("filter", data=rows, conditions="v > 1")


CELLS = {
    "a": st.none() | st.integers(-3, 3),
    "b": st.none() | st.sampled_from([-1.5, 0.0, 0.5, 2.0]),
    "t": st.none() | st.text("ab B", max_size=3),
    "f": st.none() | st.booleans(),
}
TABLES = st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=12)
OPERATORS = {
    "==": operator.eq, "!=": operator.ne, ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip


@st.composite
def trees(draw: st.DrawFn, depth: int = 2) -> Any:
    """A condition as a nested tuple: ("and" | "or" | "not", …) or (symbol, column, constant)."""
    if depth and draw(st.booleans()):
        name = draw(st.sampled_from(["and", "or", "not"]))
        return (name, *(draw(trees(depth - 1)) for _ in range(1 if name == "not" else 2)))
    column = draw(st.sampled_from(sorted(CELLS)))
    constant = {"a": st.integers(-3, 3), "b": st.sampled_from([-1.5, 0.0, 0.5]), "t": st.text("ab B", max_size=2)}
    if column == "f":
        return (draw(st.sampled_from(["==", "!="])), column, draw(st.booleans()))
    return (draw(st.sampled_from(sorted(OPERATORS))), column, draw(constant[column]))


def as_text(tree: Any) -> str:
    if tree[0] in ("and", "or"):
        return f"({as_text(tree[1])} {tree[0]} {as_text(tree[2])})"
    return f"(not {as_text(tree[1])})" if tree[0] == "not" else f"{tree[1]} {tree[0]} {tree[2]!r}"


def holds(tree: Any, row: dict[str, Any]) -> bool | None:
    """The reference, cell by cell, with None for "neither true nor false"."""
    if tree[0] == "not":
        inner = holds(tree[1], row)
        return None if inner is None else not inner
    if tree[0] in ("and", "or"):
        parts = [holds(part, row) for part in tree[1:]]
        decisive = tree[0] == "or"
        return decisive if decisive in parts else None if None in parts else not decisive
    return None if row[tree[1]] is None else OPERATORS[tree[0]](row[tree[1]], tree[2])


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=TABLES, tree=trees())
def test_expressions_agree_with_python_row_by_row(run, rows: list[dict[str, Any]], tree: Any):
    # A column without any value has no type: a comparison with it holds nowhere, as in the reference.
    expected = [row for row in rows if holds(tree, row) is True]
    assert run("filter", data=rows, conditions=as_text(tree))["data"] == expected


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=TABLES,
    wanted=st.lists(st.none() | st.integers(-3, 3), max_size=4),
    part=st.text("abB ", min_size=1, max_size=2),
    match=st.sampled_from(["all", "any"]),
)
def test_conditions_agree_with_python_row_by_row(run, rows, wanted, part, match):
    conditions = [
        {"column": "a", "operator": "in", "value": wanted},
        {"column": "t", "operator": "contains", "value": part},
    ]
    expected = []
    for row in rows:
        parts = [row["a"] in wanted, row["t"] is not None and part in row["t"]]
        if all(parts) if match == "all" else any(parts):
            expected.append(row)
    assert run("filter", data=rows, conditions=conditions, match=match)["data"] == expected
