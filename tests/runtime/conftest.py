"""Pipelines and services for tests of the step runtime, without Dagster."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.models.clients import ModelClients
from orchestrator_dagster.project import compile_or_raise
from orchestrator_dagster.runtime.inputs import complete_inputs
from orchestrator_dagster.runtime.names import RunInfo
from orchestrator_dagster.runtime.outcome import Outcome
from orchestrator_dagster.runtime.scope import Scope
from orchestrator_dagster.runtime.services import Services
from orchestrator_dagster.runtime.step import run_step
from orchestrator_dagster.tools.registry import ToolRegistry
from orchestrator_dagster.workspace import Workspace

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
