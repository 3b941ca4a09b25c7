"""The tool ``data-processing``: tables, loaded, filtered, aggregated, joined, reshaped and described with pandas.

Every action takes a table in any of these forms: a list of objects, a map of columns, ``{columns, data}`` with lists
as rows, CSV or JSON text, a path in the workspace, or an earlier result of this tool. Every action that makes a table
answers ``{data, columns, row_count, …}`` in plain JSON values: missing cells are null, whole numbers stay whole, dates
are ISO text. With ``output_path`` the table is written there as well.
"""

from __future__ import annotations

from orchestrator_dagster.tools.data import (
    aggregating,
    filtering,
    joining,
    loading,
    ordering,
    profiling,
    querying,
    reshaping,
    transforming,
)
from orchestrator_dagster.tools.data.operations import OPERATIONS
from orchestrator_dagster.tools.tool import Tool

data_processing = Tool(
    "data-processing",
    summary="Loads, filters, aggregates, joins, reshapes, describes and converts tables (csv, json, parquet, xlsx).",
)

data_processing.action(default=True, aliases=("read",))(loading.load)
data_processing.action(aliases=("write",))(loading.save)
data_processing.action()(loading.convert)
data_processing.action(aliases=("where", "select_rows"))(filtering.filter)
data_processing.action(aliases=("group", "group_by", "groupby", "summarize"))(aggregating.aggregate)
data_processing.action(aliases=("join",))(joining.merge)
data_processing.action(aliases=("append", "union"))(joining.concat)
data_processing.action()(reshaping.pivot)
data_processing.action(aliases=("melt",))(reshaping.unpivot)
data_processing.action(aliases=("describe", "analyze", "statistics"))(profiling.profile)
data_processing.action(aliases=("clean",), operations=OPERATIONS)(transforming.transform)
data_processing.action(aliases=("order", "order_by"))(ordering.sort)
data_processing.action(aliases=("drop_duplicates", "distinct"))(ordering.deduplicate)
data_processing.action()(ordering.sample)
data_processing.action(aliases=("limit",))(ordering.head)
data_processing.action(aliases=("query",))(querying.sql)

__all__ = ["data_processing"]
