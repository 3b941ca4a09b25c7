from __future__ import annotations

from typing import Any

import pytest

from orchestrator_dagster.errors import ParametersError, SizeLimitError

ROWS = [
    {"year": 2024, "region": "south", "sales": 5, "cost": 1.5},
    {"year": 2023, "region": "north", "sales": 7, "cost": None},
    {"year": 2024, "region": "north", "sales": None, "cost": 2.0},
    {"year": 2024, "region": None, "sales": 9, "cost": 3.0},
]


def test_pivot(run):
    result = run("pivot", data=ROWS, index="year", columns="region", values="sales")
    assert result["columns"] == ["year", "north", "south", "null"]
    assert result["data"] == [
        {"year": 2023, "north": 7, "south": None, "null": None},
        {"year": 2024, "north": None, "south": 5, "null": 9},
    ]
    assert type(result["data"][0]["north"]) is int


def test_pivot_with_a_function(run):
    rows = [*ROWS, {"year": 2024, "region": "south", "sales": 10, "cost": 1.0}]
    with pytest.raises(ParametersError, match="1 cells share their place"):
        run("pivot", data=rows, index="year", columns="region", values="sales")
    result = run(
        "pivot", data=rows, index="year", columns="region", values=["sales", "cost"], function="sum", fill_value=0
    )
    assert result["columns"] == [
        "year", "sales_north", "sales_south", "sales_null", "cost_north", "cost_south", "cost_null",
    ]  # fmt: skip
    assert result["data"][1] == {
        "year": 2024, "sales_north": 0, "sales_south": 15, "sales_null": 9, "cost_north": 2.0, "cost_south": 2.5,
        "cost_null": 3.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"index": "yaer"}, 'no column "yaer"; did you mean "year"'),
        ({"columns": "year"}, "columns of their own"),
        ({"function": "summ"}, 'did you mean "sum"'),
    ],
)
def test_mistakes_of_pivot(run, changed: dict[str, Any], message: str):
    with pytest.raises(ParametersError, match=message):
        run("pivot", **{"data": ROWS, "index": "year", "columns": "region", "values": "sales", **changed})


def test_a_pivot_of_too_many_columns(run):
    rows = [{"a": 1, "b": number, "c": 1} for number in range(5_001)]
    with pytest.raises(SizeLimitError, match="5,001 columns"):
        run("pivot", data=rows, index="a", columns="b", values="c")


def test_columns_that_would_be_alike(run):
    rows = [{"a": 1, "b": "a", "c": 1}]
    with pytest.raises(ParametersError, match='two columns "a"'):
        run("pivot", data=rows, index="a", columns="b", values="c")


def test_unpivot(run):
    rows = [{"id": 1, "a": 5, "b": None}, {"id": 2, "a": 7, "b": 8}]
    result = run("unpivot", data=rows, id_columns="id", name_column="what", value_column="n")
    assert result["data"] == [
        {"id": 1, "what": "a", "n": 5},
        {"id": 2, "what": "a", "n": 7},
        {"id": 1, "what": "b", "n": None},
        {"id": 2, "what": "b", "n": 8},
    ]
    assert run("melt", data=rows, id_vars=["id"], value_vars=["b"])["columns"] == ["id", "variable", "value"]
    mixed = run("unpivot", data=[{"id": 1, "a": 5, "b": "x"}], id_columns="id")
    assert [row["value"] for row in mixed["data"]] == [5, "x"]
    assert run("unpivot", data=[{"id": 1}], id_columns="id")["data"] == []
    with pytest.raises(ParametersError, match="name of another"):
        run("unpivot", data=rows, id_columns="id", value_column="id")


def test_pivot_undoes_unpivot(run):
    rows = [{"id": 1, "a": 5, "b": 1}, {"id": 2, "a": 7, "b": None}]
    long = run("unpivot", data=rows, id_columns="id")
    assert run("pivot", data=long, index="id", columns="variable", values="value")["data"] == rows
