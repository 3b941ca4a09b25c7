"""Random pipelines, run for real in Dagster and in place, against the slow reading of the rules of flow."""

from __future__ import annotations

import json
import re
import runpy
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

import orchestrator_dagster as orc
from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.compiler.routes import State
from orchestrator_dagster.definitions.runs.record import load_record
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.models.clients import ModelClients
from orchestrator_dagster.project.loading import compile_or_raise
from orchestrator_dagster.runtime.in_place import run_body
from orchestrator_dagster.runtime.inputs import complete_inputs
from orchestrator_dagster.runtime.names import RunInfo
from orchestrator_dagster.runtime.scope import Scope
from orchestrator_dagster.runtime.services import Services
from orchestrator_dagster.tools.registry import ToolRegistry

reference = runpy.run_path(str(Path(__file__).parents[2] / "compiler" / "reference_flow.py"))

TOOLS = '''\
from orchestrator_dagster import tool


@tool
def told(fail: bool) -> dict:
    """Fail when told."""
    if fail:
        raise ConnectionError("told to fail")
    return {"done": True}
'''
WORDS = {
    State.COMPLETED: "completed",
    State.SKIPPED_BY_CONDITION: "skipped: condition",
    State.SKIPPED_BY_ROUTING: "skipped: routing",
    State.BYPASSED: "skipped: bypassed",
    State.FAILED: "failed: unhandled",
    State.FAILED_ROUTED: "failed: routed",
    State.FAILED_CONTINUED: "failed: continue",
    State.FAILED_SKIPPING: "failed: skip",
    State.NOT_REACHED: "not reached",
}
Steps = dict[str, dict[str, Any]]


@st.composite
def pipelines(draw: st.DrawFn) -> tuple[Steps, list[str], list[str], list[str]]:
    """Steps by id in the order of the file; those whose condition is false, that fail, that are gone to by a handler."""
    count = draw(st.integers(6, 9))
    names = [f"s{number}" for number in range(count)]
    steps: Steps = {}
    handled = []
    for place, name in enumerate(names):
        earlier, later = names[:place], names[place + 1 :]
        step: dict[str, Any] = {}
        if earlier and draw(st.integers(0, 3)):
            step["dependencies"] = draw(st.lists(st.sampled_from(earlier), min_size=1, max_size=2, unique=True))
        if draw(st.integers(0, 2)) == 0:
            step["condition"] = True
            if later and draw(st.booleans()):
                step["on_false"] = draw(st.sampled_from(later))
        if later and draw(st.integers(0, 3)) == 0:
            step["on_success"] = draw(st.sampled_from(later))
        way = draw(st.sampled_from((None, None, "fail", "continue", "skip", "step", "step", "handler")))
        if way in ("step", "handler") and later:
            step["on_failure"] = draw(st.sampled_from(later))
            if way == "handler":
                handled.append(name)
        elif way in ("fail", "continue", "skip"):
            step["on_failure"] = way
        steps[name] = step
    off = draw(st.lists(st.sampled_from([one for one in names if "condition" in steps[one]] or [""]), unique=True))
    bad = draw(st.lists(st.sampled_from(names), max_size=4, unique=True))
    order = draw(st.permutations(names))
    return {name: steps[name] for name in order}, off, bad, handled


def written(steps: Steps, handled: list[str]) -> str:
    """The pipeline as a file."""
    lines = ["id: p", "inputs: {off: {type: array, default: []}, bad: {type: array, default: []}}", "steps:"]
    for name, step in steps.items():
        keys: dict[str, Any] = {"id": name, **step}
        if "condition" in keys:
            keys["condition"] = f"'{name}' not in off"
        if name in handled:
            keys["failure_handlers"] = [{"errors": ["OSError"], "goto": keys.pop("on_failure")}, {"fallback": 1}]
        keys |= {"tool": "told", "parameters": {"fail": f"{{{{ '{name}' in bad }}}}"}}
        lines.append(f"  - {json.dumps(keys)}")
    return "\n".join(lines) + "\n"


def in_place(pipeline: CompiledPipeline, project: Path, inputs: dict[str, Any]) -> dict[str, str]:
    run = RunInfo("run", datetime.now(timezone.utc))
    tools = ToolRegistry()
    tools.load_file(project / "tools.py")
    services = Services(Workspace(project), tools, ModelClients())
    scope = Scope.of(pipeline, complete_inputs(pipeline, inputs, run), run, services)
    return {name: WORDS[one.state] for name, one in run_body(pipeline.steps, pipeline.plan, scope).items()}


def in_dagster(path: Path, pipeline: CompiledPipeline, inputs: dict[str, Any]) -> tuple[dict[str, str], bool]:
    """What the result document of a real run says of every step."""
    jobs = [job for job in orc.compile(path).definitions().resolve_all_job_defs() if not job.name.startswith("__")]
    with DagsterInstance.ephemeral() as instance:
        done = jobs[0].execute_in_process(run_config=inputs, instance=instance, raise_on_error=False)
        document = load_record(instance, done.run_id, pipeline)
    assert document["success"] is done.success
    return {name: kind_of(step) for name, step in document["steps"].items()}, done.success


def kind_of(step: dict[str, Any]) -> str:
    """The kind of an end, as far as a person sees it in the result document."""
    if step["status"] != "skipped":
        return str(step["status"])
    reason = step["reason"]
    if reason == "the run ended before it" or re.fullmatch(r"step \w+ (failed|was not reached)", reason):
        return "not reached"
    if reason.startswith("its condition is false"):
        return "skipped: condition"
    if reason.startswith(("no route to it was taken", "routing skipped what it depends on")):
        return "skipped: routing"
    assert " goes to " in reason or reason.endswith("is skip, and it failed"), reason
    return "skipped: bypassed"


def check(project: Path, case: tuple[Steps, list[str], list[str], list[str]]) -> None:
    steps, off, bad, handled = case
    text = written(steps, handled)
    inputs = {"off": [one for one in off if one], "bad": bad}
    note(f"{text}{inputs}")
    ways = {name: steps[name].get("on_failure") or "fail" for name in bad if name in steps}
    ends = reference["run"](steps, false=inputs["off"], failing=ways)
    words = {name: ends[name].word for name in steps}
    path = project / "pipelines" / "p.yaml"
    path.write_text(text, encoding="utf-8")
    pipeline = compile_or_raise(path, project)
    assert in_place(pipeline, project, inputs) == words
    found, success = in_dagster(path, pipeline, inputs)
    assert found == {name: "failed" if word.startswith("failed") else word for name, word in words.items()}
    assert success is not bool({"failed: unhandled", "failed: continue"} & set(words.values()))


@pytest.fixture
def told(project: Path) -> Path:
    (project / "tools.py").write_text(TOOLS, encoding="utf-8")
    return project


_CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
_PHASES = [Phase.explicit, Phase.reuse, Phase.generate]  # a failing pipeline of nine steps is small enough to read


@pytest.mark.slow
@settings(
    max_examples=25, deadline=None, suppress_health_check=_CHECKS, phases=_PHASES, derandomize=True, database=None
)
@given(pipelines())
def test_random_pipelines_agree_with_the_rules(told: Path, case: Any) -> None:
    check(told, case)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(
    max_examples=100, deadline=None, suppress_health_check=_CHECKS, phases=_PHASES, derandomize=True, database=None
)
@given(pipelines())
def test_many_random_pipelines_agree_with_the_rules(told: Path, case: Any) -> None:
    check(told, case)
