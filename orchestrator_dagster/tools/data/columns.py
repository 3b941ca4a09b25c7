"""What a column holds, and changing it: kinds, missing values, casts."""

from __future__ import annotations

import datetime
import decimal
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.text import nearest
from orchestrator_dagster.tools.data.types import Column, Frame

Kind = Literal["number", "text", "boolean", "date", "null", "mixed"]

#: Spellings of the types that `dtypes` and `cast` take.
TYPES = {
    "text": "text", "string": "text", "str": "text", "object": "text",
    "integer": "integer", "int": "integer", "int64": "integer",
    "number": "number", "float": "number", "float64": "number", "double": "number",
    "boolean": "boolean", "bool": "boolean",
    "date": "date", "datetime": "date", "timestamp": "date",
}  # fmt: skip
_ZONE = re.compile(r":\d\d(?:\.\d+)?\s*(?:[Zz]|[+-]\d\d(?::?\d\d)?)$")
_TRUE, _FALSE = frozenset({"true", "yes", "y", "t", "1"}), frozenset({"false", "no", "n", "f", "0"})


def kind(column: Column) -> Kind:
    """What the cells of a column are, missing ones aside. ``mixed`` also stands for lists, objects and durations."""
    import pandas as pd

    dtype = column.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_numeric_dtype(dtype):
        return "number" if dtype.kind != "f" or len(column) == 0 or not column.isna().all() else "null"
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "date"
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    if inferred == "empty":
        return "null"
    names: dict[str, Kind] = {
        "string": "text", "boolean": "boolean", "integer": "number", "floating": "number",
        "mixed-integer-float": "number", "decimal": "number", "datetime": "date", "datetime64": "date",
    }  # fmt: skip
    return names.get(inferred, "mixed")


def kind_of_value(value: Any) -> Kind:
    """The kind of one plain value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float, decimal.Decimal)):
        return "number"
    if isinstance(value, str):
        return "text"
    return "date" if isinstance(value, datetime.date) else "mixed"


def names_list(names: str | Sequence[str] | None) -> list[str]:
    """One name or a list of names, as a list."""
    return [] if names is None else [names] if isinstance(names, str) else list(names)


def require_columns(frame: Frame, names: Iterable[str], what: str = "the table") -> list[str]:
    """The names, once each of them is known to be a column.

    Raises:
        ParametersError: With the nearest name and the columns there are.
    """
    wanted = list(names)
    for name in wanted:
        if name not in frame.columns:
            known = [str(column) for column in frame.columns]
            shown = ", ".join(known[:50]) + (f" … ({len(known)} in all)" if len(known) > 50 else "")
            raise ParametersError(
                f'{what} has no column "{name}"{nearest(str(name), known)}', hint=f"its columns: {shown or 'none'}"
            )
    return wanted


def require_kind(frame: Frame, name: str, allowed: tuple[Kind, ...], what: str) -> Column:
    """The column, once it holds one of the kinds allowed (a column without any value passes).

    Raises:
        ParametersError: It is unknown, or holds something else.
    """
    require_columns(frame, [name])
    column = frame[name]
    found = kind(column)
    if found not in (*allowed, "null"):
        raise ParametersError(
            f'{what} needs a {" or ".join(allowed)} column, "{name}" holds {found} values ({column.dtype})',
            hint="cast it first (action `transform`, operation `cast`)",
        )
    return column


def nullable(column: Column) -> Column:
    """The column in a dtype that can hold a missing value without turning whole numbers into floats."""
    if column.dtype.kind == "b":
        return column.astype("boolean")
    if column.dtype.kind in "iu" and not str(column.dtype)[0].isupper():
        return column.astype("UInt64" if column.dtype.kind == "u" else "Int64")
    return column


def simplest(column: Column) -> Column:
    """The column in numpy's dtype where that loses nothing: whole numbers and booleans without missing values."""
    name = str(column.dtype)
    if name.startswith(("Int", "UInt", "Float", "boolean")):
        if name.startswith("Float"):
            return column.astype("float64")
        if not column.isna().any():
            return column.astype("bool" if name == "boolean" else name.lower())
    return column


def from_values(values: Sequence[Any]) -> Column:
    """A column of plain values: whole numbers stay whole beside missing ones, dates become dates, the rest is kept."""
    import pandas as pd

    kinds = set(map(type, values))
    if float in kinds and any(value != value for value in values if type(value) is float):
        values = [None if type(value) is float and value != value else value for value in values]
        kinds = set(map(type, values))
    missing = type(None) in kinds
    kinds.discard(type(None))
    if kinds == {bool}:
        return pd.Series(values, dtype="boolean" if missing else "bool")
    if kinds == {int} and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return pd.Series(values, dtype="Int64" if missing else "int64")
    if float in kinds and kinds <= {int, float}:
        # A float cannot hold every whole number above 2**53: such a column keeps its values as they are.
        if all(type(value) is not int or abs(value) <= 2**53 for value in values):
            return pd.Series(values, dtype="float64")
    elif kinds == {str}:
        return pd.Series(values, dtype=_text_dtype())
    elif kinds and all(issubclass(one, datetime.date) for one in kinds):
        zones = {getattr(value, "tzinfo", None) is not None for value in values if value is not None}
        try:
            return pd.to_datetime(pd.Series(values, dtype="object"), utc=zones == {True})
        except (ValueError, TypeError, OverflowError):  # with and without zone, or a year that is out of range
            return pd.Series(values, dtype="object")
    return pd.Series(values, dtype="object")


def _text_dtype() -> Any:
    import pandas as pd

    return "str" if int(pd.__version__.split(".")[0]) >= 3 else "object"


def type_name(name: str) -> str:
    """The type behind a spelling: text, integer, number, boolean or date.

    Raises:
        ParametersError: There is no such type.
    """
    found = TYPES.get(name.strip().lower())
    if found is None:
        raise ParametersError(
            f'there is no type "{name}"{nearest(name, TYPES)}', hint="use text, integer, number, boolean or date"
        )
    return found


def cast(column: Column, to: str, *, name: str, on_error: str = "fail", date_format: str | None = None) -> Column:
    """The column as another type; missing cells stay missing.

    Args:
        column: Its cells, any kind.
        to: text, integer, number, boolean or date (or a usual spelling of these).
        name: The column's name, for messages.
        on_error: ``fail`` or ``null``: what becomes of a cell that does not fit.
        date_format: strptime format for dates, default ISO 8601.

    Raises:
        ParametersError: A cell does not fit; the message shows the first one.
    """

    target = type_name(to)
    held = kind(column)
    if target == "text":
        from orchestrator_dagster.tools.data.plain import plain_values, text_of

        cells = plain_values(column)
        return from_values([None if cell is None else text_of(cell) for cell in cells]).set_axis(column.index)
    if target == "boolean":
        changed = column.map(_boolean, na_action="ignore").astype("boolean")
    elif target == "date":
        changed = parse_dates(column, date_format)
    else:
        changed = _numbers(column, held, target)
    failed = changed.isna() & column.notna()
    if failed.any() and on_error != "null":
        first = column[failed].iloc[0]
        raise ParametersError(
            f'{int(failed.sum())} of {len(column)} cells of "{name}" are no {target}: the first is {first!r}'
            f" (row {int(failed.to_numpy().argmax()) + 1})",
            hint="give `on_error: null` to make them null, or clean the column first",
        )
    return simplest(changed)


def parse_dates(column: Column, date_format: str | None = None) -> Column:
    """Texts as dates; a cell that is none becomes missing. Moments with a zone are brought to UTC.

    Args:
        column: Its cells, any kind; numbers are no dates.
        date_format: strptime format, default ISO 8601.
    """
    import pandas as pd

    if kind(column) in ("number", "boolean"):
        return pd.Series(pd.NaT, index=column.index)
    if column.dtype.kind == "M":
        return column
    zones = "%z" in (date_format or "").lower() or any(map(_has_zone, column.tolist()))
    return pd.to_datetime(column.astype("object"), format=date_format or "ISO8601", errors="coerce", utc=zones)


def _has_zone(cell: Any) -> bool:
    if isinstance(cell, str):
        return _ZONE.search(cell) is not None
    return getattr(cell, "tzinfo", None) is not None


def _numbers(column: Column, held: Kind, target: str) -> Column:
    if held == "date":
        return from_values([None] * len(column)).set_axis(column.index)
    if held in ("number", "boolean") and column.dtype != object:
        numbers = nullable(column).astype("Int64") if held == "boolean" else column
        return numbers.astype("Float64") if target == "number" else _to_integer(numbers)
    # One by one: pandas reads the last digits of long numbers differently from version to version.
    convert = _whole if target == "integer" else _float
    gone = column.isna().tolist()
    cells = [None if empty else convert(cell) for cell, empty in zip(column.tolist(), gone, strict=True)]
    return from_values(cells).set_axis(column.index)


def _boolean(cell: Any) -> Any:
    text = str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell).strip().lower()
    return True if text in _TRUE else False if text in _FALSE else None


def _whole(cell: Any) -> int | None:
    if isinstance(cell, int):
        return int(cell)
    if isinstance(cell, str) and "_" not in cell:
        try:
            return int(cell)
        except ValueError:  # perhaps "1.0" or "1e3"
            pass
    number = _float(cell)
    return int(number) if number is not None and number.is_integer() else None


def _float(cell: Any) -> float | None:
    if not isinstance(cell, (str, int, float, decimal.Decimal)) or (isinstance(cell, str) and "_" in cell):
        return None
    try:
        number = float(cell)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _to_integer(column: Column) -> Column:
    import numpy as np

    if column.dtype.kind in "iu":
        return column
    values = column.astype("float64")
    fits = np.isfinite(values) & (values == np.floor(values)) & (values.abs() < 2.0**63)
    return values.where(fits).astype("Int64")
