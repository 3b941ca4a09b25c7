"""From what litellm, the openai package and httpx raise to the errors of this package."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from orchestrator_dagster.errors import (
    ModelAnswerError,
    ModelError,
    ModelKeyError,
    ModelRateLimitError,
    ModelRefusalError,
    ModelRequestError,
    ModelStalledError,
    ModelTimeoutError,
    ModelUnreachableError,
    UnknownModelError,
)
from orchestrator_dagster.models.client import ModelReference, Usage
from orchestrator_dagster.models.provider_keys import key_variables, public_url
from orchestrator_dagster.retry_after import retry_after
from orchestrator_dagster.text import nearest

_LONGEST = 600  # characters of a provider's own words that are passed on
_LOCAL = frozenset(("ollama", "ollama_chat", "hosted_vllm", "lm_studio", "llamafile", "vllm", "docker_model_runner"))
# litellm and the openai package put their own names before the provider's words, some of them twice.
_PREFIXES = re.compile(r"^(?:(?:litellm\.)?\w*(?:Error|Exception|Timeout)\s*(?::|-|\u2013)\s*)+")

# … and behind it what Python objects they read it into.
_OBJECTS = re.compile(r", Received response - <.*", re.DOTALL)


def translated(error: Exception, model: ModelReference, base_url: str | None, timeout: float) -> ModelError:
    """The error of this package that says what ``error`` means.

    litellm names most failures by the words in the answer and hides the rest behind made-up statuses, so what really
    happened is read from the chain of causes: a transport error, else the status of a real HTTP answer.

    Args:
        error: What ``litellm.completion`` raised.
        model: The model that was asked.
        base_url: Where, None for the provider's own address.
        timeout: Seconds after which the call was given up.
    """
    import httpx
    import litellm.exceptions
    import openai

    chain = list(_chain(error))
    response = _response(chain)
    words = _words(error, response)
    transport = next((link for link in chain if isinstance(link, httpx.TransportError)), None)
    if response is None and isinstance(
        transport, (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol)
    ):
        return unreachable(model, _address(transport, base_url), str(transport))
    if response is None and (
        isinstance(error, litellm.exceptions.Timeout) or isinstance(transport, httpx.TimeoutException)
    ):
        return timed_out(model, timeout)
    if response is None and transport is not None:
        return ModelError(
            f"the connection to {model} was cut before the answer was complete: {transport}",
            hint="try again; if it stays so, look at the provider's status page",
        )
    if "LLM Provider NOT provided" in str(error):
        known = [str(getattr(provider, "value", provider)) for provider in litellm.provider_list]
        return UnknownModelError(
            f'litellm knows no provider "{model.provider}"{nearest(model.provider, known)}',
            hint="write provider:name, for example openai:gpt-5",
        )
    if any(type(link) is openai.OpenAIError and "api_key" in str(link) for link in chain):
        return ModelKeyError(f"there is no key for {model}: {words}", hint="set the variable that the message names")
    status = response.status_code if response is not None else int(getattr(error, "status_code", 0) or 0)
    return _by_status(error, model, status, words, response)


def _by_status(error: Exception, model: ModelReference, status: int, words: str, response: Any) -> ModelError:
    from litellm.exceptions import AuthenticationError, ContentPolicyViolationError, ContextWindowExceededError

    said = f"{status}: {words}" if response is not None else words
    if isinstance(error, ContentPolicyViolationError):
        return ModelRefusalError(
            f"the content filter of {model} refused the request ({said})", hint="change the prompt or the model"
        )
    if isinstance(error, ContextWindowExceededError):
        return ModelRequestError(
            f"the prompt is too long for {model} ({said})",
            hint="shorten what the step puts into its prompt, or take a model with a longer context",
        )
    if status in (401, 403) or (response is None and isinstance(error, AuthenticationError)):
        return refused_key(model, said)
    if status == 404:
        return UnknownModelError(
            f"{model.provider} does not serve the model {model.name} ({said})",
            hint="check the model's name with the provider, and the base URL if you set one",
        )
    if status == 429:
        return _rate_limit(model, said, response)
    if response is not None and status == 408:
        return ModelTimeoutError(f"{model} gave up waiting ({said})", hint="try again")
    if 400 <= status < 500:
        return ModelRequestError(
            f"{model} refused the request ({said})", hint="change or remove the setting that the message names"
        )
    if response is not None and status >= 500:
        failed = ModelError(f"{model} failed ({said})", hint="try again later, or look at the provider's status page")
        failed.retry_after = retry_after(response.headers)
        return failed
    return ModelAnswerError(
        f"what {model} answered cannot be read: {words}",
        hint="check that the base URL is that of a model API; a proxy may have answered in its place",
    )


def _rate_limit(model: ModelReference, said: str, response: Any) -> ModelRateLimitError:
    seconds = retry_after(response.headers) if response is not None else None
    if "insufficient_quota" in said or "quota" in said.lower():
        hint = f"check the plan and the balance of your account at {model.provider}"
    else:
        hint = "ask for fewer calls at once (max_parallel), or wait"
    wait = "" if seconds is None else f"; it asks to wait {seconds:g} s"
    error = ModelRateLimitError(f"{model} has had too many requests ({said}){wait}", retry_after=seconds, hint=hint)
    error.out_of_quota = "insufficient_quota" in _code(response) or "insufficient_quota" in said
    return error


def _code(response: Any) -> str:
    """The code in the body of OpenAI's errors."""
    import httpx

    try:
        body = response.json() if response is not None else None
    except (ValueError, httpx.StreamError):
        return ""
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("code") or error.get("type") or "") if isinstance(error, dict) else ""


def unreachable(model: ModelReference, address: str, reason: str) -> ModelUnreachableError:
    """No connection to where the model is."""
    hint = "check the base URL and the network"
    if model.provider in _LOCAL:
        hint = f"start the {model.provider.removesuffix('_chat')} server, or set the base URL at which it runs"
    return ModelUnreachableError(f"{model} cannot be reached at {address}: {reason or 'no connection'}", hint=hint)


def timed_out(model: ModelReference, timeout: float) -> ModelTimeoutError:
    """No answer within the time."""
    return ModelTimeoutError(f"{model} did not answer within {timeout:g} s", hint="raise the timeout, or ask for less")


def stalled(model: ModelReference, seconds: float, tokens: int) -> ModelStalledError:
    """A stream that goes on no more."""
    return ModelStalledError(
        f"the answer of {model} stalled: nothing came for {seconds:g} s, after about {tokens} tokens",
        hint="try again; raise `stall` of the models resource for a model that thinks longer between two words",
    )


def refused_key(model: ModelReference, said: str) -> ModelKeyError:
    """A key that the provider does not take."""
    variables = key_variables(model.provider)
    where = f"in {variables[0]}" if variables else "in the provider's settings"
    return ModelKeyError(f"{model.provider} refused the key for {model} ({said})", hint=f"put a valid key {where}")


def missing_key(model: ModelReference, variables: tuple[str, ...]) -> ModelKeyError:
    """A key that is neither given nor in the environment."""
    either = " or ".join(variables)
    error = ModelKeyError(
        f"there is no key for {model}: {either} is not set in the environment",
        hint=f"set {variables[0]}, or give the key in the models resource",
    )
    error.usage = Usage()  # it is no call
    return error


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _response(chain: list[BaseException]) -> Any:
    """The HTTP answer that really came, with an error status; None when there was none.

    litellm's own exceptions carry made-up answers, so only those of the two HTTP clients count.
    """
    import httpx
    import openai

    for link in chain:
        own = type(link).__module__.startswith("litellm")
        if isinstance(link, httpx.HTTPStatusError) or (isinstance(link, openai.APIStatusError) and not own):
            return link.response
    return None


def _words(error: Exception, response: Any) -> str:
    """What the provider said, else what litellm said, in one line."""
    text = _said_by_provider(response)
    if text is None:
        text = _PREFIXES.sub("", str(getattr(error, "message", None) or error))
        text = _OBJECTS.sub("", text).partition("Traceback (most recent call last)")[0]
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def _said_by_provider(response: Any) -> str | None:
    """The message in the body of an error, in the forms in which providers send it."""
    import httpx

    if response is None:
        return None
    try:
        body = response.json()
    except (ValueError, httpx.StreamError):
        return None  # no JSON, or not read: litellm's words must do
    if isinstance(body, list) and body:
        body = body[0]
    for key in ("error", "message", "detail"):
        found = body.get(key) if isinstance(body, dict) else None
        if isinstance(found, dict):
            found = found.get("message")
        if isinstance(found, str) and found:
            return found
    return None


def _address(transport: Any, base_url: str | None) -> str:
    if base_url is not None:
        return public_url(base_url)
    try:
        return public_url(str(transport.request.url.copy_with(raw_path=b"/")))
    except RuntimeError:  # the error was raised before there was a request
        return "its usual address"
