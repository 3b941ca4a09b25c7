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
    position = 0
    while found := _START.search(text, position):
        start, opening = found.start(), found[0]
        if opening == "{#":
            end = text.find("#}", start + 2)
            position = end + 2 if end >= 0 else len(text)
            continue
        raw = _RAW.match(text, start) if opening == "{%" else None
        if raw:
            ended = _RAW_END.search(text, raw.end())
            position = ended.end() if ended else len(text)
            continue
        end = _end(text, start + 2, opening)
        yield Region(start, end if end >= 0 else len(text), opening, end >= 0)
        position = end if end >= 0 else len(text)


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
