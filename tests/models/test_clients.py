"""The clients of a resource over real HTTP: turned away and asked again, cooling down, streams, a model of one's own."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

from orchestrator_dagster.errors import (
    ModelCoolingDownError,
    ModelError,
    ModelKeyError,
    ModelRateLimitError,
    ModelStalledError,
    StepInterruptedError,
)
from orchestrator_dagster.models.client import Message, ModelReference, ModelRequest, ToolOffer, Watch
from orchestrator_dagster.models.clients import Calling, ModelClients
from orchestrator_dagster.models.litellm_client import Endpoint, LiteLLMClient
from orchestrator_dagster.models.media import MediaClient, MediaRequest
from orchestrator_dagster.models.run_clients import RunClients
from orchestrator_dagster.models.streaming import progress_of
from orchestrator_dagster.models.traffic import Patience
from orchestrator_dagster.models.user_models import UserModel
from orchestrator_dagster.testing import Answer, ModelServer, Tokens, ToolUse, faults

KEY = "sk-planted-0123456789abcdef"
MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-sonnet-4-5", "gemini": "gemini-2.5-flash", "ollama": "llama3.2"}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def clients(server: ModelServer, **calling: object) -> ModelClients:
    return ModelClients({one: Endpoint(server.url, KEY) for one in MODELS}, Calling(**calling))  # type: ignore[arg-type]


def request(provider: str = "openai", **more: object) -> ModelRequest:
    model = ModelReference(provider, MODELS[provider])
    return ModelRequest(model, (Message("user", "Say hello to all."),), **more)  # type: ignore[arg-type]


def ask(made: ModelClients, asked: ModelRequest) -> object:
    return made.client(asked.model).complete(asked)


@pytest.mark.parametrize("provider", MODELS)
def test_a_call_that_was_turned_away_is_made_again(model_server: ModelServer, provider: str) -> None:
    said: list[str] = []
    model_server.then(faults.rate_limited(retry_after=0.2), faults.overloaded(retry_after=0.1), "Hello.")
    asked = request(provider, watch=Watch(progress=said.append))
    answer = ask(clients(model_server), asked)
    assert (answer.text, answer.usage.calls) == ("Hello.", 1)  # type: ignore[attr-defined]
    first, second, third = model_server.calls
    assert second.time - first.time >= 0.2
    assert third.time - second.time >= 0.1
    assert [line.split("again ")[1] for line in said] == ["(1 of 2)", "(2 of 2)"]


def test_it_is_made_again_so_often_and_no_more(model_server: ModelServer) -> None:
    for _ in range(4):
        model_server.then(faults.rate_limited(retry_after=0))
    with pytest.raises(ModelRateLimitError) as caught:
        ask(clients(model_server, patience=Patience(retries=2)), request())
    assert len(model_server.calls) == 3
    assert KEY not in repr(caught.value.__dict__)


def test_what_waiting_does_not_help_is_not_made_again(model_server: ModelServer) -> None:
    made = clients(model_server)
    for fault in (faults.quota_exceeded(), faults.server_error(500), faults.bad_parameter(), faults.cut_in_body()):
        model_server.then(fault)
        with pytest.raises(ModelError):
            ask(made, request())
    assert len(model_server.calls) == 4


def test_a_long_wait_is_an_error_that_says_until_when(model_server: ModelServer) -> None:
    model_server.then(faults.rate_limited(retry_after=900))
    made = clients(model_server)
    with pytest.raises(ModelRateLimitError, match="it asks to wait 900 s"):
        ask(made, request())
    with pytest.raises(
        ModelCoolingDownError, match=r"openai:gpt-4o-mini is not asked until .* openai asked to wait 900 s"
    ):
        ask(clients(model_server), request())  # other clients of the process know it too
    assert len(model_server.calls) == 1
    assert 890 < made.cooling(request().model) <= 900
    assert made.cooling(ModelReference("openai", "gpt-5")) == 0


def test_an_endpoint_that_fails_is_left_alone(model_server: ModelServer) -> None:
    for _ in range(9):
        model_server.then(faults.server_error(500))
    made = clients(model_server, patience=Patience(cool_down_after=3, cool_down=300))
    for _ in range(3):
        with pytest.raises(ModelError, match="failed"):
            ask(made, request())
    with pytest.raises(
        ModelCoolingDownError, match="after 3 failures in a row, the last: openai:gpt-4o-mini failed"
    ) as e:
        ask(made, request())
    assert KEY not in str(e.value)
    assert len(model_server.calls) == 3


@pytest.mark.parametrize("provider", MODELS)
def test_a_stream_comes_to_the_same_answer(model_server: ModelServer, provider: str) -> None:
    made = clients(model_server, stream_from=100)
    long = {"max_tokens": 200}
    model_server.then(Answer("Hello to  all\nof you.", usage=Tokens(1200, 34)))
    answer = ask(made, request(provider, **long))
    assert answer.text == "Hello to  all\nof you."  # type: ignore[attr-defined]
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (1200, 34)  # type: ignore[attr-defined]
    model_server.then({"city": "Paris"})
    answer = ask(made, request(provider, schema=SCHEMA, **long))
    assert json.loads(answer.text) == {"city": "Paris"}  # type: ignore[attr-defined]
    model_server.then(Answer(tool_calls=[ToolUse("look", {"city": "Paris"}), ToolUse("look", {"city": "Rome"})]))
    answer = ask(made, request(provider, tools=(ToolOffer("look", "Look.", {"type": "object"}),), **long))
    assert [json.loads(one.arguments) for one in answer.tool_calls] == [{"city": "Paris"}, {"city": "Rome"}]  # type: ignore[attr-defined]
    assert answer.finish_reason == "tool_calls"  # type: ignore[attr-defined]
    model_server.then(Answer("cut", finish_reason="length"))
    assert ask(made, request(provider, **long)).finish_reason == "length"  # type: ignore[attr-defined]
    assert all(call.stream for call in model_server.calls)
    model_server.then("short")
    ask(made, request(provider, max_tokens=20))
    assert not model_server.calls[-1].stream


@pytest.mark.parametrize("provider", MODELS)
def test_a_stream_that_stalls_or_breaks_off(model_server: ModelServer, provider: str) -> None:
    made = clients(model_server, stream_from=100, stall=0.3)
    model_server.then(faults.stall(), faults.cut_in_body(), faults.rate_limited(retry_after=0), "and then")
    with pytest.raises(
        ModelStalledError, match=r"the answer of .* stalled: nothing came for 0.3 s, after about \d+ tokens"
    ):
        ask(made, request(provider, max_tokens=100, timeout=30))
    with pytest.raises(ModelError) as caught:
        ask(made, request(provider, max_tokens=100, timeout=30))
    assert not caught.value.permanent
    assert KEY not in str(caught.value)
    assert ask(made, request(provider, max_tokens=100, timeout=30)).text == "and then"  # type: ignore[attr-defined]


def test_a_long_answer_is_spoken_of_rarely() -> None:
    now, said = 0.0, list[str]()
    tell = progress_of(ModelReference("openai", "gpt-5"), Watch(progress=said.append), lambda: now)
    for second in range(600):
        now = float(second)
        tell(second * 50)
    assert said[0] == "openai:gpt-5 is answering: about 500 tokens after 10 s"
    assert len(said) < 14


@pytest.mark.parametrize("provider", MODELS)
def test_pictures_are_sent(model_server: ModelServer, provider: str) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(64))
    model_server.then("A cat.")
    turn = Message("user", "What is it?", images=(picture,))
    asked = ModelRequest(ModelReference(provider, MODELS[provider]), (turn,))
    assert ask(clients(model_server), asked).text == "A cat."  # type: ignore[attr-defined]
    assert model_server.calls[0].images == (picture,)
    assert model_server.calls[0].prompt == "What is it?"


def test_pictures_speech_words_and_vectors(model_server: ModelServer) -> None:
    made = clients(model_server)

    def make(kind: str, name: str, **more: object) -> object:
        model = ModelReference("openai", name)
        client = RunClients(made).client(model)
        assert isinstance(client, MediaClient)
        return client.make(MediaRequest(kind, model, **more))  # type: ignore[arg-type]

    model_server.then(Answer("", usage=Tokens(12, 1000)))
    drawn = make("image", "gpt-image-1", texts=("A cat",), settings={"n": 2, "size": "1024x1024"})
    assert [one[:4] for one in drawn.files] == [b"\x89PNG"] * 2  # type: ignore[attr-defined]
    assert (drawn.usage.input_tokens, drawn.usage.output_tokens) == (12, 1000)  # type: ignore[attr-defined]
    assert drawn.usage.cost > 0  # type: ignore[attr-defined]
    model_server.then(Answer("Good morning.", usage=Tokens(30, 4)))
    heard = make("transcription", "gpt-4o-transcribe", audio=("talk.wav", b"RIFF0000WAVE"), settings={"language": "en"})
    assert heard.text == "Good morning."  # type: ignore[attr-defined]
    assert model_server.calls[-1].files == {"file": b"RIFF0000WAVE"}
    assert model_server.calls[-1].body["language"] == "en"
    spoken = make("speech", "gpt-4o-mini-tts", texts=("Hello",))
    assert spoken.files[0].startswith(b"RIFF")  # type: ignore[attr-defined]
    found = make("embeddings", "text-embedding-3-small", texts=("one", "two", "one"))
    assert found.vectors[0] == found.vectors[2] != found.vectors[1]  # type: ignore[attr-defined]
    assert found.usage.cost > 0  # type: ignore[attr-defined]
    assert {call.key for call in model_server.requests} == {KEY}
    model_server.then(faults.rate_limited(retry_after=0), "again")
    assert make("transcription", "whisper-1", audio=("talk.wav", b"RIFF")).text == "again"  # type: ignore[attr-defined]
    model_server.then(faults.expired_key())
    with pytest.raises(ModelError, match="refused the key") as caught:
        make("image", "gpt-image-1", texts=("A cat",))
    assert KEY not in str(caught.value)


def test_a_model_of_ones_own(model_server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUSE_KEY", KEY)
    mine = UserModel("house", "openai", "qwen3", model_server.url, "HOUSE_KEY", input_price=1e-6, output_price=2e-6)
    model_server.then(Answer("From the house.", usage=Tokens(1000, 100)))
    made = ModelClients(own={"house": mine})
    answer = made.client(mine.reference).complete(ModelRequest(mine.reference, (Message("user", "Hi"),)))
    assert (answer.text, str(answer.model)) == ("From the house.", "own:house")
    assert answer.usage.cost == pytest.approx(0.0012)
    assert (model_server.calls[0].model, model_server.calls[0].key) == ("qwen3", KEY)
    assert made.address(mine.reference) == model_server.url


def test_the_providers_key_is_not_sent_to_a_server_of_ones_own(
    model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    open_one = UserModel("open", "openai", "qwen3", model_server.url)
    closed = UserModel("closed", "openai", "qwen3", model_server.url, "HOUSE_KEY")
    made = ModelClients(own={"open": open_one, "closed": closed})
    made.client(open_one.reference).complete(ModelRequest(open_one.reference, (Message("user", "Hi"),)))
    monkeypatch.delenv("HOUSE_KEY", raising=False)
    with pytest.raises(ModelKeyError, match="no key for own:closed: HOUSE_KEY is not set"):
        made.client(closed.reference).complete(ModelRequest(closed.reference, (Message("user", "Hi"),)))
    assert [KEY in str(call.headers) for call in model_server.requests] == [False]


def test_an_error_names_a_model_as_its_owner_does(model_server: ModelServer) -> None:
    mine = UserModel("house", "openai", "qwen3", model_server.url)
    model_server.then(faults.server_error(), faults.unknown_model())
    client = ModelClients(own={"house": mine}).client(mine.reference)
    with pytest.raises(ModelError, match=r"^own:house failed \(500"):
        client.complete(ModelRequest(mine.reference, (Message("user", "Hi"),)))


def test_half_a_character_is_no_reason_to_fail(model_server: ModelServer) -> None:
    model_server.then("a\ud800b")
    mine = UserModel("house", "openai", "qwen3", model_server.url)
    client = ModelClients(own={"house": mine}).client(mine.reference)
    asked = ModelRequest(mine.reference, (Message("user", "half: \ud83d"),))
    assert client.complete(asked).text == "a\ufffdb"
    assert model_server.calls[0].prompt == "half: \ufffd"


def test_calls_at_once_of_a_run(model_server: ModelServer) -> None:
    most, going, lock, full = 0, 0, threading.Lock(), threading.Event()

    def reply(_: object) -> str:
        nonlocal most, going
        with lock:
            going += 1
            most = max(most, going)
            if going == 2:
                full.set()
        full.wait(20)
        with lock:
            going -= 1
        return "done"

    model_server.when(lambda _: True, reply=reply)
    run = RunClients(clients(model_server), {"openai": 4}).limited({"openai": 2})
    asked = request()
    threads = [threading.Thread(target=lambda: run.client(asked.model).complete(asked)) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert most == 2
    assert len(model_server.calls) == 6


def test_a_stopped_run_does_not_wait_for_the_answer(model_server: ModelServer) -> None:
    """Neither for one in a piece, nor for a stream that has begun."""
    model_server.when("x", reply=Answer("late", delay=60))
    stopped = threading.Event()
    threading.Timer(0.5, stopped.set).start()
    client = LiteLLMClient({"openai": Endpoint(model_server.url, "k")})
    asked = ModelRequest(
        ModelReference("openai", "gpt-4o-mini"),
        (Message("user", "x"),),
        timeout=50,
        watch=Watch(interrupted=stopped.is_set),
    )
    for request in (asked, replace(asked, max_tokens=5000)):
        with pytest.raises(StepInterruptedError, match="stopped while a model was asked"):
            client.complete(request)
