"""OpenAI's API as the model server speaks it: chat completions (also streamed), models, embeddings, images, audio."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrator_dagster.testing.faults import ErrorKind, ErrorStatus
from orchestrator_dagster.testing.message_parts import decoded, items_of, maps_of, pieces, sse, text_of
from orchestrator_dagster.testing.openai_media import MEDIA, check_media, media_answer, read_media
from orchestrator_dagster.testing.script import Answer, Request, ToolUse, tokens_of
from orchestrator_dagster.testing.vectors import as_base64, vector
from orchestrator_dagster.testing.wire import Purpose, WireError

_PURPOSES: Mapping[tuple[str, str], Purpose] = {
    ("POST", "/v1/chat/completions"): "answer",
    ("GET", "/v1/models"): "models",
    ("POST", "/v1/embeddings"): "embeddings",
    **dict.fromkeys((("POST", path) for path in MEDIA), "answer"),
}
# kind → (type, code, message), in the form and with the codes that api.openai.com uses.
_ERRORS: Mapping[ErrorKind, tuple[str, str | None, str]] = {
    "key": ("invalid_request_error", "invalid_api_key", "The API key has expired. Create a new one."),
    "model": ("invalid_request_error", "model_not_found", "The model `{model}` does not exist or is not yours to use."),
    "context": (
        "invalid_request_error",
        "context_length_exceeded",
        "This model's maximum context length is 8192 tokens. Your messages are longer than that.",
    ),
    "content_policy": (
        "invalid_request_error",
        "content_policy_violation",
        "The request was refused because its content is not allowed.",
    ),
    "parameter": ("invalid_request_error", "unsupported_parameter", "Unsupported parameter in the request."),
    "rate_limit": ("requests", "rate_limit_exceeded", "Rate limit reached for `{model}`. Slow down."),
    "quota": ("insufficient_quota", "insufficient_quota", "You exceeded your current quota; check your plan."),
    "server": ("server_error", None, "The server had an error while it processed the request."),
}
_CREATED = 1_700_000_000  # a fixed time keeps answers the same from run to run
_EMBEDDING_SIZE = 8


class OpenAIWire:
    """The wire format of ``https://api.openai.com/v1``, which many other providers and local servers share."""

    content_type = "application/json"
    stream_content_type = "text/event-stream; charset=utf-8"

    def purpose(self, method: str, path: str) -> Purpose | None:
        """What a request to this path wants, None when the path is not of this API."""
        return _PURPOSES.get((method, path.rstrip("/")))

    def key(self, headers: Mapping[str, str], path: str) -> str | None:
        """The bearer token."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        return key.strip() if scheme.lower() == "bearer" and key.strip() else None

    def read(self, request: Request) -> Request:
        """The request with what its body says."""
        key = self.key(request.headers, request.path)
        body = request.body
        if not isinstance(body, dict):
            return replace(request, key=key)
        if request.path.partition("?")[0].rstrip("/") in MEDIA:
            return replace(read_media(request), key=key)
        messages = maps_of(body.get("messages"))
        texts = [(str(message.get("role")), text_of(message.get("content"))) for message in messages]
        urls = [part.get("image_url") for message in messages for part in maps_of(message.get("content"))]
        images = [decoded(url.get("url") if isinstance(url, dict) else url) for url in urls if url]
        form = body.get("response_format")
        schema = form.get("json_schema", {}).get("schema") if isinstance(form, dict) else None
        tools = [tool.get("function", {}) for tool in maps_of(body.get("tools"))]
        return replace(
            request,
            key=key,
            model=str(body.get("model", "")),
            prompt=next((text for role, text in reversed(texts) if role == "user"), ""),
            text="\n".join(text for _, text in texts),
            schema=schema if isinstance(schema, dict) else None,
            tools=tuple(str(tool.get("name")) for tool in tools),
            stream=body.get("stream") is True,
            images=tuple(image for image in images if image),
        )

    def check(self, request: Request) -> None:
        """Refuse a request without ``model`` or ``messages``."""
        if not isinstance(request.body, dict):
            raise WireError("The body of the request is not a JSON object.")
        if not request.model:
            raise WireError("You must provide a model parameter.")
        if request.path.partition("?")[0].rstrip("/") in MEDIA:
            check_media(request)
        elif not items_of(request.body.get("messages")):
            raise WireError("You must provide messages: a list with at least one message.")

    def answer(self, request: Request, answer: Answer) -> Mapping[str, Any] | bytes:
        """A ``chat.completion``, or what the paths for images and audio give."""
        if request.path.partition("?")[0].rstrip("/") in MEDIA:
            return media_answer(request, answer)
        message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": answer.refusal}
        if answer.tool_calls:
            message["tool_calls"] = [_tool_call(call, n) for n, call in enumerate(answer.tool_calls)]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(answer)}
        return self._completion(request, answer, [choice])

    def no_choices(self, request: Request) -> Mapping[str, Any]:
        """A ``chat.completion`` whose list of choices is empty."""
        return self._completion(request, Answer(text=""), [])

    def events(self, request: Request, answer: Answer) -> Iterator[bytes]:
        """Server-sent events: one a word or tool call, then the finish reason, the usage if asked for, ``[DONE]``."""
        base = {"id": "chatcmpl-test", "object": "chat.completion.chunk", "created": _CREATED}
        base["model"] = answer.model or request.model

        def event(delta: Mapping[str, Any], finish_reason: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
            return sse({**base, "choices": [choice]})

        yield event({"role": "assistant", "content": ""})
        for piece in pieces(answer.text or ""):
            yield event({"content": piece})
        if answer.refusal is not None:
            yield event({"refusal": answer.refusal})
        for n, call in enumerate(answer.tool_calls):
            yield event({"tool_calls": [{"index": n, **_tool_call(call, n)}]})
        yield event({}, _finish_reason(answer))
        options = request.body.get("stream_options") or {}
        usage = _usage(request, answer)
        if options.get("include_usage") and usage is not None:
            yield sse({**base, "choices": [], "usage": usage})
        yield b"data: [DONE]\n\n"

    def error(self, error: ErrorStatus, request: Request) -> Mapping[str, Any]:
        """``{"error": {"message", "type", "param", "code"}}``."""
        kind, code, message = _ERRORS[error.kind]
        text = message.format(model=request.model) if error.message is None else error.message
        return {"error": {"message": text, "type": kind, "param": None, "code": code}}

    def models(self, names: Sequence[str]) -> Mapping[str, Any]:
        """The list of models."""
        data = [{"id": name, "object": "model", "created": _CREATED, "owned_by": "test"} for name in names]
        return {"object": "list", "data": data}

    def embeddings(self, request: Request) -> Mapping[str, Any]:
        """Unit vectors made from a hash of each text, as floats or, where asked for, as base64 of 32-bit floats."""
        body = request.body if isinstance(request.body, dict) else {}
        given = body.get("input")
        texts = [given] if isinstance(given, str) else [str(text) for text in items_of(given)]
        if not texts:
            raise WireError("You must provide input: a text or a list of texts.")
        size = int(body.get("dimensions") or _EMBEDDING_SIZE)
        vectors = [vector(text, size) for text in texts]
        in_base64 = body.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "index": n, "embedding": as_base64(one) if in_base64 else one}
            for n, one in enumerate(vectors)
        ]
        words = sum(len(text.split()) for text in texts)
        usage = {"prompt_tokens": words, "total_tokens": words}
        return {"object": "list", "data": data, "model": request.model, "usage": usage}

    def _completion(self, request: Request, answer: Answer, choices: list[dict[str, Any]]) -> Mapping[str, Any]:
        body: dict[str, Any] = {"id": "chatcmpl-test", "object": "chat.completion", "created": _CREATED}
        body["model"] = answer.model or request.model
        body["choices"] = choices
        body["service_tier"] = "default"
        usage = _usage(request, answer)
        return body if usage is None else {**body, "usage": usage}


def _finish_reason(answer: Answer) -> str:
    return answer.finish_reason or ("tool_calls" if answer.tool_calls else "stop")


def _tool_call(call: ToolUse, n: int) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments_text}
    return {"id": call.id or f"call_{n}", "type": "function", "function": function}


def _usage(request: Request, answer: Answer) -> Mapping[str, Any] | None:
    tokens = tokens_of(answer, request)
    if tokens is None:
        return None
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cached},
    }
