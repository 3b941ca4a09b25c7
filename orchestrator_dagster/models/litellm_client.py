"""Every provider that litellm knows, behind the one interface of ``client``. litellm is imported at the first call."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from orchestrator_dagster.errors import (
    ModelAnswerError,
    ModelError,
    ModelRefusalError,
    ModelRequestError,
    StepInterruptedError,
)
from orchestrator_dagster.models import litellm_errors
from orchestrator_dagster.models.client import (
    FinishReason,
    Message,
    ModelAnswer,
    ModelReference,
    ModelRequest,
    ToolCall,
    ToolOffer,
    Usage,
)
from orchestrator_dagster.models.images import image_part
from orchestrator_dagster.models.litellm_media import made
from orchestrator_dagster.models.litellm_module import import_in_background
from orchestrator_dagster.models.litellm_module import litellm_module as _litellm
from orchestrator_dagster.models.media import MediaAnswer, MediaRequest
from orchestrator_dagster.models.provider_keys import has_key, key_variables, public_url, without_secrets
from orchestrator_dagster.models.streaming import StalledError, collected, progress_of, within
from orchestrator_dagster.text import encodable

__all__ = ["Endpoint", "LiteLLMClient", "import_in_background"]

_LITELLM_NAMES = {"ollama": "ollama_chat"}  # litellm's "ollama" is the older completion API, without tools
#: Answers that may be as long come as a stream by default. Each chunk costs litellm about a millisecond, so not all do.
STREAM_FROM = 4000
STALL = 60.0  # seconds
# … and not more than so many at once, over all threads: the others are awaited whole.
_streams_going = threading.BoundedSemaphore(8)
# Providers whose streams with a JSON schema litellm puts together again as the same answer; others are not streamed.
_STREAM_STRUCTURE = frozenset(("openai", "anthropic", "gemini", "ollama", "azure", "hosted_vllm", "openrouter", "groq"))
_STRICT_FUNCTIONS = ("openai", "azure")  # they hold arguments to a schema; others may refuse the key `strict`
NO_KEY = "no-key"  # for a server of one's own that asks for none; the openai package insists on a text
_GRACE = 1.0  # seconds beyond the timeout in which the HTTP client may still end the call by itself
_CHARACTERS_PER_TOKEN = 4  # OpenAI's rule of thumb for English (help.openai.com, "What are tokens")
_FINISH_REASONS: Mapping[str, FinishReason] = {
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
# Settings that are fields of the request, or that would change where a request goes, with which key, or how often.
# fmt: off
_OF_THE_REQUEST = frozenset({
    "model", "messages", "tools", "functions", "response_format", "temperature", "max_tokens", "timeout", "stream",
    "stream_options", "n",
})
_OF_THE_MEDIA_REQUEST = frozenset({"model", "prompt", "input", "file", "timeout", "stream"})
_OF_THE_CLIENT = frozenset({
    "base_url", "api_base", "api_key", "api_version", "organization", "headers", "extra_headers", "drop_params",
    "additional_drop_params", "deployment_id", "max_retries", "num_retries", "retry_policy", "fallbacks", "client",
})
# fmt: on
_CLIENT_PREFIXES = ("aws_", "azure_", "litellm_", "mock_", "oci_", "s3_", "vertex_", "watsonx_", "_")


@dataclass(frozen=True, repr=False)
class Endpoint:
    """Where a provider is reached, and with which key.

    Args:
        base_url: The base URL, None for the provider's own.
        api_key: The key, None for the one in the environment.

    Raises:
        ModelRequestError: The base URL is not one of http or https.
    """

    base_url: str | None = None
    api_key: str | None = None

    def __post_init__(self) -> None:
        if self.base_url is not None and not self.base_url.startswith(("http://", "https://")):
            raise ModelRequestError(
                f'the base URL "{without_secrets(self.base_url)}" is no http or https address',
                hint="write it in full, for example http://127.0.0.1:8000/v1",
            )

    def __repr__(self) -> str:
        url = None if self.base_url is None else public_url(self.base_url)
        return f"Endpoint(base_url={url!r}, api_key={'***' if self.api_key else None})"


_OWN_ADDRESS = Endpoint()


class LiteLLMClient:
    """Asks models through litellm. Thread-safe; one for all steps of a run is enough.

    Nothing is retried here: that is the retry policy's part. Errors hold no key, and no cause that could.

    Args:
        endpoints: Address and key by provider; others as litellm finds them in the environment.
        stream_from: Answers that may have as many tokens (``max_tokens``) are taken as a stream, None for never.
        stall: Seconds without anything new after which a stream is given up.

    Example::

        client = LiteLLMClient({"hosted_vllm": Endpoint("http://127.0.0.1:8000/v1")})
        client.complete(ModelRequest(ModelReference("hosted_vllm", "qwen3"), (Message("user", "Hello"),))).text
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint] = MappingProxyType({}),
        *,
        stream_from: int | None = STREAM_FROM,
        stall: float = STALL,
    ) -> None:
        self._endpoints = dict(endpoints)
        self._stream_from, self._stall = stream_from, stall

    def __repr__(self) -> str:
        return f"LiteLLMClient({self._endpoints!r})"

    def complete(self, request: ModelRequest) -> ModelAnswer:
        """Ask once.

        An answer that was cut off at its token limit is returned with ``finish_reason="length"``. Where the provider
        reports no usage, tokens are estimated (four characters a token). ``request.timeout`` bounds the whole call.

        Raises:
            ModelKeyError: The key is missing (known before anything is sent) or refused.
            ModelRateLimitError: With the seconds to wait, where the provider gave them.
            ModelUnreachableError: No connection.
            ModelTimeoutError: No complete answer within ``request.timeout``.
            UnknownModelError: The provider, or the model, is not known.
            ModelRequestError: The request is refused: an unknown setting, a value out of range, too long a prompt.
            ModelRefusalError: The model or the content filter refused, and there is no text.
            ModelAnswerError: The answer is empty or cannot be read.
            ModelError: The provider failed, or the connection was cut.
        """
        endpoint = self._endpoints.get(request.model.provider, _OWN_ADDRESS)
        _check_key(request.model, endpoint)
        litellm = _litellm()
        _check_key_by_litellm(litellm, request.model, endpoint)
        arguments = _arguments(litellm, request, endpoint)
        started = time.monotonic()

        def call() -> Any:
            if self._streams(request) and _streams_going.acquire(blocking=False):
                try:
                    return _streamed(litellm, request, arguments, self._stall)
                finally:
                    _streams_going.release()
            return within(request.timeout + _GRACE, lambda: litellm.completion(**arguments), request.watch)

        response = self._tried(request.model, endpoint, request.timeout, call)
        try:
            return _answer(litellm, request, response, time.monotonic() - started)
        except ModelError as error:
            raise self._without_keys(error) from None

    def make(self, request: MediaRequest) -> MediaAnswer:
        """Ask once for pictures, speech, the words of a recording, or vectors.

        Raises:
            ModelError: As :meth:`complete` does; ModelAnswerError when nothing came.
        """
        endpoint = self._endpoints.get(request.model.provider, _OWN_ADDRESS)
        _check_key(request.model, endpoint)
        litellm = _litellm()
        _check_key_by_litellm(litellm, request.model, endpoint)
        _check_settings(request.model, request.settings, _OF_THE_MEDIA_REQUEST)
        where = _where(request.model, endpoint)
        started = time.monotonic()

        def call() -> Any:
            return within(request.timeout + _GRACE, lambda: made(litellm, request, where), request.watch)

        answer: MediaAnswer = self._tried(request.model, endpoint, request.timeout, call)
        return replace(answer, latency=time.monotonic() - started)

    def _streams(self, request: ModelRequest) -> bool:
        """Whether the answer may be long enough to be worth a stream."""
        if self._stream_from is None or (request.max_tokens or 0) < self._stream_from:
            return False
        return request.schema is None or request.model.provider in _STREAM_STRUCTURE

    def _tried(self, model: ModelReference, endpoint: Endpoint, timeout: float, call: Callable[[], Any]) -> Any:
        """What a call gives; what goes wrong in it as an error of this package, without keys."""
        failure: ModelError | None = None
        try:
            return call()
        except StepInterruptedError:
            raise
        except TimeoutError:
            failure = litellm_errors.timed_out(model, timeout)
        except StalledError as stalled:
            failure = litellm_errors.stalled(model, self._stall, stalled.tokens)
        except ModelError as error:
            failure = error
        except Exception as error:
            failure = litellm_errors.translated(error, model, endpoint.base_url, timeout)
        # Raised here and not in the handler: the original error may hold the key, and would be its context.
        raise self._without_keys(failure)

    def _without_keys(self, error: ModelError) -> ModelError:
        """``error`` with every key taken out of its texts."""
        keys = [endpoint.api_key for endpoint in self._endpoints.values() if endpoint.api_key]
        error.message = without_secrets(error.message, keys)
        error.args = (error.message,)
        error.hint = None if error.hint is None else without_secrets(error.hint, keys)
        return error


def _check_key(model: ModelReference, endpoint: Endpoint) -> None:
    """Fail at once where a hosted provider's key is neither given nor set. A server of one's own may need none."""
    variables = key_variables(model.provider)
    if variables and not endpoint.api_key and endpoint.base_url is None and not has_key(model.provider):
        raise litellm_errors.missing_key(model, variables)


def _check_key_by_litellm(litellm: Any, model: ModelReference, endpoint: Endpoint) -> None:
    """The same for providers that only litellm's own tables know."""
    if endpoint.api_key or endpoint.base_url is not None or key_variables(model.provider) is not None:
        return
    missing = litellm.validate_environment(f"{model.provider}/{model.name}")["missing_keys"]
    variables = tuple(name for name in missing if name.endswith(("KEY", "TOKEN")))
    if variables:
        raise litellm_errors.missing_key(model, variables)


def _arguments(litellm: Any, request: ModelRequest, endpoint: Endpoint) -> dict[str, Any]:
    """The arguments of ``litellm.completion``."""
    _check_settings(request.model, request.settings)
    provider = _LITELLM_NAMES.get(request.model.provider, request.model.provider)
    arguments: dict[str, Any] = {
        **request.settings,
        "model": f"{provider}/{request.model.name}",
        "messages": [_message(message) for message in request.messages],
        "timeout": request.timeout,
        **_where(request.model, endpoint),
    }
    if request.temperature is not None:
        arguments["temperature"] = request.temperature
    if request.max_tokens is not None:
        arguments["max_tokens"] = request.max_tokens
    if request.schema is not None:
        schema = {"name": "answer", "strict": request.strict, "schema": dict(request.schema)}
        arguments["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.tools:
        # With tools, litellm first imports its proxy's MCP gateway, which takes packages that are not installed here.
        arguments["_skip_mcp_handler"] = True
        arguments["tools"] = [_offer(tool, provider) for tool in request.tools]
        if request.tool_choice is not None:
            named = {"type": "function", "function": {"name": request.tool_choice}}
            arguments["tool_choice"] = "none" if request.tool_choice == "none" else named
    return arguments


def _where(model: ModelReference, endpoint: Endpoint) -> dict[str, Any]:
    """Address, key, and that nothing is repeated or left out."""
    where: dict[str, Any] = {"num_retries": 0, "max_retries": 0, "drop_params": False}
    if endpoint.base_url is not None:
        where["api_base"] = endpoint.base_url
    if endpoint.api_key:
        where["api_key"] = endpoint.api_key
    elif endpoint.base_url is not None and not (key_variables(model.provider) and has_key(model.provider)):
        where["api_key"] = NO_KEY
    return where


def _streamed(litellm: Any, request: ModelRequest, arguments: Mapping[str, Any], stall: float) -> Any:
    """The response that a stream comes to, with the usage that its last chunk reports."""

    def open_stream() -> Any:
        return litellm.completion(**arguments, stream=True, stream_options={"include_usage": True})

    said = progress_of(request.model, request.watch)
    chunks = collected(open_stream, request.timeout + _GRACE, stall, said, request.watch)
    response = litellm.stream_chunk_builder(chunks, messages=arguments["messages"])
    if response is None:
        raise ModelAnswerError(f"{request.model} gave no answer at all", hint="try again")
    return response


def _check_settings(
    model: ModelReference, settings: Mapping[str, Any], of_the_request: frozenset[str] = _OF_THE_REQUEST
) -> None:
    """Refuse settings with which a pipeline file would send requests, or keys, elsewhere, or repeat them."""
    from litellm.types.utils import all_litellm_params

    for name in settings:
        if name in of_the_request:
            raise ModelRequestError(
                f'"{name}" is no setting of {model}: it is part of the request itself',
                hint=f'remove "{name}" from the settings and use the key of the step',
            )
        if name in _OF_THE_CLIENT or name in all_litellm_params or name.startswith(_CLIENT_PREFIXES):
            raise ModelRequestError(
                f'"{name}" is no setting of {model}: it says how litellm works, not what the model does',
                hint="addresses and keys belong to the models resource; remove the setting",
            )


def _offer(tool: ToolOffer, provider: str) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    if tool.strict and provider in _STRICT_FUNCTIONS:
        function["strict"] = True
    return {"type": "function", "function": function}


def _message(message: Message) -> dict[str, Any]:
    content = encodable(message.content)
    made: dict[str, Any] = {"role": message.role, "content": content}
    if message.images:
        made["content"] = [{"type": "text", "text": content}, *map(image_part, message.images)]
    if message.tool_calls:
        made["content"] = content or None
        made["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": encodable(call.arguments)}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        made["tool_call_id"] = message.tool_call_id
    return made


def _answer(litellm: Any, request: ModelRequest, response: Any, latency: float) -> ModelAnswer:
    """The answer in litellm's response, checked that there is one."""
    usage = _usage(litellm, request, response)
    choices = getattr(response, "choices", None) or []
    if not choices:
        raise _with_usage(ModelAnswerError(f"{request.model} gave no answer at all", hint="try again"), usage)
    message = choices[0].message
    text = encodable(message.content or "")
    finish_reason = _FINISH_REASONS.get(str(choices[0].finish_reason), "stop")
    calls = tuple(
        ToolCall(call.id or f"call_{n}", call.function.name or "", encodable(call.function.arguments or "{}"))
        for n, call in enumerate(message.tool_calls or [])
    )
    refusal = (getattr(message, "provider_specific_fields", None) or {}).get("refusal")
    if not text and not calls:
        if refusal or finish_reason == "content_filter":
            why = f": {refusal}" if refusal else ": its content filter stopped the answer"
            error = ModelRefusalError(f"{request.model} refused to answer{why}", hint="change the prompt or the model")
            raise _with_usage(error, usage)
        if finish_reason != "length":
            raise _with_usage(ModelAnswerError(f"{request.model} gave an empty answer", hint="try again"), usage)
    answered = str(response.model or request.model.name)
    for name in (request.model.provider, _LITELLM_NAMES.get(request.model.provider, "")):
        answered = answered.removeprefix(f"{name}/")
    model = ModelReference(request.model.provider, answered)
    return ModelAnswer(text, model, finish_reason, calls, usage, latency)


def _with_usage(error: ModelError, usage: Usage) -> ModelError:
    error.usage = usage
    return error


def _usage(litellm: Any, request: ModelRequest, response: Any) -> Usage:
    reported = getattr(response, "usage", None)
    input_tokens = int(getattr(reported, "prompt_tokens", 0) or 0)
    output_tokens = int(getattr(reported, "completion_tokens", 0) or 0)
    details = getattr(reported, "prompt_tokens_details", None)
    cached = int(getattr(details, "cached_tokens", 0) or 0)
    if input_tokens == 0 and output_tokens == 0:
        # Nothing reported. Zero would let a budget be overspent without a word.
        input_tokens = _estimate(str([_message(message) for message in request.messages]))
        output_tokens = _estimate("".join(str(choice.message.content or "") for choice in response.choices))
    cost = _cost(litellm, request.model, input_tokens, output_tokens, response)
    return Usage(1, input_tokens, output_tokens, cached, cost)


def _estimate(text: str) -> int:
    return math.ceil(len(text) / _CHARACTERS_PER_TOKEN)


def _cost(litellm: Any, model: ModelReference, input_tokens: int, output_tokens: int, response: Any) -> float | None:
    """US dollars by litellm's price map, None when it has no price for the model."""
    prices = _prices(litellm, model)
    if not any(prices):
        return 0.0 if prices else None
    try:
        reported = getattr(response, "usage", None)
        if getattr(reported, "prompt_tokens", 0) or getattr(reported, "completion_tokens", 0):
            return float(
                litellm.completion_cost(
                    completion_response=response, model=model.name, custom_llm_provider=model.provider
                )
            )
        prompt, completion = litellm.cost_per_token(
            model=model.name,
            prompt_tokens=input_tokens,
            completion_tokens=output_tokens,
            custom_llm_provider=model.provider,
        )
        return float(prompt + completion)
    except Exception:
        return None  # litellm raises plain Exceptions of many kinds when it cannot tell a price


def _prices(litellm: Any, model: ModelReference) -> list[float]:
    """The prices that litellm's map names for the model; empty for none. litellm itself reads a missing one as zero."""
    entry = litellm.model_cost.get(f"{model.provider}/{model.name}")
    if entry is None:
        entry = litellm.model_cost.get(model.name, {})
        if not str(entry.get("litellm_provider", "")).startswith(model.provider):
            return []  # another provider's model of the same name
    if "tiered_pricing" in entry:
        return [math.nan]  # there are prices, in steps
    names = ("input_cost_per_", "output_cost_per_")
    return [float(entry[name]) for name in entry if name.startswith(names) and isinstance(entry[name], (int, float))]
