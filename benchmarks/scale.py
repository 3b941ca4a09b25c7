"""Large runs, recorded on disk: 500 steps in a chain, 200 at once, 50 model calls at once; and the memory of a run."""

# No `from __future__ import annotations` here: the script below is read by Dagster as well.
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from dagster import DagsterInstance

from benchmarks.executors import on_disk
from benchmarks.measuring import Row, cpu_medians, medians
from orchestrator_dagster.testing import Answer, ModelServer

SHORT, LONG = 50, 500
PARALLEL, AT_ONCE = 200, 64
MODELS = 50
SECONDS = 1.0
TOOLS = f"""\
import time
from orchestrator_dagster import tool

@tool
def nap() -> int:
    time.sleep({SECONDS})
    return 1
"""
ASKS = """\
id: asks
default_model: openai:gpt-4o-mini
steps:
  - id: ask
    prompt: Say hello.
"""
# A child's `ru_maxrss` starts at that of its parent on Linux; VmHWM is its own.
PEAK = """\
import resource, sys
def peak():
    if sys.platform == "linux":
        line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024)
"""
OURS = """\
from pathlib import Path
from dagster import DagsterInstance
import orchestrator_dagster as orc
root, url = Path(sys.argv[1]), sys.argv[2]
models = orc.ModelsResource(endpoints=[orc.ModelEndpoint(provider="openai", base_url=url, api_key="k")])
with DagsterInstance.from_config(str(root / "home")) as instance:
    done = orc.compile(root / "asks.yaml", root=root).run(instance=instance, resources={"models": models})
    assert done.success, done.error
print(peak())
"""
BY_HAND = """\
import os
from pathlib import Path
import dagster as dg
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
url = sys.argv[2]

@dg.op
def ask():
    import litellm
    said = litellm.completion(
        model="openai/gpt-4o-mini", messages=[{"role": "user", "content": "Say hello."}], api_base=url, api_key="k"
    )
    return said.choices[0].message.content

@dg.op
def closes(text):
    return text

@dg.graph
def asks():
    closes(ask())

with dg.DagsterInstance.from_config(str(Path(sys.argv[1]) / "home")) as instance:
    job = asks.to_job(executor_def=dg.in_process_executor)
    assert job.execute_in_process(instance=instance).success
print(peak())
"""


def chain_text(count: int) -> str:
    """A pipeline of steps that each add to what the one before has said."""
    lines = [f"id: chain{count}", "steps:", "  - {id: s0, action: echo, parameters: {message: x}}"]
    lines += [
        f"  - {{id: s{step}, action: echo, parameters: {{message: '{{{{ s{step - 1}.value[:9] }}}}x'}}}}"
        for step in range(1, count)
    ]
    return "\n".join(lines) + "\n"


def parallel_text(name: str, count: int, step: str) -> str:
    """A pipeline of so many steps that wait for nothing."""
    lines = [f"id: {name}", "default_model: openai:gpt-4o-mini", "steps:"]
    return "\n".join([*lines, *(f"  - {{id: s{number}, {step}}}" for number in range(count))]) + "\n"


def megabytes(script: str, root: Path, url: str) -> float:
    """The most memory that a process of its own has taken for one run."""
    command = [sys.executable, "-c", PEAK + script, str(root), url]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def measure() -> list[Row]:
    """The rows of this benchmark."""
    import orchestrator_dagster as orc

    with tempfile.TemporaryDirectory() as name, on_disk() as instance, ModelServer() as server:
        root = Path(name)
        (root / "tools.py").write_text(TOOLS, encoding="utf-8")
        (root / "home").mkdir()
        (root / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
        (root / "asks.yaml").write_text(ASKS, encoding="utf-8")
        models = orc.ModelsResource(endpoints=[orc.ModelEndpoint(provider="openai", base_url=server.url, api_key="k")])
        server.when("hello", reply=Answer("hello", delay=SECONDS))

        def pipeline(text: str) -> Any:
            path = root / f"{text.split()[1]}.yaml"
            path.write_text(text, encoding="utf-8")
            return orc.compile(path, root=root)

        def ours(what: Any, instance: DagsterInstance) -> None:
            done = what.run(instance=instance, resources={"models": models})
            assert done.success, done.error

        short, long = pipeline(chain_text(SHORT)), pipeline(chain_text(LONG))
        naps = pipeline(parallel_text("naps", PARALLEL, "tool: nap"))
        asked = pipeline(parallel_text("asked", MODELS, "prompt: Say hello."))
        ours(short, instance)  # what is loaded once is no step's cost
        ours(pipeline(ASKS), instance)
        chains = cpu_medians({"short": lambda: ours(short, instance), "long": lambda: ours(long, instance)}, rounds=1)
        waits = medians({"naps": lambda: ours(naps, instance), "asked": lambda: ours(asked, instance)}, rounds=1)
        memory = {kind: megabytes(script, root, server.url) for kind, script in (("ours", OURS), ("hand", BY_HAND))}
    ideal = -(-PARALLEL // AT_ONCE) * SECONDS
    return [
        Row(f"chain of {LONG} small steps (CPU)", chains["long"], chains["short"], f"{SHORT} steps", "10"),
        Row(f"{PARALLEL} steps of {SECONDS:g} s, {AT_ONCE} at once", waits["naps"], ideal, "ideal", ""),
        Row(f"{MODELS} model steps of {SECONDS:g} s over HTTP", waits["asked"], SECONDS, "ideal", "2.5 s"),
        Row("memory of a run that asks a model", memory["ours"], memory["hand"], "Dagster, litellm by hand",
            "+60 MB", "MB"),
    ]  # fmt: skip
