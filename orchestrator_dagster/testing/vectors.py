"""Embeddings of the model server: unit vectors made from a hash, the same for the same text."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from collections.abc import Sequence


def vector(text: str, size: int = 8) -> list[float]:
    """The unit vector of a text."""
    raw = hashlib.shake_256(text.encode()).digest(4 * size)
    values = [number / 2**31 for number in struct.unpack(f"<{size}i", raw)]
    length = math.sqrt(sum(value * value for value in values)) or 1.0
    return [value / length for value in values]


def as_base64(values: Sequence[float]) -> str:
    """A vector as base64 of 32-bit floats, as OpenAI's API sends it on demand."""
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
