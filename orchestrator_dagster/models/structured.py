"""Answers in a given structure: asked for, checked, sent back with what is wrong, at most a few times."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchestrator_dagster.errors import (
    ModelAnswerError,
    ModelAnswerTruncatedError,
    ModelError,
    ModelRefusalError,
    ModelTimeoutError,
)
from orchestrator_dagster.models.client import Message, ModelAnswer, ModelClient, ModelRequest, Usage
from orchestrator_dagster.models.references import BUILTIN, price_map

#: Gives the checked value, or the list of what is wrong with it.
Check = Callable[[Any], "tuple[Any, list[str]]"]


@dataclass(frozen=True)
class Asked:
    """What asking came to: the answer's value, the last answer, and what all calls took."""

    value: Any
    answer: ModelAnswer
    usage: Usage
    seconds: float
    repairs: int = 0


def ask_text(client: ModelClient, request: ModelRequest) -> Asked:
    """Ask once for a text.

    Raises:
        ModelAnswerTruncatedError: The answer was cut off.
        ModelRefusalError: A content filter stopped it.
        ModelAnswerError: It is empty.
    """
    started = time.monotonic()
    answer = client.complete(request)
    _check_end(answer, request, answer.usage)
    if not answer.text.strip():
        empty = ModelAnswerError(f"{answer.model} gave an empty answer")
        empty.usage = answer.usage
        raise empty
    return Asked(answer.text, answer, answer.usage, time.monotonic() - started)


def ask_structured(
    client: ModelClient, request: ModelRequest, check: Check, repair: int = 2, *, timeout: float | None = None
) -> Asked:
    """Ask for a value that fits ``request.schema``; an answer that does not is sent back with the reasons.

    Args:
        client: Who is asked.
        request: With a ``schema``. A model that cannot be held to a schema is given it in the prompt.
        check: Checks the parsed answer.
        repair: Times that a wrong answer is sent back.
        timeout: Seconds that all calls together may take, None when only each of them is bounded by the request.

    Raises:
        ModelTimeoutError: The calls together took longer than ``timeout``.
        ModelAnswerError: After all repairs it still does not fit; with what is wrong. And what :func:`ask_text` raises.
    """
    started, usage = time.monotonic(), Usage()
    assert request.schema is not None
    if not takes_schema(request):
        request = _with_schema_in_prompt(request)
    problems: list[str] = []
    for attempt in range(repair + 1):
        left = math.inf if timeout is None else started + timeout - time.monotonic()
        if timeout is not None and left <= 0:
            raise _out_of_time(request, timeout, usage)
        try:
            answer = client.complete(replace(request, timeout=min(request.timeout, left)))
        except ModelError as error:
            error.usage = usage + (error.usage or Usage(calls=1))
            if timeout is not None and left < request.timeout and isinstance(error, ModelTimeoutError):
                raise _out_of_time(request, timeout, error.usage) from None
            raise
        usage = usage + answer.usage
        _check_end(answer, request, usage)
        value, problems = _parsed(answer.text, check)
        if not problems:
            return Asked(value, answer, usage, time.monotonic() - started, attempt)
        said = "\n".join(f"- {problem}" for problem in problems)
        request = replace(
            request,
            messages=(
                *request.messages,
                Message("assistant", answer.text),
                Message(
                    "user", f"The answer does not fit:\n{said}\nAnswer again with the whole JSON object, corrected."
                ),
            ),
        )
    failed = ModelAnswerError(
        f"{request.model} did not answer in the structure asked for, after {repair} repairs: {'; '.join(problems)}",
        hint="describe the variables more exactly, or use a model that supports structured output",
    )
    failed.usage = usage
    raise failed


def _out_of_time(request: ModelRequest, timeout: float, usage: Usage) -> ModelTimeoutError:
    asked = f" in the structure asked for, after {usage.calls} calls" if usage.calls > 1 else ""
    error = ModelTimeoutError(
        f"{request.model} did not answer within {timeout:g} s{asked}", hint="raise the timeout, or ask for less"
    )
    error.usage = usage
    return error


def takes_schema(request: ModelRequest) -> bool:
    """Whether the model can be held to a JSON Schema by its provider, as far as litellm's price map says."""
    model = request.model
    if model.provider == BUILTIN:
        return True
    entry = price_map().get(model.name) or price_map().get(f"{model.provider}/{model.name}") or {}
    return bool(entry.get("supports_response_schema"))


def _with_schema_in_prompt(request: ModelRequest) -> ModelRequest:
    schema = json.dumps(request.schema, ensure_ascii=False)
    wish = f"Answer with one JSON object that fits this JSON Schema, and nothing else:\n{schema}"
    *before, last = request.messages
    return replace(request, schema=None, messages=(*before, replace(last, content=f"{last.content}\n\n{wish}")))


def _check_end(answer: ModelAnswer, request: ModelRequest, usage: Usage) -> None:
    """Refuse an answer that is not whole; ``usage`` is what all calls took until then."""
    wrong: ModelError | None = None
    if answer.finish_reason == "length":
        limit = f" at {request.max_tokens} tokens" if request.max_tokens else ""
        wrong = ModelAnswerTruncatedError(
            f"the answer of {answer.model} was cut off{limit} ({answer.usage.output_tokens} tokens)",
            hint="raise `max_tokens`, or ask for less",
        )
    if answer.finish_reason == "content_filter":
        wrong = ModelRefusalError(f"the content filter of {answer.model} stopped the answer")
    if wrong is not None:
        wrong.usage = usage
        raise wrong


def _parsed(text: str, check: Check) -> tuple[Any, list[str]]:
    fenced = re.search(r"```(?:json)?\s*\n(.*?)\n?```", text, re.DOTALL)
    try:
        value = json.loads(fenced[1] if fenced else text)
    except ValueError as error:
        return None, [f"the answer is no JSON: {error}"]
    return check(value)


def as_data(parts: Mapping[str, Any]) -> str:
    """Values as delimited blocks of a prompt: texts as they are, everything else as JSON.

    What stands in a block is material. A text cannot end its own block.
    """
    blocks = []
    for name, value in parts.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        text = re.sub(r"<(/?)data\b", r"&lt;\1data", text)
        blocks.append(f'<data name="{name}">\n{text}\n</data>')
    return "\n\n".join(blocks)
