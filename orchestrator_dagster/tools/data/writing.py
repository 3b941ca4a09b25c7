"""Tables into files and texts, each written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from orchestrator_dagster.errors import ProductError
from orchestrator_dagster.tools.data.columns import from_values, kind
from orchestrator_dagster.tools.data.plain import plain_values, rows_of, text_of
from orchestrator_dagster.tools.data.reading import format_name, format_of_path
from orchestrator_dagster.tools.data.types import Frame
from orchestrator_dagster.tools.tool import ToolContext, require

CHUNK_ROWS = 50_000
#: Limits of the xlsx format (ECMA-376 part 1, as Excel states them): rows of a sheet, characters of a cell.
XLSX_ROWS, XLSX_CELL = 1_048_576, 32_767


def write_table(context: ToolContext, frame: Frame, path: str, file_format: str | None = None) -> dict[str, Any]:
    """Write the table and say where it is: ``{path, format, bytes, sha256}``, path relative to the workspace.

    Raises:
        ParametersError: Neither the format nor the path's ending names a table format.
        ProductError: The format cannot hold the table.
    """
    chosen = format_name(file_format) if file_format else format_of_path(path)
    written = context.workspace.write(path, encoded(frame, chosen))
    return {
        "path": context.workspace.relative(written.path),
        "format": chosen,
        "bytes": written.bytes,
        "sha256": written.sha256,
    }


def encoded(frame: Frame, file_format: str) -> Iterator[bytes]:
    """The content of a file in this format, in chunks."""
    if file_format in ("csv", "tsv"):
        yield from _csv(frame, "," if file_format == "csv" else "\t")
    elif file_format == "json":
        yield from _json(frame)
    elif file_format == "jsonl":
        for part in _chunks(frame):
            rows = rows_of(part)
            yield "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    elif file_format == "parquet":
        yield _parquet(frame)
    else:
        yield _xlsx(frame)


def _chunks(frame: Frame) -> Iterator[Frame]:
    for start in range(0, len(frame), CHUNK_ROWS):
        yield frame.iloc[start : start + CHUNK_ROWS]


def _csv(frame: Frame, delimiter: str) -> Iterator[bytes]:
    texts = frame.copy(deep=False)
    quoting = csv.QUOTE_MINIMAL
    for name in frame.columns:
        column = frame[name]
        if column.dtype.kind not in "iuf" and kind(column) != "text":
            cells = plain_values(column)
            texts[name] = from_values([None if cell is None else text_of(cell) for cell in cells]).set_axis(frame.index)
        if kind(texts[name]) == "text" and texts[name].dropna().str.contains("\r", regex=False).any():
            # Before Python 3.13 the csv writer leaves a lone carriage return bare, and readers end the row there.
            quoting = csv.QUOTE_NONNUMERIC
    form: dict[str, Any] = {"sep": delimiter, "index": False, "lineterminator": "\n", "quoting": quoting}
    yield texts.iloc[:0].to_csv(**form).encode()
    for part in _chunks(texts):
        yield part.to_csv(header=False, **form).encode()


def _json(frame: Frame) -> Iterator[bytes]:
    before = "["
    for part in _chunks(frame):
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows_of(part))
        yield f"{before}\n{lines}".encode()
        before = ","
    yield b"[]\n" if before == "[" else b"\n]\n"


def _parquet(frame: Frame) -> bytes:
    arrow = require("pyarrow", "parquet", "data-processing")
    target = io.BytesIO()
    try:
        frame.to_parquet(target, index=False, engine="pyarrow")
    except (arrow.ArrowException, ValueError, TypeError) as error:
        raise ProductError(
            f"the table cannot be written as parquet: {str(error).splitlines()[0]}",
            hint="cast the column that has values of several types, or write jsonl",
        ) from None
    return target.getvalue()


def _xlsx(frame: Frame) -> bytes:
    openpyxl = require("openpyxl", "excel", "data-processing")
    cells = require("openpyxl.cell.cell", "excel", "data-processing")
    if len(frame) + 1 > XLSX_ROWS:
        raise ProductError(f"{len(frame):,} rows do not fit into an xlsx sheet", hint="write csv or parquet")
    names = [str(name) for name in frame.columns]
    columns = [_xlsx_values(frame, place) for place in range(len(names))]
    # Everything is looked at before the first cell is written: openpyxl cannot give up a sheet halfway.
    for text in (cell for values in (names, *columns) for cell in values if isinstance(cell, str)):
        if len(text) > XLSX_CELL:
            raise ProductError(f"a text of {len(text):,} characters does not fit into an xlsx cell ({XLSX_CELL:,})")
        if cells.ILLEGAL_CHARACTERS_RE.search(text):
            raise ProductError(f"xlsx cannot hold the control character of the text {text[:80]!r}")
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("data")

    def made(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        cell = cells.WriteOnlyCell(sheet, value=value)
        cell.data_type = "s"  # or a text that starts with "=" would become a formula
        return cell

    sheet.append([made(name) for name in names])
    for row in zip(*columns, strict=True):
        sheet.append([made(value) for value in row])
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def _xlsx_values(frame: Frame, place: int) -> list[Any]:
    column = frame.iloc[:, place]
    if kind(column) == "date" and column.dtype != object and getattr(column.dtype, "tz", None) is None:
        return [None if gone else day.to_pydatetime() for day, gone in zip(column, column.isna(), strict=True)]
    return [text_of(cell) if isinstance(cell, (list, dict)) else cell for cell in plain_values(column)]
