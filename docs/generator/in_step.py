"""Calls an action inside a step, for those that work through the run: they ask models or people, or run pipelines."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import yaml

from generator.calls import MODEL, REPLIES
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.models.clients import ModelClients
from orchestrator_dagster.models.litellm_client import Endpoint
from orchestrator_dagster.project.loading import compile_or_raise
from orchestrator_dagster.runtime.in_place import run_body
from orchestrator_dagster.runtime.inputs import complete_inputs
from orchestrator_dagster.runtime.names import RunInfo
from orchestrator_dagster.runtime.scope import Scope
from orchestrator_dagster.runtime.services import Services
from orchestrator_dagster.testing import ModelServer
from orchestrator_dagster.tools.registry import ToolRegistry
from orchestrator_dagster.tools.tool import Action

_RUN = RunInfo("run-1", datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.timezone.utc))


def run_in_step(folder: Path, action: Action, parameters: dict[str, Any]) -> Any:
    """The answer of one call, as the value of a step; where it asks a model, a local server answers for it."""
    step = {"id": action.name, "tool": action.tool, "action": action.name, "parameters": parameters}
    text = yaml.safe_dump({"id": "page", "default_model": MODEL, "steps": [step]}, sort_keys=False)
    path = folder / "page.yaml"
    path.write_text(text, encoding="utf-8")
    pipeline = compile_or_raise(path, folder)
    with ModelServer(REPLIES.get((action.tool, action.name), ())) as server:
        clients = ModelClients({"openai": Endpoint(server.url, "sk-of-the-local-server")})
        services = Services(Workspace(folder), ToolRegistry(), clients)
        scope = Scope.of(pipeline, complete_inputs(pipeline, {}, _RUN), _RUN, services)
        outcome = run_body(pipeline.steps, pipeline.plan, scope)[action.name]
    assert outcome.error is None, f"{action.tool}.{action.name}: {outcome.error}"
    return outcome.value
