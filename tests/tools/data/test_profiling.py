from __future__ import annotations

import datetime
import json

import pytest

from orchestrator_dagster.errors import ParametersError


def test_profile_of_a_file(run, sales):
    result = run("profile", data=sales, top=2)
    assert result["columns"] == ["id", "region", "price", "units", "paid", "day", "note"]
    assert (result["row_count"], result["column_count"], result["duplicate_rows"]) == (5, 7, 0)
    facts = {entry["column"]: entry for entry in result["data"]}
    price = facts["price"]
    assert (price["kind"], price["count"], price["nulls"], price["distinct"]) == ("number", 4, 1, 4)
    assert (price["min"], price["max"], price["mean"], price["median"]) == (7.25, 99.0, 34.1875, 15.25)
    assert price["std"] == pytest.approx(43.545654, abs=1e-6)
    assert (price["p25"], price["p75"]) == (9.6875, 39.75)
    assert (facts["units"]["min"], type(facts["units"]["min"])) == (1, int)
    assert facts["region"]["top"] == [{"value": "north", "count": 2}, {"value": "south", "count": 1}]
    assert (facts["note"]["length_min"], facts["note"]["length_max"]) == (2, 15)
    assert facts["paid"]["top"] == [{"value": True, "count": 2}, {"value": False, "count": 2}]
    assert facts["paid"]["kind"] == "boolean"
    json.dumps(result, allow_nan=False)


def test_dates_lists_and_empty_columns(run):
    rows = [{"l": [1], "e": None, "m": 1}, {"l": [1], "e": None, "m": "x"}, {"l": None, "e": None, "m": None}]
    facts = {entry["column"]: entry for entry in run("describe", data=rows)["data"]}
    assert (facts["l"]["kind"], facts["l"]["distinct"], facts["l"]["top"]) == (
        "mixed", 1, [{"value": [1], "count": 2}],
    )  # fmt: skip
    assert (facts["e"]["kind"], facts["e"]["count"], facts["e"]["top"], facts["e"]["min"]) == ("null", 0, [], None)
    assert facts["m"]["distinct"] == 2
    dated = run("profile", data=[{"d": datetime.date(2024, 5, 1)}, {"d": datetime.date(2023, 1, 1)}, {"d": None}])
    assert (dated["data"][0]["min"], dated["data"][0]["max"]) == ("2023-01-01", "2024-05-01")
    assert run("profile", data=[])["data"] == []


def test_duplicates_correlation_and_columns(run):
    rows = [{"a": 1, "b": 2, "t": "x"}, {"a": 2, "b": 4, "t": "x"}, {"a": 2, "b": 4, "t": "x"}]
    result = run("profile", data=rows, correlation=True)
    assert result["duplicate_rows"] == 1
    assert result["correlation"] == {
        "a": {"a": pytest.approx(1), "b": pytest.approx(1)},
        "b": {"a": pytest.approx(1), "b": pytest.approx(1)},
    }
    assert run("profile", data=rows, columns="t", correlation=True)["correlation"] == {}
    constant = run("profile", data=[{"a": 1, "b": 1}, {"a": 1, "b": 2}], correlation=True)["correlation"]
    assert constant["a"]["b"] is None
    with pytest.raises(ParametersError, match='no column "tt"'):
        run("profile", data=rows, columns=["tt"])
