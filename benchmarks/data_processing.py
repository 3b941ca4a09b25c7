"""The tool data-processing against bare pandas: a CSV of 100,000 rows, filtered and aggregated.

Both read the same file in the same process, in turns; printed are the medians and their ratio. Run it with
``python benchmarks/data_processing.py [--rows N] [--rounds N]``.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator_dagster.tools.data import data_processing
from orchestrator_dagster.tools.tool import ToolContext
from orchestrator_dagster.workspace import Workspace

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


def median_seconds(functions: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Medians of the functions, run in turns so that a slow moment of the machine meets all of them."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()  # the first round imports and warms
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in times.items()}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=100_000)
    arguments.add_argument("--rounds", type=int, default=7)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sales.csv"
        write_csv(path, options.rows)
        context = ToolContext(Workspace(Path(folder)))
        wanted = {"price": list(FUNCTIONS), "quantity": "sum"}

        def filter_aggregate() -> Any:
            return tool(
                context, "aggregate", data="sales.csv", where=EXPRESSION, group_by="region", aggregations=wanted
            )

        def convert() -> Any:
            return tool(context, "convert", data="sales.csv", output_path="tool.csv")

        def two_steps() -> Any:
            kept = tool(context, "filter", data="sales.csv", conditions=EXPRESSION)
            return tool(context, "aggregate", data=kept, group_by="region", aggregations=wanted)

        table: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = [
            ("read, filter, aggregate", lambda: pandas_read_filter_aggregate(path), filter_aggregate),
            ("the same in two steps, rows as values between", lambda: pandas_read_filter_aggregate(path), two_steps),
            ("read and write csv", lambda: pandas_convert(path), convert),
        ]
        print(f"{options.rows:,} rows, {path.stat().st_size / 1e6:.1f} MB, median of {options.rounds} rounds")
        print(f"{'':56}{'pandas':>9}{'tool':>9}{'ratio':>7}")
        for name, reference, ours in table:
            medians = median_seconds({"pandas": reference, "tool": ours}, options.rounds)
            ratio = medians["tool"] / medians["pandas"]
            print(f"{name:56}{medians['pandas']:8.3f}s{medians['tool']:8.3f}s{ratio:6.2f}x")


if __name__ == "__main__":
    main()
