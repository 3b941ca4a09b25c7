"""The actions that keep the columns and choose or order rows: sort, deduplicate, sample, head."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.tools.data.columns import from_values, kind, names_list, require_columns
from orchestrator_dagster.tools.data.loading import read_table
from orchestrator_dagster.tools.data.plain import plain_values, table_result, text_of
from orchestrator_dagster.tools.data.results import DistinctResult, PartResult, TableResult
from orchestrator_dagster.tools.data.types import Frame, Names, OutputPath, Source
from orchestrator_dagster.tools.tool import ToolContext


def sort(
    context: ToolContext,
    data: Source,
    by: Annotated[
        str | list[str | dict[str, Any]],
        Field(
            description='Columns, first decides; "-price" or {column, descending: true} is descending',
            validation_alias=AliasChoices("by", "sort_by", "order_by", "columns"),
        ),
    ],
    descending: Annotated[bool | list[bool], Field(description="For all columns, or one for each")] = False,
    output_path: OutputPath = None,
) -> TableResult:
    """Order the rows; rows that are equal keep their order, missing cells come last in either direction.

    Example:
        >>> sort(context, [{"a": 1}, {"a": 2}], by="-a")["data"]  # doctest: +SKIP
        [{'a': 2}, {'a': 1}]

    Raises:
        ParametersError: An unknown column, or one whose cells have no order among each other.
    """
    frame = read_table(context, data)
    keys = [by] if isinstance(by, str) else by
    if not keys:
        raise ParametersError("`by` is empty", hint="name at least one column")
    if isinstance(descending, list) and len(descending) != len(keys):
        raise ParametersError(f"`descending` has {len(descending)} entries, `by` has {len(keys)}")
    defaults = descending if isinstance(descending, list) else [descending] * len(keys)
    wanted = [_sort_key(frame, key, down) for key, down in zip(keys, defaults, strict=True)]
    order = frame.reset_index(drop=True)
    # From the last key to the first: each stable sort keeps the order of those after it.
    for name, down in reversed(wanted):
        column = order[name]
        if kind(column) == "mixed":
            raise ParametersError(
                f'"{name}" holds values of several types or lists, which have no order',
                hint="cast it first (action `transform`, operation `cast`)",
            )
        order = order.loc[column.sort_values(ascending=not down, kind="stable", na_position="last").index]
    return table_result(TableResult, context, order, output_path)


def _sort_key(frame: Frame, key: str | dict[str, Any], descending: bool) -> tuple[str, bool]:
    if isinstance(key, dict):
        down = key.get("descending", descending)
        if (
            not isinstance(key.get("column"), str)
            or key.keys() - {"column", "descending"}
            or not isinstance(down, bool)
        ):
            raise ParametersError(f"a sort key is {{column, descending}}, not {key}")
        name = key["column"]
    elif key not in frame.columns and key.startswith("-"):
        name, down = key[1:], not descending
    else:
        name, down = key, descending
    require_columns(frame, [name])
    return name, down


def comparable(frame: Frame) -> Frame:
    """The table with lists, objects and mixed values as JSON text, so that rows can be compared."""
    changed = {
        str(name): from_values([None if cell is None else text_of(cell) for cell in plain_values(frame[name])]).array
        for name in frame.columns
        if kind(frame[name]) == "mixed"
    }
    return frame.assign(**changed) if changed else frame


def deduplicate(
    context: ToolContext,
    data: Source,
    columns: Annotated[
        Names | None,
        Field(
            description="Columns that make rows alike, default all",
            validation_alias=AliasChoices("columns", "subset", "by", "on"),
        ),
    ] = None,
    keep: Annotated[Literal["first", "last", "none"], Field(description="Which of the rows that are alike")] = "first",
    output_path: OutputPath = None,
) -> DistinctResult:
    """Drop rows that repeat another one; missing cells are alike. The order stays; ``removed`` counts the dropped.

    Example:
        >>> deduplicate(context, [{"a": 1}, {"a": 1}])["removed"]  # doctest: +SKIP
        1
    """
    frame = read_table(context, data)
    names = require_columns(frame, names_list(columns))
    same = comparable(frame[names] if names else frame)
    kept = frame[~same.duplicated(keep=False if keep == "none" else keep).to_numpy()] if len(same.columns) else frame
    return table_result(DistinctResult, context, kept, output_path, removed=len(frame) - len(kept))


def sample(
    context: ToolContext,
    data: Source,
    count: Annotated[
        int | None, Field(ge=0, description="Rows to draw", validation_alias=AliasChoices("count", "n", "size", "rows"))
    ] = None,
    fraction: Annotated[float | None, Field(ge=0, le=1, description="Part of the rows instead of `count`")] = None,
    seed: Annotated[int, Field(ge=0, lt=2**32, description="The same seed draws the same rows")] = 0,
    output_path: OutputPath = None,
) -> TableResult:
    """Draw rows at random without putting any back; they keep the order of the table.

    Example:
        >>> sample(context, rows, count=10, seed=7)["row_count"]  # doctest: +SKIP
        10

    Raises:
        ParametersError: Neither or both of ``count`` and ``fraction`` are given.
    """
    if (count is None) == (fraction is None):
        raise ParametersError("`sample` needs either `count` or `fraction`", hint="such as count: 100")
    frame = read_table(context, data).reset_index(drop=True)
    wanted = round(len(frame) * fraction) if fraction is not None else min(count or 0, len(frame))
    return table_result(TableResult, context, frame.sample(n=wanted, random_state=seed).sort_index(), output_path)


def head(
    context: ToolContext,
    data: Source,
    count: Annotated[
        int, Field(ge=0, description="Rows to keep", validation_alias=AliasChoices("count", "n", "limit", "rows"))
    ] = 10,
    offset: Annotated[int, Field(ge=0, description="Rows to pass over first")] = 0,
    output_path: OutputPath = None,
) -> PartResult:
    """The first rows of a table, or ``count`` rows from ``offset`` on.

    Example:
        >>> head(context, [{"a": 1}, {"a": 2}], count=1)["data"]  # doctest: +SKIP
        [{'a': 1}]
    """
    frame = read_table(context, data)
    return table_result(PartResult, context, frame.iloc[offset : offset + count], output_path, rows_before=len(frame))
