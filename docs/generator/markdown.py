"""Markdown, written so that a cell is one line and a pipe stays a pipe."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any


def cell(text: str) -> str:
    """A text as it can stand in a cell of a table. What looks like an HTML tag is code, else no page would show it."""
    text = re.sub(r"(?<!`)<(/?\w+)>(?!`)", r"`<\1>`", text)
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; nothing when it has no rows."""
    lines = [f"| {' | '.join(map(cell, row))} |" for row in rows]
    if not lines:
        return ""
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *lines])


def code(text: str, language: str = "") -> str:
    """A fenced block."""
    return f"```{language}\n{text.rstrip()}\n```"


def value(found: Any) -> str:
    """A value as it would be written in a pipeline file."""
    return f"`{json.dumps(found, ensure_ascii=False, default=list)}`"


def prose(text: str) -> str:
    """A docstring as Markdown: double backticks become single ones, a sentence ends with a full stop."""
    plain = re.sub(r"\s+", " ", text.replace("``", "`")).strip()
    return plain if not plain or plain.endswith((".", "…", "!", "?", ":", "`")) else f"{plain}."


def join(parts: Iterable[str]) -> str:
    """Paragraphs, an empty line between them, one line end at the end."""
    return "\n\n".join(part for part in parts if part) + "\n"
