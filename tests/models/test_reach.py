"""Whether a model can be reached: by key, by endpoint, by what answers on this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from orchestrator_dagster.models.litellm_client import Endpoint
from orchestrator_dagster.models.reach import Reachability, is_local
from orchestrator_dagster.models.references import parse_reference
from orchestrator_dagster.models.user_models import UserModel
from orchestrator_dagster.testing import ModelServer


def reach(model: str, *args: object, **options: object) -> tuple[bool, str, str]:
    own = options.get("own", {})
    found = Reachability(*args, **options)(parse_reference(model, own))  # type: ignore[arg-type]
    return found.ok, found.said, found.fix


@pytest.fixture
def nobody() -> Iterator[str]:
    """The address of a port that nobody listens at."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}/v1"


def test_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reach("openai:gpt-5") == (False, "OPENAI_API_KEY is not set", "set OPENAI_API_KEY")
    assert reach("openai:gpt-5", {"openai": Endpoint(api_key="k")}) == (True, "its key is in the models resource", "")
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert reach("openai:gpt-5") == (True, "OPENAI_API_KEY is set", "")
    assert reach("builtin:extractive")[0]
    assert reach("bedrock:claude") == (True, "seen when it is called", "")


def test_servers_on_this_machine(monkeypatch: pytest.MonkeyPatch, model_server: ModelServer, nobody: str) -> None:
    here = {"openai": Endpoint(model_server.url)}
    assert reach("openai:gpt-5", here) == (True, f"the server at {model_server.url} answers", "")
    assert reach("hosted_vllm:other", {"hosted_vllm": Endpoint(model_server.url)}) == (
        False,
        f"the server at {model_server.url} does not have it",
        "start the server with other",
    )
    assert reach("hosted_vllm:test-model", {"hosted_vllm": Endpoint(model_server.url)})[0]
    ok, said, fix = reach("lm_studio:x", {"lm_studio": Endpoint(nobody)})
    assert (ok, fix) == (False, f"start the server at {nobody}")
    assert said.startswith(f"no server answers at {nobody} (")
    monkeypatch.setenv("OLLAMA_API_BASE", nobody)
    assert reach("ollama:llama3.2")[2].startswith("start Ollama")
    # A key does not help when the own address leads to nobody.
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", nobody)
    assert not reach("openai:gpt-5")[0]
    assert reach("openai:gpt-5", {"openai": Endpoint("https://proxy.example.com/v1")})[0]
    assert model_server.calls == []


def test_a_server_is_asked_once_and_not_at_all_when_offline(model_server: ModelServer) -> None:
    known = Reachability({"openai": Endpoint(model_server.url)})
    for name in ("openai:a", "openai:b", "openai:a"):
        assert known(parse_reference(name)).ok
    assert len(model_server.requests) == 1
    assert known.servers == {model_server.url: True}
    offline = Reachability({"openai": Endpoint(model_server.url)}, offline=True)
    assert offline(parse_reference("openai:a")).said == "local servers are taken as absent"
    assert not offline(parse_reference("ollama:llama3.2")).ok
    assert len(model_server.requests) == 1
    assert offline.servers == {}


def test_own_models(monkeypatch: pytest.MonkeyPatch, model_server: ModelServer) -> None:
    own = {
        "here": UserModel("here", "hosted_vllm", "test-model", model_server.url, "HERE_KEY"),
        "far": UserModel("far", "openai", "x", "https://models.example.com/v1"),
        "hosted": UserModel("hosted", "openai", "gpt-5"),
    }
    assert reach("own:here", own=own) == (False, "HERE_KEY is not set", "set HERE_KEY")
    monkeypatch.setenv("HERE_KEY", "k")
    assert reach("own:here", own=own) == (True, f"the server at {model_server.url} answers", "")
    assert reach("own:far", own=own) == (True, "it asks for no key", "")
    assert reach("own:hosted", own=own) == (False, "OPENAI_API_KEY is not set", "set OPENAI_API_KEY")


def test_no_password_is_said(nobody: str) -> None:
    place = {"lm_studio": Endpoint(nobody.replace("127.", "user:hunter2@127."))}
    known = Reachability(place)
    assert "hunter2" not in str(known(parse_reference("lm_studio:x"))) + str(known.servers)


def test_what_is_this_machine() -> None:
    local = ["http://localhost:1/v1", "http://127.0.0.1", "http://127.8.8.8:3", "http://[::1]:5", "http://0.0.0.0:8000"]
    far = ["http://10.0.0.1", "https://localhost.example.com", "http://8.8.8.8", "http://myhost:8000"]
    assert [is_local(one) for one in (*local, *far)] == [True] * 5 + [False] * 4
