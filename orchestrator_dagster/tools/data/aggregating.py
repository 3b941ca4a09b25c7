"""The action aggregate, and the grouping that pivot shares."""

from __future__ import annotations

import re
from typing import Annotated, Any, NamedTuple

from pydantic import AliasChoices, Field

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.text import nearest
from orchestrator_dagster.tools.data.columns import from_values, kind, names_list, nullable, require_columns, simplest
from orchestrator_dagster.tools.data.filtering import keep
from orchestrator_dagster.tools.data.loading import read_table
from orchestrator_dagster.tools.data.plain import table_result
from orchestrator_dagster.tools.data.results import TableResult
from orchestrator_dagster.tools.data.types import Column, Frame, Names, OutputPath, Source
from orchestrator_dagster.tools.tool import ToolContext

#: ``rows`` counts rows, ``count`` cells that are not missing.
FUNCTIONS = ("sum", "mean", "median", "min", "max", "count", "nunique", "std", "var", "first", "last", "rows")
_SPELLINGS = {"avg": "mean", "average": "mean", "total": "sum", "distinct": "nunique", "count_distinct": "nunique",
              "size": "rows", "minimum": "min", "maximum": "max"}  # fmt: skip
_NUMERIC = ("sum", "mean", "median", "std", "var")
_QUANTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")


class Wanted(NamedTuple):
    """One column of the answer: ``name`` holds ``function`` of ``column`` (None for ``rows``)."""

    name: str
    column: str | None
    function: str


def aggregate(
    context: ToolContext,
    data: Source,
    group_by: Annotated[
        Names | None,
        Field(description="Columns to group by", validation_alias=AliasChoices("group_by", "groupby", "by")),
    ] = None,
    aggregations: Annotated[
        dict[str, Any] | None,
        Field(
            description=(
                "column -> function or list of functions (result column_function, such as price_mean), or "
                "new name -> {column, function}. Functions: " + ", ".join(FUNCTIONS) + ", p90 (any percentile)"
            ),
            validation_alias=AliasChoices("aggregations", "aggregation", "aggregates", "metrics"),
        ),
    ] = None,
    where: Annotated[
        list[dict[str, Any]] | dict[str, Any] | str | None,
        Field(description="Rows to take, as the conditions of `filter`"),
    ] = None,
    output_path: OutputPath = None,
) -> TableResult:
    """One row a group with sums, means, counts …; without ``group_by`` one row for the whole table.

    Groups are sorted by their keys, a missing key is a group of its own and comes last. Missing cells are left out; a
    function of no cells at all is null (``count``, ``nunique`` and ``rows``: 0). ``std`` and ``var`` are those of a
    sample. Percentiles are interpolated linearly. ``first`` and ``last`` are the first and last cell with a value.
    Without ``aggregations`` the rows of each group are counted, as ``rows``.

    Example:
        >>> aggregate(context, rows, ["region"], {"price": ["sum", "p90"]})["columns"]  # doctest: +SKIP
        ['region', 'price_sum', 'price_p90']

    Raises:
        ParametersError: An unknown column or function, or a function that the column's type does not allow.
    """
    frame = read_table(context, data)
    if where is not None:
        frame = frame[keep(frame, where)]
    groups = require_columns(frame, names_list(group_by))
    return table_result(TableResult, context, grouped(frame, groups, wanted_of(aggregations, groups)), output_path)


def function_name(name: Any) -> str:
    """The aggregation behind a spelling.

    Raises:
        ParametersError: There is none of this name.
    """
    given = str(name).strip().lower()
    found = _SPELLINGS.get(given, given)
    quantile = _QUANTILE.fullmatch(found)
    if found not in FUNCTIONS and not (quantile and float(quantile[1]) <= 100):
        raise ParametersError(
            f'there is no aggregation "{name}"{nearest(given, [*FUNCTIONS, *_SPELLINGS])}',
            hint=f"use one of {', '.join(FUNCTIONS)}, or a percentile such as p90",
        )
    return found


def wanted_of(aggregations: dict[str, Any] | None, groups: list[str]) -> list[Wanted]:
    """The columns that ``aggregations`` asks for, in its order.

    Raises:
        ParametersError: A name would be there twice, or an entry is neither a function nor {column, function}.
    """
    wanted: list[Wanted] = []
    for key, value in (aggregations or {"*": "rows"}).items():
        if isinstance(value, dict):
            if not {"function"} <= value.keys() <= {"column", "function"}:
                raise ParametersError(f'the aggregation "{key}" needs {{column, function}}, it has {sorted(value)}')
            function = function_name(value["function"])
            if "column" not in value and function != "rows":
                raise ParametersError(f'the aggregation "{key}" ({function}) names no `column`')
            wanted.append(_wanted(key, value.get("column"), function))
        else:
            for name in names_list(value) if isinstance(value, (str, list)) else [value]:
                function = function_name(name)
                wanted.append(_wanted("rows" if key == "*" else f"{key}_{function}", key, function))
    names = [*groups, *(one.name for one in wanted)]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise ParametersError(
            f'the result would have two columns "{double}"', hint="name it yourself: new_name: {column, function}"
        )
    return wanted


def _wanted(name: str, column: Any, function: str) -> Wanted:
    if column in (None, "*"):
        if function not in ("rows", "count"):
            raise ParametersError(f'"*" can only be counted, not used for {function}')
        return Wanted(name, None, "rows")
    return Wanted(name, str(column), function)


def grouped(frame: Frame, groups: list[str], wanted: list[Wanted]) -> Frame:
    """One row a group: the group's columns, then those wanted.

    Raises:
        ParametersError: An unknown column, or a function that its type does not allow.
    """
    import numpy as np
    import pandas as pd

    require_columns(frame, [one.column for one in wanted if one.column is not None])
    for name in groups:
        if kind(frame[name]) == "mixed":
            raise ParametersError(
                f'"{name}" holds values of several types or lists, which cannot be grouped',
                hint="cast it to text first (action `transform`, operation `cast`)",
            )
    if not groups and not len(frame):
        zero = ("count", "nunique", "rows")
        return pd.DataFrame({one.name: from_values([0 if one.function in zero else None]) for one in wanted})
    # All columns in one table of our own names: pandas then finds the groups once and shares them.
    work: dict[str, Any] = {f"key{place}": _key(frame[name]) for place, name in enumerate(groups)}
    work = work or {"key0": np.zeros(len(frame), dtype="int8")}
    keys = list(work)
    used = dict.fromkeys(one.column for one in wanted if one.column is not None and one.function != "rows")
    work.update({f"cells{place}": _prepared(frame[name]).array for place, name in enumerate(used)})
    table = pd.DataFrame(work)
    by = table.groupby(keys, sort=True, dropna=False, observed=True)
    sizes = by.size()
    codes = by.ngroup().to_numpy()
    firsts = np.zeros(len(sizes), dtype="int64")
    firsts[codes[::-1]] = np.arange(len(codes))[::-1]  # backwards, so that the first row of each group stays
    result = pd.DataFrame({name: table[f"key{place}"].iloc[firsts].array for place, name in enumerate(groups)})
    places = {name: place for place, name in enumerate(used)}
    for one in wanted:
        if one.column is None or one.function == "rows":
            result[one.name] = sizes.to_numpy()
        else:
            name = f"cells{places[one.column]}"
            result[one.name] = simplest(_value(table[name], by[name], one)).array
    return result


def _key(column: Column) -> Any:
    held = kind(column)
    if held in ("text", "null") or column.dtype != object:
        return column.array
    return from_values([None if cell != cell else cell for cell in column.tolist()]).array


def _prepared(column: Column) -> Column:
    held = kind(column)
    if held == "boolean":
        return column.astype("boolean")
    if held == "number" and column.dtype == object:
        return from_values([None if cell != cell else cell for cell in column.tolist()])
    return column


def _value(column: Column, cells: Any, one: Wanted) -> Column:
    held = kind(column)
    function = one.function
    if function == "count":
        return cells.count()
    if function == "nunique":
        return cells.nunique(dropna=True) if held != "mixed" else _texts(column).groupby(cells.ngroup()).nunique()
    if function in ("first", "last"):
        return getattr(cells, function)()
    if held == "null":
        return cells.first()
    numeric = function in _NUMERIC or function.startswith("p")
    if held == "mixed" or (numeric and held not in ("number", "boolean")):
        raise ParametersError(
            f'{function} needs numbers, the column "{one.column}" holds {held} values ({column.dtype})',
            hint="cast it first (action `transform`, operation `cast`), or use count, nunique, first or last",
        )
    if numeric and held == "boolean":
        column, cells = column.astype("Int64"), column.astype("Int64").groupby(cells.ngroup(), sort=True)
    if function == "sum":
        return _sum(column, cells)
    if column.dtype == object:
        if function in ("min", "max"):
            return _extreme(column, cells, function)
        column = column.astype("float64")
        cells = column.groupby(cells.ngroup(), sort=True)
    if function.startswith("p"):
        return cells.quantile(float(function[1:]) / 100)
    return getattr(cells, function)()


def _texts(column: Column) -> Column:
    from orchestrator_dagster.tools.data.plain import plain_values, text_of

    return from_values([None if cell is None else text_of(cell) for cell in plain_values(column)])


def _extreme(column: Column, cells: Any, function: str) -> Column:
    """Least or greatest cell of each group of a column of Python objects, where pandas stumbles over missing ones."""
    codes = cells.ngroup()
    ordered = column.dropna().sort_values(kind="stable")
    by = ordered.groupby(codes.loc[ordered.index], sort=True)
    return (by.first() if function == "min" else by.last()).reindex(range(int(codes.max()) + 1))


def _sum(column: Column, cells: Any) -> Column:
    largest = 0
    if column.dtype.kind in "iu" and column.notna().any():
        largest = max(abs(int(column.max())), abs(int(column.min())))
    if column.dtype != object and largest * len(column) < 2**63:
        return cells.sum(min_count=1)
    # 64 bits could overflow, and pandas would not say so: add Python's unlimited numbers.
    codes = cells.ngroup().tolist()
    totals: list[Any] = [None] * (max(codes) + 1)
    for code, cell, gone in zip(codes, column.astype(object).tolist(), column.isna().tolist(), strict=True):
        if not gone:
            totals[code] = cell if totals[code] is None else totals[code] + cell
    return from_values(totals)


def nullable_columns(frame: Frame) -> Frame:
    """The table with every column in a dtype that can take missing cells."""
    return frame.assign(**{str(name): nullable(frame[name]) for name in frame.columns})
