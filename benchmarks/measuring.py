"""What the benchmarks share: medians of interleaved rounds, and one row of the table."""

from __future__ import annotations

import gc
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One measurement: ours and the reference, in seconds unless it says, and what is wanted at most."""

    what: str
    ours: float
    reference: float
    reference_is: str
    wanted: str = ""
    unit: str = "s"

    @property
    def ratio(self) -> float:
        """Ours over the reference."""
        return self.ours / self.reference


def medians(functions: Mapping[str, Callable[[], object]], rounds: int = 5) -> dict[str, float]:
    """Median seconds of each function, in turns, so that a busy moment hits all of them."""
    return _medians(functions, rounds, time.perf_counter)


def cpu_medians(functions: Mapping[str, Callable[[], object]], rounds: int = 3) -> dict[str, float]:
    """Median seconds of the processor, of this process and those it has waited for: other work on the machine counts
    little."""
    return _medians(functions, rounds, cpu_seconds)


def cpu_seconds() -> float:
    """Seconds of the processor that this process and those it has waited for have used."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _medians(
    functions: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float]
) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            gc.collect()
            start = clock()
            function()
            times[name].append(clock() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def process(*arguments: str, cwd: Path) -> Callable[[], object]:
    """A whole Python process, as a function to be timed; its bytecode is kept, as it is where a person works."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, *arguments]
    return lambda: subprocess.run(command, cwd=cwd, check=True, capture_output=True, env=environment)


_PEAK = """
import pathlib, resource, runpy, sys
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__")
status = pathlib.Path("/proc/self/status")
if status.exists():  # getrusage begins with the memory of the process that started this one
    print([line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")][0])
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1))
"""


def peak_memory(*arguments: str, cwd: Path) -> float:
    """The most memory that a Python process has held, in MB; it is the process's whole, imports included.

    Args:
        arguments: A module and what it is given.
        cwd: Where it runs.
    """
    command = [sys.executable, "-c", _PEAK, *arguments]
    done = subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1]) / 1024
