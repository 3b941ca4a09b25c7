"""Tables as plain JSON values: no NaN, no NaT, no numpy types; dates as ISO text, whole numbers whole."""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import math
from collections.abc import Iterable
from typing import Any, TypeVar, cast

from orchestrator_dagster.errors import ParametersError, SizeLimitError
from orchestrator_dagster.tools.data.columns import from_values, kind
from orchestrator_dagster.tools.data.types import Column, Frame, Row
from orchestrator_dagster.tools.tool import ToolContext

#: A result beyond these is written to a file instead of being handed on as a value.
MAX_ROWS = 100_000
MAX_BYTES = 50 * 1024 * 1024
PREVIEW_ROWS = 20

Shape = TypeVar("Shape")
"""What an action answers, as `tools.data.results` declares it."""


def plain(value: Any) -> Any:
    """One cell as a JSON value. Infinite numbers have no JSON spelling and become null."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, (datetime.date, datetime.time)):  # also pandas.Timestamp; NaT is a datetime as well
        return None if value != value else value.isoformat()
    if isinstance(value, datetime.timedelta):
        return None if value != value else value.total_seconds()
    if isinstance(value, decimal.Decimal):
        return plain(int(value) if value == value.to_integral_value() else float(value)) if value.is_finite() else None
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(bytes(value)).decode("ascii")
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return plain(value.tolist())
    import pandas as pd

    return None if value is pd.NA or value is pd.NaT else str(value)


def plain_values(column: Column) -> list[Any]:
    """The cells of a column as JSON values.

    A column of dates gives days (``2024-05-01``) where no cell has a time of day, else ``2024-05-01T10:30:00``.
    """
    import numpy as np

    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "iub":
        return list(column.tolist())
    if isinstance(dtype, np.dtype) and dtype.kind == "f":
        values = column.to_numpy()
        finite = np.isfinite(values)
        cells = values.tolist()
        if finite.all():
            return list(cells)
        return [cell if known else None for cell, known in zip(cells, finite.tolist(), strict=True)]
    missing = column.isna().to_numpy()
    if kind(column) == "date" and dtype.kind == "M":
        days = getattr(dtype, "tz", None) is None and bool((column.dropna() == column.dropna().dt.normalize()).all())
        return [
            None if gone else (cell.date() if days else cell).isoformat()
            for cell, gone in zip(column, missing, strict=True)
        ]
    cells = column.astype(object).tolist()
    return [None if gone is True else plain(cell) for cell, gone in zip(cells, missing.tolist(), strict=True)]


def text_of(value: Any) -> str:
    """A plain value as the text of a cell: texts as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def rows_of(frame: Frame) -> list[Row]:
    """The rows of a table as objects of plain values."""
    names = [str(name) for name in frame.columns]
    columns = [plain_values(frame.iloc[:, place]) for place in range(len(names))]
    if not columns:
        return [{} for _ in range(len(frame))]
    return [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]


def frame_of(columns: dict[str, list[Any]]) -> Frame:
    """A table from lists of plain values, all of one length."""
    import pandas as pd

    return pd.DataFrame({name: from_values(values) for name, values in columns.items()}, columns=list(columns))


def frame_of_rows(rows: Iterable[Any], columns: list[str] | None = None) -> Frame:
    """A table from objects (a missing key is null; columns in the order they first appear) or from lists.

    Raises:
        ParametersError: A row is neither, has the wrong length, or lists come without ``columns``.
    """
    given = list(rows)
    if not given:
        return frame_of({name: [] for name in columns or []})
    if all(isinstance(row, dict) for row in given):
        names = dict.fromkeys(columns or ())
        if not columns:
            for row in given:
                if row.keys() != names.keys():
                    names.update(dict.fromkeys(row))
        return frame_of(unique({name: [row.get(name) for row in given] for name in names}))
    if not all(isinstance(row, (list, tuple)) for row in given):
        wrong = next(row for row in given if not isinstance(row, type(given[0])) or not isinstance(row, (dict, list)))
        raise ParametersError(
            f"a row of `data` is {type(wrong).__name__} ({str(wrong)[:60]!r}), objects were expected",
            hint="give a list of objects, or lists with their `columns`",
        )
    if not columns:
        raise ParametersError(
            "`data` is a list of lists and nothing names its columns",
            hint="give {columns: [...], data: [[...], ...]}, or objects instead of lists",
        )
    if len(set(columns)) != len(columns):
        raise ParametersError(f"`columns` has a name twice: {', '.join(columns)}", hint="name each column once")
    for number, row in enumerate(given, 1):
        if len(row) != len(columns):
            raise ParametersError(f"row {number} of `data` has {len(row)} cells, `columns` has {len(columns)} names")
    return frame_of({name: [row[place] for row in given] for place, name in enumerate(columns)})


def unique(columns: dict[Any, list[Any]]) -> dict[str, list[Any]]:
    """The columns under text names, once no two of them are alike as text."""
    named = {str(name): values for name, values in columns.items()}
    if len(named) != len(columns):
        raise ParametersError("two columns of `data` have the same name as text (such as 1 and '1')")
    return named


def json_size(frame: Frame, rows: list[Row]) -> int:
    """Bytes of the rows as JSON: an upper bound where that is small enough, else counted."""
    bound = len(rows) * sum(len(str(name).encode()) + 6 for name in frame.columns)
    for place in range(frame.shape[1]):
        column = frame.iloc[:, place]
        if column.dtype.kind in "iufbM":
            bound += 36 * len(rows)
        elif kind(column) == "text":
            bound += 6 * int(column.str.len().sum()) + 2 * len(rows)  # six bytes: a control character as \\u0000
        elif kind(column) != "null":
            bound += MAX_BYTES
    if bound <= MAX_BYTES:
        return bound
    return sum(len(json.dumps(row, ensure_ascii=False).encode()) + 2 for row in rows)


def table_result(
    shape: type[Shape], context: ToolContext, frame: Frame, output_path: str | None = None, **more: Any
) -> Shape:
    """What an action answers for a table, as ``shape``: ``{data, columns, row_count, …}``.

    With ``output_path`` the table is written there too and ``path`` is in the result; one that is too large to be
    handed on as a value then has ``preview`` (its first rows) instead of ``data``.

    Raises:
        SizeLimitError: More than 100,000 rows or 50 MB as JSON, and no ``output_path``.
    """
    result: dict[str, Any] = {"columns": [str(name) for name in frame.columns], "row_count": len(frame), **more}
    if output_path is not None:
        from orchestrator_dagster.tools.data.writing import write_table

        result["path"] = write_table(context, frame, output_path)["path"]
    reason = None
    if len(frame) > MAX_ROWS:
        reason = f"{len(frame):,} rows, a result may have {MAX_ROWS:,}"
    else:
        rows = rows_of(frame)
        if json_size(frame, rows) > MAX_BYTES:
            reason = f"more than {MAX_BYTES // 1024 // 1024} MB as JSON"
    if reason is None:
        return cast("Shape", {"data": rows, **result})
    if output_path is None:
        raise SizeLimitError(
            f"the table is too large for a result: {reason}",
            hint="give `output_path` to write it to a file (parquet is fastest), or filter or aggregate it first",
        )
    return cast("Shape", {**result, "preview": rows_of(frame.head(PREVIEW_ROWS))})
