"""Compiling large files: twice the size takes twice the time."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import Row
from orchestrator_dagster.project.loading import compile_or_raise

HEAD = "default_model: builtin:extractive\nsteps:\n"
OTHER = "inputs: {x: 1}\n" + HEAD + "- {id: s, prompt: '{{ x }}'}\noutputs: {o: '{{ s }}'}\n"
TIMES = 3


def loops(count: int) -> str:
    """Loops of three steps each."""
    return HEAD + "".join(
        f"- id: l{number}\n  for_each: [1, 2]\n  steps:\n  - {{id: a, prompt: '{{{{ item }}}}'}}\n"
        "  - {id: b, prompt: '{{ a }}', if: 'a is not None'}\n  - {id: c, prompt: '{{ b }}'}\n"
        for number in range(count)
    )


def handlers(count: int) -> str:
    """Steps of which every third may fail into the two behind it."""
    return HEAD + "".join(
        f"- {{id: s{number}, prompt: x, "
        f"failure_handlers: [{{errors: ValueError, goto: h{number}}}, {{goto: g{number}}}]}}\n"
        f"- {{id: h{number}, prompt: '{{{{ error.message }}}}'}}\n"
        f"- {{id: g{number}, prompt: '{{{{ error.message }}}}'}}\n"
        for number in range(count // 3)
    )


def pipelines(count: int) -> str:
    """Steps that all run one other file, each behind the one before."""
    return HEAD + "".join(
        f"- {{id: s{number}, pipeline: other.yaml, inputs: {{x: {number}}}"
        f"{f', depends_on: s{number - 1}' if number else ''}}}\n"
        for number in range(count)
    )


def last_pass(count: int) -> str:
    """A body that goes back, each step reading the one behind it."""
    return (
        HEAD
        + "- id: w\n  until: s1\n  steps:\n"
        + "".join(
            f"  - {{id: s{number}, prompt: '{{{{ s{(number + 1) % count} | default(1) }}}}'}}\n"
            for number in range(count)
        )
    )


CASES: tuple[tuple[str, Callable[[int], str], int], ...] = (
    ("1,000 loops of 3 steps", loops, 1000),
    ("2,000 steps with handlers", handlers, 2000),
    ("1,000 steps that run a file", pipelines, 1000),
    ("1,000 steps in a while", last_pass, 1000),
)


def measure() -> list[Row]:
    """Each case beside the half of it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "workspace.yaml").touch()
        (root / "other.yaml").write_text(OTHER, encoding="utf-8")

        def seconds(text: str) -> float:
            (root / "p.yaml").write_text(text, encoding="utf-8")
            found = []
            for _ in range(TIMES):
                start = time.process_time()
                compile_or_raise(root / "p.yaml", root)
                found.append(time.process_time() - start)
            return min(found)

        return [
            Row(f"compile {what}", seconds(text(count)), seconds(text(count // 2)), "half of it", "< 2.5")
            for what, text, count in CASES
        ]
