"""What the benchmarks share: medians of interleaved rounds, and one row of the table."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One measurement: seconds of ours and of the reference, and the ratio that is wanted at most."""

    what: str
    ours: float
    reference: float
    reference_is: str
    wanted: str = ""

    @property
    def ratio(self) -> float:
        """Ours over the reference."""
        return self.ours / self.reference


def medians(functions: Mapping[str, Callable[[], object]], rounds: int = 5) -> dict[str, float]:
    """Median seconds of each function, in turns, so that a busy moment hits all of them."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def process(*arguments: str, cwd: Path) -> Callable[[], object]:
    """A whole Python process, as a function to be timed."""
    return lambda: subprocess.run([sys.executable, *arguments], cwd=cwd, check=True, capture_output=True)
