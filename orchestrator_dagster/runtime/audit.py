"""The record of calls: every call of a model or a tool, with who made it, what it was given, and how it ended.

Where the entries go is not known here: :class:`~orchestrator_dagster.runtime.services.Services` has the function that
takes them. Secrets are taken out and long texts are cut before it sees them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from orchestrator_dagster.errors import ModelError, OrchestratorError
from orchestrator_dagster.models.client import ModelAnswer, ModelClient, ModelRequest, Usage
from orchestrator_dagster.models.media import MediaAnswer, MediaRequest, as_question, maker

if TYPE_CHECKING:
    from orchestrator_dagster.runtime.services import Services

#: The longest text, in characters, that an entry has of an argument or a prompt.
LONGEST = 500
#: Items of a list above which its size is estimated.
_MANY = 1000
_MOST_ARGUMENTS = 50


@dataclass
class ToolCallEntry:
    """A tool call under way; its ``result`` is set when it is there, so that its size is on the record."""

    result: Any = None


@contextmanager
def audited_tool(
    services: Services, tool: str, action: str | None, arguments: Mapping[str, Any], by: str | None = None
) -> Iterator[ToolCallEntry]:
    """Put one tool call on the record, also one that fails.

    Args:
        services: Of the step that makes it.
        tool: The tool.
        action: Its operation.
        arguments: What it is given.
        by: ``model`` where the step's model asked for the call; None for the step itself.

    Example::

        with audited_tool(services, "web", "search", {"query": "trees"}, by="model") as call:
            call.result = action.call(context, arguments)
    """
    call, started = ToolCallEntry(), time.monotonic()
    error: BaseException | None = None
    try:
        yield call
    except BaseException as raised:
        error = raised
        raise
    finally:
        _enter(
            services,
            started,
            error,
            {
                "kind": "tool",
                "tool": tool,
                "action": action,
                "by": by,
                "arguments": _arguments(arguments),
                "result_bytes": None if error else size_of(call.result),
            },
        )


class AuditedClient:
    """Another client, whose calls are put on the record.

    Args:
        client: The client.
        services: Of the step that asks.
    """

    def __init__(self, client: ModelClient, services: Services) -> None:
        self._client, self._services = client, services

    def complete(self, request: ModelRequest) -> ModelAnswer:
        """Ask once.

        Raises:
            ModelError: As the other client does.
        """
        started = time.monotonic()
        answer: ModelAnswer | None = None
        error: BaseException | None = None
        try:
            answer = self._client.complete(request)
            return answer
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._enter(request, answer, error, started)

    def make(self, request: MediaRequest) -> MediaAnswer:
        """The same for pictures, sound and vectors."""
        started = time.monotonic()
        answer: ModelAnswer | None = None
        error: BaseException | None = None
        try:
            made = maker(self._client, request.model).make(request)
            answer = ModelAnswer(made.text, made.model, usage=made.usage)
            return made
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._enter(as_question(request), answer, error, started)

    def _enter(
        self, request: ModelRequest, answer: ModelAnswer | None, error: BaseException | None, started: float
    ) -> None:
        usage = answer.usage if answer else (error.usage if isinstance(error, ModelError) else None) or Usage(calls=1)
        if isinstance(error, ModelError) and error.usage is not None and not error.usage.calls:
            return  # refused before it was made
        last = request.messages[-1].content if request.messages else ""
        arguments: dict[str, Any] = {"prompt": _cut(last), "messages": len(request.messages)}
        arguments |= {
            name: value
            for name, value in (
                ("temperature", request.temperature),
                ("max_tokens", request.max_tokens),
                ("tools", [tool.name for tool in request.tools] or None),
                ("schema", True if request.schema is not None else None),
            )
            if value is not None
        }
        _enter(
            self._services,
            started,
            error,
            {
                "kind": "model",
                "model": str(request.model),
                "answered": str(answer.model) if answer else None,
                "arguments": arguments,
                "tool_calls": [call.name for call in answer.tool_calls] if answer and answer.tool_calls else None,
                "result_bytes": size_of(answer.text) if answer else None,
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cached_tokens": usage.cached_tokens,
                "cost": usage.cost,
            },
        )


def size_of(value: Any) -> int | None:
    """Bytes of a result: of a text or bytes as they are, of everything else as JSON; None where it is no JSON.

    Of a list of many items a hundred are looked at: writing all of them once more costs what the tool may have cost.
    """
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, list) and len(value) > _MANY:
        some = size_of(value[:: len(value) // 100])
        return None if some is None else some * len(value) // len(value[:: len(value) // 100])
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str, skipkeys=True)
    except (ValueError, RecursionError):  # what is wrong with it is said where it is kept
        return None
    return len(text.encode("utf-8", "replace"))


def _enter(services: Services, started: float, error: BaseException | None, what: Mapping[str, Any]) -> None:
    """Hand an entry over: what is in every one, and what is known of this one."""
    entry: dict[str, Any] = {
        "at": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "step": services.occurrence,
        **{name: value for name, value in what.items() if value is not None or name in ("cost", "action")},
        "seconds": round(time.monotonic() - started, 3),
        "ok": error is None,
    }
    if error is not None:
        message = error.message if isinstance(error, OrchestratorError) else str(error)
        entry["error"] = {"type": type(error).__name__, "message": _cut(message)}
    services.audit(services.redactor.value(entry))


def _arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for the record: short values as they are, long ones cut."""
    found: dict[str, Any] = {}
    for name, value in list(arguments.items())[:_MOST_ARGUMENTS]:
        if value is None or isinstance(value, (bool, int, float)):
            found[str(name)] = value
        else:
            found[str(name)] = _cut(value) if isinstance(value, str) else _json_cut(value)
    return found


def _json_cut(value: Any) -> str:
    """The beginning of a value's JSON: no more of it is made than is kept."""
    text = ""
    try:
        for part in json.JSONEncoder(ensure_ascii=False, default=str, skipkeys=True).iterencode(value):
            text += part
            if len(text) > LONGEST:
                return f"{text[:LONGEST]}…"
    except (ValueError, RecursionError):
        return f"{text[:LONGEST]}… (no JSON)"
    return text


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"
