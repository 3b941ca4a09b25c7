"""Comparisons of columns, vectorised, with SQL's rules for null.

A comparison with a missing cell is neither true nor false, so a filter does not keep the row, negated or not; only
``is_null`` and a ``null`` in a list find missing cells. Every answer here is a column of pandas' ``boolean`` dtype.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.tools.data.columns import kind, kind_of_value, parse_dates
from orchestrator_dagster.tools.data.types import Column

SYMBOLS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip
MAX_PATTERN = 1_000


def is_column(value: Any) -> bool:
    """Whether it is a column, not a plain value."""
    return hasattr(value, "iloc")


def compare(left: Any, symbol: str, right: Any) -> Column:
    """``left symbol right`` for columns, or a column and a plain value (on either side).

    Args:
        left: A column or a value; one of the two is a column.
        symbol: One of ``== != > >= < <=``.
        right: A column or a value.

    Raises:
        ParametersError: The two hold values that cannot be compared; both are described.
    """
    if not is_column(left):
        mirrored = {">": "<", ">=": "<=", "<": ">", "<=": ">="}.get(symbol, symbol)
        return compare(right, mirrored, left)
    right_kind = kind(right) if is_column(right) else kind_of_value(right)
    left_kind = kind(left)
    if right is None and symbol in ("==", "!="):
        missing = left.isna()
        return (missing if symbol == "==" else ~missing).astype("boolean")
    mask = left.isna().to_numpy(dtype=bool)
    if is_column(right):
        mask = mask | right.isna().to_numpy(dtype=bool)
    if "null" in (left_kind, right_kind):
        return _flags(mask, mask | True, left)
    if left_kind == "date" and not is_column(right):
        right = _moment(left, right)
    elif left_kind == "mixed" and symbol in ("==", "!="):
        return _compare_mixed(left, symbol, right, mask)
    elif left_kind != right_kind or left_kind == "mixed":
        raise ParametersError(
            f'the column "{left.name}" ({left_kind}, {left.dtype}) cannot be compared ({symbol}) with {_shown(right)}',
            hint="cast the column (action `transform`, operation `cast`), or write the value in the column's type",
        )
    try:
        raw = SYMBOLS[symbol](left, right)
    except TypeError as error:
        raise ParametersError(
            f'the column "{left.name}" ({left.dtype}) cannot be compared ({symbol}) with {_shown(right)}: {error}'
        ) from None
    return _flags(raw.to_numpy(dtype=bool, na_value=False), mask, left)


def _flags(values: Any, mask: Any, like: Column) -> Column:
    import pandas as pd

    return pd.Series(pd.array(values, dtype="boolean"), index=like.index).mask(mask)


def _shown(value: Any) -> str:
    if is_column(value):
        return f'the column "{value.name}" ({kind(value)}, {value.dtype})'
    return f"the {kind_of_value(value)} {str(value)[:60]!r}"


def _moment(column: Column, value: Any) -> Any:
    """A value as a moment that a column of dates can be compared with, in its zone (UTC where it says none)."""
    import pandas as pd

    try:
        if kind_of_value(value) not in ("text", "date"):
            raise ValueError("a number is no date")
        moment = pd.Timestamp(value)
    except (ValueError, TypeError, OverflowError):
        raise ParametersError(
            f'the column "{column.name}" ({column.dtype}) holds dates, {_shown(value)} is none',
            hint="write dates as ISO text, such as 2024-05-01",
        ) from None
    zone = getattr(column.dtype, "tz", None)
    if zone is not None and moment.tzinfo is None:
        return moment.tz_localize("UTC")
    return moment.tz_convert("UTC").tz_localize(None) if zone is None and moment.tzinfo is not None else moment


def _compare_mixed(left: Column, symbol: str, right: Any, mask: Any) -> Column:
    others = right.tolist() if is_column(right) else [right] * len(left)
    equal = [
        isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
        for one, other in zip(left.tolist(), others, strict=True)
    ]
    return _flags(equal if symbol == "==" else [not one for one in equal], mask, left)


def is_in(column: Column, values: Sequence[Any]) -> Column:
    """Whether each cell is one of the values; a ``None`` among them stands for the missing cells.

    Raises:
        ParametersError: A value is of another kind than the column.
    """
    held = kind(column)
    known = [value for value in values if value is not None]
    for value in known:
        if held not in ("mixed", "null", kind_of_value(value)) and not (held == "date" and isinstance(value, str)):
            raise ParametersError(
                f'the column "{column.name}" ({held}, {column.dtype}) cannot hold {_shown(value)} of the list',
                hint="write the list in the column's type",
            )
    mask = column.isna().to_numpy(dtype=bool)
    if held == "mixed":
        found = _flags([any(type(cell) is type(one) and cell == one for one in known) for cell in column], mask, column)
    else:
        moments = [_moment(column, value) for value in known] if held == "date" else known
        found = _flags(column.isin(moments).to_numpy(dtype=bool), mask, column)
    return found.mask(mask, True) if None in values else found


def match_text(column: Column, how: str, value: Any, *, ignore_case: bool = False) -> Column:
    """``contains``, ``starts_with``, ``ends_with`` or ``matches`` (a regular expression found anywhere) of texts.

    Raises:
        ParametersError: The column or the value is no text, or the pattern is wrong.
    """
    if kind(column) not in ("text", "null"):
        raise ParametersError(
            f'`{how}` needs a text column, "{column.name}" holds {kind(column)} values ({column.dtype})',
            hint="cast it to text first",
        )
    if not isinstance(value, str):
        raise ParametersError(f'`{how}` of the column "{column.name}" needs a text, the value is {_shown(value)}')
    mask = column.isna().to_numpy(dtype=bool)
    if kind(column) == "null":
        return _flags(mask, mask, column)
    if how == "matches":
        pattern = compiled_pattern(value, ignore_case)
        cells = column.tolist()
        return _flags([not gone and bool(pattern.search(cell)) for cell, gone in zip(cells, mask, strict=True)], mask,
                      column)  # fmt: skip
    texts, wanted = (column.str.lower(), value.lower()) if ignore_case else (column, value)
    if how == "contains":
        raw = texts.str.contains(wanted, regex=False)
    else:
        raw = texts.str.startswith(wanted) if how == "starts_with" else texts.str.endswith(wanted)
    return _flags(raw.mask(mask, False).to_numpy(dtype=bool), mask, column)


def compiled_pattern(pattern: str, ignore_case: bool = False) -> re.Pattern[str]:
    """The regular expression of a user.

    Raises:
        ParametersError: It is wrong or longer than 1,000 characters.
    """
    if len(pattern) > MAX_PATTERN:
        raise ParametersError(f"a pattern has {len(pattern):,} characters, {MAX_PATTERN:,} are allowed")
    try:
        return re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    except (re.error, RecursionError, OverflowError) as error:
        raise ParametersError(
            f"the pattern {pattern!r} is wrong: {error}", hint="escape special characters with a backslash"
        ) from None


def dates_of(column: Column, what: str) -> Column:
    """A column of dates, or of ISO texts, as dates.

    Raises:
        ParametersError: A cell is no date.
    """
    if kind(column) == "date" and column.dtype != object:
        return column
    dates = parse_dates(column)
    wrong = dates.isna() & column.notna()
    if wrong.any():
        raise ParametersError(
            f'{what} needs dates, the column "{column.name}" ({column.dtype}) has {column[wrong].iloc[0]!r}',
            hint="use ISO dates such as 2024-05-01, or bring them there with the operation `parse_dates`",
        )
    return dates
