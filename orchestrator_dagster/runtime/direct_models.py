"""Models for code that is no step: nothing is stored, what was asked is counted in the reply alone."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from orchestrator_dagster.errors import ModelRequestError
from orchestrator_dagster.language.json_schema import schema_problems
from orchestrator_dagster.models.client import Message, ModelReference, ModelRequest, Watch
from orchestrator_dagster.models.media import MediaKind, MediaRequest, maker
from orchestrator_dagster.models.references import parse_reference
from orchestrator_dagster.models.run_clients import Clients, timeout_of
from orchestrator_dagster.models.structured import ask_structured, ask_text
from orchestrator_dagster.models.user_models import UserModels
from orchestrator_dagster.tools.model_access import MediaReply, ModelReply

_REPAIRS = 2
_LEAST_SECONDS = 300.0  # a picture takes minutes


class DirectModels:
    """A :class:`~orchestrator_dagster.tools.model_access.ModelAccess` without a step. Thread-safe.

    Args:
        clients: Who reaches the models.
        own: The models of ``models.yaml``.
    """

    def __init__(self, clients: Clients, own: UserModels = MappingProxyType({})) -> None:
        self._clients, self._own = clients, own

    def ask(
        self,
        prompt: str,
        *,
        system: str | None = None,
        model: str | None = None,
        schema: Mapping[str, Any] | None = None,
        images: Sequence[bytes] = (),
        temperature: float | None = None,
        max_tokens: int | None = None,
        timeout: float | None = None,
    ) -> ModelReply:
        """Ask once; an answer that does not fit the schema is sent back with what is wrong, twice at most.

        Args:
            timeout: Seconds for all of it, None for each call's own. The others: see :meth:`ModelAccess.ask`.

        Raises:
            ModelError: What went wrong; ``permanent`` says whether a retry can help.
        """
        reference = self._reference(model)
        messages = (Message("user", prompt, images=tuple(images)),)
        request = ModelRequest(
            reference,
            messages if system is None else (Message("system", system), *messages),
            schema=schema,
            temperature=temperature,
            max_tokens=max_tokens,
            timeout=timeout or timeout_of(self._clients, reference),
            watch=Watch(deadline=None if timeout is None else time.monotonic() + timeout),
        )
        client = self._clients.client(reference)
        if schema is None:
            asked = ask_text(client, request)
        else:
            asked = ask_structured(
                client, request, lambda value: (value, schema_problems(schema, value)), _REPAIRS, timeout=timeout
            )
        value = None if schema is None else asked.value
        return ModelReply(asked.answer.text, value, str(asked.answer.model), asked.usage.tokens, asked.usage.cost)

    def image(
        self, prompt: str, *, model: str | None = None, count: int = 1, settings: Mapping[str, Any] | None = None
    ) -> MediaReply:
        """Pictures from a text; see :meth:`ModelAccess.image`."""
        more = {**({"n": count} if count != 1 else {}), **(settings or {})}
        return self._make(MediaRequest("image", self._reference(model), (prompt,), settings=more))

    def transcribe(
        self, name: str, audio: bytes, *, model: str | None = None, settings: Mapping[str, Any] | None = None
    ) -> MediaReply:
        """The words of a recording; see :meth:`ModelAccess.transcribe`."""
        reference = self._reference(model)
        return self._make(MediaRequest("transcription", reference, audio=(name, audio), settings=settings or {}))

    def speak(self, text: str, *, model: str | None = None, settings: Mapping[str, Any] | None = None) -> MediaReply:
        """A text as speech; see :meth:`ModelAccess.speak`."""
        return self._texts("speech", (text,), model, settings)

    def embed(
        self, texts: Sequence[str], *, model: str | None = None, settings: Mapping[str, Any] | None = None
    ) -> MediaReply:
        """A vector for each text; see :meth:`ModelAccess.embed`."""
        return self._texts("embeddings", tuple(texts), model, settings)

    def _texts(
        self, kind: MediaKind, texts: tuple[str, ...], model: str | None, settings: Mapping[str, Any] | None
    ) -> MediaReply:
        return self._make(MediaRequest(kind, self._reference(model), texts, settings=settings or {}))

    def _reference(self, model: str | None) -> ModelReference:
        if model is None:
            raise ModelRequestError("no model is named", hint='give `model`, for example model="openai:gpt-5"')
        return parse_reference(model, self._own)

    def _make(self, request: MediaRequest) -> MediaReply:
        client = maker(self._clients.client(request.model), request.model)
        seconds = max(timeout_of(self._clients, request.model), _LEAST_SECONDS)
        answer = client.make(replace(request, timeout=seconds))
        return MediaReply(
            answer.files, answer.text, answer.vectors, str(answer.model), answer.usage.tokens, answer.usage.cost
        )
