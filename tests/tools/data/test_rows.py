"""sort, deduplicate, sample, head."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator_dagster.errors import ParametersError

ROWS = [
    {"id": 1, "g": "b", "n": 2},
    {"id": 2, "g": None, "n": 1},
    {"id": 3, "g": "a", "n": None},
    {"id": 4, "g": "b", "n": 1},
]


def ids(result: dict[str, Any]) -> list[int]:
    return [row["id"] for row in result["data"]]


def test_sort(run):
    assert ids(run("sort", data=ROWS, by="g")) == [3, 1, 4, 2]
    assert ids(run("sort", data=ROWS, by="-g")) == [1, 4, 3, 2]
    assert ids(run("sort", data=ROWS, by=["g", "n"])) == [3, 4, 1, 2]
    assert ids(run("sort", data=ROWS, by=["n", "g"], descending=[False, True])) == [4, 2, 1, 3]
    assert ids(run("sort", data=ROWS, by=[{"column": "g", "descending": True}, "-n"])) == [1, 4, 3, 2]
    assert ids(run("sort", data=ROWS, order_by="n", descending=True)) == [1, 2, 4, 3]
    assert ids(run("sort", data=[{"id": 1, "-g": 2}, {"id": 2, "-g": 1}], by="-g")) == [2, 1]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"by": "nn"}, 'no column "nn"'),
        ({"by": []}, "empty"),
        ({"by": ["n"], "descending": [True, False]}, "2 entries"),
        ({"by": [{"colum": "n"}]}, "a sort key is"),
    ],
)
def test_mistakes_of_sort(run, parameters: dict[str, Any], message: str):
    with pytest.raises(ParametersError, match=message):
        run("sort", data=ROWS, **parameters)


def test_mixed_values_have_no_order(run):
    with pytest.raises(ParametersError, match="no order"):
        run("sort", data=[{"a": 1}, {"a": "x"}], by="a")


CELLS = st.fixed_dictionaries(
    {
        "n": st.none() | st.integers(-2, 2),
        "x": st.none() | st.sampled_from([0.5, -1.0, 3.0]),
        "t": st.none() | st.text("abC", max_size=2),
        "f": st.none() | st.booleans(),
    }
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(CELLS, max_size=15),
    keys=st.lists(st.tuples(st.sampled_from("nxtf"), st.booleans()), min_size=1, unique_by=lambda key: key[0]),
)  # fmt: skip
def test_sort_agrees_with_python(run, rows: list[dict[str, Any]], keys: list[tuple[str, bool]]):
    expected = [{"place": place, **row} for place, row in enumerate(rows)]
    data = {"columns": ["place", *"nxtf"], "data": [[row[name] for name in ("place", *"nxtf")] for row in expected]}
    for name, down in reversed(keys):
        present = [row for row in expected if row[name] is not None]
        missing = [row for row in expected if row[name] is None]
        expected = sorted(present, key=lambda row, name=name: row[name], reverse=down) + missing
    by = [{"column": name, "descending": down} for name, down in keys]
    assert run("sort", data=data, by=by)["data"] == expected


def test_deduplicate(run):
    rows = [{"a": 1, "b": [1]}, {"a": 1, "b": [1]}, {"a": None, "b": None}, {"a": None, "b": None}, {"a": 1, "b": [2]}]
    result = run("deduplicate", data=rows)
    assert result["data"] == [rows[0], rows[2], rows[4]]
    assert result["removed"] == 2
    assert run("deduplicate", data=rows, columns="a", keep="last")["data"] == [rows[3], rows[4]]
    assert run("deduplicate", data=rows, keep="none")["data"] == [rows[4]]
    with pytest.raises(ParametersError, match='no column "c"'):
        run("deduplicate", data=rows, columns=["c"])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(CELLS, max_size=12), columns=st.sampled_from([["n"], ["t", "f"], ["n", "x", "t", "f"]]))
def test_deduplicate_agrees_with_python(run, rows: list[dict[str, Any]], columns: list[str]):
    seen: set[tuple[Any, ...]] = set()
    expected = []
    for row in rows:
        key = tuple(row[name] for name in columns)
        if key not in seen:
            seen.add(key)
            expected.append(row)
    data = {"columns": list("nxtf"), "data": [[row[name] for name in "nxtf"] for row in rows]}
    assert run("deduplicate", data=data, columns=columns)["data"] == expected


def test_sample_is_the_same_for_a_seed(run):
    rows = [{"id": number} for number in range(100)]
    first = ids(run("sample", data=rows, count=10, seed=3))
    assert first == ids(run("sample", data=rows, n=10, seed=3)) == sorted(set(first))
    assert len(first) == 10
    assert first != ids(run("sample", data=rows, count=10, seed=4))
    assert run("sample", data=rows, fraction=0.25)["row_count"] == 25
    assert run("sample", data=rows, count=1000)["row_count"] == 100
    with pytest.raises(ParametersError, match="either"):
        run("sample", data=rows)
    with pytest.raises(ParametersError, match="fraction"):
        run("sample", data=rows, fraction=2)


def test_head(run, sales):
    assert ids(run("head", data=sales, count=2)) == [1, 2]
    assert ids(run("limit", data=sales, limit=2, offset=3)) == [4, 5]
    assert run("head", data=sales, count=0)["data"] == []
    assert run("head", data=sales)["rows_before"] == 5
