"""The tool data-processing against bare pandas: a CSV of 100,000 rows, filtered and aggregated.

Both read the same file in the same process, in turns; the memory is that of a process for each.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measuring import Row, medians, peak_memory
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.tools.data import data_processing
from orchestrator_dagster.tools.tool import ToolContext

REGIONS = ("north", "south", "east", "west", "centre")
FUNCTIONS = ("sum", "mean", "median", "count")
EXPRESSION = "price > 20 and region in ['north', 'south', 'east']"


def write_csv(path: Path, rows: int) -> None:
    """A table with whole numbers, texts, decimals, gaps and dates, the same every time."""
    source = random.Random(7)
    with path.open("w", encoding="utf-8") as file:
        file.write("id,region,customer,price,quantity,day\n")
        for number in range(rows):
            quantity = "" if source.random() < 0.02 else source.randint(1, 40)
            day = f"2024-{source.randint(1, 12):02}-{source.randint(1, 28):02}"
            customer, price = f"customer {source.randint(1, 5000)}", f"{source.uniform(1, 100):.2f}"
            file.write(f"{number},{source.choice(REGIONS)},{customer},{price},{quantity},{day}\n")


def pandas_read_filter_aggregate(path: Path) -> Any:
    import pandas as pd

    frame = pd.read_csv(path)
    kept = frame[(frame["price"] > 20) & frame["region"].isin(["north", "south", "east"])]
    grouped = kept.groupby("region").agg({"price": list(FUNCTIONS), "quantity": ["sum"]})
    return grouped.reset_index().to_dict("records")


def pandas_convert(path: Path) -> Any:
    import pandas as pd

    pd.read_csv(path).to_csv(path.with_name("pandas.csv"), index=False)


def tool(context: ToolContext, action: str, **parameters: Any) -> Any:
    return data_processing.find(action).call(context, parameters)


WANTED = {"price": list(FUNCTIONS), "quantity": "sum"}


def tool_read_filter_aggregate(path: Path) -> Any:
    context = ToolContext(Workspace(path.parent))
    return tool(context, "aggregate", data=path.name, where=EXPRESSION, group_by="region", aggregations=WANTED)


def memory(path: Path, rows: int) -> Row:
    """Peak memory of a process that reads, filters and aggregates once."""
    root = Path(__file__).parents[1]
    ours, reference = (
        statistics.median(peak_memory("benchmarks.data_processing", which, str(path), cwd=root) for _ in range(3))
        for which in ("tool", "pandas")
    )
    return Row(f"data-processing: peak memory of that, {rows:,} rows", ours, reference, "bare pandas", "1.5", "MB")


def measure(rows: int = 100_000, rounds: int = 7) -> list[Row]:
    """The rows of this benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sales.csv"
        write_csv(path, rows)
        context = ToolContext(Workspace(Path(folder)))

        def filter_aggregate() -> Any:
            return tool_read_filter_aggregate(path)

        def convert() -> Any:
            return tool(context, "convert", data="sales.csv", output_path="tool.csv")

        def two_steps() -> Any:
            kept = tool(context, "filter", data="sales.csv", conditions=EXPRESSION)
            return tool(context, "aggregate", data=kept, group_by="region", aggregations=WANTED)

        def bare() -> Any:
            return pandas_read_filter_aggregate(path)

        table: list[tuple[str, Callable[[], Any], Callable[[], Any], str]] = [
            (f"data-processing: read, filter, aggregate {rows:,} rows", filter_aggregate, bare, "1.5"),
            ("data-processing: the same in two steps, rows as values between", two_steps, bare, ""),
            ("data-processing: read and write csv", convert, lambda: pandas_convert(path), "1.5"),
        ]
        found = []
        for name, ours, reference, ratio in table:
            ours(), reference()  # the first round imports and warms
            times = medians({"ours": ours, "pandas": reference}, rounds)
            found.append(Row(name, times["ours"], times["pandas"], "bare pandas", ratio))
        return [*found, memory(path, rows)]


if __name__ == "__main__":
    {"tool": tool_read_filter_aggregate, "pandas": pandas_read_filter_aggregate}[sys.argv[1]](Path(sys.argv[2]))
