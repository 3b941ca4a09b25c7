"""The actions that bring tables together: merge and concat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field

from orchestrator_dagster.errors import ParametersError, SizeLimitError
from orchestrator_dagster.tools.data.aggregating import nullable_columns
from orchestrator_dagster.tools.data.columns import from_values, kind, names_list, require_columns, simplest
from orchestrator_dagster.tools.data.loading import read_table
from orchestrator_dagster.tools.data.plain import plain_values, table_result
from orchestrator_dagster.tools.data.results import MergeResult, TableResult
from orchestrator_dagster.tools.data.types import Column, Frame, Names, OutputPath
from orchestrator_dagster.tools.tool import ToolContext

How = Literal["inner", "left", "right", "outer", "cross"]
Relation = Literal["one_to_one", "one_to_many", "many_to_one", "many_to_many"]
#: A join is counted before it is made; one with more rows than this is refused.
MAX_JOINED = 10_000_000


def merge(
    context: ToolContext,
    left: Annotated[
        list[Any] | dict[str, Any] | str | None,
        Field(description="The left table", validation_alias=AliasChoices("left", "data")),
    ] = None,
    right: Annotated[
        list[Any] | dict[str, Any] | str | None,
        Field(description="The right table", validation_alias=AliasChoices("right", "other")),
    ] = None,
    datasets: Annotated[
        list[Any] | None, Field(description="Two or more tables, joined from the left with `on`")
    ] = None,
    on: Annotated[Names | None, Field(description="Key columns of the same name in both tables")] = None,
    left_on: Annotated[Names | None, Field(description="Key columns of the left table")] = None,
    right_on: Annotated[Names | None, Field(description="Key columns of the right table, in the same order")] = None,
    how: Annotated[How, Field(description="Which rows without a partner are kept")] = "inner",
    suffixes: Annotated[tuple[str, str], Field(description="For columns that both tables have")] = ("_left", "_right"),
    validate: Annotated[
        Relation | None, Field(description="Refuse the join when the keys are not in this relation")
    ] = None,
    output_path: OutputPath = None,
) -> MergeResult:
    """Join tables over equal keys; a missing key has no partner. Without keys: the columns that both tables have.

    The answer has ``unmatched_left`` and ``unmatched_right`` (rows without a partner) and ``warnings``: the join is
    counted before it is made, and where rows of a side come out several times, that is said.

    Example:
        >>> merge(context, orders, customers, on="customer_id", how="left")["warnings"]  # doctest: +SKIP
        []

    Raises:
        ParametersError: Keys are missing, unknown, of different types, or not in the relation asked for.
        SizeLimitError: The join would have more than ten million rows.
    """
    if datasets is not None:
        if left is not None or right is not None or len(datasets) < 2:
            raise ParametersError("`merge` takes `left` and `right`, or `datasets` with two tables or more")
        tables = [read_table(context, table) for table in datasets]
    elif left is None or right is None:
        raise ParametersError(f"`merge` has no `{'left' if left is None else 'right'}` table")
    else:
        tables = [read_table(context, left), read_table(context, right)]
    joined = tables[0]
    warnings: list[str] = []
    unmatched = {"unmatched_left": 0, "unmatched_right": 0}
    for table in tables[1:]:
        keys = _keys(joined, table, names_list(on), names_list(left_on), names_list(right_on), how)
        counted = _count(joined, table, keys, how, validate)
        warnings += counted.pop("warnings")
        unmatched = {name: unmatched[name] + counted[name] for name in unmatched}
        joined = _join(joined, table, keys, how, suffixes)
    for line in warnings:
        context.log(f"data_processing.merge: {line}")
    return table_result(MergeResult, context, joined, output_path, **unmatched, warnings=warnings)


Keys = tuple[list[str], list[str]]


def _keys(left: Frame, right: Frame, on: list[str], left_on: list[str], right_on: list[str], how: str) -> Keys:
    if how == "cross":
        if on or left_on or right_on:
            raise ParametersError("a cross join pairs all rows and takes no keys")
        return [], []
    if on and (left_on or right_on):
        raise ParametersError("`merge` takes `on`, or `left_on` with `right_on`, not both")
    if len(left_on) != len(right_on):
        raise ParametersError(f"`left_on` has {len(left_on)} columns, `right_on` has {len(right_on)}")
    names = on or ([] if left_on else [str(name) for name in left.columns if name in right.columns])
    left_names = require_columns(left, left_on or names, "the left table")
    right_names = require_columns(right, right_on or names, "the right table")
    if not left_names:
        raise ParametersError(
            "the tables have no column in common to join on",
            hint="name `left_on` and `right_on`; "
            f"left: {', '.join(map(str, left.columns))}; right: {', '.join(map(str, right.columns))}",
        )
    for one, two in zip(left_names, right_names, strict=True):
        kinds = {kind(left[one]), kind(right[two])} - {"null"}
        if len(kinds) > 1 or "mixed" in kinds:
            raise ParametersError(
                f'the key "{one}" of the left table ({kind(left[one])}, {left[one].dtype}) cannot match "{two}" of the '
                f"right one ({kind(right[two])}, {right[two].dtype})",
                hint="cast one of them (action `transform`, operation `cast`, or `dtypes` of `load`)",
            )
    return left_names, right_names


def _count(left: Frame, right: Frame, keys: Keys, how: str, validate: str | None) -> dict[str, Any]:
    """Rows of the join from the counts of each key alone, what has no partner, and warnings."""
    if how == "cross":
        _check_size(len(left) * len(right))
        return {"unmatched_left": 0, "unmatched_right": 0, "warnings": []}
    left_counts, right_counts = (_key_counts(table, names) for table, names in zip((left, right), keys, strict=True))
    both = left_counts.merge(right_counts, on=[f"key{place}" for place in range(len(keys[0]))])
    ones, twos = both["rows_x"], both["rows_y"]
    unmatched = {
        "unmatched_left": len(left) - int(ones.sum()),
        "unmatched_right": len(right) - int(twos.sum()),
    }
    rows = int((ones.astype(float) * twos).sum())
    _check_size(
        rows + (unmatched["unmatched_left"] if how in ("left", "outer") else 0)
        + (unmatched["unmatched_right"] if how in ("right", "outer") else 0)
    )  # fmt: skip
    for side, name, counts in (("left", keys[0], left_counts), ("right", keys[1], right_counts)):
        one = validate is not None and validate.split("_to_")[0 if side == "left" else 1] == "one"
        if one and (counts["rows"] > 1).any():
            worst = counts.loc[counts["rows"].idxmax()]
            shown = ", ".join(str(worst[f"key{place}"]) for place in range(len(name)))
            raise ParametersError(
                f"the join is not {validate}: the {side} table has the key {shown} {int(worst['rows'])} times",
                hint="deduplicate that table first, or leave out `validate`",
            )
    warnings = []
    multiple = (ones > 1) & (twos > 1)
    if multiple.any():
        warnings.append(
            f"many to many: {int(multiple.sum())} keys repeat in both tables, {int(ones[multiple].sum())} left and "
            f"{int(twos[multiple].sum())} right rows give {int((ones * twos)[multiple].sum())}"
        )
    elif (twos > 1).any():
        warnings.append(f"{int(ones[twos > 1].sum())} left rows come out several times: their keys repeat on the right")
    return {**unmatched, "warnings": warnings}


def _key_counts(table: Frame, names: list[str]) -> Frame:
    keys = _unified(table[names]).dropna()
    keys.columns = [f"key{place}" for place in range(len(names))]
    return keys.groupby(list(keys.columns), observed=True, sort=False).size().reset_index(name="rows")


def _unified(keys: Frame) -> Frame:
    """Key columns in dtypes that match each other whatever table they come from."""
    return nullable_columns(keys.assign(**{n: keys[n].astype(object) for n in keys if kind(keys[n]) == "null"}))


def _check_size(rows: int) -> None:
    if rows > MAX_JOINED:
        raise SizeLimitError(
            f"the join would have {rows:,} rows, {MAX_JOINED:,} are allowed",
            hint="check the keys: they repeat in both tables; deduplicate or aggregate one of them first",
        )


def _join(left: Frame, right: Frame, keys: Keys, how: How, suffixes: tuple[str, str]) -> Frame:
    import pandas as pd

    left, right = nullable_columns(left), nullable_columns(right)
    if how == "cross":
        return _checked_names(left.merge(right, how="cross", suffixes=suffixes)).apply(simplest)
    for one, two in zip(*keys, strict=True):
        if kind(left[one]) == "null":
            left[one] = left[one].astype(object).where(left[one].notna(), None).astype(right[two].dtype)
        elif kind(right[two]) == "null":
            right[two] = right[two].astype(object).where(right[two].notna(), None).astype(left[one].dtype)
    # pandas would match missing keys with each other: they are taken out and, where their side is kept, put back.
    whole_left, whole_right = left[keys[0]].notna().all(axis=1), right[keys[1]].notna().all(axis=1)
    form: dict[str, Any] = {"left_on": keys[0], "right_on": keys[1], "suffixes": suffixes}
    joined = (left if how == "left" else left[whole_left]).merge(
        right if how == "right" else right[whole_right], how=how, **form
    )
    if how == "outer":
        lone = [left[~whole_left].merge(right.iloc[:0], how="left", **form)]
        lone.append(left.iloc[:0].merge(right[~whole_right], how="right", **form))
        parts = [part for part in (joined, *lone) if len(part)]
        joined = pd.concat(parts, ignore_index=True) if parts else joined
    return _checked_names(joined).apply(simplest) if len(joined.columns) else joined


def _checked_names(frame: Frame) -> Frame:
    double = frame.columns[frame.columns.duplicated()].tolist()
    if double:
        raise ParametersError(f'the join would have two columns "{double[0]}"', hint="give other `suffixes`")
    return frame


def concat(
    context: ToolContext,
    datasets: Annotated[
        list[Any],
        Field(description="The tables, in order", validation_alias=AliasChoices("datasets", "data", "tables")),
    ],
    columns: Annotated[
        Literal["union", "common", "same"], Field(description="All columns, the common ones, or refuse a difference")
    ] = "union",
    output_path: OutputPath = None,
) -> TableResult:
    """Put the rows of several tables below each other; a column that a table lacks is null there.

    Example:
        >>> concat(context, [[{"a": 1}], [{"a": 2, "b": 3}]])["data"]  # doctest: +SKIP
        [{'a': 1, 'b': None}, {'a': 2, 'b': 3}]

    Raises:
        ParametersError: No tables, or other columns with ``columns: same``.
    """
    import pandas as pd

    tables = [read_table(context, table) for table in datasets]
    if not tables:
        raise ParametersError("`datasets` is empty", hint="give at least one table")
    names = list(dict.fromkeys(str(name) for table in tables for name in table.columns))
    for number, table in enumerate(tables, 1):
        if columns == "same" and set(table.columns) != set(names):
            other = [name for name in names if name not in table.columns]
            raise ParametersError(f"table {number} lacks the columns {', '.join(other)}", hint="use columns: union")
    if columns == "common":
        names = [name for name in names if all(name in table.columns for table in tables)]
    joined = {}
    rows = sum(len(table) for table in tables)
    for name in names:
        parts = [table[name] if name in table.columns else None for table in tables]
        if len({None if part is None else str(part.dtype) for part in parts}) == 1:  # and each table has it
            joined[name] = pd.concat(parts, ignore_index=True)
            continue
        joined[name] = _stacked(tables, parts, _cells)
        if kind(joined[name]) == "mixed":  # such as dates beside texts: all of them as they would be handed on
            joined[name] = _stacked(tables, parts, plain_values)
    return table_result(TableResult, context, pd.DataFrame(joined, index=range(rows)), output_path)


def _stacked(tables: list[Frame], parts: list[Column | None], cells_of: Callable[[Column], list[Any]]) -> Column:
    pairs = zip(tables, parts, strict=True)
    return from_values([c for table, part in pairs for c in ([None] * len(table) if part is None else cells_of(part))])


def _cells(column: Column) -> list[Any]:
    return list(column.astype(object).where(column.notna(), None).tolist())
