"""What the wire formats have in common: texts and images in the parts of a message, events of a stream."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any


def items_of(value: object) -> list[Any]:
    """The list that a field should have, empty for anything else."""
    return value if isinstance(value, list) else []


def maps_of(value: object) -> list[Mapping[str, Any]]:
    """The maps in a list, without what else stands there."""
    return [one for one in items_of(value) if isinstance(one, Mapping)]


def text_of(content: object) -> str:
    """The text of a message's content, which is a text or a list of parts."""
    if isinstance(content, str):
        return content
    return "\n".join(str(part["text"]) for part in maps_of(content) if isinstance(part.get("text"), str))


def decoded(text: object) -> bytes | None:
    """The bytes of a base64 text or data URL, None for what is neither."""
    if not isinstance(text, str):
        return None
    try:
        return base64.b64decode(text.partition(";base64,")[2] or text, validate=True)
    except (binascii.Error, ValueError):
        return None


def pieces(text: str) -> Iterator[str]:
    """Words, each with the blank before it; joined they are the text again."""
    words = text.split(" ")
    yield from (word if n == 0 else f" {word}" for n, word in enumerate(words) if word or n)


def sse(data: Mapping[str, Any], event: str | None = None) -> bytes:
    """A server-sent event."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(data)}\n\n".encode()
