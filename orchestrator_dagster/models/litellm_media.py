"""Pictures, speech, transcripts and vectors through litellm."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

from orchestrator_dagster.errors import ModelAnswerError, ModelRequestError
from orchestrator_dagster.models.client import ModelReference, Usage
from orchestrator_dagster.models.media import MediaAnswer, MediaRequest

_CHARACTERS_PER_TOKEN = 4
_CALL_TYPES = {"image": "image_generation", "transcription": "transcription", "speech": "speech"}


def made(litellm: Any, request: MediaRequest, where: Mapping[str, Any]) -> MediaAnswer:
    """Ask once.

    Args:
        litellm: The module.
        request: What is asked.
        where: Address and key, as arguments of litellm's functions.

    Raises:
        ModelRequestError: The request lacks what its kind needs.
        ModelAnswerError: Nothing came.
        Exception: What litellm raises.
    """
    arguments = {
        **request.settings,
        **where,
        "model": f"{request.model.provider}/{request.model.name}",
        "timeout": request.timeout,
    }
    if request.kind == "image":
        return _image(litellm, request, arguments)
    if request.kind == "transcription":
        return _transcription(litellm, request, arguments)
    if request.kind == "speech":
        return _speech(litellm, request, arguments)
    return _embeddings(litellm, request, arguments)


def _image(litellm: Any, request: MediaRequest, arguments: dict[str, Any]) -> MediaAnswer:
    response = litellm.image_generation(prompt=_only_text(request), **arguments)
    files = []
    for one in response.data or []:
        if one.b64_json:
            files.append(base64.b64decode(one.b64_json))
        elif one.url:  # fetching what an answer points to would be a way into this network
            raise ModelAnswerError(
                f"{request.model} gave the address of an image and not the image",
                hint="set `response_format: b64_json`, or use a model that sends the image itself",
            )
    if not files:
        raise ModelAnswerError(f"{request.model} made no image", hint="try again, or change the prompt")
    return MediaAnswer(request.model, files=tuple(files), usage=_usage(litellm, request, response))


def _transcription(litellm: Any, request: MediaRequest, arguments: dict[str, Any]) -> MediaAnswer:
    if request.audio is None:
        raise ModelRequestError(f"{request.model} is given no recording", hint="give the path of an audio file")
    response = litellm.transcription(file=request.audio, **arguments)
    return MediaAnswer(request.model, text=response.text or "", usage=_usage(litellm, request, response))


def _speech(litellm: Any, request: MediaRequest, arguments: dict[str, Any]) -> MediaAnswer:
    text = _only_text(request)
    response = litellm.speech(input=text, **{"voice": "alloy", **arguments})
    data = bytes(response.content)
    if not data:
        raise ModelAnswerError(f"{request.model} said nothing", hint="try again")
    usage = Usage(1, math.ceil(len(text) / _CHARACTERS_PER_TOKEN), 0, 0, _speech_cost(litellm, request.model, text))
    return MediaAnswer(request.model, files=(data,), usage=usage)


def _embeddings(litellm: Any, request: MediaRequest, arguments: dict[str, Any]) -> MediaAnswer:
    response = litellm.embedding(input=list(request.texts), **arguments)
    items = [item if isinstance(item, dict) else item.model_dump() for item in response.data or []]
    vectors = tuple(tuple(float(number) for number in item["embedding"]) for item in items)
    if len(vectors) != len(request.texts):
        raise ModelAnswerError(f"{request.model} gave {len(vectors)} vectors for {len(request.texts)} texts")
    return MediaAnswer(request.model, vectors=vectors, usage=_usage(litellm, request, response))


def _only_text(request: MediaRequest) -> str:
    if len(request.texts) != 1 or not request.texts[0].strip():
        raise ModelRequestError(f"{request.model} is given no text", hint="say what is wanted")
    return request.texts[0]


def _usage(litellm: Any, request: MediaRequest, response: Any) -> Usage:
    """What the response says it took; tokens that are not reported are those of the texts, about."""
    reported = getattr(response, "usage", None)
    tokens_in = _number(reported, "input_tokens", "prompt_tokens")
    tokens_out = _number(reported, "output_tokens", "completion_tokens")
    if not tokens_in and not tokens_out:
        tokens_in = math.ceil(sum(map(len, request.texts)) / _CHARACTERS_PER_TOKEN)
    return Usage(1, tokens_in, tokens_out, 0, _cost(litellm, request, response))


def _number(reported: Any, *names: str) -> int:
    return next((int(found) for name in names if (found := getattr(reported, name, None))), 0)


def _cost(litellm: Any, request: MediaRequest, response: Any) -> float | None:
    """US dollars by litellm's price map, None when it has no price for the model."""
    if not _is_priced(litellm, request.model):
        return None
    try:
        cost = litellm.completion_cost(
            completion_response=response,
            model=request.model.name,
            custom_llm_provider=request.model.provider,
            call_type=_CALL_TYPES.get(request.kind, "embedding"),
            **({"size": request.settings["size"]} if "size" in request.settings else {}),
        )
    except Exception:
        return None  # litellm raises plain Exceptions of many kinds when it cannot tell a price
    return float(cost) or None  # a model with prices never costs nothing: litellm could not tell


def _speech_cost(litellm: Any, model: ModelReference, text: str) -> float | None:
    price = litellm.model_cost.get(model.name, {}).get("input_cost_per_character")
    return None if price is None else float(price) * len(text)


def _is_priced(litellm: Any, model: ModelReference) -> bool:
    entry = litellm.model_cost.get(f"{model.provider}/{model.name}") or litellm.model_cost.get(model.name) or {}
    return any("cost_per" in name for name in entry)
