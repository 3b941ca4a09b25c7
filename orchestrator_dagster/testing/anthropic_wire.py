"""Anthropic's API as the model server speaks it: messages, also streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrator_dagster.testing.faults import ErrorKind, ErrorStatus
from orchestrator_dagster.testing.message_parts import decoded, maps_of, pieces, sse, text_of
from orchestrator_dagster.testing.script import Answer, Request, tokens_of
from orchestrator_dagster.testing.wire import Purpose, WireError

# kind → (type, message), in the form and with the types that api.anthropic.com uses.
_ERRORS: Mapping[ErrorKind, tuple[str, str]] = {
    "key": ("authentication_error", "invalid x-api-key"),
    "model": ("not_found_error", "model: {model}"),
    "context": ("invalid_request_error", "prompt is too long: 250000 tokens > 200000 maximum"),
    "content_policy": ("invalid_request_error", "Output blocked by content filtering policy"),
    "parameter": ("invalid_request_error", "A parameter of the request is not supported."),
    "rate_limit": ("rate_limit_error", "This request would exceed your rate limit for {model}."),
    "quota": ("invalid_request_error", "Your credit balance is too low to access the API. This quota is used up."),
    "server": ("api_error", "Internal server error"),
}
_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
#: litellm asks for structure by a tool of this name where the model has no structured output of its own.
_JSON_TOOL = "json_tool_call"


class AnthropicWire:
    """The wire format of ``https://api.anthropic.com``."""

    content_type = "application/json"
    stream_content_type = "text/event-stream; charset=utf-8"

    def purpose(self, method: str, path: str) -> Purpose | None:
        """An answer at any path that ends in ``/v1/messages``; a client may put its own base before it."""
        return "answer" if method == "POST" and path.rstrip("/").endswith("/v1/messages") else None

    def key(self, headers: Mapping[str, str], path: str) -> str | None:
        """The header ``x-api-key``, or the bearer token that litellm sends to other addresses than Anthropic's."""
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        return headers.get("x-api-key") or (bearer.strip() if scheme.lower() == "bearer" else None) or None

    def read(self, request: Request) -> Request:
        """The request with what its body says."""
        key, body = self.key(request.headers, request.path), request.body
        if not isinstance(body, dict):
            return replace(request, key=key)
        texts = [("system", text_of(body.get("system")))]
        images: list[bytes] = []
        for message in maps_of(body.get("messages")):
            content = message.get("content")
            texts.append((str(message.get("role")), text_of(content)))
            for part in maps_of(content):
                if part.get("type") == "tool_result":
                    texts.append(("tool", text_of(part.get("content"))))
                image = decoded(part["source"].get("data")) if part.get("type") == "image" else None
                images += [image] if image else []
        tools = {str(tool.get("name")): tool for tool in maps_of(body.get("tools"))}
        return replace(
            request,
            key=key,
            model=str(body.get("model", "")),
            prompt=next((text for role, text in reversed(texts) if role == "user" and text), ""),
            text="\n".join(text for _, text in texts),
            schema=_schema(body, tools),
            tools=tuple(name for name in tools if name != _JSON_TOOL),
            stream=body.get("stream") is True,
            images=tuple(images),
        )

    def check(self, request: Request) -> None:
        """Refuse a request without ``model``, ``messages`` or ``max_tokens``."""
        if not isinstance(request.body, dict):
            raise WireError("The body of the request is not a JSON object.")
        for name in ("model", "messages", "max_tokens"):
            if not request.body.get(name):
                raise WireError(f"{name}: Field required")
        roles = {str(message.get("role")) for message in maps_of(request.body["messages"])}
        if roles - {"user", "assistant"}:
            raise WireError('messages: the role must be "user" or "assistant"')

    def answer(self, request: Request, answer: Answer) -> Mapping[str, Any]:
        """A ``message``."""
        stop = _stop_reason(request, answer)
        return {**_message(request, answer), "content": _content(request, answer), "stop_reason": stop}

    def no_choices(self, request: Request) -> Mapping[str, Any]:
        """A ``message`` without content."""
        return {**_message(request, Answer(text="")), "content": [], "stop_reason": "end_turn"}

    def events(self, request: Request, answer: Answer) -> Iterator[bytes]:
        """``message_start``, the content's blocks in pieces, ``message_delta`` with the usage, ``message_stop``."""
        begun = {**_message(request, answer), "content": [], "stop_reason": None}
        usage = begun.get("usage")
        if usage:
            begun["usage"] = {**usage, "output_tokens": 1}
        yield _event("message_start", message=begun)
        for n, block in enumerate(_content(request, answer)):
            if block["type"] == "text":
                yield _event("content_block_start", index=n, content_block={"type": "text", "text": ""})
                deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
            else:
                yield _event("content_block_start", index=n, content_block={**block, "input": {}})
                said = json.dumps(block["input"])
                halves = (said[: len(said) // 2], said[len(said) // 2 :])
                deltas = [{"type": "input_json_delta", "partial_json": half} for half in halves]
            for delta in deltas:
                yield _event("content_block_delta", index=n, delta=delta)
            yield _event("content_block_stop", index=n)
        end: dict[str, Any] = {"delta": {"stop_reason": _stop_reason(request, answer), "stop_sequence": None}}
        if usage:
            end["usage"] = {"output_tokens": usage["output_tokens"]}
        yield _event("message_delta", **end)
        yield _event("message_stop")

    def error(self, error: ErrorStatus, request: Request) -> Mapping[str, Any]:
        """``{"type": "error", "error": {"type", "message"}}``."""
        kind, message = _ERRORS[error.kind]
        if error.status == 529:
            kind, message = "overloaded_error", "Overloaded"
        text = message.format(model=request.model) if error.message is None else error.message
        return {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_test"}

    def models(self, names: Sequence[str]) -> Mapping[str, Any]:
        """The list of models."""
        return {"data": [{"type": "model", "id": name, "display_name": name} for name in names], "has_more": False}

    def embeddings(self, request: Request) -> Mapping[str, Any]:
        """This API has none."""
        raise WireError("There are no embeddings at this address.")


def _schema(body: Mapping[str, Any], tools: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The schema asked for, in either of the ways in which it is asked."""
    form = body.get("output_format") or (body.get("output_config") or {}).get("format")
    found = form.get("schema") if isinstance(form, Mapping) else None
    if found is None and _JSON_TOOL in tools:
        found = tools[_JSON_TOOL].get("input_schema")
    return found if isinstance(found, Mapping) else None


def _content(request: Request, answer: Answer) -> list[dict[str, Any]]:
    text = answer.text if answer.text is not None else answer.refusal
    blocks: list[dict[str, Any]] = []
    tool = _json_tool(request, answer)
    if tool is not None:
        blocks.append({"type": "tool_use", "id": "toolu_json", "name": _JSON_TOOL, "input": tool})
    elif text:
        blocks.append({"type": "text", "text": text})
    for n, call in enumerate(answer.tool_calls):
        blocks.append({"type": "tool_use", "id": call.id or f"toolu_{n}", "name": call.name, "input": call.value})
    return blocks


def _json_tool(request: Request, answer: Answer) -> Any:
    """The answer as the input of the tool that the client asks structure with, None where it is no JSON object."""
    offered = request.body.get("tools") if isinstance(request.body, dict) else None
    if answer.text is None or all(tool.get("name") != _JSON_TOOL for tool in maps_of(offered)):
        return None
    try:
        value = json.loads(answer.text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _stop_reason(request: Request, answer: Answer) -> str:
    if answer.refusal is not None and answer.finish_reason is None:
        return "refusal"
    if answer.finish_reason is None and (answer.tool_calls or _json_tool(request, answer) is not None):
        return "tool_use"
    return _STOP_REASONS[answer.finish_reason or "stop"]


def _message(request: Request, answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"id": "msg_test", "type": "message", "role": "assistant", "stop_sequence": None}
    message["model"] = answer.model or request.model
    tokens = tokens_of(answer, request)
    if tokens is None:
        return {**message, "usage": {"input_tokens": 0, "output_tokens": 0}}
    message["usage"] = {
        "input_tokens": tokens.input - tokens.cached,  # this API counts cached tokens apart
        "cache_read_input_tokens": tokens.cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": tokens.output,
    }
    return message


def _event(kind: str, **fields: Any) -> bytes:
    return sse({"type": kind, **fields}, kind)
