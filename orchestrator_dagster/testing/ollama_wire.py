"""Ollama's API as the model server speaks it: chat (also streamed, a JSON object a line), models and embeddings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrator_dagster.testing.faults import ErrorKind, ErrorStatus
from orchestrator_dagster.testing.message_parts import decoded, items_of, maps_of, pieces, text_of
from orchestrator_dagster.testing.script import Answer, Request, tokens_of
from orchestrator_dagster.testing.vectors import vector
from orchestrator_dagster.testing.wire import Purpose, WireError

_PURPOSES: Mapping[tuple[str, str], Purpose] = {
    ("POST", "/api/chat"): "answer",
    ("GET", "/api/tags"): "models",
    ("POST", "/api/embed"): "embeddings",
}
_ERRORS: Mapping[ErrorKind, str] = {
    "key": "unauthorized",
    "model": 'model "{model}" not found, try pulling it first',
    "context": "the prompt is too long; exceeds the model's maximum context length",
    "content_policy": "the request was refused by the content policy",
    "parameter": "invalid option in the request",
    "rate_limit": "too many requests",
    "quota": "you have used up your quota",
    "server": "an error was encountered while running the model",
}
_AT = "2026-01-01T00:00:00Z"  # a fixed time keeps answers the same from run to run
_MILLISECOND = 1_000_000  # nanoseconds


class OllamaWire:
    """The wire format of ``http://localhost:11434``."""

    content_type = "application/json; charset=utf-8"
    stream_content_type = "application/x-ndjson"

    def purpose(self, method: str, path: str) -> Purpose | None:
        """By the end of the path; a client may put its own base before it."""
        found = (one for (verb, end), one in _PURPOSES.items() if method == verb and path.rstrip("/").endswith(end))
        return next(found, None)

    def key(self, headers: Mapping[str, str], path: str) -> str | None:
        """The bearer token, which a proxy before the server may ask for."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        return key.strip() if scheme.lower() == "bearer" and key.strip() else None

    def read(self, request: Request) -> Request:
        """The request with what its body says."""
        key, body = self.key(request.headers, request.path), request.body
        if not isinstance(body, dict):
            return replace(request, key=key)
        messages = maps_of(body.get("messages"))
        texts = [(str(message.get("role")), text_of(message.get("content"))) for message in messages]
        images = [decoded(image) for message in messages for image in items_of(message.get("images"))]
        form = body.get("format")
        tools = [tool.get("function") or {} for tool in maps_of(body.get("tools"))]
        return replace(
            request,
            key=key,
            model=str(body.get("model", "")),
            prompt=next((text for role, text in reversed(texts) if role == "user"), ""),
            text="\n".join(text for _, text in texts),
            schema=form if isinstance(form, Mapping) else None,
            tools=tuple(str(tool.get("name")) for tool in tools),
            stream=body.get("stream", True) is not False,
            images=tuple(image for image in images if image),
        )

    def check(self, request: Request) -> None:
        """Refuse a request without ``model``."""
        if not isinstance(request.body, dict):
            raise WireError("invalid request: the body is not a JSON object")
        if not request.model:
            raise WireError("model is required")

    def answer(self, request: Request, answer: Answer) -> Mapping[str, Any]:
        """One object with the whole message."""
        message: dict[str, Any] = {"role": "assistant", "content": _text(answer)}
        if answer.tool_calls:
            message["tool_calls"] = _calls(answer)
        return {**_line(request, answer, message), **_end(request, answer)}

    def no_choices(self, request: Request) -> Mapping[str, Any]:
        """An object whose message is empty."""
        return {**_line(request, Answer(), {"role": "assistant", "content": ""}), "done": True, "done_reason": "stop"}

    def events(self, request: Request, answer: Answer) -> Iterator[bytes]:
        """A line for each word, one for the calls, and the last one with the reason of the end and the usage."""

        def line(message: Mapping[str, Any], **more: Any) -> bytes:
            return json.dumps({**_line(request, answer, message), **more}).encode() + b"\n"

        for piece in pieces(_text(answer)):
            yield line({"role": "assistant", "content": piece})
        if answer.tool_calls:
            yield line({"role": "assistant", "content": "", "tool_calls": _calls(answer)})
        yield line({"role": "assistant", "content": ""}, **_end(request, answer))

    def error(self, error: ErrorStatus, request: Request) -> Mapping[str, Any]:
        """``{"error": message}``."""
        return {"error": _ERRORS[error.kind].format(model=request.model) if error.message is None else error.message}

    def models(self, names: Sequence[str]) -> Mapping[str, Any]:
        """The list of models."""
        return {"models": [{"name": name, "model": name, "size": 1, "details": {}} for name in names]}

    def embeddings(self, request: Request) -> Mapping[str, Any]:
        """Unit vectors made from a hash of each text."""
        body = request.body if isinstance(request.body, dict) else {}
        given = body.get("input")
        texts = [given] if isinstance(given, str) else [str(text) for text in items_of(given)]
        if not texts:
            raise WireError("input is required")
        words = sum(len(text.split()) for text in texts)
        return {"model": request.model, "embeddings": [vector(text) for text in texts], "prompt_eval_count": words}


def _text(answer: Answer) -> str:
    return answer.text if answer.text is not None else answer.refusal or ""


def _calls(answer: Answer) -> list[dict[str, Any]]:
    return [{"function": {"name": call.name, "arguments": call.value}} for call in answer.tool_calls]


def _line(request: Request, answer: Answer, message: Mapping[str, Any]) -> dict[str, Any]:
    return {"model": answer.model or request.model, "created_at": _AT, "message": dict(message), "done": False}


def _end(request: Request, answer: Answer) -> dict[str, Any]:
    reason = "length" if answer.finish_reason == "length" else "stop"
    if answer.finish_reason == "content_filter":
        reason = "content_filter"  # Ollama has no filter; servers that speak as it does may have one
    end: dict[str, Any] = {"done": True, "done_reason": reason, "total_duration": _MILLISECOND}
    tokens = tokens_of(answer, request)
    return end if tokens is None else {**end, "prompt_eval_count": tokens.input, "eval_count": tokens.output}
