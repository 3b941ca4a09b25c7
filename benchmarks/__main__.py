"""Run the benchmarks and print one table: ``python -m benchmarks [--only NAME]… [--markdown]``."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
from importlib import import_module
from importlib.metadata import version

from rich.console import Console
from rich.table import Table

MODULES = ("loading", "compiling", "running", "scale", "data_processing", "executors", "model_calls")


COLUMNS = ("what", "ours", "reference", "ratio", "wanted")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, beside a reference.")
    parser.add_argument("--only", action="append", choices=MODULES, help="one of them; may be given again")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    chosen = parser.parse_args()
    console = Console(width=160, soft_wrap=chosen.markdown)
    rows = [row for name in chosen.only or MODULES for row in import_module(f"benchmarks.{name}").measure()]
    console.print(about(), highlight=False)
    cells = [
        (
            one.what,
            shown(one.ours, one.unit),
            f"{shown(one.reference, one.unit)}, {one.reference_is}",
            f"{one.ratio:.2f}",
            one.wanted,
        )
        for one in rows
    ]
    if chosen.markdown:
        for line in (COLUMNS, ["---"] * len(COLUMNS), *cells):
            print(f"| {' | '.join(line)} |")
        return
    table = Table(*COLUMNS)
    for line in cells:
        table.add_row(*line)
    console.print(table)


def shown(value: float, unit: str) -> str:
    """A measured value with its unit."""
    return f"{value:.3f} s" if unit == "s" else f"{value:,.0f} {unit}"


def about() -> str:
    """When, where and with what it was measured."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("dagster", "litellm", "pandas"))
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{datetime.date.today()}: {versions}, Python {platform.python_version()}, {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} processors{load}"
    )


if __name__ == "__main__":
    main()
