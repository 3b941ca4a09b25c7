"""Which model a step asks, and what happens when it cannot be asked: real calls over HTTP, without Dagster."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.errors import ModelKeyError, ModelRefusalError, ModelRequestError, NoModelError
from orchestrator_dagster.models.call_store import CallStore
from orchestrator_dagster.models.client import ModelReference
from orchestrator_dagster.models.clients import ModelClients
from orchestrator_dagster.models.known_models import KnownModels
from orchestrator_dagster.models.litellm_client import Endpoint
from orchestrator_dagster.models.litellm_errors import missing_key
from orchestrator_dagster.runtime.failure import usage_of
from orchestrator_dagster.runtime.inputs import complete_inputs
from orchestrator_dagster.runtime.names import RunInfo
from orchestrator_dagster.runtime.outcome import DecisionInfo, Outcome
from orchestrator_dagster.runtime.scope import Scope
from orchestrator_dagster.runtime.services import Services
from orchestrator_dagster.runtime.step import run_step
from orchestrator_dagster.testing import Answer, ModelServer, Tokens, faults

RUN = RunInfo("run-1", datetime(2026, 1, 31, tzinfo=timezone.utc))
KEY = "sk-planted-0123456789abcdef"
Compile = Callable[[str], CompiledPipeline]
MINI, NANO, DEEPSEEK = "openai:gpt-4o-mini", "openai:gpt-5-nano", "deepseek:deepseek-v4-flash"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def ask(
    compiled: Compile, services: Services, model_server: ModelServer, tmp_path: Path, said: list[str]
) -> Callable[..., Outcome]:
    """Runs a pipeline of one step; `openai` and `deepseek` are the server."""

    def run(step: str, head: str = "", places: dict[str, Endpoint] | None = None, **inputs: Any) -> Outcome:
        places = places or {name: Endpoint(model_server.url, KEY) for name in ("openai", "deepseek")}
        pipeline = compiled(f"id: p\n{head}\nsteps:\n  - {{id: a, prompt: Say a word., {step}}}\n")
        mine = replace(
            services,
            models=ModelClients(places),
            known_models=KnownModels(endpoints=places),
            calls=CallStore(tmp_path / "calls", "run-1"),
            log=said.append,
        )
        (compiled_step,) = pipeline.steps
        return run_step(compiled_step, Scope.of(pipeline, complete_inputs(pipeline, inputs, RUN), RUN, mine))

    return run


def decision(outcome: Outcome) -> DecisionInfo:
    assert outcome.model is not None
    assert outcome.model.decision is not None
    return outcome.model.decision


def asked(server: ModelServer) -> list[str]:
    return [call.body["model"] for call in server.calls]


def test_the_schema_picks_among_a_list(ask: Any, model_server: ModelServer, said: list[str]) -> None:
    outcome = ask(f"model: ['{MINI}', '{NANO}', 'anthropic:claude-haiku-4-5'], selection_schema: cost")
    assert asked(model_server) == ["gpt-5-nano"]
    assert outcome.model.reason == "the step's model: the cheapest of 3 candidates, 2 of which fit"
    made = decision(outcome)
    assert (made.strategy, made.taken, made.chosen) == ("cost", NANO, NANO)
    assert [(one.model, one.fits, one.refused) for one in made.candidates] == [
        (NANO, True, None),
        (MINI, True, None),
        ("anthropic:claude-haiku-4-5", False, "ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN is not set"),
    ]
    # gpt-5-nano: 0.05 and 0.40 US dollars a million tokens
    assert made.candidates[0].price == pytest.approx((3 * 0.05 + 0.40) / 4)
    assert said[0] == f"asks {NANO} (the step's model: the cheapest of 3 candidates, 2 of which fit)"
    assert Outcome.model_validate_json(outcome.model_dump_json()) == outcome


def test_auto_and_templates_on_a_model(ask: Any, model_server: ModelServer) -> None:
    outcome = ask("model: '<AUTO>the best one</AUTO>', selection_schema: performance")
    assert asked(model_server) == ["gpt-5.5"]
    assert outcome.model.reason.startswith("the step's model leaves it to the selection_schema: the best of ")
    ask("model: '{{ which }}'", f"inputs: {{which: ['{MINI}', '{NANO}']}}\nselection_schema: cost")
    ask("model: '{{ which }}'", "inputs: {which: gpt-4o}")
    assert asked(model_server)[1:] == ["gpt-5-nano", "gpt-4o"]


def test_a_named_model_is_asked_and_needs_no_record(ask: Any, model_server: ModelServer) -> None:
    outcome = ask(f"model: '{MINI}'", "selection_schema: cost")
    assert asked(model_server) == ["gpt-4o-mini"]
    assert (outcome.model.reason, outcome.model.decision) == ("the step's model", None)
    outcome = ask(f"model: '{MINI}'", "selection_schema: {strategy: cost, override: true}")
    assert asked(model_server)[1:] == ["gpt-5-nano"]
    assert f"instead of the step's model ({MINI})" in outcome.model.reason


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (faults.server_error(), "failed"),
        (faults.quota_exceeded(), "too many requests"),
        (faults.expired_key(), "refused the key"),
    ],
)
def test_a_listed_fallback_is_asked(ask: Any, model_server: ModelServer, said: list[str], fault: Any, why: str) -> None:
    model_server.when(model="gpt-4o-mini", reply=[fault, "birch"])
    model_server.when(model="deepseek-v4-flash", reply=Answer("oak", usage=Tokens(10, 1)))
    step = f"model: '{MINI}', selection_schema: {{fallback: ['{DEEPSEEK}']}}"
    outcome = ask(step)
    assert outcome.value == "oak"
    assert asked(model_server) == ["gpt-4o-mini", "deepseek-v4-flash"]
    made = decision(outcome)
    assert (made.chosen, made.taken) == (MINI, DEEPSEEK)
    assert len(made.fell_back) == 1
    assert why in made.fell_back[0]
    assert outcome.model.provider == "deepseek"
    assert outcome.model.reason.startswith("fallback, because ")
    assert any(f"the listed fallback {DEEPSEEK} is asked" in line for line in said)
    assert KEY not in outcome.model_dump_json() + "".join(said)
    # What the fallback answered is not paid again, also when the first one could answer now.
    again = ask(step)
    assert (again.value, again.usage.served) == ("oak", 1)
    assert again.model.reason == f"it has answered in place of {MINI}"
    assert len(model_server.calls) == 2
    # Across runs the first one is asked for itself.
    assert ask(f"{step}, cache: always").value == "birch"


def test_an_endpoint_that_is_not_there_is_passed_over(ask: Any, model_server: ModelServer) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        places = {"openai": Endpoint(gone, KEY), "deepseek": Endpoint(model_server.url, KEY)}
        # One that is named is called; among several it is seen that nobody answers.
        outcome = ask(f"model: '{MINI}', selection_schema: {{fallback: ['{DEEPSEEK}']}}", places=places)
        assert "cannot be reached at http://127.0.0.1" in decision(outcome).fell_back[0]
        outcome = ask(f"model: ['{NANO}', '{DEEPSEEK}'], cache: off, selection_schema: cost", places=places)
    assert str(decision(outcome).candidates[1].refused).startswith(f"no server answers at {gone} (")
    assert decision(outcome).servers == {gone: False, model_server.url: True}
    assert asked(model_server) == ["deepseek-v4-flash"] * 2


@pytest.mark.parametrize(
    ("fault", "error"), [(faults.context_too_long(), ModelRequestError), (None, ModelRefusalError)]
)
def test_a_bad_request_and_a_refusal_are_no_reason_for_a_fallback(
    ask: Any, model_server: ModelServer, fault: Any, error: type[Exception]
) -> None:
    model_server.then(fault or Answer("", refusal="I will not."))
    with pytest.raises(error):
        ask(f"model: '{MINI}', selection_schema: {{fallback: ['{DEEPSEEK}']}}")
    assert asked(model_server) == ["gpt-4o-mini"]


def test_all_of_them_fail(ask: Any, model_server: ModelServer) -> None:
    model_server.then(faults.server_error(), faults.expired_key())
    with pytest.raises(ModelKeyError, match="deepseek refused the key"):
        ask(f"model: '{MINI}', selection_schema: {{fallback: ['{DEEPSEEK}']}}")
    assert len(model_server.calls) == 2


def test_nothing_fits(ask: Any, model_server: ModelServer) -> None:
    with pytest.raises(NoModelError) as caught:
        ask(
            f"model: ['{MINI}', 'gemini:gemini-2.5-flash', 'ollama:llama3.2:1b'],"
            " requires_model: {min_size: 7b}, selection_schema: {max_cost_per_call: 0.0001}"
        )
    assert model_server.calls == []
    error = caught.value
    assert usage_of(error).calls == 0
    assert error.permanent
    assert error.message.splitlines() == [
        'none of 3 models fits step "a" (the step\'s model):',
        "  - gemini:gemini-2.5-flash: a call is estimated at $0.0025, `max_cost_per_call` is $0.0001",
        "  - ollama:llama3.2:1b: 1b, at least 7b are needed",
        "  - openai:gpt-4o-mini: a call is estimated at $0.0006, `max_cost_per_call` is $0.0001",
    ]
    assert error.hint == "raise `max_cost_per_call`, or set `max_tokens`"
    with pytest.raises(NoModelError, match=r"the model openai:gpt-4o-mini does not fit.*`allow_paid` is false"):
        ask(f"model: '{MINI}', selection_schema: {{allow_paid: false}}")


def test_a_fallback_keeps_the_limits_of_the_schema(ask: Any, model_server: ModelServer) -> None:
    step = f"model: ['ollama:llama3.2:1b'], selection_schema: {{allow_paid: false, fallback: ['{MINI}']}}"
    places = {"ollama": Endpoint("http://127.0.0.1:9")}
    with pytest.raises(Exception, match=r"cannot be reached at http://127\.0\.0\.1:9"):
        ask(step, places=places)
    assert model_server.calls == []


def test_a_budget_of_cost_alone_needs_a_price(ask: Any, model_server: ModelServer) -> None:
    two = "model: ['openai:never-heard-of', 'openai:gpt-5-nano'], selection_schema: performance"
    outcome = ask(two, "budget: {cost: 1}")
    refused = {one.model: one.refused for one in decision(outcome).candidates if not one.fits}
    assert refused == {"openai:never-heard-of": "its price is not known, and the budget bounds nothing but the cost"}
    ask(f"{two}, cache: off", "budget: {cost: 1, calls: 3}")
    assert asked(model_server) == ["gpt-5-nano", "gpt-5-nano"]
    with pytest.raises(NoModelError, match="none of 2 models fits"):
        ask("model: ['openai:never-heard-of', 'openai:nor-of-this'], budget: {cost: 1}")


def test_a_long_prompt_needs_a_long_context(ask: Any, model_server: ModelServer) -> None:
    both = f"model: ['{MINI}', 'openai:gpt-4.1-nano'], selection_schema: performance, parameters: {{text: '{{{{ text }}}}'}}"
    ask(both, "inputs: {text: short}")
    outcome = ask(both, "inputs: {text: None}", text="word " * 130_000)
    assert asked(model_server) == ["gpt-4o-mini", "gpt-4.1-nano"]
    assert "it holds 128,000" in str(decision(outcome).candidates[1].refused)


def test_the_schemas_timeout_bounds_a_call(ask: Any, model_server: ModelServer) -> None:
    model_server.when(model="gpt-4o-mini", reply=faults.hang())
    outcome = ask(f"model: '{MINI}', selection_schema: {{timeout: 1s, fallback: ['{DEEPSEEK}']}}")
    assert decision(outcome).fell_back == (f"{MINI} did not answer within 1 s",)


def test_a_missing_key_is_no_call() -> None:
    error = missing_key(ModelReference("openai", "gpt-4o-mini"), ("OPENAI_API_KEY",))
    assert usage_of(error).calls == 0
