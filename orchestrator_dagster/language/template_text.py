"""Where the code of a template stands in its text, found without Jinja: braces, strings, comments, raw parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_START = re.compile(r"\{\{|\{%|\{#")
_RAW = re.compile(r"\{%[-+]?\s*raw\s*[-+]?%\}")
_RAW_END = re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}")
_TOKEN = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[([{)\]}]""", re.DOTALL)


@dataclass(frozen=True)
class Region:
    """One ``{{ … }}`` or ``{% … %}``: its place in the text, and which of the two it is. An open one ends the text."""

    start: int
    end: int
    opening: str
    closed: bool = True


def code_regions(text: str) -> Iterator[Region]:
    """Every part of a template that is code, in order. Comments and raw parts are none."""
    return (one for one in _regions(text) if one.opening in ("{{", "{%"))


def code_spans(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and kind (``{{``, ``{%``, ``{#``, ``raw``) of everything in a template that is no plain text."""
    return ((one.start, one.end, one.opening) for one in _regions(text))


def parts_of(text: str) -> Iterator[tuple[str, str]]:
    """A template cut into its parts, in order: ``text``, ``{{``, ``{%``, ``{#`` or ``raw``, each with its text."""
    position = 0
    for region in _regions(text):
        if region.start > position:
            yield "text", text[position : region.start]
        yield region.opening, text[region.start : region.end]
        position = region.end
    if position < len(text):
        yield "text", text[position:]


def _regions(text: str) -> Iterator[Region]:
    position = 0
    while found := _START.search(text, position):
        start, opening = found.start(), found[0]
        if opening == "{#":
            closing = text.find("#}", start + 2)
            end = closing + 2 if closing >= 0 else -1
        elif opening == "{%" and (raw := _RAW.match(text, start)):
            opening, ended = "raw", _RAW_END.search(text, raw.end())
            end = ended.end() if ended else -1
        else:
            end = _end(text, start + 2, opening)
        position = end if end >= 0 else len(text)
        yield Region(start, position, opening, end >= 0)


def _end(text: str, start: int, opening: str) -> int:
    """Index behind the ``}}`` or ``%}`` that closes what opened before ``start``, -1 when nothing does."""
    depth = 0
    for found in _TOKEN.finditer(text, start):
        sign, at = found[0], found.start()
        if sign in "([{":
            depth += 1
        elif sign in ")]}":
            if depth == 0 and opening == "{{" and text.startswith("}}", at):
                return at + 2
            if depth == 0 and opening == "{%" and sign == "}" and at > start and text[at - 1] == "%":
                return at + 1
            depth = max(0, depth - 1)
    return -1


def has_template(value: Any) -> bool:
    """Whether a text has something that is rendered: ``{{``, ``{%``, ``{#``, ``<<`` or ``<AUTO``."""
    return isinstance(value, str) and (
        "{{" in value or "{%" in value or "{#" in value or "<<" in value or "<AUTO" in value
    )


def whole_expression(value: Any) -> str | None:
    """The expression when a text is one whole ``{{ expression }}``, else None.

    >>> whole_expression(" {{ a.b }} "), whole_expression("{{ a }} and {{ b }}")
    (' a.b ', None)
    """
    if not isinstance(value, str) or "{{" not in value:
        return None
    text = value.strip()
    if not text.startswith("{{"):
        return None
    first = next(code_regions(text))
    if not first.closed or first.end != len(text):
        return None
    inside = text[2:-2]
    inside = inside[1:] if inside[:1] in ("-", "+") else inside
    return inside[:-1] if inside[-1:] == "-" else inside
