"""The functions and the arithmetic of expressions, on columns and plain values. Missing cells stay missing."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from orchestrator_dagster.errors import ParametersError, SizeLimitError
from orchestrator_dagster.tools.data.columns import from_values, kind, kind_of_value, nullable
from orchestrator_dagster.tools.data.comparing import dates_of, is_column, match_text
from orchestrator_dagster.tools.data.types import Column

ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "**": operator.pow,
}  # fmt: skip
_LIMIT = 2**63
#: Characters that joining two text columns may make.
MAX_CHARACTERS = 256 * 1024 * 1024


def described(value: Any) -> str:
    """A column or a value, for messages."""
    if is_column(value):
        name = f' "{value.name}"' if value.name is not None else ""
        return f"the {kind(value)} column{name} ({value.dtype})"
    return f"the {kind_of_value(value)} {str(value)[:60]!r}"


def kind_of(value: Any) -> str:
    """The kind of a column or of a plain value."""
    return kind(value) if is_column(value) else kind_of_value(value)


def arithmetic(symbol: str, left: Any, right: Any) -> Any:
    """``left symbol right``. Division by zero is null; whole numbers beyond 64 bits become floats; texts can be added.

    Raises:
        ParametersError: One side is no number.
    """
    kinds = {kind_of(left), kind_of(right)}
    if symbol == "+" and kinds <= {"text", "null"} and "text" in kinds:
        return _join(left, right)
    if not kinds <= {"number", "null"}:
        wrong = left if kind_of(left) not in ("number", "null") else right
        raise ParametersError(
            f"`{symbol}` needs numbers, {described(wrong)} is none",
            hint="cast the column to a number first, or use a function that takes it",
        )
    columns = is_column(left) or is_column(right)
    if not columns and (left is None or right is None):
        return None
    left, right = _number(left), _number(right)
    if not columns:
        return _scalar(symbol, left, right)
    if left is None or right is None:  # pandas takes a missing number beside a column for some signs only
        return _missing(right if left is None else left)
    if symbol == "**" and _whole(left) and not (isinstance(right, int) and right >= 0):
        left = left.astype("Float64")
    if symbol in ("/", "//", "%"):
        right = _without_zero(right, left)
    result = ARITHMETIC[symbol](left, right)
    if symbol in ("+", "-", "*", "**") and _whole(left) and _whole(right) and _overflows(symbol, left, right):
        result = ARITHMETIC[symbol](_float(left), _float(right))
    return _finite(result)


def _number(value: Any) -> Any:
    """Nullable dtypes all through: numpy's own would turn whole numbers beside missing ones into floats."""
    if not is_column(value):
        return value
    if kind(value) == "null":
        return value.astype("object").where(value.notna(), None).astype("Int64")
    if value.dtype == object:
        return value.astype("Float64")
    return nullable(value)


def _whole(value: Any) -> bool:
    return value.dtype.kind in "iu" if is_column(value) else isinstance(value, int)


def _float(value: Any) -> Any:
    return value.astype("Float64") if is_column(value) else float(value)


def _overflows(symbol: str, left: Any, right: Any) -> bool:
    estimate = ARITHMETIC[symbol](_float(left), _float(right)).dropna()
    return bool((estimate.abs() >= _LIMIT).any())


def _without_zero(right: Any, left: Column) -> Any:
    if is_column(right):
        return right.mask((right == 0).fillna(False).astype(bool))
    return right if right is None or right != 0 else left.mask(left.notna())


def _finite(column: Column) -> Column:
    """Infinite and undefined numbers as missing ones."""
    import numpy as np

    if column.dtype.kind != "f":
        return column
    values = column.to_numpy(dtype="float64", na_value=np.nan)
    return column if np.isfinite(values).all() else column.where(np.isfinite(values))


def _scalar(symbol: str, left: Any, right: Any) -> Any:
    if symbol in ("/", "//", "%") and right == 0:
        return None
    try:
        result = ARITHMETIC[symbol](left, right)
    except (OverflowError, ZeroDivisionError):
        return None
    if isinstance(result, complex) or (isinstance(result, float) and not math.isfinite(result)):
        return None
    return float(result) if isinstance(result, int) and not -_LIMIT <= result < _LIMIT else result


def _join(left: Any, right: Any) -> Any:
    if not is_column(left) and not is_column(right):
        return None if left is None or right is None else left + right
    rows = len(left if is_column(left) else right)
    if sum(_characters(side, rows) for side in (left, right)) > MAX_CHARACTERS:
        raise SizeLimitError(f"joining the texts would make more than {MAX_CHARACTERS:,} characters")
    if "null" in (kind_of(left), kind_of(right)):
        return _missing(left if is_column(left) else right)
    return left + right


def _characters(value: Any, rows: int) -> int:
    if not is_column(value):
        return 0 if value is None else len(value) * rows
    return 0 if kind(value) == "null" else int(value.str.len().sum())


def _missing(like: Column) -> Column:
    import pandas as pd

    return pd.Series([None] * len(like), index=like.index, dtype="object")


def negative(value: Any) -> Any:
    """The number with the other sign."""
    return arithmetic("-", 0, value)


def call(name: str, arguments: list[Any], like: Column) -> Any:
    """The value of a function of an expression (names and argument counts have been checked).

    Args:
        name: One of ``expressions.FUNCTIONS``.
        arguments: Columns or plain values.
        like: Any column of the table, for its length and index.
    """
    if name == "coalesce":
        return _coalesce(arguments)
    if name == "if_else":
        return _if_else(arguments, like)
    first = arguments[0]
    # One row is enough for a constant: the evaluator spreads its value over the table.
    column = first if is_column(first) else from_values([first])
    result = _FUNCTIONS[name](column, *arguments[1:])
    if is_column(first):
        return result
    value = result.astype(object).tolist()[0]
    return None if result.isna().tolist()[0] else value


def _numeric(name: str, column: Column) -> Column:
    if kind(column) not in ("number", "null"):
        raise ParametersError(f"{name} needs numbers, {described(column)} is none", hint="cast it to a number first")
    return _number(column)


def _round(column: Column, digits: Any = 0) -> Column:
    if isinstance(digits, bool) or not isinstance(digits, int) or not -18 <= digits <= 18:
        raise ParametersError(f"round takes digits as a whole number from -18 to 18, not {digits!r}")
    rounded = _numeric("round", column).round(digits)
    if digits <= 0 and rounded.dtype.kind == "f":
        fits = (rounded.abs() < _LIMIT).fillna(True).astype(bool)
        return rounded.astype("Int64") if fits.all() else rounded
    return rounded


def _log(column: Column, base: Any = None) -> Column:
    import numpy as np

    if base is not None and (kind_of_value(base) != "number" or base <= 0 or base == 1):
        raise ParametersError(f"log takes a positive number other than 1 as its base, not {base!r}")
    values = _numeric("log", column).astype("Float64")
    positive = values.where((values > 0).fillna(False).astype(bool))
    raw = np.log(positive.to_numpy(dtype="float64", na_value=np.nan))
    return _finite(_series(raw if base is None else raw / math.log(base), column))


def _series(values: Any, like: Column) -> Column:
    import pandas as pd

    return pd.Series(values, index=like.index)


def _text(name: str, column: Column) -> Column:
    if kind(column) == "null":
        return _missing(column).astype("str" if str(column.dtype) == "str" else "string")
    if kind(column) != "text":
        raise ParametersError(f"{name} needs texts, {described(column)} is none", hint="cast it to text first")
    return column


def _date_part(name: str, column: Column) -> Column:
    if kind(column) not in ("date", "text", "null"):
        raise ParametersError(f"{name} needs dates, {described(column)} is none", hint="give a column of ISO dates")
    return getattr(dates_of(column, name).dt, name).astype("Int64")


def _match(how: str, column: Column, wanted: Any) -> Column:
    if is_column(wanted):
        raise ParametersError(f"{how} takes a constant text as its second argument")
    return match_text(column, how, wanted)


def _coalesce(arguments: list[Any]) -> Any:
    _one_kind("coalesce", arguments)
    result = arguments[0]
    for other in arguments[1:]:
        if not is_column(result):
            result = other if result is None else result
        elif other is not None:
            result = nullable(result) if kind(result) != "null" else result.astype(object)
            if is_column(other) or kind(result) == "null":
                filled = result.astype(object).where(result.notna(), other)
                cells = filled.where(filled.notna(), None).tolist()
                result = _series(from_values(cells).array, result)
            else:
                result = _fill(result, other)
    return result


def _fill(column: Column, value: Any) -> Column:
    if column.dtype.kind in "iu" and isinstance(value, float) and not value.is_integer():
        return column.astype("Float64").fillna(value)
    return column.fillna(int(value) if column.dtype.kind in "iu" else value)


def _if_else(arguments: list[Any], like: Column) -> Any:
    condition, then, otherwise = arguments
    if kind_of(condition) not in ("boolean", "null"):
        raise ParametersError(f"if_else needs a condition first, {described(condition)} is none")
    _one_kind("if_else", [then, otherwise])
    if not is_column(condition):
        return then if condition is True else otherwise
    chosen = condition.fillna(False).astype(bool).tolist() if kind(condition) != "null" else [False] * len(like)
    sides = [_cells(side, len(like)) for side in (then, otherwise)]
    return _series(from_values([one if yes else two for yes, one, two in zip(chosen, *sides, strict=True)]).array, like)


def _cells(value: Any, rows: int) -> list[Any]:
    if not is_column(value):
        return [value] * rows
    cells = nullable(value).astype(object)
    return list(cells.where(cells.notna(), None).tolist())


def _one_kind(name: str, arguments: list[Any]) -> None:
    kinds = {kind_of(argument) for argument in arguments} - {"null"}
    if len(kinds) > 1:
        shown = ", ".join(described(argument) for argument in arguments)
        raise ParametersError(f"{name} needs values of one type, it has {shown}", hint="cast one of them")


_FUNCTIONS: dict[str, Callable[..., Column]] = {
    "round": _round,
    "abs": lambda column: _numeric("abs", column).abs(),
    "log": _log,
    "lower": lambda column: _text("lower", column).str.lower(),
    "upper": lambda column: _text("upper", column).str.upper(),
    "trim": lambda column: _text("trim", column).str.strip(),
    "length": lambda column: _text("length", column).str.len().astype("Int64"),
    "year": lambda column: _date_part("year", column),
    "month": lambda column: _date_part("month", column),
    "day": lambda column: _date_part("day", column),
    "is_null": lambda column: column.isna().astype("boolean"),
    "not_null": lambda column: column.notna().astype("boolean"),
    "contains": lambda column, wanted: _match("contains", column, wanted),
    "starts_with": lambda column, wanted: _match("starts_with", column, wanted),
    "ends_with": lambda column, wanted: _match("ends_with", column, wanted),
    "matches": lambda column, wanted: _match("matches", column, wanted),
}
