"""What a run costs: a chain of small steps, and the items of a loop. Runs are recorded on disk."""

# No `from __future__ import annotations` here: Dagster looks at the types of ops themselves.
import os
import tempfile
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterInstance

from benchmarks.executors import on_disk, run
from benchmarks.measuring import Row, cpu_medians, medians

CHAIN = 50
ITEMS = 1_000
AT_ONCE = 64
SECONDS = 0.5
TOOLS = f"""\
import time
from orchestrator_dagster import tool

@tool
def add(number: int) -> int:
    return number + 1

@tool
def nap(number: int) -> int:
    time.sleep({SECONDS})
    return number
"""
LOOP = """\
id: {tool}s
inputs: {{numbers: {{type: array}}}}
steps:
  - id: each
    for_each: "{{{{ numbers }}}}"
    max_parallel: {at_once}
    tool: {tool}
    parameters: {{number: "{{{{ item }}}}"}}
"""


def chain_text() -> str:
    """A pipeline of steps that each add to what the one before has said."""
    lines = ["id: chain", "steps:", "  - {id: s0, action: echo, parameters: {message: x}}"]
    for step in range(1, CHAIN):
        message = f"{{{{ s{step - 1}.value }}}}x"
        lines.append(f"  - {{id: s{step}, action: echo, parameters: {{message: '{message}'}}}}")
    return "\n".join(lines) + "\n"


@dg.op(out={"inputs": dg.Out()})
def opens() -> Any:
    return {"values": {}}


@dg.op
def first(inputs: Any) -> Any:
    return {"value": "x"}


@dg.op
def adds(inputs: Any, before: Any) -> Any:
    return {"value": f"{before['value']}x"}


@dg.op
def closes(inputs: Any, outcomes: list[Any]) -> Any:
    return outcomes


@dg.graph
def by_hand() -> Any:
    inputs = opens()
    made = [first(inputs)]
    for _ in range(CHAIN - 1):
        made.append(adds(inputs, made[-1]))
    return closes(inputs, made)


def measure() -> list[Row]:
    """The rows of this benchmark."""
    import orchestrator_dagster as orc

    with tempfile.TemporaryDirectory() as name, on_disk() as instance:
        root = Path(name)
        (root / "tools.py").write_text(TOOLS, encoding="utf-8")

        def pipeline(text: str) -> Any:
            path = root / f"{text.split()[1]}.yaml"
            path.write_text(text, encoding="utf-8")
            return orc.compile(path, root=root)

        def ours(what: Any, instance: DagsterInstance, **inputs: Any) -> None:
            done = what.run(instance=instance, **inputs)
            assert done.success, done.error

        os.environ.pop("DAGSTER_HOME", None)
        job = by_hand.to_job(executor_def=dg.in_process_executor)
        chain, adds_all, naps = (
            pipeline(text)
            for text in (chain_text(), *(LOOP.format(tool=tool, at_once=AT_ONCE) for tool in ("add", "nap")))
        )
        numbers = list(range(ITEMS))
        ours(adds_all, instance, numbers=[1])  # what is loaded once is no step's cost
        run(job, instance)
        chains = cpu_medians({"ours": lambda: ours(chain, instance), "by hand": lambda: run(job, instance)})
        loops = cpu_medians(
            {
                "few": lambda: ours(adds_all, instance, numbers=numbers),
                "many": lambda: ours(adds_all, instance, numbers=list(range(5 * ITEMS))),
            }
        )
        waits = medians({"naps": lambda: ours(naps, instance, numbers=numbers)}, rounds=1)["naps"]
    item = (loops["many"] - loops["few"]) / (4 * ITEMS)
    rounds = -(-ITEMS // AT_ONCE) * SECONDS
    return [
        Row(f"chain of {CHAIN} small steps (CPU)", chains["ours"], chains["by hand"], "the same ops by hand",
            "1.3"),
        Row(f"for_each of {5 * ITEMS:,} items of a small tool (CPU)", loops["many"], loops["few"],
            f"{ITEMS:,} items", "5.0"),
        Row("one item more of a for_each (CPU)", item, 0.002, "2 ms", "1.0"),
        Row(f"for_each of {ITEMS:,} items of {SECONDS} s, {AT_ONCE} at once", waits, rounds, "ideal", "9 s"),
    ]  # fmt: skip
