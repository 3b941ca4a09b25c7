"""Files that change below a real ``dagster dev``: what the webserver serves, and what the sensor says."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from live_dev import SELECTOR, Dev, dagster_dev

pytestmark = [pytest.mark.slow, pytest.mark.ui, pytest.mark.timeout(600)]

PIPELINE = """\
id: {id}
{more}
steps:
  - id: wait
    tool: wait_for
    parameters: {{file: {wait}}}
  - id: say
    action: echo
    depends_on: wait
    parameters: {{message: {said}}}
    vars: {{text: "{{{{ result }}}}"}}
    products: {{text: {id}.txt}}
"""
TOOLS = '''
import time
from pathlib import Path
from orchestrator_dagster import tool


@tool
def wait_for(file: str = "") -> str:
    """Waits until the file is there."""
    while file and not Path(file).exists():
        time.sleep(0.05)
    return "here"
'''


def text(id: str, said: str = "hello", wait: str = '""', more: str = "") -> str:
    return PIPELINE.format(id=id, said=said, wait=wait, more=more)


def until(what: Callable[[], Any], seconds: float = 90) -> Any:
    """The first true value; the time is a bound for a busy machine, no expectation."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.25)
    raise AssertionError("it did not come to that")


def served(dev: Dev) -> dict[str, Any]:
    nodes = dev.query("{ assetNodes { assetKey { path } tags { key } } }")["assetNodes"]
    return {"/".join(node["assetKey"]["path"]): {tag["key"] for tag in node["tags"]} for node in nodes}


def ticks(dev: Dev) -> list[dict[str, Any]]:
    query = """query($s: SensorSelector!) { sensorOrError(sensorSelector: $s) { ... on Sensor { sensorState {
        ticks(limit: 30) { status skipReason timestamp } } } } }"""
    found = dev.query(query, s={**SELECTOR, "sensorName": "recompile_pipelines"})
    return found["sensorOrError"]["sensorState"]["ticks"]  # type: ignore[no-any-return]


def runs(dev: Dev) -> dict[str, str]:
    found = dev.query("{ runsOrError { ... on Runs { results { jobName status } } } }")["runsOrError"]["results"]
    return {one["jobName"]: one["status"] for one in found}


def write(path: Path, content: str) -> None:
    """Whole at once, as editors and git do, and left alone for a while."""
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(content, encoding="utf-8")
    past = time.time() - 60
    os.utime(temporary, (past, past))
    temporary.replace(path)


def test_files_that_change(project: Path, tmp_path: Path) -> None:
    folder = project / "pipelines"
    folder.mkdir(exist_ok=True)
    (project / "workspace.yaml").write_text(
        "load_from: [{python_module: {module_name: orchestrator_dagster.code_location, location_name: pipelines}}]\n"
    )
    (project / "tools.py").write_text(TOOLS)
    flag = tmp_path / "go"
    for name in "abc":
        write(folder / f"{name}.yaml", text(name))
    write(folder / "slow.yaml", text("slow", "first", wait=str(flag)))
    with dagster_dev(project, tmp_path) as dev:
        until(lambda: ticks(dev))
        # A run that is in the middle when everything changes keeps what it was launched with.
        launched = dev.query(
            """mutation($p: ExecutionParams!) { launchRun(executionParams: $p) {
            __typename ... on LaunchRunSuccess { run { runId } } } }""",
            p={"selector": {**SELECTOR, "pipelineName": "slow_job"}, "runConfigData": {}},
        )["launchRun"]
        run_id = launched["run"]["runId"]
        until(lambda: runs(dev).get("slow_job") == "STARTED")

        before = len(ticks(dev))
        write(folder / "a.yaml", text("a", "changed", more="on_change: run"))
        write(folder / "b.yaml", "steps: [{id: say, tool: wait_fro}]\n")
        (folder / "c.yaml").rename(folder / "d.yaml")
        write(folder / "d.yaml", text("d"))
        write(folder / "slow.yaml", text("slow", "second"))
        for number in range(200):
            write(folder / f"n{number}.yaml", text(f"n{number}"))
        found = until(lambda: (now := served(dev)) and "n199/text" in now and now)
        assert {"a/text", "b/text", "d/text"} <= found.keys()
        assert "c/text" not in found
        assert "orchestrator/stale" in found["b/text"]
        assert "orchestrator/stale" not in found["a/text"]
        new = [one["skipReason"] or "" for one in ticks(dev)[: len(ticks(dev)) - before]]
        asked = [one for one in new if "more files changed" in one]
        assert len(asked) == 1, new
        assert "wait_fro" in asked[0]
        until(lambda: runs(dev).get("a_job") == "SUCCESS")

        flag.touch()
        assert dev.wait(run_id) == "SUCCESS"
        assert (project / "outputs/slow/slow.txt").read_text() == "first"

        write(folder / "b.yaml", text("b", "mended"))
        until(lambda: "orchestrator/stale" not in served(dev)["b/text"])
    count = len(runs_of(tmp_path))
    with dagster_dev(project, tmp_path) as dev:  # the cursor has survived: nothing is taken for new
        until(lambda: len(ticks(dev)) > 1)
        until(lambda: "as their files say" in (ticks(dev)[0]["skipReason"] or ""))
    assert len(runs_of(tmp_path)) == count


def runs_of(tmp_path: Path) -> list[Any]:
    from dagster import DagsterInstance

    with DagsterInstance.from_config(str(tmp_path / "home")) as instance:
        return list(instance.get_runs())
