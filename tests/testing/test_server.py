from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from orchestrator_dagster.testing import Answer, ModelServer, Request, Tokens, ToolUse, faults
from orchestrator_dagster.testing.script import DEFAULT_TEXT


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


def test_it_listens_where_it_is_told():
    with ModelServer() as first:
        port = first.port
    with ModelServer(["Hello"], port=port) as second:
        assert second.port == port
        assert second.url == f"http://127.0.0.1:{port}/v1"


class Client:
    """One connection to a server, as raw as it gets."""

    def __init__(self, server: ModelServer, timeout: float = 20) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)

    def raw(self, prompt: str, **body: Any) -> http.client.HTTPResponse:
        message = {"role": "user", "content": prompt}
        return self.post("/v1/chat/completions", {"model": "m", "messages": [message], **body})

    def post(self, path: str, body: Any) -> http.client.HTTPResponse:
        text = body if isinstance(body, str) else json.dumps(body)
        self.connection.request("POST", path, text, {"Authorization": "Bearer secret-key"})
        return self.connection.getresponse()

    def ask(self, prompt: str, **body: Any) -> Any:
        response = self.raw(prompt, **body)
        assert response.status == 200
        return json.loads(response.read())

    def text(self, prompt: str, **body: Any) -> Any:
        return self.ask(prompt, **body)["choices"][0]["message"]["content"]


def test_replies_come_in_order_then_the_default(server: ModelServer) -> None:
    server.then("one", {"n": 2})
    client = Client(server)
    assert [client.text("x") for _ in range(3)] == ["one", '{"n": 2}', DEFAULT_TEXT]


def test_a_rule_goes_before_the_line_and_repeats_its_last_reply(server: ModelServer) -> None:
    server.then("in line")
    server.when("weather", reply=["sun", "rain"])
    server.when(model="big", reply="from the big one")
    server.when(lambda request: "sql" in request.tools, reply=lambda request: request.prompt.upper())
    client = Client(server)
    assert [client.text("the weather?") for _ in range(3)] == ["sun", "rain", "rain"]
    assert client.text("x", model="big") == "from the big one"
    tool = {"type": "function", "function": {"name": "sql", "parameters": {}}}
    assert client.text("select", tools=[tool]) == "SELECT"
    assert client.text("x") == "in line"


def test_a_rule_needs_something_to_match(server: ModelServer) -> None:
    with pytest.raises(ValueError, match="something to match"):
        server.when(reply="x")
    with pytest.raises(ValueError, match="at least one reply"):
        server.when("x", reply=[])


def test_a_schema_is_answered_with_an_instance(server: ModelServer) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    jsonschema.validate(json.loads(Client(server).text("x", response_format=form)), schema)
    assert server.calls[0].schema == schema


def test_a_schema_that_nothing_fits_is_an_error_that_the_test_sees(server: ModelServer) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"enum": []}}}
    response = Client(server).raw("x", response_format=form)
    assert response.status == 500
    assert "enum" in json.loads(response.read())["error"]["message"]
    assert len(server.script_errors) == 1


def test_what_a_script_raises_is_kept(server: ModelServer) -> None:
    def fails(request: Request) -> str:
        raise AssertionError("not the prompt I expected")

    server.then(fails)
    response = Client(server).raw("x")
    assert response.status == 500
    assert "not the prompt I expected" in json.loads(response.read())["error"]["message"]
    assert isinstance(server.script_errors[0], AssertionError)


def test_tool_calls_in_parallel(server: ModelServer) -> None:
    server.then(Answer(tool_calls=[ToolUse("a", {"x": 1}), ToolUse("b", "{broken", id="mine")]))
    choice = Client(server).ask("x")["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    calls = choice["message"]["tool_calls"]
    assert [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls] == [
        ("call_0", "a", '{"x": 1}'),
        ("mine", "b", "{broken"),
    ]


def test_usage_is_counted_given_or_absent(server: ModelServer) -> None:
    server.then("three words here", Answer("x", usage=Tokens(10, 20, cached=5)), Answer("x", usage="absent"))
    client = Client(server)
    counted, given, absent = (client.ask("two words") for _ in range(3))
    assert (counted["usage"]["prompt_tokens"], counted["usage"]["completion_tokens"]) == (2, 3)
    assert given["usage"]["total_tokens"] == 30
    assert given["usage"]["prompt_tokens_details"] == {"cached_tokens": 5}
    assert "usage" not in absent


def test_finish_reason_refusal_and_model(server: ModelServer) -> None:
    server.then(Answer("cut", finish_reason="length", model="m-2024"), Answer(refusal="No."))
    client = Client(server)
    cut, refused = client.ask("x"), client.ask("x")
    assert (cut["choices"][0]["finish_reason"], cut["model"]) == ("length", "m-2024")
    assert refused["choices"][0]["message"] == {"role": "assistant", "content": None, "refusal": "No."}


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (faults.rate_limited(), 429, "rate_limit_exceeded"),
        (faults.quota_exceeded(), 429, "insufficient_quota"),
        (faults.server_error(), 500, None),
        (faults.server_error(503), 503, None),
        (faults.expired_key(), 401, "invalid_api_key"),
        (faults.unknown_model(), 404, "model_not_found"),
        (faults.context_too_long(), 400, "context_length_exceeded"),
        (faults.bad_parameter("no such thing"), 400, "unsupported_parameter"),
        (faults.content_policy(), 400, "content_policy_violation"),
    ],
)
def test_error_statuses(server: ModelServer, fault: faults.ErrorStatus, status: int, code: str | None) -> None:
    server.then(fault)
    client = Client(server)
    response = client.raw("x")
    error = json.loads(response.read())["error"]
    assert (response.status, error["code"]) == (status, code)
    assert response.headers["Retry-After"] is None
    assert error["message"] == fault.message if fault.message else error["message"]
    assert client.text("x") == DEFAULT_TEXT  # the next call is fine, on the same connection


def test_retry_after(server: ModelServer) -> None:
    server.then(faults.rate_limited(retry_after=2.5))
    assert Client(server).raw("x").headers["Retry-After"] == "2.5"


def test_broken_bodies(server: ModelServer) -> None:
    server.then(faults.truncated_json(), faults.invalid_json(), faults.wrong_content_type(), faults.no_choices())
    client = Client(server)
    for content_type in ("application/json", "application/json", "text/html; charset=utf-8"):
        response = client.raw("x")
        body = response.read()
        assert (response.status, response.headers["Content-Type"]) == (200, content_type)
        with pytest.raises(ValueError):
            json.loads(body)
    assert client.ask("x")["choices"] == []


def test_cut_connections(server: ModelServer) -> None:
    server.then(faults.cut_before_headers(), faults.cut_in_body())
    with pytest.raises(http.client.RemoteDisconnected):
        Client(server).raw("x")
    with pytest.raises(http.client.IncompleteRead):
        Client(server).raw("x").read()


def test_a_dripping_answer_never_ends(server: ModelServer) -> None:
    server.then(faults.drip())
    response = Client(server).raw("x")
    assert response.read(3) == b"   "
    server.close()
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        response.read()


def test_a_huge_answer(server: ModelServer) -> None:
    server.then(Answer("x" * 10_000_000))
    assert len(Client(server).text("x")) == 10_000_000


def _events(response: http.client.HTTPResponse) -> list[Any]:
    lines = response.read().decode().split("\n\n")
    return [line.removeprefix("data: ") for line in lines if line]


def test_a_stream_holds_the_same_answer(server: ModelServer) -> None:
    server.then(Answer("  a text  of words", tool_calls=[ToolUse("t", {"a": 1})], finish_reason="length"))
    response = Client(server).raw("one two", stream=True, stream_options={"include_usage": True})
    assert response.headers["Content-Type"].startswith("text/event-stream")
    *events, done = _events(response)
    assert done == "[DONE]"
    chunks = [json.loads(event) for event in events]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    assert "".join(delta.get("content", "") for delta in deltas) == "  a text  of words"
    assert [d["tool_calls"][0]["function"]["name"] for d in deltas if "tool_calls" in d] == ["t"]
    assert chunks[-2]["choices"][0]["finish_reason"] == "length"
    assert chunks[-1]["usage"]["prompt_tokens"] == 2


def test_a_stream_that_is_cut(server: ModelServer) -> None:
    server.then(faults.cut_in_body())
    response = Client(server).raw("x", stream=True)
    with pytest.raises(http.client.IncompleteRead) as caught:
        response.read()
    assert b"data: " in caught.value.partial
    assert b"[DONE]" not in caught.value.partial


def test_everything_is_recorded(server: ModelServer) -> None:
    before = time.time()
    client = Client(server)
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "first"}, {"type": "text", "text": "part"}]},
        {"role": "assistant", "content": "…"},
    ]
    client.post("/v1/chat/completions?v=1", {"model": "m", "messages": messages}).read()
    client.connection.request("GET", "/v1/models")
    assert json.loads(client.connection.getresponse().read())["data"][0]["id"] == "test-model"
    call, listing = server.requests
    assert server.calls == [call]
    assert (call.method, call.path, call.model, call.prompt) == ("POST", "/v1/chat/completions?v=1", "m", "first\npart")
    assert call.text == "Be brief.\nfirst\npart\n…"
    assert call.headers["authorization"] == "Bearer secret-key"
    assert (call.key, listing.key) == ("secret-key", None)
    assert before <= call.time <= listing.time <= time.time()


def test_wrong_requests_are_refused_in_words(server: ModelServer) -> None:
    client = Client(server)
    wrong = [
        ("/v1/chat/completions", "{no json", 400, "not a JSON object"),
        ("/v1/chat/completions", {"messages": [{}]}, 400, "model"),
        ("/v1/chat/completions", {"model": "m"}, 400, "messages"),
        ("/v1/embeddings", {"model": "m"}, 400, "input"),
        ("/v1/responses", {}, 404, "Unknown path"),
    ]
    for path, body, status, words in wrong:
        response = client.post(path, body)
        assert response.status == status
        assert words in json.loads(response.read())["error"]["message"]
    assert server.script_errors == []


def test_only_these_keys() -> None:
    with ModelServer(keys=["secret-key"]) as good, ModelServer(keys=["other"]) as bad:
        assert Client(good).raw("x").status == 200
        response = Client(bad).raw("x")
        assert (response.status, json.loads(response.read())["error"]["code"]) == (401, "invalid_api_key")


def test_embeddings_are_the_same_for_the_same_text(server: ModelServer) -> None:
    import openai

    with openai.OpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
        packed = client.embeddings.create(model="e", input=["a", "b", "a"], dimensions=16)
        plain = client.embeddings.create(model="e", input="a", dimensions=16, encoding_format="float")
    vectors = [item.embedding for item in packed.data]
    assert vectors[0] == vectors[2] != vectors[1]
    assert plain.data[0].embedding == pytest.approx(vectors[0], abs=1e-6)
    assert sum(value * value for value in plain.data[0].embedding) == pytest.approx(1)
    assert server.calls == []


def test_calls_at_the_same_time_get_one_reply_each(server: ModelServer) -> None:
    server.then(*(f"reply {n}" for n in range(60)))
    with ThreadPoolExecutor(12) as pool:
        texts = list(pool.map(lambda n: Client(server).text(f"call {n}"), range(60)))
    assert sorted(texts) == sorted(f"reply {n}" for n in range(60))
    assert {call.prompt for call in server.calls} == {f"call {n}" for n in range(60)}


def test_a_delayed_answer_does_not_hold_up_the_others(server: ModelServer) -> None:
    first_is_in = threading.Event()

    def slow(request: Request) -> Answer:
        first_is_in.set()
        return Answer("slow", delay=30)

    server.when("slow", reply=slow)
    waiting = Client(server)
    waiting.connection.request("POST", "/v1/chat/completions", json.dumps({"model": "m", "messages": [_user("slow")]}))
    assert first_is_in.wait(20)
    assert Client(server).text("quick") == DEFAULT_TEXT
    server.close()  # the delay ends with the server
    with pytest.raises(ConnectionError):
        waiting.connection.getresponse()


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _mine() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("model-server")]


def _sockets() -> int:
    links = Path("/proc/self/fd").iterdir()
    return sum(link.is_symlink() and str(link.readlink()).startswith("socket:") for link in links)


def test_closing_leaves_no_thread_and_no_socket() -> None:
    before = _sockets()
    server = ModelServer(default=faults.hang())
    server.start()
    port = server.port
    idle, hanging = Client(server), Client(server)
    idle.connection.connect()
    hanging.connection.request("POST", "/v1/chat/completions", json.dumps({"model": "m", "messages": [_user("x")]}))
    while not server.calls:
        pass
    server.close()
    with pytest.raises(ConnectionError):
        hanging.connection.getresponse()
    idle.connection.close()
    hanging.connection.close()
    assert _mine() == []
    assert _sockets() == before
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection("127.0.0.1", port, timeout=5).connect()
    server.close()  # twice is fine
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.url


def test_a_hang_ends_when_the_client_goes(server: ModelServer) -> None:
    server.then(faults.hang())
    impatient = Client(server, timeout=0.2)
    with pytest.raises(TimeoutError):
        impatient.raw("x")
    (waiting,) = [thread for thread in threading.enumerate() if thread.name == "model-server-call"]
    impatient.connection.close()
    waiting.join(20)
    assert not waiting.is_alive()
    assert Client(server).text("x") == DEFAULT_TEXT


def test_a_server_can_be_started_again_but_not_twice() -> None:
    server = ModelServer()
    with server:
        assert Client(server).text("x") == DEFAULT_TEXT
        with pytest.raises(RuntimeError, match="already"):
            server.start()
    with server:
        assert Client(server).text("x") == DEFAULT_TEXT
    assert len(server.calls) == 2
