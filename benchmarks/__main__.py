"""Run every benchmark and print one table: ``python -m benchmarks [NAME]…``."""

from __future__ import annotations

import platform
import sys
from importlib import import_module
from importlib.metadata import version

from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Row

MODULES = ("loading", "compiling", "data_processing", "executors")


def main(names: list[str]) -> None:
    """Measure and print."""
    console = Console(width=140)
    console.print(
        f"Dagster {version('dagster')}, litellm {version('litellm')}, pandas {version('pandas')}, "
        f"Python {platform.python_version()}, {platform.machine()}"
    )
    rows: list[Row] = []
    for name in names or MODULES:
        rows += import_module(f"benchmarks.{name}").measure()
    table = Table("what", "ours", "reference", "ratio", "wanted")
    for row in rows:
        ours, reference = f"{row.ours:.3f} s", f"{row.reference:.3f} s  {row.reference_is}"
        table.add_row(row.what, ours, reference, f"{row.ratio:.2f}", row.wanted)
    console.print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
