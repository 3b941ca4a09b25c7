"""Pictures in prompts: what kind they are, and how they are sent."""

from __future__ import annotations

import base64
from typing import Any

from orchestrator_dagster.errors import ModelRequestError

_STARTS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def media_type(image: bytes) -> str | None:
    """The media type of a picture by its first bytes, None for what is none of those that models take.

    >>> media_type(b"GIF89a...")
    'image/gif'
    """
    for start, kind in _STARTS:
        if image.startswith(start):
            return kind
    return "image/webp" if image[:4] == b"RIFF" and image[8:12] == b"WEBP" else None


def image_part(image: bytes) -> dict[str, Any]:
    """The picture as a part of a message in OpenAI's form, which litellm translates for every provider.

    Raises:
        ModelRequestError: It is no PNG, JPEG, GIF or WebP.
    """
    kind = media_type(image)
    if kind is None:
        raise ModelRequestError(
            f"a picture of {len(image)} bytes is none that models take",
            hint="give a PNG, JPEG, GIF or WebP file",
        )
    data = base64.b64encode(image).decode("ascii")
    return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}
