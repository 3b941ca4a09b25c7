"""The words for what models are and can do, in pipeline files, in ``models.yaml`` and in the catalogue alike."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: What a model can be able to do, by the word for it; the other spellings that are taken; litellm's key for it.
CAPABILITIES: Mapping[str, str] = {
    "tools": "calls functions",
    "json_schema": "is held to a JSON Schema by its provider",
    "vision": "sees images",
    "audio": "hears audio",
    "video": "sees video",
    "pdf": "reads PDF files",
    "reasoning": "thinks before it answers",
    "web_search": "searches the web by itself",
    "prompt_caching": "bills a repeated start of the prompt at a lower price",
    "parallel_tools": "calls several functions at once",
}
_OTHER_WORDS: Mapping[str, str] = {
    "tool": "tools",
    "tool_use": "tools",
    "tool_calling": "tools",
    "tool_calls": "tools",
    "function_calling": "tools",
    "functions": "tools",
    "structured_output": "json_schema",
    "structured_outputs": "json_schema",
    "response_schema": "json_schema",
    "json": "json_schema",
    "images": "vision",
    "image_input": "vision",
    "audio_input": "audio",
    "video_input": "video",
    "pdf_input": "pdf",
    "thinking": "reasoning",
    "parallel_function_calling": "parallel_tools",
}
#: What a model can be good at.
EXPERTISE: Mapping[str, str] = {
    "general": "everyday questions and texts",
    "analysis": "analysing documents and data",
    "code": "writing and reading programs",
    "creative": "stories, style, ideas",
    "fast": "short waits and small prices",
    "math": "mathematics",
    "multilingual": "many languages",
    "reasoning": "long chains of thought",
    "research": "gathering and weighing sources",
    "vision": "images",
    "writing": "longer texts",
}
_OTHER_EXPERTISE: Mapping[str, str] = {
    "coding": "code",
    "programming": "code",
    "chat": "general",
    "text": "general",
    "text_generation": "general",
    "mathematics": "math",
    "creative_writing": "creative",
    "translation": "multilingual",
    "summarization": "analysis",
    "logic": "reasoning",
    "speed": "fast",
}
_SIZE = re.compile(r"(?P<number>\d{1,6}(?:\.\d{1,6})?)\s*(?P<unit>[mbt])(?:illion)?\Z", re.IGNORECASE)
_BILLIONS = {"m": 0.001, "b": 1.0, "t": 1000.0}


def capability(word: str) -> str | None:
    """The word for a capability in its usual spelling, None when it is none.

    >>> capability("function-calling")
    'tools'
    """
    return _usual(word, CAPABILITIES, _OTHER_WORDS)


def expertise(word: str) -> str | None:
    """The word for an expertise in its usual spelling, None when it is none."""
    return _usual(word, EXPERTISE, _OTHER_EXPERTISE)


def _usual(word: str, words: Mapping[str, str], others: Mapping[str, str]) -> str | None:
    plain = re.sub(r"[\s-]+", "_", word.strip().lower())
    return plain if plain in words else others.get(plain)


def billions(size: str) -> float | None:
    """Parameters, in billions, of a size as people write it; None for what is none.

    >>> billions("70b"), billions("350M")
    (70.0, 0.35)
    """
    found = _SIZE.match(size.strip())
    return round(float(found["number"]) * _BILLIONS[found["unit"].lower()], 6) if found else None


def size_text(size: float) -> str:
    """A size in billions of parameters as people write it: ``70b``, ``350m``."""
    return f"{size:g}b" if size >= 1 else f"{size * 1000:g}m"
