"""Pipelines and services for tests of the step runtime, without Dagster."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.models.clients import ModelClients
from orchestrator_dagster.project.loading import compile_or_raise
from orchestrator_dagster.runtime.in_place import run_body
from orchestrator_dagster.runtime.inputs import complete_inputs
from orchestrator_dagster.runtime.names import RunInfo
from orchestrator_dagster.runtime.outcome import Outcome
from orchestrator_dagster.runtime.scope import Scope
from orchestrator_dagster.runtime.services import Services
from orchestrator_dagster.runtime.step import run_step
from orchestrator_dagster.tools.registry import ToolRegistry

RUN = RunInfo("run-1", datetime(2026, 1, 31, 12, 0, tzinfo=timezone.utc))
Compile = Callable[[str], CompiledPipeline]
RunAll = Callable[..., dict[str, Outcome]]


@pytest.fixture
def services(project: Path) -> Services:
    return Services(Workspace(project), ToolRegistry(), ModelClients())


@pytest.fixture
def compiled(project: Path) -> Compile:
    """Compiles the text of a pipeline."""

    def make(text: str) -> CompiledPipeline:
        path = project / "pipelines" / "p.yaml"
        path.write_text(text, encoding="utf-8")
        return compile_or_raise(path, project)

    return make


@pytest.fixture
def run_all(compiled: Compile, services: Services) -> RunAll:
    """Runs every step of a pipeline in order, without Dagster, flow or retries; gives the outcomes."""

    def run(text: str, **inputs: Any) -> dict[str, Outcome]:
        pipeline = compiled(text)
        values = complete_inputs(pipeline, inputs, RUN)
        outcomes: dict[str, Outcome] = {}
        for step in pipeline.steps:
            before = {name: outcomes[name] for name in step.dependencies}
            outcomes[step.id] = run_step(step, Scope.of(pipeline, values, RUN, services, before))
        return outcomes

    return run


class Flow:
    """Runs whole pipelines in place: flow, loops, retries and other pipelines, without Dagster."""

    def __init__(self, project: Path) -> None:
        self.project = project
        shutil.copy(Path(__file__).with_name("flow_tools.py"), project / "tools.py")
        tools = ToolRegistry()
        tools.load_file(project / "tools.py")
        self.said: list[str] = []
        self.services = Services(Workspace(project), tools, ModelClients(), log=self.said.append)

    def write(self, name: str, text: str) -> Path:
        path = self.project / "pipelines" / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    def compile(self, text: str) -> CompiledPipeline:
        return compile_or_raise(self.write("p", f"id: p\n{text}" if not text.startswith("id:") else text), self.project)

    def __call__(self, text: str, services: Services | None = None, **inputs: Any) -> dict[str, Outcome]:
        return self.run(self.compile(text), services, **inputs)

    def run(self, pipeline: CompiledPipeline, services: Services | None = None, **inputs: Any) -> dict[str, Outcome]:
        values = complete_inputs(pipeline, inputs, RUN)
        scope = Scope.of(pipeline, values, RUN, services or self.services)
        return run_body(pipeline.steps, pipeline.plan, scope)

    @property
    def calls(self) -> list[str]:
        """The names of the calls of the tool `probe`, in order."""
        path = self.project / "calls.txt"
        return path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []


@pytest.fixture
def flow(project: Path) -> Flow:
    return Flow(project)
