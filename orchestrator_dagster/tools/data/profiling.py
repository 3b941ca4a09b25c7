"""The action profile: what a table holds, column by column."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from orchestrator_dagster.tools.data.columns import from_values, kind, names_list, require_columns, simplest
from orchestrator_dagster.tools.data.loading import read_table
from orchestrator_dagster.tools.data.ordering import comparable
from orchestrator_dagster.tools.data.plain import plain, plain_values
from orchestrator_dagster.tools.data.results import ProfileResult
from orchestrator_dagster.tools.data.types import Column, Frame, Names, Source
from orchestrator_dagster.tools.tool import ToolContext

QUANTILES = (5, 25, 75, 95)


def profile(
    context: ToolContext,
    data: Source,
    columns: Annotated[Names | None, Field(description="Columns to look at, default all")] = None,
    top: Annotated[int, Field(ge=0, le=100, description="Most frequent values to list for each column")] = 5,
    correlation: Annotated[bool, Field(description="Also Pearson's r between the numeric columns")] = False,
) -> ProfileResult:
    """Describe a table: for each column its type, missing and distinct cells, range, spread and frequent values.

    ``data`` has one object a column: ``column, kind, dtype, count`` (cells with a value), ``nulls, distinct, min,
    max``, for numbers ``mean, median, std`` (of a sample) ``, p5, p25, p75, p95``, for texts ``length_min,
    length_mean, length_max`` (in characters), and ``top``: ``[{value, count}]``. ``row_count`` and ``columns`` are
    those of the table; ``duplicate_rows`` counts the rows that repeat an earlier one.

    Example:
        >>> profile(context, [{"a": 1}, {"a": None}])["data"][0]["nulls"]  # doctest: +SKIP
        1
    """
    frame = read_table(context, data)
    names = require_columns(frame, names_list(columns)) or [str(name) for name in frame.columns]
    alike = comparable(frame)
    answer: ProfileResult = {
        "data": [_column(name, frame[name], alike[name], top) for name in names],
        "columns": names,
        "row_count": len(frame),
        "column_count": len(names),
        "duplicate_rows": int(alike[names].duplicated().sum()) if names else 0,
    }
    if correlation:
        answer["correlation"] = _correlation(frame, names)
    return answer


def _column(name: str, column: Column, alike: Column, top: int) -> dict[str, Any]:
    held = kind(column)
    facts: dict[str, Any] = {
        "column": name,
        "kind": held,
        "dtype": str(column.dtype),
        "count": int(column.notna().sum()),
        "nulls": int(column.isna().sum()),
        "distinct": int(alike.nunique(dropna=True)),
        "min": None,
        "max": None,
    }
    present = column.dropna()
    if held in ("number", "text", "date") and len(present):
        facts["min"], facts["max"] = plain_values(from_values([plain(present.min()), plain(present.max())]))
        if held == "date":
            facts["min"], facts["max"] = plain_values(_pair(present))
    if held == "number":
        numbers = present.astype("float64")
        facts.update(mean=plain(numbers.mean()), median=plain(numbers.median()), std=plain(numbers.std()))
        facts.update({f"p{part}": plain(numbers.quantile(part / 100)) for part in QUANTILES})
    elif held == "text":
        lengths = present.str.len()
        facts.update(length_min=int(lengths.min()), length_mean=float(lengths.mean()), length_max=int(lengths.max()))
    facts["top"] = _top(column, alike, top)
    return facts


def _pair(present: Column) -> Column:
    import pandas as pd

    return pd.Series([present.min(), present.max()])


def _top(column: Column, alike: Column, top: int) -> list[dict[str, Any]]:
    """The most frequent values, those that are equally frequent in the order of the table."""
    if not top or not alike.notna().any():
        return []
    present = alike.dropna()
    counts = present.groupby(present, sort=False, observed=True).size().sort_values(ascending=False, kind="stable")
    first = present.drop_duplicates()
    shown = counts.head(top)
    rows = {key: place for place, key in first.items() if key in shown.index}
    values = plain_values(simplest(column.loc[[rows[key] for key in shown.index]]))
    return [{"value": value, "count": int(count)} for value, count in zip(values, shown.tolist(), strict=True)]


def _correlation(frame: Frame, names: list[str]) -> dict[str, dict[str, float | None]]:
    numeric = [name for name in names if kind(frame[name]) == "number"]
    if not numeric:
        return {}
    table = frame[numeric].astype("float64").corr()
    return {one: {two: plain(float(table.loc[one, two])) for two in numeric} for one in numeric}
