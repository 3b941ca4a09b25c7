"""The four wire formats through litellm: one script, one answer, whatever the provider speaks."""

from __future__ import annotations

import json

import pytest

from orchestrator_dagster.errors import (
    ModelError,
    ModelKeyError,
    ModelRateLimitError,
    ModelRefusalError,
    ModelRequestError,
    UnknownModelError,
)
from orchestrator_dagster.models.client import Message, ModelReference, ModelRequest, ToolCall, ToolOffer
from orchestrator_dagster.models.litellm_client import Endpoint, LiteLLMClient
from orchestrator_dagster.testing import Answer, ModelServer, Tokens, ToolUse, faults

KEY = "sk-planted-0123456789abcdef"
MODELS = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-flash",
    "ollama": "llama3.2",
}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer", "minimum": 0}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
WEATHER = ToolOffer("weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}})


def client(server: ModelServer) -> LiteLLMClient:
    return LiteLLMClient({provider: Endpoint(server.url, KEY) for provider in MODELS})


def request(provider: str, prompt: str = "Say hello.", **more: object) -> ModelRequest:
    messages = (Message("system", "Be brief."), Message("user", prompt))
    return ModelRequest(ModelReference(provider, MODELS[provider]), messages, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("provider", MODELS)
def test_one_script_for_every_format(model_server: ModelServer, provider: str) -> None:
    asked = client(model_server)
    model_server.then(Answer("Hello there.", usage=Tokens(120, 7)))
    answer = asked.complete(request(provider, temperature=0.5, max_tokens=50))
    assert (answer.text, answer.finish_reason) == ("Hello there.", "stop")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (120, 7)
    assert str(answer.model) == f"{provider}:{MODELS[provider]}"

    model_server.then({"city": "Paris", "people": 3})
    answer = asked.complete(request(provider, schema=SCHEMA))
    assert json.loads(answer.text) == {"city": "Paris", "people": 3}

    model_server.then(Answer(tool_calls=[ToolUse("weather", {"city": "Paris"}), ToolUse("weather", {"city": "Rome"})]))
    answer = asked.complete(request(provider, tools=(WEATHER,)))
    assert answer.finish_reason == "tool_calls"
    assert [(one.name, json.loads(one.arguments)["city"]) for one in answer.tool_calls] == [
        ("weather", "Paris"),
        ("weather", "Rome"),
    ]
    first, structured, tools = model_server.calls
    assert {call.key for call in model_server.calls} == {KEY}
    assert {call.model for call in model_server.calls} == {MODELS[provider]}
    assert first.prompt == "Say hello."
    assert "Be brief." in first.text
    assert set((structured.schema or {})["properties"]) == {"city", "people"}
    assert tools.tools == ("weather",)


@pytest.mark.parametrize("provider", MODELS)
def test_results_of_tools_go_back(model_server: ModelServer, provider: str) -> None:
    call = ToolCall("call_1", "weather", '{"city": "Paris"}')
    first = request(provider, "And the weather?")
    turns = (*first.messages, Message("assistant", "", (call,)), Message("tool", "sunny", tool_call_id="call_1"))
    model_server.then("It is sunny.")
    again = ModelRequest(first.model, turns, tools=(WEATHER,))
    assert client(model_server).complete(again).text == "It is sunny."
    assert "sunny" in model_server.calls[0].text


@pytest.mark.parametrize("provider", MODELS)
def test_failures_mean_the_same(model_server: ModelServer, provider: str) -> None:
    asked = client(model_server)
    kinds = [
        (faults.rate_limited(retry_after=7), ModelRateLimitError),
        (faults.server_error(500), ModelError),
        (faults.expired_key(), ModelKeyError),
        (faults.unknown_model(), UnknownModelError),
        (faults.bad_parameter(), ModelRequestError),
        (faults.truncated_json(), ModelError),
        (faults.cut_in_body(), ModelError),
        (Answer("", finish_reason="content_filter"), ModelRefusalError),
    ]
    for reply, kind in kinds:
        model_server.then(reply)
        with pytest.raises(kind) as caught:
            asked.complete(request(provider, timeout=20))
        assert KEY not in str(caught.value), reply
        if isinstance(caught.value, ModelRateLimitError):
            assert caught.value.retry_after == 7
    model_server.then(Answer("half of", finish_reason="length"))
    assert asked.complete(request(provider)).finish_reason == "length"
