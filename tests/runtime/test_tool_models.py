"""Tools that ask models: over real HTTP, without Dagster."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.errors import (
    ModelError,
    ModelRequestError,
    PipelineError,
    StepTimeoutError,
    ToolError,
)
from orchestrator_dagster.models.call_store import CallStore
from orchestrator_dagster.models.clients import ModelClients
from orchestrator_dagster.models.litellm_client import Endpoint
from orchestrator_dagster.project.loading import compile_or_raise
from orchestrator_dagster.runtime.failure import usage_of
from orchestrator_dagster.runtime.inputs import complete_inputs
from orchestrator_dagster.runtime.outcome import Outcome
from orchestrator_dagster.runtime.scope import Scope
from orchestrator_dagster.runtime.services import Services
from orchestrator_dagster.runtime.step import run_step
from orchestrator_dagster.testing import Answer, ModelServer, Tokens, faults
from orchestrator_dagster.tools.registry import ToolRegistry
from tests.runtime.conftest import RUN

OWN = '''
import time
from orchestrator_dagster import Tool, ToolContext
from orchestrator_dagster.errors import ModelError, ToolError

asker = Tool("asker", summary="Asks.", uses_models=True)

@asker.action(default=True)
def ask(context: ToolContext, prompts: list[str], schema: dict | None = None, model: str | None = None,
        fail: str | None = None, second: str | None = None, pause: float = 0.0) -> dict:
    """Ask each."""
    replies = []
    for prompt in prompts:
        try:
            replies.append(context.models.ask(prompt, schema=schema, model=model))
        except ModelError:
            if second is None:
                raise
            replies.append(context.models.ask(prompt, model=second))
        time.sleep(pause)
    if fail:
        raise ToolError(fail)
    return {"texts": [one.text for one in replies], "values": [one.value for one in replies],
            "models": [one.model for one in replies], "tokens": sum(one.tokens for one in replies)}

@asker.action(uses_models=False)
def none(context: ToolContext) -> bool:
    """Whether there are no models."""
    return context.models is None

@asker.action()
def look(context: ToolContext, image: str) -> str:
    """Ask about a picture."""
    return context.models.ask("What is it?", images=[context.workspace.read_bytes(image)]).text
'''
HEAD = "id: p\ndefault_model: openai:gpt-4o-mini\nsteps:\n"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cfc0000003010100"
    "c9fe92ef0000000049454e44ae426082"
)
Run = Callable[..., Outcome]


@pytest.fixture
def run(project: Path, services: Services, model_server: ModelServer, tmp_path: Path) -> Run:
    """Runs the one step of a pipeline whose tool asks the server."""
    (project / "tools.py").write_text(OWN)
    tools = ToolRegistry()
    tools.load_file(project / "tools.py")
    clients = ModelClients({"openai": Endpoint(model_server.url, "sk-planted-0123456789abcdef")})
    services = replace(services, tools=tools, models=clients, calls=CallStore(tmp_path / "calls", "run-1"))

    def do(step: str, **inputs: Any) -> Outcome:
        pipeline = compile_text(project, step)
        values = complete_inputs(pipeline, inputs, RUN)
        return run_step(pipeline.steps[0], Scope.of(pipeline, values, RUN, services))

    return do


def compile_text(project: Path, step: str) -> CompiledPipeline:
    path = project / "pipelines" / "p.yaml"
    path.write_text(step if step.startswith("id:") else f"{HEAD}  - {{id: a, tool: asker, {step}}}\n")
    return compile_or_raise(path, project)


def test_what_a_tool_asks_counts_for_its_step(run: Run, model_server: ModelServer) -> None:
    model_server.then(Answer("one", usage=Tokens(10, 5)), Answer("two", usage=Tokens(20, 5)))
    done = run("parameters: {prompts: [a, b]}, temperature: 0.5, max_tokens: 99")
    assert done.value["texts"] == ["one", "two"]
    assert done.value["models"] == ["openai:gpt-4o-mini"] * 2
    assert done.value["tokens"] == done.usage.tokens == 40
    assert done.usage.calls == 2
    assert done.usage.cost
    assert done.model
    assert (done.model.name, done.model.reason) == ("gpt-4o-mini", "the pipeline's default_model")
    assert [(one.body["temperature"], one.body["max_tokens"]) for one in model_server.calls] == [(0.5, 99)] * 2


def test_an_answer_is_repaired_and_checked(run: Run, model_server: ModelServer) -> None:
    model_server.then(Answer('{"n": "x"}'), Answer('{"n": 3}'))
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    done = run(f"parameters: {{prompts: [a], schema: {json.dumps(schema)}}}")
    assert done.value["values"] == [{"n": 3}]
    assert done.usage.calls == 2
    assert "expected integer" in model_server.calls[1].prompt


def test_the_step_names_the_model_and_the_tool_may_name_another(run: Run, model_server: ModelServer) -> None:
    assert run("model: openai:gpt-4o, parameters: {prompts: [a]}").model.name == "gpt-4o"  # type: ignore[union-attr]
    done = run("model: openai:gpt-4o, parameters: {prompts: [a], model: 'openai:gpt-4.1-nano'}")
    assert [one.model for one in model_server.calls] == ["gpt-4o", "gpt-4.1-nano"]
    assert done.model.name == "gpt-4.1-nano"  # type: ignore[union-attr]


def test_a_failed_call_that_the_tool_handles_is_paid_too(run: Run, model_server: ModelServer) -> None:
    model_server.when(model="gpt-4o", reply=Answer(""))
    done = run("parameters: {prompts: [a], model: 'openai:gpt-4o', second: 'openai:gpt-4o-mini'}")
    assert done.usage.calls == 2


def test_a_retry_does_not_pay_again_for_what_was_answered(run: Run, model_server: ModelServer) -> None:
    model_server.then(Answer("one"), faults.server_error())
    with pytest.raises(Exception, match=r"500|failed") as wrong:
        run("parameters: {prompts: [a, b]}")
    assert usage_of(wrong.value).calls == 2  # type: ignore[arg-type]
    done = run("parameters: {prompts: [a, b]}")
    assert [one.prompt for one in model_server.calls] == ["a", "b", "b"]
    assert (done.usage.calls, done.usage.served) == (1, 1)
    assert done.value["texts"][0] == "one"


def test_an_answer_that_may_be_the_cause_of_a_failure_is_not_served_again(run: Run, model_server: ModelServer) -> None:
    with pytest.raises(ToolError, match="no use") as wrong:
        run("parameters: {prompts: [a], fail: no use}")
    assert usage_of(wrong.value).calls == 1
    run("parameters: {prompts: [a]}")
    assert len(model_server.calls) == 2


def test_the_same_question_twice_is_two_questions(run: Run, model_server: ModelServer) -> None:
    model_server.then(Answer("heads"), Answer("tails"))
    assert run("parameters: {prompts: [toss, toss]}").value["texts"] == ["heads", "tails"]
    again = run("parameters: {prompts: [toss, toss]}")
    assert again.value["texts"] == ["heads", "tails"]
    assert again.usage.served == 2


def test_the_time_of_the_step_bounds_its_calls_in_the_runs_own_process(run: Run, model_server: ModelServer) -> None:
    with pytest.raises(StepTimeoutError, match=r"its timeout of 0\.3 seconds") as wrong:
        run("timeout: 0.3, parameters: {prompts: [a, b], pause: 0.4}")
    assert usage_of(wrong.value).calls == 1
    assert run("action: none, timeout: 5").value is True


def test_a_picture_goes_with_the_prompt(run: Run, model_server: ModelServer, project: Path) -> None:
    (project / "pixel.png").write_bytes(PIXEL)
    assert run("action: look, parameters: {image: pixel.png}").value
    text, picture = model_server.calls[0].body["messages"][-1]["content"]
    assert text == {"type": "text", "text": "What is it?"}
    assert picture["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    (project / "pixel.png").write_bytes(b"no picture")
    with pytest.raises(ModelRequestError, match="none that models take"):
        run("action: look, parameters: {image: pixel.png}")
    (project / "pixel.png").write_bytes(PIXEL)
    with pytest.raises(ModelRequestError, match="cannot look at pictures"):
        run("action: look, model: 'builtin:extractive', parameters: {image: pixel.png}")


def test_a_budget_holds_for_what_a_tool_asks(run: Run, model_server: ModelServer) -> None:
    with pytest.raises(ModelError, match="budget"):
        run("budget: {calls: 1}, parameters: {prompts: [a, b]}")
    assert len(model_server.calls) == 1


def test_what_is_wrong_is_found_before_the_run(project: Path, run: Run) -> None:
    with pytest.raises(PipelineError, match="`model` is a setting of model steps"):
        compile_text(project, "action: none, model: 'openai:gpt-4o'")
    with pytest.raises(PipelineError, match="`tools` is a setting of model steps"):
        compile_text(project, "tools: [filesystem], parameters: {prompts: []}")
    with pytest.raises(PipelineError, match="opnai"):
        compile_text(project, "model: 'opnai:gpt-4o', parameters: {prompts: []}")
    without = compile_text(project, "id: p\nsteps:\n  - {id: a, tool: asker, parameters: {prompts: []}}\n")
    assert without.steps[0].choice is not None
    assert without.steps[0].choice.catalogue
