"""Pictures, speech, transcripts and vectors for the tools of a step: counted and served again like answers in text."""

from __future__ import annotations

import base64
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledStep
from orchestrator_dagster.errors import ModelRequestError
from orchestrator_dagster.models.client import ModelAnswer, ModelClient, ModelRequest, Usage
from orchestrator_dagster.models.media import MediaAnswer, MediaClient, MediaKind, MediaRequest, as_question, no_media
from orchestrator_dagster.models.references import BUILTIN
from orchestrator_dagster.models.structured import Asked
from orchestrator_dagster.runtime.outcome import UsageInfo
from orchestrator_dagster.runtime.question import Ask
from orchestrator_dagster.runtime.services import Services
from orchestrator_dagster.tools.model_access import MediaReply

_EXAMPLES: Mapping[MediaKind, str] = {
    "image": "openai:gpt-image-1",
    "transcription": "openai:whisper-1",
    "speech": "openai:gpt-4o-mini-tts",
    "embeddings": "openai:text-embedding-3-small",
}
_LEAST_SECONDS = 300.0  # a picture takes minutes; a step's own timeout is shorter where somebody wants it


class MediaAsking(ABC):
    """The part of a step's models that makes pictures, sound and vectors."""

    _step: CompiledStep
    _services: Services
    _timeout: float | None

    @abstractmethod
    def _put(self, request: ModelRequest, ask: Ask) -> tuple[Asked, UsageInfo]:
        """Ask, or take the answer from the store."""

    @abstractmethod
    def _named_model(self) -> str | None:
        """The model that the step itself names, as rendered; a pipeline's default answers in text."""

    @abstractmethod
    def _bounded(self, request: ModelRequest) -> ModelRequest:
        """The request with the time that it may take."""

    def image(
        self, prompt: str, *, model: str | None = None, count: int = 1, settings: Mapping[str, Any] | None = None
    ) -> MediaReply:
        """Pictures from a text; see :meth:`ModelAccess.image`."""
        return self._make("image", (prompt,), None, model, {**({"n": count} if count != 1 else {}), **(settings or {})})

    def transcribe(
        self, name: str, audio: bytes, *, model: str | None = None, settings: Mapping[str, Any] | None = None
    ) -> MediaReply:
        """The words of a recording; see :meth:`ModelAccess.transcribe`."""
        return self._make("transcription", (), (name, audio), model, settings or {})

    def speak(self, text: str, *, model: str | None = None, settings: Mapping[str, Any] | None = None) -> MediaReply:
        """A text as speech; see :meth:`ModelAccess.speak`."""
        return self._make("speech", (text,), None, model, settings or {})

    def embed(
        self, texts: Sequence[str], *, model: str | None = None, settings: Mapping[str, Any] | None = None
    ) -> MediaReply:
        """A vector for each text; see :meth:`ModelAccess.embed`."""
        return self._make("embeddings", tuple(texts), None, model, settings or {})

    def _make(
        self,
        kind: MediaKind,
        texts: tuple[str, ...],
        audio: tuple[str, bytes] | None,
        model: str | None,
        settings: Mapping[str, Any],
    ) -> MediaReply:
        name = model or self._named_model()
        if name is None:
            raise ModelRequestError(
                f'nothing names the model that "{self._step.tool}" is to ask; the default one answers in text',
                hint=f"set `model` at the step, for example {_EXAMPLES[kind]}",
            )
        request = MediaRequest(kind, self._services.known_models.parse(name), texts, audio, settings=settings)
        if request.model.provider == BUILTIN:
            raise no_media(request.model)
        question = self._bounded(as_question(request))
        seconds = question.timeout if self._timeout is not None else max(question.timeout, _LEAST_SECONDS)
        request = replace(request, timeout=seconds, watch=question.watch)
        asked, usage = self._put(question, lambda client: _ask(client, request, question))
        answer: MediaAnswer = asked.value
        return MediaReply(answer.files, answer.text, answer.vectors, str(answer.model), usage.tokens, usage.cost)


def _ask(client: ModelClient, request: MediaRequest, question: ModelRequest) -> Asked:
    """Ask a client; the store, in the place of one, has the answer as text."""
    if isinstance(client, MediaClient):
        answer = client.make(request)
        said = ModelAnswer(_text(answer), answer.model, usage=answer.usage, latency=answer.latency)
        return Asked(answer, said, answer.usage, answer.latency)
    stored = client.complete(question)
    found = json.loads(stored.text)
    answer = MediaAnswer(
        stored.model,
        tuple(base64.b64decode(one) for one in found["files"]),
        found["text"],
        tuple(map(tuple, found["vectors"])),
    )
    return Asked(answer, stored, Usage(), 0.0)


def _text(answer: MediaAnswer) -> str:
    files = [base64.b64encode(one).decode("ascii") for one in answer.files]
    return json.dumps({"files": files, "text": answer.text, "vectors": answer.vectors})
