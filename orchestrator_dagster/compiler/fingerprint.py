"""Fingerprints: what changes when, and only when, what is done changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

#: Raised when the meaning of the language changes, so that what was computed before counts as changed.
LANGUAGE_VERSION = 1

#: Fields of a step that are only for people.
PROSE = frozenset(("name", "metadata", "tags"))


def digest(value: Any) -> str:
    """SHA-256, in hex, of a JSON value in one fixed spelling."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def step_version(own: Mapping[str, Any], header: Mapping[str, Any], before: Mapping[str, str]) -> str:
    """The code version of a step: of what it does, the header's defaults it uses, and the steps it depends on.

    Args:
        own: The step as written, without :data:`PROSE`, with the texts of what it includes.
        header: The header's settings that reach it (models, personality, inputs).
        before: Code version of each step it depends on.

    Returns:
        16 hex digits.
    """
    return digest([LANGUAGE_VERSION, own, header, before])[:16]


def pipeline_fingerprint(text: str, includes: Mapping[str, str]) -> str:
    """SHA-256, in hex, of a pipeline file's text and all that it includes."""
    return digest([LANGUAGE_VERSION, text, includes])
