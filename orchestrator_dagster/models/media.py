"""Pictures, speech and vectors: what is asked of models besides answers in text, and what comes back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from orchestrator_dagster.errors import ModelRequestError
from orchestrator_dagster.models.client import UNWATCHED, Message, ModelReference, ModelRequest, Usage, Watch

MediaKind = Literal["image", "transcription", "speech", "embeddings"]


@dataclass(frozen=True)
class MediaRequest:
    """What is asked of a model that makes something else than text, or reads something else.

    Args:
        kind: ``image`` makes pictures from a text, ``speech`` sound; ``transcription`` gives the words of a recording,
            ``embeddings`` a vector for each text.
        model: Which one.
        texts: The prompt, the text to be spoken, or the texts to be embedded.
        audio: The recording, with its file name: providers tell the format by the suffix.
        timeout: Seconds until the call is given up.
        settings: Further settings, passed on as they are (``size``, ``quality``, ``n``, ``voice``, ``language`` …).
        watch: How the call is looked after.
    """

    kind: MediaKind
    model: ModelReference
    texts: tuple[str, ...] = ()
    audio: tuple[str, bytes] | None = field(default=None, repr=False)
    timeout: float = 300.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    watch: Watch = field(default=UNWATCHED, repr=False, compare=False)


@dataclass(frozen=True)
class MediaAnswer:
    """What came back: ``files`` of an image or speech, the ``text`` of a recording, ``vectors`` of texts."""

    model: ModelReference
    files: tuple[bytes, ...] = field(default=(), repr=False)
    text: str = ""
    vectors: tuple[tuple[float, ...], ...] = field(default=(), repr=False)
    usage: Usage = field(default_factory=Usage)
    latency: float = 0.0


@runtime_checkable
class MediaClient(Protocol):
    """A client that makes pictures, sound and vectors too. Thread-safe."""

    def make(self, request: MediaRequest) -> MediaAnswer:
        """Ask once.

        Raises:
            ModelError: As ``ModelClient.complete`` does.
        """
        ...


def maker(client: object, model: ModelReference) -> MediaClient:
    """The client, which makes pictures, sound and vectors too.

    Raises:
        ModelRequestError: It does not.
    """
    if isinstance(client, MediaClient):
        return client
    raise no_media(model)


def no_media(model: ModelReference) -> ModelRequestError:
    """The error for a model that answers in text."""
    return ModelRequestError(
        f"{model} answers in text only: it makes no images, sound or vectors",
        hint="name a model that does, for example openai:gpt-image-1",
    )


def as_question(request: MediaRequest) -> ModelRequest:
    """The request in the words of a question, for what counts, stores and limits questions."""
    asked: dict[str, Any] = {"kind": request.kind, "texts": request.texts}
    if request.audio is not None:
        asked["audio"] = [request.audio[0], hashlib.sha256(request.audio[1]).hexdigest()]
    return ModelRequest(
        request.model,
        (Message("user", json.dumps(asked)),),
        timeout=request.timeout,
        settings=request.settings,
        watch=request.watch,
    )
