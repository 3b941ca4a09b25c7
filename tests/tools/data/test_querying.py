from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator_dagster.errors import ParametersError, StepTimeoutError
from orchestrator_dagster.tools.data import data_processing
from orchestrator_dagster.tools.tool import ToolContext

ROWS = [{"g": "a", "n": 1, "t": None}, {"g": "b", "n": None, "t": "x"}, {"g": "a", "n": 3, "t": "y"}]


def test_tables_and_types(run, sales):
    result = run(
        "sql",
        query="select g, sum(n) as s, count(*) as c from mine join files on files.id = 1 group by g order by g",
        tables={"mine": ROWS, "files": sales},
        output_path="sums.csv",
    )
    assert result["data"] == [{"g": "a", "s": 4, "c": 2}, {"g": "b", "s": None, "c": 1}]
    assert type(result["data"][0]["s"]) is int
    assert run("load", data="sums.csv")["data"] == result["data"]
    typed = run(
        "sql", query="select 1.5::decimal(4,2) as d, date '2024-01-02' as t, [1, null] as l, true as b, null as n"
    )
    assert typed["data"] == [{"d": 1.5, "t": "2024-01-02", "l": [1, None], "b": True, "n": None}]
    assert run("query", query="select * from data where n > ?", data=ROWS, parameters=[1])["data"] == [ROWS[2]]
    assert run("sql", query="select $x + 1 as y", parameters={"x": 1})["data"] == [{"y": 2}]
    assert run("sql", query="select * from data where false", data=ROWS)["columns"] == ["g", "n", "t"]


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_csv('secret.csv')", "select * from 'secret.csv'", "select * from read_text('secret.csv')",
        "select * from glob('*')", "copy data to 'out.csv'", "attach 'x.db'", "install httpfs", "load httpfs",
        "set enable_external_access = true", "pragma enable_profiling", "create table x as select 1", "drop view data",
        "insert into data values (1)", "update data set n = 1", "export database 'x'", "call pragma_version()",
        "select 1; select 2", "", "-- nothing", "select * from ROWS", "selec 1", "select nope from data",
        "explain analyze select * from 'secret.csv'", "select getenv('HOME')",
        "select * from sqlite_scan('x.db', 't')", "select * from 'https://127.0.0.1/x.csv'",
    ],
)  # fmt: skip
def test_only_reads_the_tables_given(run, tmp_path: Path, query: str):
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with pytest.raises(ParametersError):
        run("sql", query=query, data=ROWS)
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


def test_mistakes_name_the_tables(run):
    with pytest.raises(ParametersError, match="next: its tables: data, other"):
        run("sql", query="select * from dat", data=ROWS, tables={"other": ROWS})
    with pytest.raises(ParametersError, match='two columns "n"'):
        run("sql", query="select n, n from data", data=ROWS)


def test_a_query_is_stopped_at_the_timeout(context):
    short = ToolContext(context.workspace, timeout=0.2)
    query = "select sum(a.range * b.range % 7) as s from range(10000000) a, range(10000000) b"
    with pytest.raises(StepTimeoutError, match=r"0\.2 seconds"):
        data_processing.find("sql").call(short, {"query": query})
