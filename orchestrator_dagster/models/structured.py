"""Answers in a given structure: asked for, checked, sent back with what is wrong, at most a few times."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

from orchestrator_dagster.errors import (
    ModelAnswerError,
    ModelAnswerTruncatedError,
    ModelError,
    ModelRefusalError,
    ModelRequestError,
    ModelTimeoutError,
)
from orchestrator_dagster.frozen import thaw
from orchestrator_dagster.models.capabilities import Way, ways_of
from orchestrator_dagster.models.client import Message, ModelAnswer, ModelClient, ModelRequest, ToolOffer, Usage
from orchestrator_dagster.models.json_text import read_json
from orchestrator_dagster.models.references import BUILTIN
from orchestrator_dagster.models.strict_schema import strict_schema, without_absent

#: Gives the checked value, or the list of what is wrong with it.
Check = Callable[[Any], "tuple[Any, list[str]]"]
Log = Callable[[str], None]

ANSWER = "final_answer"
"""Name of the function whose arguments are the answer, where a structure is asked for by a call."""
_WITH_A_TOOL = "Give your answer: the arguments of this call are the answer."
#: What providers name when they refuse a request for the way in which it asks for a structure.
_REFUSED = {
    "schema": re.compile(r"schema|response.?format|structured|output.?(?:format|config)|json", re.IGNORECASE),
    "tool": re.compile(r"schema|tool|function|strict", re.IGNORECASE),
}
#: By client, so that it ends with the run or the code location that the client belongs to.
_REFUSALS: WeakKeyDictionary[ModelClient, set[tuple[str, str, Way]]] = WeakKeyDictionary()
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True)
class Asked:
    """What asking came to: the answer's value, the last answer, and what all calls took.

    ``way`` is how the structure was asked for, None for a text. The answer's text is the JSON text in every way.
    """

    value: Any
    answer: ModelAnswer
    usage: Usage
    seconds: float
    repairs: int = 0
    way: Way | None = None


class Talk:
    """The calls of one question: their usage together, and the time that they may take.

    Args:
        client: Who is asked.
        timeout: Seconds for all calls together, None when only each of them is bounded by its request.
    """

    def __init__(self, client: ModelClient, timeout: float | None = None) -> None:
        self.client, self._timeout, self._started = client, timeout, time.monotonic()
        self.usage = Usage()
        self.answers = 0

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    @property
    def left(self) -> float | None:
        """Seconds that are left, None without limit."""
        return None if self._timeout is None else self._started + self._timeout - time.monotonic()

    def ask(self, request: ModelRequest) -> ModelAnswer:
        """Ask once; the answer is whole.

        Raises:
            ModelTimeoutError: The calls together took longer than they may.
            ModelError: Its ``usage`` is that of all calls until then.
        """
        left = self.left
        if left is not None and left <= 0:
            raise self._out_of_time(request)
        try:
            answer = self.client.complete(
                request if left is None else replace(request, timeout=min(request.timeout, left))
            )
        except ModelError as error:
            self.usage += error.usage or Usage(calls=1)
            error.usage = self.usage
            if left is not None and left < request.timeout and isinstance(error, ModelTimeoutError):
                raise self._out_of_time(request) from None
            raise
        self.usage += answer.usage
        self.answers += 1
        _check_end(answer, request, self.usage)
        return _with_own_ids(answer)

    def failed(self, error: ModelError) -> ModelError:
        """The error with what all calls took."""
        error.usage = self.usage
        return error

    def _out_of_time(self, request: ModelRequest) -> ModelError:
        asked = f" in the structure asked for, after {self.usage.calls} calls" if self.usage.calls > 1 else ""
        return self.failed(
            ModelTimeoutError(
                f"{request.model} did not answer within {self._timeout:g} s{asked}",
                hint="raise the timeout, or ask for less",
            )
        )


def ask_text(client: ModelClient, request: ModelRequest) -> Asked:
    """Ask once for a text.

    Raises:
        ModelAnswerTruncatedError: The answer was cut off.
        ModelRefusalError: A content filter stopped it.
        ModelAnswerError: It is empty.
    """
    talk = Talk(client)
    answer = talk.ask(request)
    if not answer.text.strip():
        raise talk.failed(empty_answer(answer))
    return Asked(answer.text, answer, talk.usage, talk.seconds)


def empty_answer(answer: ModelAnswer) -> ModelAnswerError:
    """The error for an answer without a text."""
    if answer.tool_calls:
        called = answer.tool_calls[0].name
        return ModelAnswerError(f'{answer.model} did not answer: it called "{called}", and no tool was offered to it')
    return ModelAnswerError(f"{answer.model} gave an empty answer")


def ask_structured(
    client: ModelClient,
    request: ModelRequest,
    check: Check,
    repair: int = 2,
    *,
    timeout: float | None = None,
    log: Log = lambda line: None,
) -> Asked:
    """Ask for a value that fits ``request.schema``; an answer that does not is sent back with the reasons.

    Args:
        client: Who is asked.
        request: With a ``schema``. How the model is held to it is decided here, by what it can do.
        check: Checks the parsed answer.
        repair: Times that a wrong answer is sent back.
        timeout: Seconds that all calls together may take, None when only each of them is bounded by the request.
        log: Told when the provider refuses the structure in one way, and the next one is taken.

    Raises:
        ModelTimeoutError: The calls together took longer than ``timeout``.
        ModelAnswerError: After all repairs it still does not fit; with what is wrong. And what :func:`ask_text` raises.
    """
    talk = Talk(client, timeout)
    return in_some_way(
        ways_for(request), talk, lambda way: _ask_in_way(talk, request, check, repair, way), request, log
    )


def in_some_way(ways: Sequence[Way], talk: Talk, ask: Callable[[Way], Asked], request: ModelRequest, log: Log) -> Asked:
    """Ask in the first way; when the provider refuses the request because of it, in the next one, and say so.

    Raises:
        ModelError: As ``ask`` does.
    """
    refused = _refused_before(talk.client)
    question = (str(request.model), json.dumps(thaw(request.schema), sort_keys=True, default=str))
    for number, way in enumerate(ways):
        following, before = ways[number + 1 :], talk.answers
        if following and (*question, way) in refused:
            continue
        try:
            return ask(way)
        except ModelRequestError as error:
            if not following or talk.answers > before or not _REFUSED[way].search(error.message):
                raise
            refused.add((*question, way))
            log(f"{error.message}; the structure is asked for {said_of(following[0])}")
    raise AssertionError("there is always a way")


def _refused_before(client: ModelClient) -> set[tuple[str, str, Way]]:
    """Model, schema and way of what the provider behind a client has refused: it is not asked for again."""
    client = getattr(client, "behind", client)  # one within budgets is made for each question
    try:
        return _REFUSALS.setdefault(client, set())
    except TypeError:  # a client that cannot be a key
        return set()


def said_of(way: Way | None) -> str:
    """A way in words."""
    said = {"schema": "by the provider's JSON Schema", "tool": "by a function call", "prompt": "in the prompt"}
    return said[way] if way else "as text"


def ways_for(request: ModelRequest) -> tuple[Way, ...]:
    """How the structure can be asked for. Providers hold a model to objects only."""
    assert request.schema is not None
    ways = ways_of(request.model, request.abilities)
    return ways if request.schema.get("type") == "object" else ("prompt",)


def in_way(request: ModelRequest, way: Way) -> ModelRequest:
    """The request as it asks for its schema in this way."""
    assert request.schema is not None
    if way == "prompt":
        text = json.dumps(thaw(request.schema), ensure_ascii=False)
        wish = f"Answer with one JSON object that fits this JSON Schema, and nothing else:\n{text}"
        *before, last = request.messages
        last = replace(last, content=f"{last.content}\n\n{wish}")
        return replace(request, schema=None, messages=(*before, last))
    if request.model.provider == BUILTIN:
        return request
    strict = strict_schema(request.schema)
    schema = strict if strict is not None else thaw(request.schema)
    if way == "schema":
        return replace(request, schema=schema, strict=strict is not None)
    offer = ToolOffer(ANSWER, _WITH_A_TOOL, schema, strict is not None)
    return replace(request, schema=None, tools=(*request.tools, offer))


def _ask_in_way(talk: Talk, request: ModelRequest, check: Check, repair: int, way: Way) -> Asked:
    schema, problems = request.schema, [""]
    request = in_way(request, way)
    if way == "tool":
        request = replace(request, tool_choice=ANSWER)
    for attempt in range(repair + 1):
        answer = as_answer(talk.ask(request))
        value, problems = checked(answer.text, schema, check)
        if not problems:
            return Asked(value, replace(answer, tool_calls=()), talk.usage, talk.seconds, attempt, way)
        request = replace(request, messages=(*request.messages, *sent_back(answer, problems)))
    raise talk.failed(unfit_answer(request, repair, problems))


def unfit_answer(request: ModelRequest, repair: int, problems: Sequence[str]) -> ModelAnswerError:
    """The error for an answer that does not fit after all repairs."""
    return ModelAnswerError(
        f"{request.model} did not answer in the structure asked for, after {repair} repairs: {'; '.join(problems)}",
        hint="describe the variables more exactly, or use a model that supports structured output",
    )


def as_answer(answer: ModelAnswer) -> ModelAnswer:
    """The answer with its JSON text as text, where it is the arguments of the one call of :data:`ANSWER`."""
    calls = [call for call in answer.tool_calls if call.name == ANSWER]
    return replace(answer, text=calls[0].arguments) if len(calls) == 1 else answer


def checked(text: str, schema: Mapping[str, Any] | None, check: Check) -> tuple[Any, list[str]]:
    """The checked value of a JSON text, or what is wrong with it."""
    try:
        value = read_json(text)
    except ValueError as error:
        return None, [f"the answer is no JSON: {error}"]
    return check(without_absent(value, schema))


def sent_back(answer: ModelAnswer, problems: Sequence[str]) -> tuple[Message, ...]:
    """A wrong answer and what is wrong with it, as the conversation goes on."""
    said = "\n".join(f"- {problem}" for problem in problems)
    if not answer.tool_calls:
        again = f"The answer does not fit:\n{said}\nAnswer again with the whole JSON object, corrected."
        return Message("assistant", answer.text), Message("user", again)
    again = f"The answer does not fit:\n{said}\nCall {ANSWER} again, once, with all of its arguments, corrected."
    return (
        as_said(answer),
        *(Message("tool", again, tool_call_id=call.id) for call in answer.tool_calls),
    )


def as_said(answer: ModelAnswer) -> Message:
    """An answer with calls as it stands in the conversation, in a form that every provider takes.

    Some refuse the whole conversation for a function name or arguments that their own model has made up.
    """
    calls = tuple(
        replace(call, name=_NO_NAME.sub("_", call.name)[:64] or "_", arguments=_object_text(call.arguments))
        for call in answer.tool_calls
    )
    return Message("assistant", answer.text, calls)


def _object_text(arguments: str) -> str:
    try:
        return arguments if isinstance(json.loads(arguments), dict) else "{}"
    except (ValueError, RecursionError):
        return "{}"


def _with_own_ids(answer: ModelAnswer) -> ModelAnswer:
    """The answer with an id of its own for each call."""
    ids = [call.id for call in answer.tool_calls]
    if len(set(ids)) == len(ids):
        return answer
    return replace(
        answer, tool_calls=tuple(replace(call, id=f"{call.id}_{n}") for n, call in enumerate(answer.tool_calls))
    )


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
