"""The ways in which a provider fails, to be put into a script in place of an answer.

``server.then(faults.server_error(), faults.rate_limited(retry_after=2), "fine again")``
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Union

ErrorKind = Literal["key", "model", "context", "content_policy", "parameter", "rate_limit", "quota", "server"]
Break = Literal[
    "hang",
    "drip",
    "cut_before_headers",
    "cut_in_body",
    "truncated_json",
    "invalid_json",
    "wrong_content_type",
    "no_choices",
    "stall",
]


@dataclass(frozen=True)
class ErrorStatus:
    """An HTTP error in the provider's own format. ``message`` None: the words the provider uses for this kind."""

    status: int
    kind: ErrorKind
    message: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass(frozen=True)
class Broken:
    """An answer that is not one: it never comes, breaks off, or cannot be read."""

    how: Break
    delay: float = 0.0


Fault = Union[ErrorStatus, Broken]


def rate_limited(retry_after: float | str | None = None, message: str | None = None) -> ErrorStatus:
    """429. ``retry_after`` is sent as the ``Retry-After`` header as it is: seconds, or an HTTP date."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return ErrorStatus(429, "rate_limit", message, headers)


def quota_exceeded() -> ErrorStatus:
    """429 with the code for an account that has no money left."""
    return ErrorStatus(429, "quota")


def server_error(status: int = 500, message: str | None = None) -> ErrorStatus:
    """500, 502, 503 …"""
    return ErrorStatus(status, "server", message)


def expired_key(message: str | None = None) -> ErrorStatus:
    """401: the key was good once."""
    return ErrorStatus(401, "key", message)


def unknown_model(message: str | None = None) -> ErrorStatus:
    """404: no such model."""
    return ErrorStatus(404, "model", message)


def context_too_long(message: str | None = None) -> ErrorStatus:
    """400: the prompt is longer than the model's context."""
    return ErrorStatus(400, "context", message)


def bad_parameter(message: str | None = None) -> ErrorStatus:
    """400: a parameter the provider does not know or a value out of range."""
    return ErrorStatus(400, "parameter", message)


def content_policy(message: str | None = None) -> ErrorStatus:
    """400: the prompt was refused by the provider's content policy."""
    return ErrorStatus(400, "content_policy", message)


def hang() -> Broken:
    """No answer at all, until the client goes away or the server is closed."""
    return Broken("hang")


def drip() -> Broken:
    """An answer that never gets to its point: blanks, one after the other, as some providers send to stay connected."""
    return Broken("drip")


def cut_before_headers() -> Broken:
    """The connection is closed before the first byte of the answer."""
    return Broken("cut_before_headers")


def cut_in_body() -> Broken:
    """The connection is closed in the middle of the answer, or of the stream."""
    return Broken("cut_in_body")


def truncated_json() -> Broken:
    """A complete HTTP answer whose JSON ends in the middle."""
    return Broken("truncated_json")


def invalid_json() -> Broken:
    """A complete HTTP answer that says it is JSON and is not."""
    return Broken("invalid_json")


def wrong_content_type() -> Broken:
    """200 with an HTML page, as some proxies do."""
    return Broken("wrong_content_type")


def stall() -> Broken:
    """An answer, or a stream, that begins as it should and then says nothing more, while the connection stays open."""
    return Broken("stall")


def overloaded(retry_after: float | str | None = None) -> ErrorStatus:
    """529, as Anthropic says it, or 503 with another number: the provider has too much to do."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return ErrorStatus(529, "server", None, headers)


def no_choices() -> Broken:
    """200 with JSON that has no answer in it."""
    return Broken("no_choices")
