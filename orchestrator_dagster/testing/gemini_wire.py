"""Google's Gemini API as the model server speaks it: generateContent, also streamed, and embeddings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from orchestrator_dagster.testing.faults import ErrorKind, ErrorStatus
from orchestrator_dagster.testing.message_parts import decoded, maps_of, pieces, sse
from orchestrator_dagster.testing.script import Answer, Request, tokens_of
from orchestrator_dagster.testing.vectors import vector
from orchestrator_dagster.testing.wire import Purpose, WireError

_PATH = re.compile(r"/models/(?P<model>[^/:]+(?:/[^/:]+)*):(?P<verb>\w+)/?\Z")
_PURPOSES: Mapping[str, Purpose] = {
    "generateContent": "answer",
    "streamGenerateContent": "answer",
    "embedContent": "embeddings",
    "batchEmbedContents": "embeddings",
}
# kind → (status, message), in the form and with the words that generativelanguage.googleapis.com uses.
_ERRORS: Mapping[ErrorKind, tuple[str, str]] = {
    "key": ("INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    "model": ("NOT_FOUND", "models/{model} is not found for API version v1beta."),
    "context": ("INVALID_ARGUMENT", "The input token count (2000000) exceeds the maximum number of tokens allowed."),
    "content_policy": ("INVALID_ARGUMENT", "The prompt was blocked by the content policy (safety)."),
    "parameter": ("INVALID_ARGUMENT", "Invalid JSON payload received. Unknown name in the request."),
    "rate_limit": ("RESOURCE_EXHAUSTED", "Resource has been exhausted (too many requests for {model})."),
    "quota": ("RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details."),
    "server": ("INTERNAL", "An internal error has occurred. Please retry."),
}
_FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}


class GeminiWire:
    """The wire format of ``https://generativelanguage.googleapis.com/v1beta``."""

    content_type = "application/json; charset=UTF-8"
    stream_content_type = "text/event-stream"

    def purpose(self, method: str, path: str) -> Purpose | None:
        """By the verb at the end of ``…/models/NAME:generateContent``."""
        found = _PATH.search(path)
        return _PURPOSES.get(found["verb"]) if found and method == "POST" else None

    def key(self, headers: Mapping[str, str], path: str) -> str | None:
        """The header ``x-goog-api-key``, or ``key`` in the query."""
        return headers.get("x-goog-api-key") or next(iter(parse_qs(urlsplit(path).query).get("key", [])), None)

    def read(self, request: Request) -> Request:
        """The request with what its path and body say."""
        key, body = self.key(request.headers, request.path), request.body
        found = _PATH.search(request.path.partition("?")[0])
        model = unquote(found["model"]) if found else ""
        stream = found is not None and found["verb"].startswith("stream")
        if not isinstance(body, dict):
            return replace(request, key=key, model=model, stream=stream)
        system = _field(body, "systemInstruction", "system_instruction") or {}
        texts, images = [("system", _text(system))], []
        for content in maps_of(body.get("contents")):
            texts.append((str(content.get("role") or "user"), _text(content)))
            for part in maps_of(content.get("parts")):
                blob = _field(part, "inlineData", "inline_data")
                image = decoded(blob.get("data")) if isinstance(blob, Mapping) else None
                images += [image] if image else []
        settings = _field(body, "generationConfig", "generation_config") or {}
        schema = _field(settings, "responseJsonSchema", "response_json_schema")
        schema = schema or _field(settings, "responseSchema", "response_schema")
        tools = [
            str(function.get("name"))
            for tool in maps_of(body.get("tools"))
            for function in maps_of(_field(tool, "functionDeclarations", "function_declarations"))
        ]
        return replace(
            request,
            key=key,
            model=model,
            prompt=next((text for role, text in reversed(texts) if role == "user" and text), ""),
            text="\n".join(text for _, text in texts),
            schema=_json_schema(schema) if isinstance(schema, Mapping) else None,
            tools=tuple(tools),
            stream=stream,
            images=tuple(images),
        )

    def check(self, request: Request) -> None:
        """Refuse a request without ``contents``."""
        if not isinstance(request.body, dict):
            raise WireError("The body of the request is not a JSON object.")
        if not maps_of(request.body.get("contents")):
            raise WireError("* GenerateContentRequest.contents: contents is not specified")

    def answer(self, request: Request, answer: Answer) -> Mapping[str, Any]:
        """A ``GenerateContentResponse``."""
        return _response(request, answer, _parts(answer), finish=True)

    def no_choices(self, request: Request) -> Mapping[str, Any]:
        """A response without candidates."""
        return {"candidates": [], "modelVersion": request.model}

    def events(self, request: Request, answer: Answer) -> Iterator[bytes]:
        """A response for each word or call; the last has the reason of the end and the usage."""
        parts = _parts(answer)
        for part in parts:
            if "text" in part:
                for piece in pieces(part["text"]):
                    yield sse(_response(request, answer, [{"text": piece}], finish=False))
            else:
                yield sse(_response(request, answer, [part], finish=False))
        yield sse(_response(request, answer, [{"text": ""}], finish=True))

    def error(self, error: ErrorStatus, request: Request) -> Mapping[str, Any]:
        """``{"error": {"code", "message", "status"}}``."""
        status, message = _ERRORS[error.kind]
        text = message.format(model=request.model) if error.message is None else error.message
        return {"error": {"code": error.status, "message": text, "status": status}}

    def models(self, names: Sequence[str]) -> Mapping[str, Any]:
        """The list of models."""
        return {"models": [{"name": f"models/{name}"} for name in names]}

    def embeddings(self, request: Request) -> Mapping[str, Any]:
        """Unit vectors made from a hash of each text."""
        body = request.body if isinstance(request.body, dict) else {}
        single = "requests" not in body
        asked = [body] if single else maps_of(body["requests"])
        texts = [_text(one.get("content") or {}) for one in asked]
        if not texts:
            raise WireError("* BatchEmbedContentsRequest.requests: at least one request is required")
        made = [{"values": vector(text, int(asked[0].get("outputDimensionality") or 8))} for text in texts]
        return {"embedding": made[0]} if single else {"embeddings": made}


def _field(body: Mapping[str, Any], name: str, other: str) -> Any:
    """A field in either of the two spellings that the API takes."""
    return body.get(name, body.get(other))


def _text(content: Mapping[str, Any]) -> str:
    said = []
    for part in maps_of(content.get("parts")):
        result = _field(part, "functionResponse", "function_response")
        if isinstance(part.get("text"), str):
            said.append(part["text"])
        elif isinstance(result, Mapping):
            said.append(str(result.get("response")))
    return "\n".join(said)


def _json_schema(schema: Any) -> Any:
    """A schema of this API (types in capitals, ``nullable``) as JSON Schema."""
    if isinstance(schema, list):
        return [_json_schema(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = {name: _json_schema(value) for name, value in schema.items() if name not in ("nullable", "propertyOrdering")}
    if isinstance(made.get("type"), str):
        made["type"] = made["type"].lower()
    return made


def _parts(answer: Answer) -> list[dict[str, Any]]:
    text = answer.text if answer.text is not None else answer.refusal
    parts: list[dict[str, Any]] = [{"text": text}] if text else []
    return [*parts, *({"functionCall": {"name": call.name, "args": call.value}} for call in answer.tool_calls)]


def _response(request: Request, answer: Answer, parts: list[dict[str, Any]], *, finish: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    response: dict[str, Any] = {"candidates": [candidate], "modelVersion": answer.model or request.model}
    response["responseId"] = "test"
    if not finish:
        return response
    refused = answer.refusal is not None and answer.finish_reason is None
    candidate["finishReason"] = "SAFETY" if refused else _FINISH[answer.finish_reason or "stop"]
    tokens = tokens_of(answer, request)
    if tokens is not None:
        response["usageMetadata"] = {
            "promptTokenCount": tokens.input,
            "cachedContentTokenCount": tokens.cached,
            "candidatesTokenCount": tokens.output,
            "totalTokenCount": tokens.input + tokens.output,
        }
    return response
