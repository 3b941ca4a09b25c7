"""The action sql: one SELECT over named tables, in DuckDB, without files, network or other databases."""

from __future__ import annotations

import threading
from typing import Annotated, Any

from pydantic import AliasChoices, Field

from orchestrator_dagster.errors import ParametersError, SizeLimitError, StepTimeoutError
from orchestrator_dagster.tools.data.columns import from_values, kind
from orchestrator_dagster.tools.data.loading import read_table
from orchestrator_dagster.tools.data.plain import frame_of, plain, plain_values, table_result, text_of
from orchestrator_dagster.tools.data.results import TableResult
from orchestrator_dagster.tools.data.types import Frame, OutputPath
from orchestrator_dagster.tools.tool import ToolContext, require

MEMORY_LIMIT = "2GB"
#: Rows that a query may give when its result goes to a file.
MAX_QUERY_ROWS = 5_000_000


def sql(
    context: ToolContext,
    query: Annotated[str, Field(description="One SELECT statement", validation_alias=AliasChoices("query", "sql"))],
    tables: Annotated[dict[str, Any] | None, Field(description="Name in the query -> table")] = None,
    data: Annotated[
        list[Any] | dict[str, Any] | str | None, Field(description='One table, named "data" in the query')
    ] = None,
    parameters: Annotated[
        list[Any] | dict[str, Any] | None, Field(description="Values for ? or $name in the query")
    ] = None,
    output_path: OutputPath = None,
) -> TableResult:
    """Answer a SQL query over tables. It can only read, and only the tables given: no file, no network, no setting.

    Example:
        >>> sql(context, "SELECT a + 1 AS b FROM data", data=[{"a": 1}])["data"]  # doctest: +SKIP
        [{'b': 2}]

    Raises:
        MissingExtraError: DuckDB is not installed.
        ParametersError: The query is wrong, or is not one SELECT.
        StepTimeoutError: It took longer than the step's timeout; it was stopped.
    """
    duckdb = require("duckdb", "sql", "data-processing")
    named = {**({"data": data} if data is not None else {}), **(tables or {})}
    connection = duckdb.connect(
        ":memory:",
        config={
            "enable_external_access": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",
            "memory_limit": MEMORY_LIMIT,
        },
    )
    try:
        for name, table in named.items():
            connection.register(name, _registered(read_table(context, table)))
        connection.execute("SET lock_configuration = true")
        frame = _answer(context, duckdb, connection, query, parameters)
    finally:
        connection.close()
    return table_result(TableResult, context, frame, output_path)


def _answer(context: ToolContext, duckdb: Any, connection: Any, query: str, parameters: Any) -> Frame:
    stopped = threading.Event()

    def stop() -> None:
        stopped.set()
        connection.interrupt()

    timer = threading.Timer(context.timeout, stop) if context.timeout else None
    try:
        statements = connection.extract_statements(query)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            kinds = ", ".join(one.type.name for one in statements) or "nothing"
            raise ParametersError(f"the query is {kinds}, one SELECT was expected")
        if timer:
            timer.start()
        cursor = connection.execute(statements[0], parameters)
        names = [column[0] for column in cursor.description]
        rows = cursor.fetchmany(MAX_QUERY_ROWS + 1)
    except duckdb.InterruptException:
        if not stopped.is_set():
            raise
        raise StepTimeoutError(f"the query took longer than {context.timeout:g} seconds and was stopped") from None
    except duckdb.OutOfMemoryException as error:
        raise SizeLimitError(f"the query needs more than {MEMORY_LIMIT} of memory: {_first_line(error)}") from None
    except duckdb.Error as error:
        raise ParametersError(
            f"the query failed: {_first_line(error)}", hint="its tables: " + _tables(connection)
        ) from None
    finally:
        if timer:
            timer.cancel()
    if len(rows) > MAX_QUERY_ROWS:
        raise SizeLimitError(f"the query gives more than {MAX_QUERY_ROWS:,} rows", hint="aggregate, or add a LIMIT")
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise ParametersError(f'the query gives two columns "{double}"', hint="name one of them with AS")
    return frame_of({name: [_cell(row[place]) for row in rows] for place, name in enumerate(names)})


def _cell(value: Any) -> Any:
    import datetime

    return value if isinstance(value, datetime.date) else plain(value)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _tables(connection: Any) -> str:
    rows = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1").fetchall()
    return ", ".join(row[0] for row in rows) or "none"


def _registered(frame: Frame) -> Frame:
    """Columns that DuckDB would take a guess at (mixed values, lists) as JSON text; texts as plain objects."""
    changed: dict[str, Any] = {}
    for name in frame.columns:
        held = kind(frame[name])
        if held == "mixed":
            cells = [None if cell is None else text_of(cell) for cell in plain_values(frame[name])]
            changed[str(name)] = from_values(cells).astype(object).set_axis(frame.index)
        elif held == "text":
            texts = frame[name].astype(object)
            changed[str(name)] = texts.where(frame[name].notna(), None)
    return frame.assign(**changed)
