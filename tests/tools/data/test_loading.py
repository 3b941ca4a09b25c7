from __future__ import annotations

import datetime
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator_dagster.errors import (
    FileMissingError,
    MissingExtraError,
    ParametersError,
    PathError,
    ProductError,
    SizeLimitError,
)
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.tools.data import data_processing
from orchestrator_dagster.tools.data import plain as plain_module
from orchestrator_dagster.tools.tool import ToolContext

FORMATS = ["csv", "tsv", "json", "jsonl", "parquet", "xlsx"]


def test_import_loads_neither_pandas_nor_numpy():
    code = (
        "import sys; from orchestrator_dagster.tools.data import data_processing as tool\n"
        "[action.parameters.model_json_schema() for action in tool.actions.values()]\n"
        "print([name for name in ('pandas', 'numpy', 'pyarrow', 'duckdb', 'openpyxl') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_schema_offers_models_every_parameter_with_a_description():
    for action in data_processing.actions.values():
        schema = action.parameters.model_json_schema(by_alias=False)
        assert action.summary.endswith((".", "…")), action.name
        for name, field in schema["properties"].items():
            assert field.get("description"), (action.name, name)


def test_types_of_a_csv_file(run, sales):
    result = run("load", data=sales)
    assert result["columns"] == ["id", "region", "price", "units", "paid", "day", "note"]
    assert result["row_count"] == 5
    assert result["data"][0] == {
        "id": 1, "region": "north", "price": 10.5, "units": 3, "paid": True, "day": "2024-01-05",
        "note": 'a, "quoted" one',
    }  # fmt: skip
    assert result["data"][1]["units"] is None
    assert result["data"][1]["note"] == "two\nlines"
    assert result["data"][3]["note"] == "NA"
    assert [type(row["units"]) for row in result["data"]] == [int, type(None), int, int, int]
    json.dumps(result, allow_nan=False)


def test_default_action_is_load(context, sales):
    assert data_processing.find(None).call(context, {"path": sales})["row_count"] == 5


def test_numbers_with_leading_zeros_stay_text(run, tmp_path: Path):
    (tmp_path / "zip.csv").write_text("zip,rate,n\n01067,0.5,0\n99999,007.5,10\n", encoding="utf-8")
    rows = run("load", data="zip.csv")["data"]
    assert rows == [{"zip": "01067", "rate": "0.5", "n": 0}, {"zip": "99999", "rate": "007.5", "n": 10}]
    assert run("load", data="zip.csv", dtypes={"zip": "integer", "rate": "number"})["data"][0] == {
        "zip": 1067, "rate": 0.5, "n": 0,
    }  # fmt: skip
    assert run("load", data="a\n1.50\n2\n", dtypes={"a": "text"})["data"] == [{"a": "1.50"}, {"a": "2"}]


def test_long_whole_numbers_keep_their_last_digit_beside_gaps(run):
    rows = run("load", data=f"a,b\n{2**62 + 1},x\n,y\n{10**30},z\n")["data"]
    assert [str(row["a"]) for row in rows] == [str(2**62 + 1), "None", str(10**30)]
    rows = run("load", data=f"a,b\n{2**62 + 1},x\n,y\n")["data"]
    assert rows[0]["a"] == 2**62 + 1


def test_floats_are_read_to_the_last_digit(run):
    values = [0.1 + 0.2, 1 / 3, 1.7976931348623157e308, 5e-324, 123456789.12345679]
    text = "a\n" + "\n".join(map(repr, values)) + "\n"
    assert [row["a"] for row in run("load", data=text)["data"]] == values


def test_options_of_load(run, tmp_path: Path):
    (tmp_path / "old.csv").write_bytes("name;größe;tag\nMüller;1;05.03.2024\n-;-;\n".encode("cp1252"))
    result = run("load", data="old.csv", encoding="cp1252", null_values="-", dtypes={"größe": "integer"})
    assert result["data"] == [
        {"name": "Müller", "größe": 1, "tag": "05.03.2024"},
        {"name": None, "größe": None, "tag": None},
    ]
    with pytest.raises(ParametersError, match="utf-8"):
        run("load", data="old.csv")
    assert run("load", data="a|b\n1|2\n")["data"] == [{"a": 1, "b": 2}]
    assert run("load", data="a,b;c\n1,2;3\n", delimiter=";")["columns"] == ["a,b", "c"]
    dated = run("load", data="d,t\n2024-03-01,2024-03-01T10:00:00\n,\n", parse_dates=["d", "t"])
    assert dated["data"] == [{"d": "2024-03-01", "t": "2024-03-01T10:00:00"}, {"d": None, "t": None}]
    with pytest.raises(ParametersError, match=r"1 of 2 cells of \"d\" are no date: the first is 'soon' \(row 2\)"):
        run("load", data="d,e\n2024-03-01,1\nsoon,2\n", parse_dates="d")
    with pytest.raises(ParametersError, match='no type "intt"; did you mean "int"'):
        run("load", data="a,b\n1,2\n", dtypes={"a": "intt"})


@pytest.mark.parametrize(
    "data",
    [
        [{"a": 1, "b": None}, {"a": None, "b": "x"}],
        [{"a": 1}, {"b": "x"}],
        {"a": [1, None], "b": [None, "x"]},
        {"columns": ["a", "b"], "data": [[1, None], [None, "x"]]},
        "a,b\n1,\n,x\n",
        "a\tb\n1\t\n\tx\n",
        '[{"a": 1, "b": null}, {"a": null, "b": "x"}]',
        '{"a": 1, "b": null}\n{"a": null, "b": "x"}\n',
        '{"a": [1, null], "b": [null, "x"]}',
        {"data": [{"a": 1, "b": None}, {"a": None, "b": "x"}], "columns": ["a", "b"], "row_count": 2},
    ],
    ids=["objects", "gaps", "columns", "split", "csv", "tsv", "json", "jsonl", "json-columns", "result"],
)
def test_every_form_of_data_is_the_same_table(run, data: Any):
    result = run("load", data=data)
    assert result["data"] == [{"a": 1, "b": None}, {"a": None, "b": "x"}]
    assert result["columns"] == ["a", "b"]
    assert type(result["data"][0]["a"]) is int


def test_list_of_lists_needs_columns(run):
    assert run("load", data=[[1, "x"]], columns=["a", "b"])["data"] == [{"a": 1, "b": "x"}]
    with pytest.raises(ParametersError, match="nothing names its columns"):
        run("filter", data=[[1, "x"]], conditions="a > 1")
    with pytest.raises(ParametersError, match="row 2 of `data` has 1 cells"):
        run("load", data=[[1, 2], [3]], columns=["a", "b"])
    with pytest.raises(ParametersError, match="twice"):
        run("load", data=[[1, 2]], columns=["a", "a"])


def test_an_empty_result_keeps_its_columns_as_input(run):
    nothing = run("filter", data=[{"a": 1, "b": 2}], conditions="a > 5")
    assert nothing["data"] == []
    empty = run("aggregate", data=nothing, aggregations={"b": ["sum", "count"]})
    assert empty["data"] == [{"b_sum": None, "b_count": 0}]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "empty"),
        ([1, 2], "objects were expected"),
        ([{"a": 1}, [2]], "objects were expected"),
        ({"a": [1, 2], "b": [1]}, "different lengths"),
        ("[1, 2", "not JSON"),
        ("{\"a\": 1}\n{\"a\": ", "not JSON"),
        ("a,b\n1,2,3,4\n1,\"x\n", "no table"),
        ({1: [1]}, "data"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused(run, data: Any, message: str):
    with pytest.raises(ParametersError, match=message):
        run("load", data=data)


def test_paths_stay_in_the_workspace(run, tmp_path: Path):
    with pytest.raises(PathError, match="leaves the workspace"):
        run("load", data="../secret.csv")
    with pytest.raises(PathError, match="leaves the workspace"):
        run("save", data=[{"a": 1}], path="/tmp/elsewhere/out.csv")
    with pytest.raises(FileMissingError, match="taken as a path"):
        run("load", data="sale.csv")
    (tmp_path / "x.dat").write_text("a\n1\n")
    with pytest.raises(ParametersError, match="names no table format"):
        run("load", data="x.dat")
    assert run("load", data="x.dat", format="csv")["data"] == [{"a": 1}]
    with pytest.raises(ParametersError, match='no table format "parqet"; did you mean "parquet"'):
        run("convert", data=[{"a": 1}], format="parqet")


@pytest.mark.parametrize("format_", FORMATS)
def test_round_trip_of_a_file(run, sales, format_: str, tmp_path: Path):
    loaded = run("load", data=sales, parse_dates="day")
    saved = run("save", data=loaded, path=f"new/folder/out.{format_}")
    assert saved["path"] == f"new/folder/out.{format_}"
    assert (saved["row_count"], saved["format"]) == (5, format_)
    assert saved["bytes"] == (tmp_path / saved["path"]).stat().st_size
    again = run("load", data=saved["path"])
    assert again["data"] == loaded["data"]
    assert [list(map(type, row.values())) for row in again["data"]] == [
        list(map(type, row.values())) for row in loaded["data"]
    ]
    assert sorted(path.name for path in (tmp_path / "new/folder").iterdir()) == [f"out.{format_}"]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
XML_TEXT = st.text(
    st.one_of(st.characters(min_codepoint=32, max_codepoint=0xD7FF), st.sampled_from("\n\t🎉")), min_size=1, max_size=12
)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
WHOLE = st.integers(-(2**53), 2**53)
DAY = st.dates(datetime.date(1900, 3, 2), datetime.date(2200, 1, 1)).map(str)


def tables(text: st.SearchStrategy[str], number: st.SearchStrategy[float] = NUMBER) -> st.SearchStrategy[Any]:
    row = {"whole": WHOLE, "number": number, "text": text, "flag": st.booleans(), "day": DAY}
    return st.lists(
        st.fixed_dictionaries({"id": WHOLE, **{name: st.none() | values for name, values in row.items()}}),
        min_size=1, max_size=6,
    )  # fmt: skip


TYPES = {"id": "integer", "whole": "integer", "number": "number", "text": "text", "flag": "boolean", "day": "text"}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=tables(TEXT), format_=st.sampled_from(["csv", "tsv", "json", "jsonl", "parquet"]))
def test_no_cell_changes_in_a_file(run, rows: list[dict[str, Any]], format_: str):
    run("save", data=rows, path=f"t.{format_}")
    assert run("load", data=f"t.{format_}", dtypes=TYPES)["data"] == rows


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=tables(XML_TEXT, st.floats(-1e300, 1e300)))
def test_no_cell_changes_in_a_sheet(run, rows: list[dict[str, Any]]):
    run("save", data=rows, path="t.xlsx")
    for row, again in zip(rows, run("load", data="t.xlsx", dtypes=TYPES)["data"], strict=True):
        # A sheet stores numbers with 16 digits, and none near the largest float.
        row, again = dict(row), dict(again)
        number, read = row.pop("number"), again.pop("number")
        assert (number is None and read is None) or math.isclose(number, read, rel_tol=1e-14)
        assert again == row


def test_nested_values(run):
    rows = [{"id": 1, "tags": ["a", "b"], "more": {"x": [1, None]}}, {"id": 2, "tags": None, "more": None}]
    for format_ in ("json", "jsonl"):
        run("save", data=rows, path=f"n.{format_}")
        assert run("load", data=f"n.{format_}")["data"] == rows
    assert run("convert", data=rows, format="csv")["content"].splitlines()[1] == (
        '1,"[""a"", ""b""]","{""x"": [1, null]}"'
    )


def test_a_text_that_looks_like_a_formula_stays_a_text(run, tmp_path: Path):
    import openpyxl

    run("save", data=[{"=1+1": "=HYPERLINK('x')"}], path="f.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "f.xlsx").active
    assert [(cell.value, cell.data_type) for row in sheet.iter_rows() for cell in row] == [
        ("=1+1", "s"),
        ("=HYPERLINK('x')", "s"),
    ]


def test_sheets(run, tmp_path: Path):
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["a"])
    book.active.append([1])
    second = book.create_sheet("Zahlen")
    for line in (["b", None], [2, datetime.datetime(2024, 1, 2)], [None, None], [None, None]):
        second.append(line)
    book.save(tmp_path / "two.xlsx")
    assert run("load", data="two.xlsx")["data"] == [{"a": 1}]
    assert run("load", data="two.xlsx", sheet="Zahlen")["data"] == [{"b": 2, "Unnamed: 1": "2024-01-02"}]
    assert run("load", data="two.xlsx", sheet=1)["row_count"] == 1
    with pytest.raises(ParametersError, match='no sheet "Zalen"; did you mean "Zahlen"'):
        run("load", data="two.xlsx", sheet="Zalen")
    with pytest.raises(ParametersError, match="2 sheets"):
        run("load", data="two.xlsx", sheet=2)
    (tmp_path / "no.xlsx").write_bytes(b"PK no")
    with pytest.raises(ParametersError, match="no xlsx file"):
        run("load", data="no.xlsx")


def test_formats_say_what_they_cannot_hold(run, tmp_path: Path):
    with pytest.raises(ProductError, match="parquet"):
        run("save", data=[{"a": 1}, {"a": "x"}], path="m.parquet")
    with pytest.raises(ProductError, match="xlsx cell"):
        run("save", data=[{"a": "x" * 32_768}], path="m.xlsx")
    with pytest.raises(ProductError, match="control character"):
        run("save", data=[{"a": "\x01"}], path="m.xlsx")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "no.parquet").write_bytes(b"nothing")
    with pytest.raises(ParametersError, match="no parquet file"):
        run("load", data="no.parquet")


def test_numbers_without_a_json_spelling_are_null(run):
    result = run("load", data=[{"a": float("nan"), "b": float("inf"), "c": 1}, {"a": 1.5, "b": 2.0, "c": None}])
    assert result["data"] == [{"a": None, "b": None, "c": 1}, {"a": 1.5, "b": 2.0, "c": None}]
    assert run("load", data="a,b\ninf,1\n-inf,2\n")["data"] == [{"a": None, "b": 1}, {"a": None, "b": 2}]


def test_dates_of_yaml_become_iso_text(run):
    rows = [{"d": datetime.date(2024, 5, 1), "t": datetime.datetime(2024, 5, 1, 10, 30)}, {"d": None, "t": None}]
    assert run("load", data=rows)["data"] == [{"d": "2024-05-01", "t": "2024-05-01T10:30:00"}, {"d": None, "t": None}]
    assert run("filter", data=rows, conditions="d >= '2024-05-01' and year(t) == 2024")["row_count"] == 1


def test_a_large_table_goes_to_a_file(run, tmp_path: Path):
    lines = "\n".join(str(number) for number in range(plain_module.MAX_ROWS + 1))
    (tmp_path / "large.csv").write_text(f"n\n{lines}\n")
    with pytest.raises(SizeLimitError, match=r"100,001 rows.*\n.*output_path"):
        run("load", data="large.csv")
    result = run("load", data="large.csv", output_path="large.parquet")
    assert result.keys() == {"columns", "row_count", "path", "preview"}
    assert result["preview"][:2] == [{"n": 0}, {"n": 1}]
    # What it answers stands for the table, as every other result does.
    assert run("aggregate", data=result, aggregations={"n": "max"})["data"] == [{"n_max": plain_module.MAX_ROWS}]


def test_many_bytes_go_to_a_file(run):
    rows = [{"t": "x" * 1_000_000} for _ in range(53)]
    with pytest.raises(SizeLimitError, match="50 MB"):
        run("head", data=rows, count=53)
    assert run("head", data=rows, count=40)["row_count"] == 40
    assert "preview" in run("sort", data=rows, by="t", output_path="b.jsonl")


def test_output_path_also_gives_the_rows(run, sales):
    result = run("filter", data=sales, conditions={"region": "north"}, output_path="north.csv")
    assert result["path"] == "north.csv"
    assert run("load", data="north.csv")["data"] == result["data"]


def test_convert(run, sales):
    assert run("convert", data=[{"a": 1, "b": "x,y"}], format="csv")["content"] == 'a,b\n1,"x,y"\n'
    assert run("convert", data=[{"a": True}], to="tsv")["content"] == "a\ntrue\n"
    assert json.loads(run("convert", data=sales, format="json")["content"])[2]["note"] == "ünïcödé 🎉"
    assert run("convert", data=sales, output_path="s.jsonl")["format"] == "jsonl"
    assert run("convert", data=[], format="json")["content"] == "[]\n"
    with pytest.raises(ParametersError, match="needs a `format` or an `output_path`"):
        run("convert", data=sales)
    with pytest.raises(ParametersError, match="parquet is no text format"):
        run("convert", data=sales, format="parquet")


def test_a_missing_library_names_its_extra(tmp_path: Path):
    code = (
        "import sys; sys.modules['pyarrow'] = None; sys.modules['openpyxl'] = None; sys.modules['duckdb'] = None\n"
        "from pathlib import Path\n"
        "from orchestrator_dagster.tools.data import data_processing as tool\n"
        "from orchestrator_dagster.tools.tool import ToolContext\n"
        "from orchestrator_dagster.files.workspace import Workspace\n"
        "from orchestrator_dagster.errors import MissingExtraError\n"
        "context = ToolContext(Workspace(Path('.')))\n"
        "for call in (dict(path='a.parquet'), dict(path='a.xlsx'), None):\n"
        "    try:\n"
        "        tool.find('save').call(context, dict(data=[{'a': 1}], **call)) if call else "
        "tool.find('sql').call(context, dict(query='select 1'))\n"
        "    except MissingExtraError as error: print(error.hint)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert [extra in line for extra, line in zip(("parquet", "excel", "sql"), answer.stdout.splitlines(), strict=True)]
    assert "[parquet]" in answer.stdout
    assert "[excel]" in answer.stdout
    assert "[sql]" in answer.stdout
    assert MissingExtraError.permanent


def test_size_limit_of_the_workspace(tmp_path: Path):
    context = ToolContext(Workspace(tmp_path, max_file_bytes=100))
    (tmp_path / "a.csv").write_text("a\n" + "1\n" * 100)
    for action, parameters in (("load", {"data": "a.csv"}), ("save", {"data": [{"a": "x" * 200}], "path": "b.csv"})):
        with pytest.raises(SizeLimitError):
            data_processing.find(action).call(context, parameters)
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
