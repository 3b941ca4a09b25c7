"""The operations of the action transform, each a function of a table that gives a table.

A signature is the operation's schema, as with actions; the first parameter is the table.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from orchestrator_dagster.errors import ParametersError, SizeLimitError
from orchestrator_dagster.tools.data.columns import cast as cast_column
from orchestrator_dagster.tools.data.columns import (
    from_values,
    kind,
    kind_of_value,
    names_list,
    nullable,
    require_columns,
    require_kind,
    simplest,
)
from orchestrator_dagster.tools.data.comparing import compiled_pattern
from orchestrator_dagster.tools.data.evaluation import column_of
from orchestrator_dagster.tools.data.filtering import keep
from orchestrator_dagster.tools.data.types import Column, Frame, Names

# `on_error: null` without quotes is YAML's null.
OnError = Annotated[
    Literal["fail", "null"],
    BeforeValidator(lambda value: "null" if value is None else value),
    Field(description="What becomes of a cell that does not fit"),
]
#: Characters that replacing may make of a column.
MAX_CHARACTERS = 256 * 1024 * 1024
MAX_SPLIT = 1_000


def filter(frame: Frame, conditions: list[dict[str, Any]] | dict[str, Any] | str) -> Frame:
    """Keep the rows for which the conditions hold, written as for the action ``filter``."""
    return frame[keep(frame, conditions)]


def rename(frame: Frame, columns: dict[str, str]) -> Frame:
    """Give columns other names: ``columns`` maps old to new."""
    require_columns(frame, columns)
    names = [columns.get(name, name) for name in frame.columns]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise ParametersError(f'rename would make two columns "{double}"')
    return frame.set_axis(names, axis=1)


def select(frame: Frame, columns: Names) -> Frame:
    """Keep these columns, in this order."""
    return frame[list(dict.fromkeys(require_columns(frame, names_list(columns))))]


def drop(frame: Frame, columns: Names) -> Frame:
    """Leave these columns out."""
    return frame.drop(columns=require_columns(frame, names_list(columns)))


def cast(frame: Frame, columns: dict[str, str], on_error: OnError = "fail") -> Frame:
    """Change types: ``columns`` maps a column to text, integer, number, boolean or date."""
    require_columns(frame, columns)
    return frame.assign(**{n: cast_column(frame[n], to, name=n, on_error=on_error) for n, to in columns.items()})


def parse_dates(frame: Frame, columns: Names, format: str | None = None, on_error: OnError = "fail") -> Frame:
    """Read texts as dates: ISO 8601, or a strptime ``format`` such as ``%d.%m.%Y``."""
    names = require_columns(frame, names_list(columns))
    made = {n: cast_column(frame[n], "date", name=n, on_error=on_error, date_format=format) for n in names}
    return frame.assign(**made)


def fill_null(
    frame: Frame,
    columns: Annotated[Names | dict[str, Any] | None, Field(description="column -> value, or names")] = None,
    value: Any = None,
    method: Literal["mean", "median", "forward", "backward"] | None = None,
) -> Frame:
    """Fill missing cells: with a value, with the column's mean or median, or with the cell before or after."""
    pairs = dict(columns) if isinstance(columns, dict) else dict.fromkeys(names_list(columns) or frame.columns, value)
    if [isinstance(columns, dict), value is not None, method is not None].count(True) != 1:
        raise ParametersError("fill_null needs one of: a map of columns to values, a `value`, a `method`")
    require_columns(frame, pairs)
    return frame.assign(**{name: _filled(frame, name, wanted, method) for name, wanted in pairs.items()})


def _filled(frame: Frame, name: str, value: Any, method: str | None) -> Column:
    column = nullable(frame[name])
    if method in ("forward", "backward"):
        return simplest(column.ffill() if method == "forward" else column.bfill())
    if method is not None:
        numbers = require_kind(frame, name, ("number",), f"fill_null with {method}").astype("Float64")
        middle = numbers.mean() if method == "mean" else numbers.median()
        filled = numbers if not numbers.notna().any() else numbers.fillna(middle)
        return simplest(filled)
    held = kind(column)
    if held == "date":
        value = cast_column(from_values([value]), "date", name=name).iloc[0]
        return column.fillna(value)
    if held not in ("null", "mixed") and kind_of_value(value) != held:
        raise ParametersError(
            f'"{name}" ({held}, {column.dtype}) cannot be filled with the {kind_of_value(value)} {value!r}',
            hint="give a value of the column's type",
        )
    cells = column.astype(object)
    gone = column.isna().tolist()
    filled_cells = [value if empty else cell for cell, empty in zip(cells.tolist(), gone, strict=True)]
    return from_values(filled_cells).set_axis(frame.index)


def drop_null(frame: Frame, columns: Names | None = None, how: Literal["any", "all"] = "any") -> Frame:
    """Drop rows in which any (or all) of these columns are missing, default of all columns."""
    names = require_columns(frame, names_list(columns)) or list(frame.columns)
    missing = frame[names].isna()
    return frame[~(missing.any(axis=1) if how == "any" else missing.all(axis=1))] if names else frame


def derive(frame: Frame, columns: dict[str, str]) -> Frame:
    """New columns from expressions, each after the one before it: ``columns`` maps a name to an expression."""
    for name, expression in columns.items():
        frame = frame.assign(**{name: column_of(frame, expression)})
    return frame


def normalize(frame: Frame, columns: Names, method: Literal["minmax", "zscore"] = "minmax") -> Frame:
    """Scale numbers to 0..1, or to mean 0 and sample deviation 1; a column of one value becomes 0."""
    made = {}
    for name in names_list(columns):
        numbers = require_kind(frame, name, ("number",), "normalize").astype("Float64")
        low = numbers.min() if method == "minmax" else numbers.mean()
        width = numbers.max() - low if method == "minmax" else numbers.std()
        known = numbers.notna().any()
        flat = not known or str(width) in ("<NA>", "nan") or width == 0
        made[name] = simplest(numbers * 0 if flat else (numbers - low) / width)
    return frame.assign(**made)


def clip(frame: Frame, columns: Names, lower: float | None = None, upper: float | None = None) -> Frame:
    """Bring numbers below ``lower`` and above ``upper`` to these bounds."""
    if (lower is None and upper is None) or (lower is not None and upper is not None and lower > upper):
        raise ParametersError(f"clip needs `lower` or `upper`, in this order: {lower}, {upper}")
    made = {}
    for name in names_list(columns):
        column = nullable(require_kind(frame, name, ("number",), "clip"))
        if column.dtype.kind in "iu" and all(bound is None or float(bound).is_integer() for bound in (lower, upper)):
            bounds = [None if bound is None else int(bound) for bound in (lower, upper)]
            made[name] = simplest(column.clip(bounds[0], bounds[1]))
        else:
            made[name] = simplest(column.astype("Float64").clip(lower, upper))
    return frame.assign(**made)


def replace(
    frame: Frame,
    column: str,
    values: Annotated[dict[str, Any] | None, Field(description="Whole cells: old (as text) -> new")] = None,
    old: Annotated[str | None, Field(description="Part of a text to replace")] = None,
    new: str = "",
    regex: bool = False,
) -> Frame:
    """Replace whole cells through a map, or a part (or pattern) ``old`` of texts by ``new``."""
    if (values is None) == (old is None):
        raise ParametersError("replace needs either `values` (whole cells) or `old` and `new` (parts of texts)")
    require_columns(frame, [column])
    if values is not None:
        from orchestrator_dagster.tools.data.plain import plain_values, text_of

        changed = [
            values[key] if (key := "null" if cell is None else text_of(cell)) in values else cell
            for cell in plain_values(frame[column])
        ]
        made = from_values(changed).set_axis(frame.index)
        if kind(frame[column]) == "date":
            made = cast_column(made, "date", name=column)
        return frame.assign(**{column: made})
    texts = require_kind(frame, column, ("text",), "replace")
    if not old:
        raise ParametersError("replace needs an `old` that is not empty")
    pattern = compiled_pattern(old if regex else re.escape(old))
    size, cells = 0, []
    for cell, gone in zip(texts.tolist(), texts.isna().tolist(), strict=True):
        try:
            cells.append(None if gone else pattern.sub(new if regex else lambda _: new, cell))
        except (re.error, IndexError) as error:
            raise ParametersError(f"`new` {new!r} does not fit the pattern {old!r}: {error}") from None
        size += len(cells[-1] or "")
        if size > MAX_CHARACTERS:
            raise SizeLimitError(f'replacing in "{column}" makes more than {MAX_CHARACTERS:,} characters')
    return frame.assign(**{column: from_values(cells).set_axis(frame.index)})


def split(
    frame: Frame,
    column: str,
    separator: Annotated[str, Field(min_length=1)],
    into: Annotated[list[str] | None, Field(description="New columns; without it the texts become lists")] = None,
) -> Frame:
    """Split texts: into new columns (the last takes the rest, what is not there is null), or into lists."""
    texts = require_kind(frame, column, ("text",), "split")
    if into is not None and not 0 < len(set(into)) == len(into) <= MAX_SPLIT:
        raise ParametersError(f"`into` of split needs 1 to {MAX_SPLIT:,} different names")
    limit = len(into) - 1 if into else -1
    cells = texts.astype(object).where(texts.notna(), None).tolist()
    parts = [None if cell is None else cell.split(separator, limit) if limit else [cell] for cell in cells]
    if into is None:
        return frame.assign(**{column: from_values(parts).set_axis(frame.index)})
    made = {
        name: from_values([None if p is None or place >= len(p) else p[place] for p in parts]).set_axis(frame.index)
        for place, name in enumerate(into)
    }
    return frame.assign(**made)


def lag(
    frame: Frame,
    column: str,
    into: str | None = None,
    periods: Annotated[int, Field(description="Rows back; negative: rows ahead")] = 1,
    group_by: Names | None = None,
) -> Frame:
    """The cell of an earlier row of the same group, in a new column (default ``column_lag1``)."""
    require_columns(frame, [column, *names_list(group_by)])
    values = nullable(frame[column])
    moved = _by(frame, values, group_by).shift(periods) if group_by else values.shift(periods)
    return frame.assign(**{into or f"{column}_lag{periods}": simplest(moved)})


def rolling(
    frame: Frame,
    column: str,
    window: Annotated[int, Field(ge=1, description="Rows, this one included")],
    function: Literal["mean", "sum", "min", "max", "median", "std"] = "mean",
    into: str | None = None,
    min_periods: Annotated[int | None, Field(ge=1, description="Cells needed for a value, default `window`")] = None,
    group_by: Names | None = None,
) -> Frame:
    """A moving mean, sum … over the last rows of the group, in a new column (default ``column_mean3``)."""
    numbers = require_kind(frame, column, ("number",), "rolling").astype("float64")
    require_columns(frame, names_list(group_by))
    least = window if min_periods is None else min_periods
    if least > window:
        raise ParametersError(f"`min_periods` ({least}) is larger than `window` ({window})")
    if group_by:
        by = _by(frame, numbers, group_by)
        made = getattr(by.rolling(window, min_periods=least), function)().droplevel(0).reindex(frame.index)
    else:
        made = getattr(numbers.rolling(window, min_periods=least), function)()
    return frame.assign(**{into or f"{column}_{function}{window}": made})


def _by(frame: Frame, values: Column, group_by: Names) -> Any:
    codes = frame.groupby(names_list(group_by), dropna=False, observed=True, sort=False).ngroup()
    return values.groupby(codes, sort=False)


def bin(
    frame: Frame,
    column: str,
    edges: Annotated[list[float] | None, Field(min_length=2, description="Bounds, rising")] = None,
    bins: Annotated[int | None, Field(ge=1, le=1000, description="Number of bins instead of `edges`")] = None,
    method: Annotated[
        Literal["width", "quantile"], Field(description="Bins of equal width or of equal count")
    ] = "width",
    labels: Annotated[list[str] | None, Field(description="Names, one for each bin")] = None,
    into: str | None = None,
) -> Frame:
    """Put numbers into bins, as text in a new column (default ``column_bin``); outside of ``edges`` is null.

    A bin holds its lower bound but not its upper one, the last bin holds both; its text is ``[low, high)``.
    """
    import numpy as np

    numbers = require_kind(frame, column, ("number",), "bin").astype("float64")
    if (edges is None) == (bins is None):
        raise ParametersError("bin needs either `edges` or `bins`")
    present = numbers.dropna().to_numpy()
    if edges is not None:
        bounds = np.asarray(edges, dtype="float64")
    elif not len(present):
        bounds = np.asarray([0.0, 1.0])
    elif method == "quantile":
        bounds = np.unique(np.quantile(present, np.linspace(0, 1, (bins or 1) + 1)))
    else:
        bounds = np.linspace(present.min(), present.max(), (bins or 1) + 1)
    if len(bounds) == 1 or (edges is None and bounds[0] == bounds[-1]):
        bounds = np.asarray([bounds[0], bounds[0]])
    elif not (np.diff(bounds) > 0).all():
        raise ParametersError(f"`edges` of bin must rise, they are {edges}")
    names = labels or [
        f"[{low:g}, {high:g}{']' if place == len(bounds) - 2 else ')'}"
        for place, (low, high) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))
    ]
    if len(names) != len(bounds) - 1:
        raise ParametersError(f"`labels` of bin has {len(names)} names for {len(bounds) - 1} bins")
    values = numbers.to_numpy()
    places = np.searchsorted(bounds, values, side="right") - 1
    places = np.where(values == bounds[-1], len(bounds) - 2, places)
    inside = (values >= bounds[0]) & (values <= bounds[-1])
    cells = [names[place] if known else None for place, known in zip(places.tolist(), inside.tolist(), strict=True)]
    return frame.assign(**{into or f"{column}_bin": from_values(cells).set_axis(frame.index)})


def sort(
    frame: Frame,
    by: Names,
    descending: bool = False,
    order: Annotated[Literal["asc", "desc", "ascending", "descending"] | None, Field(description="In a word")] = None,
) -> Frame:
    """Order the rows by columns, the first decides; missing cells come last."""
    names = require_columns(frame, names_list(by))
    down = order.startswith("desc") if order else descending
    return frame.sort_values(names, ascending=not down, kind="stable", na_position="last")


OPERATIONS = {
    function.__name__: function
    for function in (
        filter, rename, select, drop, cast, parse_dates, fill_null, drop_null, derive, normalize, clip, replace,
        split, lag, rolling, bin, sort,
    )
}  # fmt: skip
