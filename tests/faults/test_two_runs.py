"""Two runs of one pipeline that write one output folder at once: the last one wins file by file, and none is half."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from faulty import COMMAND, left_over

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = '''
from orchestrator_dagster import tool


@tool
def make(letter: str, number: int) -> dict:
    """Makes a large text of one letter."""
    return {"text": letter * (2_000_000 + number)}
'''
PIPELINE = """
id: both
inputs:
  letter: {type: string}
steps:
  - {id: one, tool: make, parameters: {letter: "{{ letter }}", number: 1}, vars: [one: "{{ result.text }}"], products: [one: one.txt]}
  - {id: two, tool: make, parameters: {letter: "{{ letter }}", number: 2}, vars: [two: "{{ result.text }}"], products: [two: two.txt]}
  - {id: three, tool: make, parameters: {letter: "{{ letter }}", number: 3}, vars: [three: "{{ result.text }}"], products: [three: three.txt]}
"""
THREADS = """
import logging, threading
from concurrent.futures import ThreadPoolExecutor
import orchestrator_dagster as orc

logging.basicConfig(level=logging.INFO)  # a program with handlers of its own
pipeline = orc.compile("pipelines/both.yaml")
with ThreadPoolExecutor(4) as pool:
    results = list(pool.map(lambda letter: pipeline.run(letter=letter), "ab" * 6))
assert logging.getLogger().handlers, "the program's logging is left alone"
print(sum(one.success for one in results), "completed")
"""
SIZES = {"one": 2_000_001, "two": 2_000_002, "three": 2_000_003}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


WHOLE = {name: {digest(letter * size) for letter in (b"a", b"b")} for name, size in SIZES.items()}


class Reader:
    """Reads the products all the time while the runs write them, as another program would."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._done = folder, threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self.seen, self.odd = 0, []  # type: ignore[var-annotated]

    def _read(self) -> None:
        while not self._done.is_set():
            for name, whole in WHOLE.items():
                try:
                    data = (self._folder / f"{name}.txt").read_bytes()
                except FileNotFoundError:
                    continue
                self.seen += 1
                if digest(data) not in whole:
                    self.odd.append((name, len(data)))
            self._done.wait(0.01)

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


@pytest.fixture
def pipeline(write: Callable[[str, str], Path]) -> Path:
    write("tools.py", TOOLS)
    return write("pipelines/both.yaml", PIPELINE)


def check(project: Path) -> None:
    folder = project / "outputs" / "both"
    for name, whole in WHOLE.items():
        assert digest((folder / f"{name}.txt").read_bytes()) in whole
    assert not left_over(project)


def test_writers_that_start_each_round_together() -> None:
    """The rounds of the benchmark, fewer of them: steps in two processes, and a third one that reads meanwhile."""
    command = [sys.executable, "-m", "benchmarks.two_writers", "--rounds", "25"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = re.fullmatch(r"25 rounds, (\d+) files read meanwhile, 0 torn, 0 left behind\n", ran.stdout)
    assert found is not None, ran.stdout
    assert int(found[1]) > 25


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_times_two_processes(project: Path, pipeline: Path) -> None:
    with Reader(project / "outputs" / "both") as reader:
        for _ in range(10):
            started = [
                subprocess.Popen(
                    [*COMMAND, "run", str(pipeline), "-i", f"letter={letter}", "-o", f"{letter}.json"],
                    stderr=subprocess.PIPE, text=True,
                )
                for letter in "ab"
            ]  # fmt: skip
            for process in started:
                _, said = process.communicate(timeout=120)
                assert process.returncode == 0, said
            check(project)
            for letter in "ab":
                made = json.loads((project / f"{letter}.json").read_text())
                assert made["status"] == "completed"
    assert reader.seen > 10
    assert not reader.odd


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_runs_in_threads_of_one_process(project: Path, pipeline: Path) -> None:
    """In a process of its own: a hang inside would hang the tests."""
    (project / "threads.py").write_text(THREADS, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "threads.py"], cwd=project, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "12 completed"
    check(project)
