from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator_dagster.errors import ParametersError

FUNCTIONS = ["sum", "mean", "median", "min", "max", "count", "nunique", "std", "var", "first", "last", "p90", "p12.5"]


def test_groups_of_a_file(run, sales):
    result = run(
        "aggregate", data=sales, group_by="region",
        aggregations={"price": ["sum", "mean"], "units": "sum", "paid": "mean", "n": {"function": "rows"},
                      "best": {"column": "price", "function": "max"}},
    )  # fmt: skip
    assert result["columns"] == ["region", "price_sum", "price_mean", "units_sum", "paid_mean", "n", "best"]
    assert [list(row.values()) for row in result["data"]] == [
        ["east", None, None, 4, 0.0, 1, None],
        ["north", 17.75, 8.875, 4, 1.0, 2, 10.5],
        ["south", 20.0, 20.0, None, 0.0, 1, 20.0],
        [None, 99.0, 99.0, 12, 1.0, 1, 99.0],
    ]
    assert [type(row["units_sum"]) for row in result["data"]] == [int, int, type(None), int]


def test_where_and_the_default(run, sales):
    assert run("aggregate", data=sales, where="price > 8", group_by=["region"])["data"] == [
        {"region": "north", "rows": 1},
        {"region": "south", "rows": 1},
        {"region": None, "rows": 1},
    ]
    assert run("aggregate", data=sales)["data"] == [{"rows": 5}]
    assert run("aggregate", data=sales, aggregations={"*": "count", "price": ["avg", "total"]})["columns"] == [
        "rows", "price_mean", "price_sum",
    ]  # fmt: skip


def test_sums_beyond_64_bits_are_exact(run):
    rows = [{"g": 1, "a": 2**62}, {"g": 1, "a": 2**62}, {"g": 1, "a": 2**62}, {"g": 2, "a": None}]
    assert run("aggregate", data=rows, group_by="g", aggregations={"a": "sum"})["data"] == [
        {"g": 1, "a_sum": 3 * 2**62},
        {"g": 2, "a_sum": None},
    ]
    rows = [{"a": 10**30}, {"a": 1}]
    assert run("aggregate", data=rows, aggregations={"a": ["sum", "max"]})["data"] == [
        {"a_sum": 10**30 + 1, "a_max": 10**30}
    ]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"aggregations": {"price": "avrage"}}, 'no aggregation "avrage"; did you mean "average"'),
        ({"aggregations": {"prise": "sum"}}, 'no column "prise"; did you mean "price"'),
        ({"group_by": "regon"}, 'no column "regon"; did you mean "region"'),
        ({"aggregations": {"region": "sum"}}, 'sum needs numbers, the column "region" holds text'),
        ({"aggregations": {"price": "p101"}}, 'no aggregation "p101"'),
        ({"aggregations": {"x": {"column": "price"}}}, r"needs \{column, function\}"),
        ({"aggregations": {"x": {"function": "sum"}}}, "names no `column`"),
        ({"aggregations": {"*": "sum"}}, "can only be counted"),
        ({"group_by": "region", "aggregations": {"region": {"column": "price", "function": "sum"}}}, "two columns"),
        ({"aggregations": {"price": ["sum", "sum"]}}, 'two columns "price_sum"'),
        ({"group_bi": "region"}, 'no parameter "group_bi"; did you mean "group_by"'),
    ],
)
def test_mistakes_are_named(run, sales, parameters: dict[str, Any], message: str):
    with pytest.raises(ParametersError, match=message):
        run("aggregate", data=sales, **parameters)


def test_lists_cannot_be_grouped_but_counted(run):
    rows = [{"a": [1], "b": 1}, {"a": [1], "b": 1}, {"a": [2], "b": 2}]
    assert run("aggregate", data=rows, group_by="b", aggregations={"a": "nunique"})["data"] == [
        {"b": 1, "a_nunique": 1},
        {"b": 2, "a_nunique": 1},
    ]
    with pytest.raises(ParametersError, match="cannot be grouped"):
        run("aggregate", data=rows, group_by="a")


def quantile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    place = (len(ordered) - 1) * part
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))


REFERENCE = {
    "sum": sum, "mean": statistics.fmean, "median": lambda cells: float(statistics.median(cells)), "min": min,
    "max": max,
    "std": lambda cells: float(statistics.stdev(cells)) if len(cells) > 1 else None,
    "var": lambda cells: float(statistics.variance(cells)) if len(cells) > 1 else None,
    "first": lambda cells: cells[0], "last": lambda cells: cells[-1],
    "p90": lambda cells: quantile(cells, 0.9), "p12.5": lambda cells: quantile(cells, 0.125),
}  # fmt: skip


def aggregated(cells: list[Any], function: str) -> Any:
    cells = [cell for cell in cells if cell is not None]
    if function in ("count", "nunique"):
        return len(cells if function == "count" else set(cells))
    return REFERENCE[function](cells) if cells else None


KEY = st.none() | st.sampled_from(["a", "b", "B", ""])
TABLES = st.lists(
    st.fixed_dictionaries(
        {
            "k": KEY,
            "j": st.none() | st.integers(0, 1),
            "n": st.none() | st.integers(-1000, 1000),
            "x": st.none() | st.sampled_from([-2.5, 0.0, 0.25, 7.5]),
            "t": st.none() | st.text("abc", max_size=2),
            "f": st.none() | st.booleans(),
        }
    ),
    min_size=1,
    max_size=15,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=TABLES, groups=st.sampled_from([["k"], ["j", "k"], ["f"], []]))
def test_agrees_with_python(run, rows: list[dict[str, Any]], groups: list[str]):
    texts = ["min", "max", "count", "nunique", "first", "last"]
    asked = {"n": FUNCTIONS, "x": FUNCTIONS, "t": texts, "j": ["count", "max"]}
    result = run("aggregate", data=rows, group_by=groups, aggregations=asked)["data"]
    keys = sorted(
        {tuple(row[name] for name in groups) for row in rows},
        key=lambda key: [(cell is None, "" if cell is None else str(cell)) for cell in key],
    )
    assert [tuple(row[name] for name in groups) for row in result] == keys
    for key, row in zip(keys, result, strict=True):
        members = [one for one in rows if tuple(one[name] for name in groups) == key]
        for column, functions in asked.items():
            for function in functions:
                expected = aggregated([one[column] for one in members], function)
                value = row[f"{column}_{function}"]
                assert value == (pytest.approx(expected, abs=1e-9) if isinstance(expected, float) else expected), (
                    function
                )
        if row["n_sum"] is not None:
            assert type(row["n_sum"]) is type(row["n_min"]) is type(row["n_first"]) is int


def test_boolean_columns(run):
    rows = [{"f": True}, {"f": None}, {"f": False}, {"f": True}]
    asked = {"f": ["sum", "mean", "min", "max", "count", "first"]}
    assert run("aggregate", data=rows, aggregations=asked)["data"] == [
        {"f_sum": 2, "f_mean": pytest.approx(2 / 3), "f_min": False, "f_max": True, "f_count": 3, "f_first": True}
    ]


def test_dates(run):
    ops = [{"parse_dates": ["d"]}]
    rows = run("transform", data=[{"g": 1, "d": "2024-03-01"}, {"g": 1, "d": "2023-01-01"}], operations=ops)
    asked = {"d": {"column": "d", "function": "max"}}
    assert run("aggregate", data=rows, group_by="g", aggregations=asked)["data"] == [{"g": 1, "d": "2024-03-01"}]
