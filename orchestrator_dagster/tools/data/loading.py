"""The actions that bring tables in and out: load, save, convert."""

from __future__ import annotations

from typing import Annotated, Any, cast

from pydantic import AliasChoices, Field

from orchestrator_dagster.errors import FileMissingError, ParametersError, SizeLimitError
from orchestrator_dagster.tools.data.columns import cast as cast_column
from orchestrator_dagster.tools.data.columns import names_list, require_columns, type_name
from orchestrator_dagster.tools.data.plain import MAX_BYTES, frame_of_rows, table_result
from orchestrator_dagster.tools.data.reading import (
    ReadOptions,
    format_name,
    format_of_path,
    frame_of_value,
    read_bytes,
)
from orchestrator_dagster.tools.data.results import ConvertResult, SaveResult, TableResult
from orchestrator_dagster.tools.data.types import Frame, Names, OutputPath, Source, Table
from orchestrator_dagster.tools.data.writing import encoded, write_table
from orchestrator_dagster.tools.tool import ToolContext

Format = Annotated[
    str | None,
    Field(description="csv, tsv, json, jsonl, parquet or xlsx", validation_alias=AliasChoices("format", "to")),
]


def read_table(
    context: ToolContext, data: Any, *, file_format: str | None = None, options: ReadOptions | None = None
) -> Frame:
    """The table that a ``data`` parameter stands for (see the description of the parameter).

    Raises:
        ParametersError: It is no table; a text is neither content nor the path of a file.
        PathError: A path leaves the workspace.
        FileMissingError: A path names no file.
    """
    chosen = options or ReadOptions()
    known = format_name(file_format) if file_format else None
    if not isinstance(data, str):
        if isinstance(data, dict) and "data" not in data and {"path", "columns", "row_count"} <= data.keys():
            data = data["path"]  # a result of this tool that was too large to carry its rows
        else:
            frame = frame_of_value(data)
            return _typed(frame, chosen)
    text = data.strip()
    if not text:
        raise ParametersError("`data` is an empty text", hint="give rows, CSV or JSON text, or a path")
    if text[0] in "[{" and known not in ("csv", "tsv"):
        return read_bytes(data.encode(), known if known in ("json", "jsonl") else "json", _plain(chosen), "data")
    if "\n" in data.rstrip(" "):
        content = known if known in ("csv", "tsv") else "csv"
        return read_bytes(data.encode(), content, _plain(chosen), "data")
    try:
        content_of_file = context.workspace.read_bytes(text)
    except FileMissingError as error:
        error.message += "; a text of one line is taken as a path"
        raise
    return read_bytes(content_of_file, known or format_of_path(text), chosen, text)


def _plain(options: ReadOptions) -> ReadOptions:
    from dataclasses import replace

    return replace(options, encoding="utf-8")  # a text has been decoded already


def _typed(frame: Frame, options: ReadOptions) -> Frame:
    for name in require_columns(frame, options.dtypes, "`data`"):
        frame[name] = cast_column(frame[name], options.dtypes[name], name=name)
    return frame


def load(
    context: ToolContext,
    data: Source,
    format: Annotated[str | None, Field(description="Format of the file or text, default by ending")] = None,
    delimiter: Annotated[str | None, Field(description="Of csv, default guessed from the first line")] = None,
    encoding: Annotated[str, Field(description="Of text files")] = "utf-8",
    columns: Annotated[list[str] | None, Field(description="Column names for a list of lists")] = None,
    dtypes: Annotated[
        dict[str, str] | None, Field(description="column -> text, integer, number, boolean or date")
    ] = None,
    parse_dates: Annotated[Names | None, Field(description="Columns of ISO dates")] = None,
    sheet: Annotated[str | int | None, Field(description="Of an xlsx file: name, or number from 0")] = None,
    null_values: Annotated[Names | None, Field(description="Texts besides the empty cell that mean null")] = None,
    output_path: OutputPath = None,
) -> TableResult:
    """Read a table from a file, a text or values.

    How the types of CSV columns are found: all cells whole numbers -> integer; numbers -> number (integer where some
    cells are missing and the others are all whole); ``true``/``false``
    -> boolean; everything else stays text, dates too (name them in ``parse_dates``). A numeric column in which any
    number starts with a superfluous zero (``007``, a postcode) stays text. Only the empty cell is null: ``NA`` is a
    text unless ``null_values`` has it. ``dtypes`` overrides all of this for a column, from the text as it stands.

    Example:
        >>> load(context, "sales.csv", dtypes={"zip": "text"})  # doctest: +SKIP
        {'data': [{'zip': '01067', 'total': 5}], 'columns': ['zip', 'total'], 'row_count': 1}

    Raises:
        ParametersError: It is no table, or a cell does not fit the type asked for.
    """
    types = {name: type_name(to) for name, to in (dtypes or {}).items()}
    types.update(dict.fromkeys(names_list(parse_dates), "date"))
    options = ReadOptions(delimiter, encoding, sheet, tuple(names_list(null_values)), types)
    if columns is not None:
        if not isinstance(data, list):
            raise ParametersError("`columns` names the columns of a list of lists, `data` is none")
        frame = _typed(frame_of_rows(data, columns), options)
    else:
        frame = read_table(context, data, file_format=format, options=options)
    return table_result(TableResult, context, frame, output_path)


def save(
    context: ToolContext,
    data: Table,
    path: Annotated[
        str,
        Field(
            description="File of the workspace to write",
            validation_alias=AliasChoices("path", "output_path", "file", "filename"),
        ),
    ],
    format: Format = None,
) -> SaveResult:
    """Write a table to a file; its format is the path's ending unless ``format`` names it.

    Example:
        >>> save(context, [{"a": 1}], "out/table.parquet")  # doctest: +SKIP
        {'path': 'out/table.parquet', 'format': 'parquet', 'columns': ['a'], 'row_count': 1, 'bytes': …, 'sha256': …}

    Raises:
        ProductError: The format cannot hold the table.
    """
    frame = read_table(context, data)
    written = write_table(context, frame, path, format)
    return cast("SaveResult", {**written, "columns": [str(name) for name in frame.columns], "row_count": len(frame)})


def convert(
    context: ToolContext,
    data: Source,
    format: Format = None,
    output_path: Annotated[str | None, Field(description="File to write; without it the answer has the text")] = None,
) -> ConvertResult:
    """Bring a table into another format: as text in ``content``, or as a file with ``output_path``.

    Example:
        >>> convert(context, [{"a": 1}], format="csv")["content"]  # doctest: +SKIP
        'a\\n1\\n'

    Raises:
        ParametersError: Neither ``format`` nor ``output_path`` is given, or the format is no text and needs a file.
    """
    if format is None and output_path is None:
        raise ParametersError("`convert` needs a `format` or an `output_path`", hint="such as format: json")
    frame = read_table(context, data)
    shape = {"columns": [str(name) for name in frame.columns], "row_count": len(frame)}
    if output_path is not None:
        return cast("ConvertResult", {**write_table(context, frame, output_path, format), **shape})
    chosen = format_name(str(format))
    if chosen in ("parquet", "xlsx"):
        raise ParametersError(f"{chosen} is no text format", hint="give an `output_path`")
    parts, size = [], 0
    for part in encoded(frame, chosen):
        size += len(part)
        if size > MAX_BYTES:
            raise SizeLimitError(
                f"the table is more than {MAX_BYTES // 1024**2} MB as {chosen}", hint="give `output_path`"
            )
        parts.append(part)
    return cast("ConvertResult", {"content": b"".join(parts).decode(), "format": chosen, **shape})
