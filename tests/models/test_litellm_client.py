from __future__ import annotations

import email.utils
import json
import logging
import os
import pickle
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from orchestrator_dagster.errors import (
    ModelAnswerError,
    ModelError,
    ModelKeyError,
    ModelRateLimitError,
    ModelRefusalError,
    ModelRequestError,
    ModelTimeoutError,
    ModelUnreachableError,
    UnknownModelError,
)
from orchestrator_dagster.models.client import Message, ModelAnswer, ModelReference, ModelRequest, ToolCall, ToolOffer
from orchestrator_dagster.models.litellm_client import Endpoint, LiteLLMClient
from orchestrator_dagster.retry_after import retry_after
from orchestrator_dagster.testing import Answer, ModelServer, Request, Tokens, ToolUse, faults

KEY = "planted-key-4711-do-not-tell"
OPENAI = ModelReference("openai", "gpt-4o-mini")  # through the openai package
VLLM = ModelReference("hosted_vllm", "qwen3")  # through litellm's own HTTP code
SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer", "minimum": 1}},
    "required": ["score"],
    "additionalProperties": False,
}

Reply = Any


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_TOKEN")):
            monkeypatch.delenv(name)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


def client(server: ModelServer) -> LiteLLMClient:
    return LiteLLMClient({name: Endpoint(server.url, KEY) for name in ("openai", "hosted_vllm", "groq", "mistral")})


def request(prompt: str = "Say hello", model: ModelReference = OPENAI, **more: Any) -> ModelRequest:
    return ModelRequest(model, (Message("user", prompt),), **{"timeout": 20.0, **more})


def ask(server: ModelServer, reply: Reply = None, **more: Any) -> ModelAnswer:
    if reply is not None:
        server.then(reply)
    return client(server).complete(request(**more))


# Good answers


@pytest.mark.parametrize("model", [OPENAI, VLLM, ModelReference("mistral", "mistral-large-latest")], ids=str)
def test_a_text(server: ModelServer, model: ModelReference) -> None:
    answer = ask(server, Answer("Hello.", model=f"{model.name}-2024"), model=model)
    assert (answer.text, answer.finish_reason, answer.tool_calls) == ("Hello.", "stop", ())
    assert answer.model == ModelReference(model.provider, f"{model.name}-2024")
    assert answer.latency > 0
    call = server.calls[0]
    assert (call.key, call.model, call.prompt) == (KEY, model.name, "Say hello")


def test_the_whole_request_is_sent(server: ModelServer) -> None:
    called = ToolCall("c1", "search", '{"query": "x"}')
    messages = (
        Message("system", "Be brief."),
        Message("user", "Find x"),
        Message("assistant", "", (called,)),
        Message("tool", "nothing found", tool_call_id="c1"),
    )
    offer = ToolOffer("search", "Search the web", {"type": "object", "properties": {"query": {"type": "string"}}})
    client(server).complete(
        ModelRequest(
            OPENAI,
            messages,
            SCHEMA,
            (offer,),
            temperature=0.3,
            max_tokens=50,
            settings={"top_p": 0.5, "stop": ["END"]},
            strict=True,
            tool_choice="search",
        )
    )
    body = server.calls[0].body
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "tool"]
    function = {"name": "search", "arguments": '{"query": "x"}'}
    assert body["messages"][2]["tool_calls"] == [{"id": "c1", "type": "function", "function": function}]
    assert body["messages"][3] == {"role": "tool", "content": "nothing found", "tool_call_id": "c1"}
    assert body["response_format"]["json_schema"] == {"name": "answer", "strict": True, "schema": SCHEMA}
    assert body["tools"][0]["function"] == {
        "name": "search",
        "description": "Search the web",
        "parameters": dict(offer.parameters),
    }
    assert body["tool_choice"] == {"type": "function", "function": {"name": "search"}}
    assert (body["temperature"], body["max_tokens"], body["top_p"], body["stop"]) == (0.3, 50, 0.5, ["END"])


def test_nothing_is_sent_that_was_not_asked_for(server: ModelServer) -> None:
    ask(server)
    assert set(server.calls[0].body) == {"model", "messages"}


def test_a_structured_answer_is_its_json_text(server: ModelServer) -> None:
    assert json.loads(ask(server, schema=SCHEMA).text) == {"score": 1}


def test_tool_calls_in_parallel_keep_their_arguments_as_written(server: ModelServer) -> None:
    offer = ToolOffer("a", "A tool", {"type": "object", "properties": {}})
    uses = Answer(tool_calls=[ToolUse("a", {"x": 1}, id="one"), ToolUse("b", "{broken", id="two")])
    answer = ask(server, uses, tools=(offer,))
    assert answer.finish_reason == "tool_calls"
    assert answer.tool_calls == (ToolCall("one", "a", '{"x": 1}'), ToolCall("two", "b", "{broken"))


@pytest.mark.parametrize("text", ["cut o", ""])
def test_an_answer_that_was_cut_off_says_so(server: ModelServer, text: str) -> None:
    answer = ask(server, Answer(text, finish_reason="length"))
    assert (answer.text, answer.finish_reason) == (text, "length")


def test_a_filtered_answer_with_text_says_so(server: ModelServer) -> None:
    assert ask(server, Answer("The recipe", finish_reason="content_filter")).finish_reason == "content_filter"


def test_a_huge_answer(server: ModelServer) -> None:
    assert len(ask(server, Answer("x" * 10_000_000)).text) == 10_000_000


# Usage and cost


def test_usage_and_cost_from_the_price_map(server: ModelServer) -> None:
    usage = ask(server, Answer("x", usage=Tokens(1000, 100, cached=400))).usage
    assert (usage.calls, usage.input_tokens, usage.output_tokens, usage.cached_tokens) == (1, 1000, 100, 400)
    # gpt-4o-mini: 0.15, cached 0.075 and 0.60 US dollars a million tokens
    assert usage.cost == pytest.approx((600 * 0.15 + 400 * 0.075 + 100 * 0.60) / 1e6)


@pytest.mark.parametrize(
    "model", [VLLM, ModelReference("openai", "my-own-finetune"), ModelReference("hosted_vllm", "gpt-4o")], ids=str
)
def test_an_unknown_price_is_unknown_and_not_zero(server: ModelServer, model: ModelReference) -> None:
    assert ask(server, model=model).usage.cost is None


def test_usage_that_is_not_reported_is_estimated(server: ModelServer) -> None:
    usage = ask(server, Answer("x" * 400, usage="absent"), prompt="y" * 4000).usage
    assert 1000 <= usage.input_tokens <= 1020
    assert usage.output_tokens == 100
    assert usage.cost == pytest.approx((usage.input_tokens * 0.15 + 100 * 0.60) / 1e6)


# Faults

FAULTS: Mapping[str, tuple[Reply, type[ModelError], bool, str]] = {
    "rate limit": (faults.rate_limited(), ModelRateLimitError, False, "Slow down"),
    "quota": (faults.quota_exceeded(), ModelRateLimitError, False, "balance of your account"),
    "500": (faults.server_error(), ModelError, False, "500: The server had an error"),
    "502": (faults.server_error(502), ModelError, False, "502"),
    "503": (faults.server_error(503, "Overloaded"), ModelError, False, "503: Overloaded"),
    "504": (faults.server_error(504), ModelError, False, "504"),
    "529": (faults.server_error(529), ModelError, False, "529"),
    "cut before headers": (faults.cut_before_headers(), ModelError, False, "cut before the answer"),
    "cut in body": (faults.cut_in_body(), ModelError, False, "cut before the answer"),
    "truncated": (faults.truncated_json(), ModelAnswerError, False, "cannot be read"),
    "invalid": (faults.invalid_json(), ModelAnswerError, False, "cannot be read"),
    "content type": (faults.wrong_content_type(), ModelAnswerError, False, "cannot be read"),
    "no choices": (faults.no_choices(), ModelAnswerError, False, "no answer"),
    "empty": (Answer(""), ModelAnswerError, False, "empty answer"),
    "expired key": (faults.expired_key(), ModelKeyError, True, "The API key has expired"),
    "unknown model": (faults.unknown_model(), UnknownModelError, True, "does not exist"),
    "context": (faults.context_too_long(), ModelRequestError, True, "too long"),
    "parameter": (faults.bad_parameter("Unknown parameter: 'x'"), ModelRequestError, True, "Unknown parameter: 'x'"),
    "odd 400": (
        faults.ErrorStatus(400, "parameter", "Rate limit 429 is no number"),
        ModelRequestError,
        True,
        "no number",
    ),
    "policy": (faults.content_policy(), ModelRefusalError, True, "not allowed"),
    "refusal": (Answer(refusal="I will not."), ModelRefusalError, True, "I will not."),
    "filtered": (Answer("", finish_reason="content_filter"), ModelRefusalError, True, "content filter"),
}


@pytest.mark.parametrize("model", [OPENAI, VLLM], ids=str)
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_its_error_and_then_all_is_fine(server: ModelServer, fault: str, model: ModelReference) -> None:
    reply, kind, permanent, words = FAULTS[fault]
    server.then(reply, "fine again")
    with pytest.raises(ModelError) as caught:
        client(server).complete(request(model=model))
    assert type(caught.value) is kind
    assert caught.value.permanent is permanent
    assert words in str(caught.value)
    assert str(model) in str(caught.value) or model.name in str(caught.value)
    assert caught.value.hint
    assert len(server.calls) == 1  # nothing was tried again behind our back
    assert client(server).complete(request(model=model)).text == "fine again"


@pytest.mark.parametrize("model", [OPENAI, VLLM], ids=str)
def test_the_wait_that_a_rate_limit_asks_for(server: ModelServer, model: ModelReference) -> None:
    date = email.utils.formatdate(time.time() + 600, usegmt=True)
    server.then(faults.rate_limited(2.5), faults.rate_limited(date), faults.rate_limited("soon"), faults.rate_limited())
    waits = []
    for _ in range(4):
        with pytest.raises(ModelRateLimitError) as caught:
            client(server).complete(request(model=model))
        waits.append(caught.value.retry_after)
    assert waits[0] == 2.5
    assert waits[1] is not None
    assert 0 < waits[1] <= 600
    assert waits[2:] == [None, None]


def test_a_wait_in_milliseconds_and_one_in_the_past() -> None:
    assert retry_after({"retry-after-ms": "1500", "retry-after": "2"}) == 1.5
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0


@pytest.mark.parametrize("fault", [faults.hang(), faults.drip()], ids=["hang", "drip"])
@pytest.mark.parametrize("model", [OPENAI, VLLM], ids=str)
def test_the_timeout_bounds_the_whole_call(server: ModelServer, fault: faults.Broken, model: ModelReference) -> None:
    with pytest.raises(ModelTimeoutError, match=r"within 0\.3 s") as caught:
        ask(server, fault, model=model, timeout=0.3)
    assert not caught.value.permanent


@pytest.mark.parametrize("provider", ["openai", "groq", "hosted_vllm", "anthropic", "ollama"])
def test_where_nobody_listens(provider: str) -> None:
    with ModelServer() as gone:
        url = gone.url
    model = ModelReference(provider, "m")
    with pytest.raises(ModelUnreachableError) as caught:
        LiteLLMClient({provider: Endpoint(url, KEY)}).complete(request(model=model))
    assert url in str(caught.value)
    assert "ollama" not in provider or "start the ollama server" in str(caught.value)


def test_an_unknown_host_is_named_without_user_and_query() -> None:
    endpoint = Endpoint("http://me:pass@no-such-host.invalid/v1?token=tell", KEY)
    with pytest.raises(ModelUnreachableError) as caught:
        LiteLLMClient({"openai": endpoint}).complete(request())
    assert "http://no-such-host.invalid/v1" in str(caught.value)
    assert "pass@" not in str(caught.value) + repr(endpoint)
    assert "tell" not in str(caught.value) + repr(endpoint)


def test_a_base_url_must_be_one() -> None:
    with pytest.raises(ModelRequestError, match="no http"):
        Endpoint("localhost:8000")


def test_usage_of_a_failed_call_is_kept(server: ModelServer) -> None:
    with pytest.raises(ModelAnswerError) as caught:
        ask(server, Answer("", usage=Tokens(100, 0)))
    assert caught.value.usage is not None
    assert caught.value.usage.input_tokens == 100


# Settings


@pytest.mark.parametrize(
    "name",
    ["api_base", "api_key", "mock_response", "num_retries", "model", "stream", "n", "fallbacks", "extra_headers"],
)
def test_settings_cannot_redirect_or_repeat_a_call(server: ModelServer, name: str) -> None:
    with pytest.raises(ModelRequestError, match=f'"{name}" is no setting'):
        ask(server, settings={name: "http://elsewhere.example"})
    assert server.requests == []


def test_a_setting_that_the_provider_does_not_know_is_not_dropped(server: ModelServer) -> None:
    def strict(got: Request) -> Reply:
        return faults.bad_parameter("Unknown parameter: 'frobnicate'") if "frobnicate" in got.body else "fine"

    server.then(strict)
    with pytest.raises(ModelRequestError, match="frobnicate"):
        client(server).complete(request(settings={"frobnicate": 3}))


def test_a_setting_that_litellm_knows_to_be_wrong_is_refused(server: ModelServer) -> None:
    with pytest.raises(ModelRequestError, match="temperature"):
        ask(server, model=ModelReference("openai", "gpt-5"), temperature=0.2)
    assert server.requests == []


# Keys


def test_a_missing_key_is_known_before_anything_is_sent() -> None:
    with pytest.raises(ModelKeyError, match="OPENAI_API_KEY is not set") as caught:
        LiteLLMClient().complete(request())
    assert caught.value.permanent
    assert "set OPENAI_API_KEY" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("provider", "variable"),
    [
        ("anthropic", "ANTHROPIC_API_KEY"),
        ("gemini", "GEMINI_API_KEY"),
        ("groq", "GROQ_API_KEY"),
        ("volcengine", "VOLCENGINE_API_KEY"),  # these two are known to litellm's tables only
        ("publicai", "PUBLICAI_API_KEY"),
    ],
)
def test_the_variable_of_each_provider_is_named(provider: str, variable: str) -> None:
    with pytest.raises(ModelKeyError, match=variable):
        LiteLLMClient().complete(request(model=ModelReference(provider, "m")))


def test_an_empty_key_is_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    with pytest.raises(ModelKeyError, match="OPENAI_API_KEY"):
        LiteLLMClient({"openai": Endpoint(None, "")}).complete(request())


def test_a_key_from_the_environment(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "from-the-environment")
    LiteLLMClient({"openai": Endpoint(server.url)}).complete(request())
    LiteLLMClient({"openai": Endpoint(server.url, "given")}).complete(request())
    assert [call.key for call in server.calls] == ["from-the-environment", "given"]


def test_a_server_of_ones_own_needs_no_key(server: ModelServer) -> None:
    assert LiteLLMClient({"openai": Endpoint(server.url)}).complete(request()).text


def test_a_refused_key_names_the_variable() -> None:
    with ModelServer(keys=["another"]) as strict, pytest.raises(ModelKeyError, match="OPENAI_API_KEY"):
        ask(strict)


def test_an_unknown_provider_names_the_nearest() -> None:
    with pytest.raises(UnknownModelError, match='did you mean "mistral"'):
        LiteLLMClient().complete(request(model=ModelReference("mistrall", "m")))


def _tells_the_key(got: Request) -> list[Reply]:
    key = got.key
    return [
        faults.expired_key(f"Incorrect API key provided: {key}"),
        faults.server_error(500, f"Crash while handling Bearer {key}"),
        faults.rate_limited(message=f"Key {key} is too fast"),
        faults.bad_parameter(f"Bad header: {key}"),
        faults.unknown_model(f"No such model for {key}"),
        faults.content_policy(f"Key {key} violates"),
        faults.hang(),
        faults.cut_in_body(),
        faults.invalid_json(),
        Answer(refusal=f"I will not, {key}"),
    ]


@pytest.mark.parametrize("model", [OPENAI, VLLM], ids=str)
@pytest.mark.parametrize("which", range(10))
def test_no_error_and_no_log_tells_the_key(
    server: ModelServer,
    model: ModelReference,
    which: int,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    server.then(lambda got: _tells_the_key(got)[which])
    asking = client(server)
    with pytest.raises(ModelError) as caught:
        asking.complete(request(model=model, timeout=0.5 if which == 6 else 20.0))
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    printed = capfd.readouterr()
    told = [
        str(error),
        repr(error),
        "".join(traceback.format_exception(error)),
        repr(pickle.dumps(error)),
        repr(asking),
        caplog.text,
        printed.out,
        printed.err,
    ]
    assert [text for text in told if KEY in text] == []
    assert server.calls[0].key == KEY  # it was really sent


def test_a_key_from_the_environment_is_not_told_either(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.then(lambda got: faults.expired_key(f"Incorrect API key provided: {got.key}"))
    with pytest.raises(ModelKeyError) as caught:
        LiteLLMClient({"openai": Endpoint(server.url)}).complete(request())
    assert KEY not in str(caught.value)
    assert "***" in str(caught.value)


def test_an_endpoint_never_shows_its_key() -> None:
    assert repr(Endpoint("http://h/v1", KEY)) == "Endpoint(base_url='http://h/v1', api_key='***')".replace(
        "'***'", "***"
    )


# Many at once


def test_calls_from_many_threads_keep_apart(server: ModelServer) -> None:
    server.when(lambda got: True, reply=lambda got: f"{got.model} {got.prompt} {got.key}")
    models = [OPENAI, VLLM, ModelReference("mistral", "m")]
    asking = LiteLLMClient({model.provider: Endpoint(server.url, f"key-of-{model.provider}") for model in models})

    def one(n: int) -> bool:
        model = models[n % 3]
        answer = asking.complete(request(f"number {n}", model=model))
        return answer.text == f"{model.name} number {n} key-of-{model.provider}"

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(one, range(36)))
    assert len(server.calls) == 36


# Import


def _run(code: str, **environment: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_importing_the_client_loads_nothing_heavy() -> None:
    loaded = _run(
        "import json, sys, orchestrator_dagster.models.litellm_client as c; c.LiteLLMClient();"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    assert {"litellm", "httpx", "openai", "pandas", "numpy", "dagster", "pydantic"} & set(loaded) == set()


def test_a_missing_key_is_told_without_importing_litellm() -> None:
    assert (
        _run(
            "import json, sys\n"
            "from orchestrator_dagster.errors import ModelKeyError\n"
            "from orchestrator_dagster.models.client import Message, ModelReference, ModelRequest\n"
            "from orchestrator_dagster.models.litellm_client import LiteLLMClient\n"
            "try:\n"
            "    LiteLLMClient().complete(ModelRequest(ModelReference('openai', 'm'), (Message('user', 'x'),)))\n"
            "except ModelKeyError:\n"
            "    print(json.dumps('litellm' in sys.modules))\n"
        )
        is False
    )


_ALONE = """
import json, sys, threading
hosts = set()
def seen(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        hosts.add(arguments[1][0])
    if event == "socket.getaddrinfo":
        hosts.add(arguments[0])
sys.addaudithook(seen)
from orchestrator_dagster.errors import ModelRequestError
from orchestrator_dagster.models.client import Message, ModelReference, ModelRequest
from orchestrator_dagster.models.litellm_client import Endpoint, LiteLLMClient, import_in_background
import_in_background()
names = [thread.name for thread in threading.enumerate()]
for thread in threading.enumerate():
    if thread.name == "import-litellm":
        thread.join()
loaded = "litellm" in sys.modules
texts = []
for provider in ("openai", "hosted_vllm"):
    asked = ModelRequest(ModelReference(provider, "gpt-4o"), (Message("user", "x"),))
    texts.append(LiteLLMClient({provider: Endpoint(sys.argv[1], "k")}).complete(asked).text)
try:
    asked = ModelRequest(ModelReference("openai", "gpt-5"), (Message("user", "x"),), temperature=0.2)
    LiteLLMClient({"openai": Endpoint(sys.argv[1], "k")}).complete(asked)
except ModelRequestError:
    texts.append("refused")
print(json.dumps([sorted(hosts), "import-litellm" in names, loaded, texts]))
"""


@pytest.mark.slow
def test_the_import_runs_in_the_background_and_never_uses_the_network(server: ModelServer) -> None:
    code = _ALONE.replace("sys.argv[1]", repr(server.url))
    # a person's environment may ask for the network and for dropped settings
    hosts, in_background, loaded, texts = _run(code, LITELLM_LOCAL_MODEL_COST_MAP="False", LITELLM_DROP_PARAMS="True")
    assert hosts == ["127.0.0.1"]
    assert in_background
    assert loaded
    assert texts == ["This is the answer of the test server."] * 2 + ["refused"]


def test_a_call_that_was_given_up_leaves_no_thread_behind(server: ModelServer) -> None:
    with pytest.raises(ModelTimeoutError):
        ask(server, faults.drip(), timeout=0.2)
    server.close()  # its connection ends, and with it the call
    for thread in threading.enumerate():
        if thread.name == "model-call":
            thread.join(20)
            assert not thread.is_alive()
