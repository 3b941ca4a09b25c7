"""What a wire format must bring so that the model server can speak it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

from orchestrator_dagster.testing.faults import ErrorStatus
from orchestrator_dagster.testing.script import Answer, Request

Purpose = Literal["answer", "models", "embeddings"]


class WireError(Exception):
    """The client's request breaks the wire format; the message says how. It is answered with status 400."""


class Wire(Protocol):
    """One provider's HTTP API: which paths it has, and how a request and an answer look."""

    content_type: str
    stream_content_type: str

    def purpose(self, method: str, path: str) -> Purpose | None:
        """What a request to this path (without its query) wants, None when the path is not of this API."""
        ...

    def read(self, request: Request) -> Request:
        """The request with model, prompt, schema, tools, stream and key read from its path, headers and body."""
        ...

    def check(self, request: Request) -> None:
        """Raise :class:`WireError` when a request for an answer lacks what the provider demands."""
        ...

    def key(self, headers: Mapping[str, str], path: str) -> str | None:
        """The key that was sent."""
        ...

    def answer(self, request: Request, answer: Answer) -> Mapping[str, Any] | bytes:
        """The answer as JSON; bytes are a file (speech)."""
        ...

    def no_choices(self, request: Request) -> Mapping[str, Any]:
        """JSON of the right form with no answer in it."""
        ...

    def events(self, request: Request, answer: Answer) -> Iterator[bytes]:
        """The answer as a stream, in the pieces in which it is sent."""
        ...

    def error(self, error: ErrorStatus, request: Request) -> Mapping[str, Any]:
        """The body of an error."""
        ...

    def models(self, names: Sequence[str]) -> Mapping[str, Any]:
        """The list of models."""
        ...

    def embeddings(self, request: Request) -> Mapping[str, Any]:
        """Vectors for the request's texts, the same for the same text."""
        ...
