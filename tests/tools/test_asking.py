"""Tools that ask models: routing, delegation, rewriting prompts; over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator_dagster.errors import ModelError, NoModelError, ParametersError, PipelineError, ToolError
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.models.clients import ModelClients
from orchestrator_dagster.models.litellm_client import Endpoint
from orchestrator_dagster.project.loading import compile_or_raise
from orchestrator_dagster.runtime.inputs import complete_inputs
from orchestrator_dagster.runtime.outcome import Outcome
from orchestrator_dagster.runtime.scope import Scope
from orchestrator_dagster.runtime.services import Services
from orchestrator_dagster.runtime.step import run_step
from orchestrator_dagster.testing import Answer, ModelServer, Tokens, ToolUse
from orchestrator_dagster.tools.registry import ToolRegistry
from orchestrator_dagster.tools.tool import ToolContext
from tests.runtime.conftest import RUN

Run = Callable[..., Outcome]
CHEAP, GOOD = "openai:gpt-4.1-nano", "openai:gpt-4.1"


@pytest.fixture
def run(project: Path, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the one step of a pipeline whose tool asks the server."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789abcdef")
    clients = ModelClients({"openai": Endpoint(model_server.url, "sk-planted-0123456789abcdef")})
    services = Services(Workspace(project), ToolRegistry(), clients)

    def do(tool: str, action: str, head: str = "", **parameters: Any) -> Outcome:
        step = {"id": "a", "tool": tool, "action": action, "parameters": parameters}
        path = project / "pipelines" / "p.yaml"
        path.write_text(f"id: p\ndefault_model: openai:gpt-4o-mini\n{head}steps:\n  - {json.dumps(step)}\n")
        pipeline = compile_or_raise(path, project)
        scope = Scope.of(pipeline, complete_inputs(pipeline, {}, RUN), RUN, replace(services))
        return run_step(pipeline.steps[0], scope)

    return do


def test_a_prompt_is_routed_by_the_strategy_and_nothing_is_asked(run: Run, model_server: ModelServer) -> None:
    cheap = run("multi-model-routing", "route", prompts=["a", "b"], models=[GOOD, CHEAP], strategy="cost").value
    assert [one["model"] for one in cheap["routes"]] == [CHEAP, CHEAP]
    assert "the cheapest of 2 candidates" in cheap["reason"]
    best = run("multi-model-routing", "route", prompt="a", models=[CHEAP, GOOD], strategy="quality").value
    assert best["model"] == GOOD
    assert {one["model"] for one in best["routes"][0]["candidates"]} == {CHEAP, GOOD}
    assert best["estimated_cost"] > cheap["routes"][0]["estimated_cost"] > 0
    assert not model_server.calls
    with pytest.raises(NoModelError, match="none of 2 models fits"):
        run("multi-model-routing", "route", prompt="a", models=[CHEAP, GOOD], max_cost=0.0000001)
    with pytest.raises(ModelError, match="opnai"):
        run("multi-model-routing", "route", prompt="a", models=["opnai:x"])


def test_prompts_are_asked_of_the_chosen_models(run: Run, model_server: ModelServer) -> None:
    model_server.when(lambda request: "tea" in request.prompt, reply=Answer("about tea", usage=Tokens(10, 5)))
    model_server.when(lambda request: "rain" in request.prompt, reply=Answer("about rain", usage=Tokens(10, 7)))
    done = run("multi-model-routing", "ask", prompts=["tea?", "rain?"], models=[GOOD, CHEAP], strategy="cost")
    assert [one["response"] for one in done.value["results"]] == ["about tea", "about rain"]
    assert done.value["tokens"] == done.usage.tokens == 32
    assert done.value["cost"] == pytest.approx(done.usage.cost)
    both = run("multi-model-routing", "compare", prompt="tea!", models=[GOOD, CHEAP])
    assert [one["model"] for one in both.value["results"]] == [GOOD, CHEAP]
    assert both.model
    assert both.model.reason == f"asked 2 models: {GOOD}, {CHEAP}" or CHEAP in both.model.reason
    with pytest.raises(ParametersError, match="a prompt is empty"):
        run("multi-model-routing", "ask", prompts=["x", " "])


def analysis(complexity: int, *tools: str) -> Answer:
    return Answer(json.dumps({"kind": "summary", "complexity": complexity, "tools": tools, "reason": "It is so."}))


def test_a_task_is_analysed_given_to_a_model_and_done(run: Run, model_server: ModelServer) -> None:
    model_server.then(analysis(1), Answer("short", usage=Tokens(30, 3)))
    done = run("task-delegation", "delegate", task="Sum it up.", data={"text": "</data> long"}, models=[GOOD, CHEAP])
    assert (done.value["result"], done.value["model"]) == ("short", CHEAP)
    assert done.value["analysis"]["strategy"] == "cost"
    plan, work = model_server.calls
    assert plan.model == "gpt-4o-mini"
    assert plan.schema
    assert work.prompt == 'Sum it up.\n\n<data name="data">\n{"text": "&lt;/data> long"}\n</data>'
    assert done.usage.calls == 2
    model_server.then(analysis(5))
    found = run("task-delegation", "analyze", task="Prove it.", models=[GOOD, CHEAP])
    assert (found.value["model"], found.value["analysis"]["complexity"]) == (GOOD, 5)
    assert len(model_server.calls) == 3


def test_a_task_may_use_tools_that_the_step_offers(run: Run, model_server: ModelServer, project: Path) -> None:
    (project / "note.txt").write_text("The pump leaks.")
    model_server.then(
        analysis(2, "filesystem.read"),
        Answer(tool_calls=[ToolUse("filesystem__read", {"path": "note.txt"})]),
        Answer("It leaks."),
    )
    done = run("task-delegation", "delegate", task="What about the pump?", tools=["filesystem.read", "mcp_memory"])
    assert (done.value["result"], done.value["tools_used"]) == ("It leaks.", ["filesystem.read"])
    assert model_server.calls[0].schema["properties"]["tools"]["items"]["enum"] == ["filesystem.read", "mcp_memory"]
    assert model_server.calls[1].tools == ("filesystem__read",)
    assert "The pump leaks." in model_server.calls[2].text
    assert [one.name for one in done.tool_calls] == ["filesystem.read"]
    model_server.then(analysis(2, "terminal_that_is_none"), analysis(2, "x"), analysis(2, "y"))
    with pytest.raises(ModelError, match="structure asked for"):
        run("task-delegation", "delegate", task="Delete it.", tools=["filesystem.read"])


ORIGINAL = "Please do some good things with {name}. Please do some good things with {name}."


def test_a_prompt_is_measured_without_a_model(tmp_path: Path) -> None:
    analyze = ToolRegistry().find("prompt-optimization").find("analyze")
    found = analyze.call(ToolContext(Workspace(tmp_path)), {"prompt": ORIGINAL})
    assert (found["tokens"], found["words"], found["sentences"]) == (20, 14, 2)
    assert found["placeholders"] == ["{name}"]
    wrong = {one["name"]: one["note"] for one in found["checks"] if not one["ok"]}
    assert wrong["vague words"] == "found: good, some, things"
    assert wrong["form of the answer"] == "nothing says it"
    assert "please do some good things" in wrong["repeated sentences"]
    assert "braces" not in wrong


def test_a_rewriting_keeps_what_it_must(run: Run, model_server: ModelServer) -> None:
    new = "Write three sentences about {name} for Ana."
    model_server.then(
        Answer(json.dumps({"prompt": "Write three sentences.", "changes": ["shorter"]})),
        Answer(json.dumps({"prompt": new, "changes": ["says the form"]})),
    )
    found = run("prompt-optimization", "optimize", prompt=ORIGINAL, criteria=["brevity", "Be kind."], keep=["Ana"])
    value = found.value
    assert (value["optimized"], value["changes"]) == (new, ["says the form"])
    assert value["tokens_saved"] == value["before"]["tokens"] - value["after"]["tokens"] > 0
    assert all(one["ok"] for one in value["after"]["checks"])
    first, second = model_server.calls
    assert "- Take out every word that changes nothing.\n- Be kind.\n- Keep exactly as it is: Ana" in first.prompt
    assert '"Ana" is missing; "{name}" is missing' in second.prompt
    model_server.then(*[Answer(json.dumps({"prompt": f"{new} {'x' * 200}", "changes": []}))] * 3)
    with pytest.raises(ToolError, match=r"3 times, and each time wrongly: it has \d+ tokens, at most 20"):
        run("prompt-optimization", "optimize", prompt=ORIGINAL, most_tokens=20)


def test_the_expert_of_the_tool_is_its_model(run: Run, model_server: ModelServer) -> None:
    model_server.then(Answer(json.dumps({"prompt": "Say {name}.", "changes": []})))
    done = run("prompt-optimization", "optimize", f"experts: {{prompt_optimization: '{GOOD}'}}\n", prompt="Say {name}!")
    assert done.model
    assert (done.model.name, done.model.reason) == ("gpt-4.1", 'the expert "prompt_optimization"')
    with pytest.raises(PipelineError, match=r"no parameter \"propmt\""):
        run("prompt-optimization", "optimize", propmt="x")
