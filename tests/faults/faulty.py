"""Disks that are small, pipelines that fill them, and runs of them in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-m", "orchestrator_dagster.cli"]

TOOLS = '''
from orchestrator_dagster import tool


@tool
def make(letters: int) -> dict:
    """Makes a text, and notes that it was called."""
    with open("calls.log", "a") as log:
        log.write(f"{letters}\\n")
    return {"text": "x" * letters}
'''

PIPELINE = """
id: big
steps:
  - {id: small, tool: make, parameters: {letters: 1000}, vars: [small: "{{ result.text }}"], products: [small: small.txt]}
  - {id: large, dependencies: [small], tool: make, parameters: {letters: 300000}, vars: [large: "{{ result.text }}"], products: [large: large.txt]}
  - {id: after, dependencies: [large], tool: make, parameters: {letters: 10}, vars: [after: "{{ result.text }}"], products: [after: after.txt]}
"""


@contextmanager
def small_disk(folder: Path, size: str, options: str = "") -> Iterator[Callable[[str], None]]:
    """A file system of some size at ``folder``; gives a function that makes it larger. Skips where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = ["mount", "-t", "tmpfs", "-o", f"size={size}{options}", "tmpfs", str(folder)]
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("a file system can be mounted by root only")
    made = subprocess.run(wanted, capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    try:
        yield lambda more: subprocess.run(["mount", "-o", f"remount,{more}", str(folder)], check=True)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def command(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """The console command, in a process of its own."""
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=120, **options)


def calls(project: Path) -> list[str]:
    """What the tool was called with."""
    path = project / "calls.log"
    return path.read_text().split() if path.exists() else []


def left_over(project: Path) -> list[Path]:
    """Temporary files."""
    return sorted(project.rglob("*.tmp"))


def document(text: str) -> Any:
    """The result document."""
    return json.loads(text)
