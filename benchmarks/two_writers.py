"""Two processes that write the same products at once, while a third one reads them: `python -m benchmarks.two_writers`.

Every round, both start a step at the same moment that writes the same three files with content of their own. The reader
takes whatever is there. No file that anybody sees may be anything but one of the two contents, whole.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import tempfile
from dataclasses import dataclass
from datetime import datetime, timezone
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any

PIPELINE = """id: both
inputs:
  letter: {type: string}
  size: {type: integer}
  output_dir: outputs/both
steps:
  - id: text
    action: echo
    parameters: {message: "{{ letter * size }}"}
    products: [text: text.txt]
  - id: rows
    action: echo
    parameters: {message: [{letter: "{{ letter }}", number: 1}, {letter: "{{ letter }}", number: 2}]}
    vars: [rows: {type: array, items: {letter: string, number: integer}}]
    products: [rows: rows.csv]
  - id: facts
    action: echo
    parameters: {message: {facts: {letter: "{{ letter }}", text: "{{ letter * size }}"}}}
    vars: [facts: object]
    products: [facts: facts.json]
"""
NAMES = ("text.txt", "rows.csv", "facts.json")


@dataclass(frozen=True)
class Tally:
    """What came out: rounds, files that the reader saw, those that were torn, what was left lying about."""

    rounds: int
    seen: int
    torn: int
    left: int


def whole(letter: str, size: int) -> dict[str, str]:
    """The SHA-256 of each file as one writer writes it."""
    facts = json.dumps({"letter": letter, "text": letter * size}, indent=2)
    texts = {
        "text.txt": letter * size,
        "rows.csv": f"letter,number\n{letter},1\n{letter},2\n",
        "facts.json": f"{facts}\n",
    }
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}


def write(root: str, letter: str, size: int, rounds: int, start: Barrier) -> None:
    """Run the pipeline's steps again and again, each time together with the other writer."""
    from orchestrator_dagster.files.workspace import Workspace
    from orchestrator_dagster.models.clients import ModelClients
    from orchestrator_dagster.project.loading import compile_or_raise
    from orchestrator_dagster.runtime.in_place import run_body
    from orchestrator_dagster.runtime.inputs import complete_inputs
    from orchestrator_dagster.runtime.names import RunInfo
    from orchestrator_dagster.runtime.scope import Scope
    from orchestrator_dagster.runtime.services import Services
    from orchestrator_dagster.tools.registry import ToolRegistry

    pipeline = compile_or_raise(Path(root) / "both.yaml", Path(root))
    run = RunInfo(letter, datetime.now(timezone.utc))
    values = complete_inputs(pipeline, {"letter": letter, "size": size}, run)
    services = Services(Workspace(Path(root)), ToolRegistry(), ModelClients({}))
    scope = Scope.of(pipeline, values, run, services)
    try:
        for _ in range(rounds):
            start.wait()
            outcomes = run_body(pipeline.steps, pipeline.plan, scope)
            assert all(one.status == "completed" for one in outcomes.values()), outcomes
    except BaseException:
        start.abort()  # the other one would wait for ever
        raise


def read(folder: str, right: dict[str, set[str]], done: Event, result: Any) -> None:
    """Read the files until the writers are done."""
    seen = torn = 0
    while not done.is_set():
        for name, hashes in right.items():
            try:
                data = (Path(folder) / name).read_bytes()
            except FileNotFoundError:
                continue
            seen += 1
            torn += hashlib.sha256(data).hexdigest() not in hashes
    result.put((seen, torn))


def run(rounds: int, size: int = 200_000) -> Tally:
    """Let them write so many rounds."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as root:
        (Path(root) / "both.yaml").write_text(PIPELINE, encoding="utf-8")
        folder = Path(root) / "outputs" / "both"
        right = {name: {whole(letter, size)[name] for letter in "ab"} for name in NAMES}
        start, done, result = context.Barrier(2), context.Event(), context.Queue()
        reader = context.Process(target=read, args=(str(folder), right, done, result))
        writers = [context.Process(target=write, args=(root, letter, size, rounds, start)) for letter in "ab"]
        for process in (reader, *writers):
            process.start()
        for process in writers:
            process.join()
        done.set()
        seen, torn = result.get()
        reader.join()
        if any(process.exitcode for process in writers):
            raise RuntimeError("a writer failed")
        last = [name for name in NAMES if hashlib.sha256((folder / name).read_bytes()).hexdigest() not in right[name]]
        left = [path for path in folder.rglob("*") if path.name not in NAMES]
    return Tally(rounds, seen, torn + len(last), len(left))


def main() -> None:
    """Print what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    tally = run(parser.parse_args().rounds)
    print(f"{tally.rounds} rounds, {tally.seen} files read meanwhile, {tally.torn} torn, {tally.left} left behind")
    raise SystemExit(1 if tally.torn or tally.left else 0)


if __name__ == "__main__":
    main()
