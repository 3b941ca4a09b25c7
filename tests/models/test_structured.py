"""Repairs of answers, within the time that all calls together may take."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from orchestrator_dagster.errors import ModelTimeoutError
from orchestrator_dagster.models.client import Message, ModelReference, ModelRequest
from orchestrator_dagster.models.litellm_client import Endpoint, LiteLLMClient
from orchestrator_dagster.models.structured import ask_structured
from orchestrator_dagster.testing import Answer, ModelServer, Tokens, faults

MODEL = ModelReference("openai", "gpt-4o-mini")
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def check(value: Any) -> tuple[Any, list[str]]:
    return (value, []) if value.get("n") == 1 else (None, ["n must be 1"])


def ask(server: ModelServer, timeout: float | None, repair: int = 5) -> Any:
    client = LiteLLMClient({"openai": Endpoint(server.url, "sk-any")})
    request = ModelRequest(MODEL, (Message("user", "n?"),), schema=SCHEMA, timeout=timeout or 30.0)
    return ask_structured(client, request, check, repair, timeout=timeout)


@pytest.fixture(scope="module", autouse=True)
def _litellm_is_loaded() -> None:
    with ModelServer([Answer('{"n": 1}')]) as server:  # the first call takes seconds, which are not to count here
        ask(server, None)


def test_the_timeout_bounds_all_calls_together() -> None:
    with ModelServer([Answer('{"n": 2}', delay=0.5, usage=Tokens(10, 1)) for _ in range(12)]) as server:
        with pytest.raises(ModelTimeoutError, match=r"openai:gpt-4o-mini did not answer within 3 s in the") as caught:
            ask(server, 3.0, repair=11)
        made = len(server.calls)
    assert 2 <= made <= 6  # each call alone is within the time
    assert caught.value.usage is not None
    assert caught.value.usage.calls in (made, made + 1)  # the last one may not have reached the server
    assert caught.value.usage.input_tokens >= 10
    assert not caught.value.permanent


def test_an_answer_that_drips_ends_with_the_time_that_is_left() -> None:
    with ModelServer([Answer('{"n": 2}', delay=0.2), faults.drip()]) as server:
        started = time.monotonic()
        with pytest.raises(ModelTimeoutError, match=r"within 1\.5 s in the structure asked for, after 2 calls"):
            ask(server, 1.5)
        assert time.monotonic() - started < 30  # the drip has no end


def test_without_a_timeout_each_call_has_its_own() -> None:
    with ModelServer([Answer('{"n": 2}'), Answer(json.dumps({"n": 1}))]) as server:
        assert ask(server, None).value == {"n": 1}
