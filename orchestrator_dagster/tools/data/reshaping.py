"""The actions pivot and unpivot."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasChoices, Field

from orchestrator_dagster.errors import ParametersError, SizeLimitError
from orchestrator_dagster.tools.data.aggregating import Wanted, function_name, grouped
from orchestrator_dagster.tools.data.columns import from_values, names_list, nullable, require_columns, simplest
from orchestrator_dagster.tools.data.loading import read_table
from orchestrator_dagster.tools.data.plain import plain_values, table_result, text_of
from orchestrator_dagster.tools.data.results import TableResult
from orchestrator_dagster.tools.data.types import Names, OutputPath, Source
from orchestrator_dagster.tools.tool import ToolContext

MAX_PIVOT_COLUMNS, MAX_CELLS = 5_000, 20_000_000


def pivot(
    context: ToolContext,
    data: Source,
    index: Annotated[Names, Field(description="Columns whose values name the rows")],
    columns: Annotated[
        str, Field(description="Column whose values become columns", validation_alias=AliasChoices("columns", "column"))
    ],
    values: Annotated[
        Names, Field(description="Columns whose cells are shown", validation_alias=AliasChoices("values", "value"))
    ],
    function: Annotated[
        str | None,
        Field(
            description="For several cells in one place: sum, mean, count, first …",
            validation_alias=AliasChoices("function", "aggfunc", "aggregation"),
        ),
    ] = None,
    fill_value: Annotated[Any, Field(description="For places without a cell, default null")] = None,
    output_path: OutputPath = None,
) -> TableResult:
    """Turn the values of one column into columns; rows and new columns are sorted.

    A new column has the value's name (``null`` for a missing one); with several ``values`` it is ``values_value``.

    Example:
        >>> pivot(context, rows, "year", "region", "sales", "sum")["columns"]  # doctest: +SKIP
        ['year', 'north', 'south']

    Raises:
        ParametersError: A place has several cells and there is no ``function``.
    """
    import pandas as pd

    frame = read_table(context, data)
    rows, shown = names_list(index), names_list(values)
    require_columns(frame, [*rows, columns, *shown])
    if not rows or not shown or len({*rows, columns, *shown}) != len(rows) + len(shown) + 1:
        raise ParametersError("`index`, `columns` and `values` each name columns of their own")
    chosen = function_name(function) if function is not None else "first"
    # Names that no column of a file has, so that they meet none of the table's.
    asked = [Wanted(f"\0{number}", name, chosen) for number, name in enumerate(shown)]
    cells = grouped(frame, [*rows, columns], asked)
    if function is None and len(cells) < len(frame):
        raise ParametersError(
            f"{len(frame) - len(cells)} cells share their place with another one", hint="give a `function`, such as sum"
        )
    places = cells.groupby(rows, sort=True, dropna=False, observed=True).ngroup()
    labels = cells.groupby([columns], sort=True, dropna=False, observed=True).ngroup()
    heads = cells.iloc[labels.drop_duplicates().sort_values().index][columns]
    names = ["null" if label is None else text_of(label) for label in plain_values(heads)]
    count = int(places.max()) + 1 if len(cells) else 0
    if len(names) * len(shown) > MAX_PIVOT_COLUMNS or len(names) * len(shown) * count > MAX_CELLS:
        raise SizeLimitError(
            f"the pivot would have {len(names) * len(shown):,} columns and {count:,} rows",
            hint=f'"{columns}" has {len(names):,} different values: filter or bin it first',
        )
    result = cells.iloc[places.drop_duplicates().sort_values().index][rows].reset_index(drop=True)
    made: dict[str, Any] = {}
    for number, value in enumerate(shown):
        for code, label in enumerate(names):
            name = label if len(shown) == 1 else f"{value}_{label}"
            if name in made or name in rows:
                raise ParametersError(f'the pivot would have two columns "{name}"', hint="rename or cast it first")
            here = (labels == code).to_numpy()
            column = nullable(cells[f"\0{number}"])[here].set_axis(places[here]).reindex(range(count))
            if fill_value is not None:
                held = column.astype(object).where(column.notna(), fill_value)
                column = from_values(held.where(held.notna(), None).tolist())
            made[name] = simplest(column).array
    return table_result(
        TableResult, context, pd.concat([result, pd.DataFrame(made, index=result.index)], axis=1), output_path
    )


def unpivot(
    context: ToolContext,
    data: Source,
    id_columns: Annotated[
        Names | None,
        Field(
            description="Columns that are kept and repeated",
            validation_alias=AliasChoices("id_columns", "id_vars", "index"),
        ),
    ] = None,
    value_columns: Annotated[
        Names | None,
        Field(
            description="Columns that become rows, default all others",
            validation_alias=AliasChoices("value_columns", "value_vars", "columns"),
        ),
    ] = None,
    name_column: Annotated[
        str, Field(description="New column of their names", validation_alias=AliasChoices("name_column", "var_name"))
    ] = "variable",
    value_column: Annotated[
        str, Field(description="New column of their cells", validation_alias=AliasChoices("value_column", "value_name"))
    ] = "value",
    output_path: OutputPath = None,
) -> TableResult:
    """Turn columns into rows: the table column by column, each cell in a row with its column's name.

    Example:
        >>> unpivot(context, [{"id": 1, "a": 5, "b": 6}], "id")["data"]  # doctest: +SKIP
        [{'id': 1, 'variable': 'a', 'value': 5}, {'id': 1, 'variable': 'b', 'value': 6}]

    Raises:
        ParametersError: An unknown column, or a new column has the name of a kept one.
    """
    import pandas as pd

    frame = read_table(context, data).reset_index(drop=True)
    kept = require_columns(frame, names_list(id_columns))
    turned = require_columns(frame, names_list(value_columns)) or [n for n in frame.columns if n not in kept]
    if len({*kept, name_column, value_column}) != len(kept) + 2:
        raise ParametersError("a new column has the name of another one", hint="give `name_column` and `value_column`")
    if len(frame) * max(1, len(turned)) > MAX_CELLS:
        raise SizeLimitError(f"the result would have {len(frame) * len(turned):,} rows, {MAX_CELLS:,} are allowed")
    result = pd.concat([frame[kept]] * len(turned), ignore_index=True) if turned else frame[kept].iloc[:0]
    result[name_column] = [name for name in turned for _ in range(len(frame))]
    parts = [frame[name] for name in turned]
    if parts and len({str(part.dtype) for part in parts}) == 1:
        result[value_column] = pd.concat(parts, ignore_index=True)
    else:
        result[value_column] = from_values([cell for part in parts for cell in plain_values(part)])
    return table_result(TableResult, context, result, output_path)
