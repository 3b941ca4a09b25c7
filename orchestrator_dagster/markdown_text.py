"""Markdown written and read: values as Markdown, a document's headings, and its HTML.

Text of documents is data here: raw HTML in it is shown as text, links to scripts are no links, and an image is only
what the caller's ``image`` function makes of it.
"""

from __future__ import annotations

import functools
import html
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator_dagster.tables import cell_text, escape_markdown, markdown_table

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

_FENCE = re.compile(r" {0,3}(`{3,}(?!.*`)|~{3,})")
_LINE_BREAK = re.compile(r"<br ?/?>", re.IGNORECASE)


@dataclass(frozen=True)
class Heading:
    """A heading: its level (1 to 6), its text without marks, and the anchor that leads to it."""

    level: int
    text: str
    anchor: str


def one_line(text: str) -> str:
    """``text`` as one line of Markdown that shows it as it is: for headings and captions."""
    return escape_markdown(" ".join(text.split()))


def markdown_value(value: Any, max_rows: int | None = None) -> str:
    """A value as Markdown: text as it is, a list of objects as a table, other lists and maps as bullets.

    Args:
        value: A JSON value; text in it is Markdown.
        max_rows: Most rows that a table shows (see :func:`~orchestrator_dagster.tables.markdown_table`).
    """
    if isinstance(value, str):
        return close_fence(value.strip("\n").rstrip())
    if hasattr(value, "to_dict") and hasattr(value, "columns"):  # a data frame
        return markdown_table(value, max_rows=max_rows)
    if isinstance(value, Mapping):
        return "\n".join(_bullet(each, max_rows, label=str(key)) for key, each in value.items())
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        if value and all(isinstance(each, Mapping) for each in value):
            return markdown_table(value, max_rows=max_rows)
        return "\n".join(_bullet(each, max_rows) for each in value)
    return escape_markdown(cell_text(value))


def _bullet(value: Any, max_rows: int | None, label: str | None = None) -> str:
    text = markdown_value(value, max_rows)
    name = f"**{one_line(label)}:**" if label is not None else ""
    if name and ("\n" in text or isinstance(value, Mapping) or (value and isinstance(value, list | tuple))):
        body = f"{name}\n{text}" if text.startswith("- ") else f"{name}\n\n{text}"
    else:
        body = f"{name} {text}".strip()
    return "- " + body.replace("\n", "\n  ").replace("\n  \n", "\n\n")


def close_fence(text: str) -> str:
    """``text`` with a code fence that was left open closed, so that it does not swallow what comes after it."""
    opened = ""
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if found and not opened:
            opened = found.group(1)
        elif found and found.group(1).startswith(opened) and not line[found.end() :].strip():
            opened = ""
    return f"{text}\n{opened}" if opened else text


def nest_headings(text: str, below: int, title: str = "") -> str:
    """``text`` with its headings moved below a heading of level ``below``; one that only repeats ``title`` is dropped.

    Headings keep their distance to each other, down to level 6. What stands in code is left alone.
    """
    tokens = _reader().parse(text)
    lines = text.split("\n")
    found = [
        (token, inline)
        for token, inline in itertools.pairwise(tokens)
        if token.type == "heading_open" and token.level == 0 and token.map
    ]
    if found and title and found[0][0].map == tokens[0].map and _plain(found[0][1]) == " ".join(title.split()):
        start, end = found.pop(0)[0].map or (0, 0)
        lines[start:end] = [""] * (end - start)
    if not found:
        return "\n".join(lines).strip("\n")
    shift = max(0, below + 1 - min(int(token.tag[1]) for token, _ in found))
    for token, inline in reversed(found):
        start, end = token.map or (0, 0)
        marks = "#" * min(6, int(token.tag[1]) + shift)
        # An underlined heading may end with `#`, which would close one that starts with it.
        words = re.sub(r"(?<![\\#])(#+)$", r"\\\1", inline.content.replace("\n", " "))
        lines[start:end] = [f"{marks} {words}"] + [""] * (end - start - 1)
    return "\n".join(lines).strip("\n")


def tokens_of(text: str) -> list[Token]:
    """A Markdown document as markdown-it's tokens, as :func:`render` reads it: raw HTML is text."""
    return _reader().parse(text)


def headings_in(tokens: Sequence[Token]) -> list[Heading]:
    """The headings of a document that is read already (see :func:`headings`)."""
    return _headings(tokens)


def plain_text(inline: Token) -> str:
    """The text of a paragraph, heading, cell or image as a reader sees it, without marks."""
    return _plain(inline)


def headings(text: str) -> list[Heading]:
    """The headings of a Markdown document with the anchors that GitHub and :func:`render` give them."""
    return _headings(_reader().parse(text))


def word_count(text: str) -> int:
    """Words of a Markdown document as a reader sees them: without marks, links' targets and images."""
    count = 0
    for token in _reader().parse(text):
        if token.type == "inline":
            count += len(_plain(token).split())
        elif token.type in ("fence", "code_block"):
            count += len(token.content.split())
    return count


def render(text: str, image: Callable[[str, str], str] | None = None) -> str:
    """Markdown as HTML in which nothing runs.

    Args:
        text: The document. Raw HTML in it is escaped (but ``<br>``, which tables need), headings get anchors.
        image: Called with an image's address and its description, gives the HTML for it; without it an image is
            shown as its description.
    """
    reader = _reader()
    tokens = reader.parse(text)
    opens = [token for token in tokens if token.type == "heading_open"]
    for token, heading in zip(opens, _headings(tokens), strict=True):
        token.attrSet("id", heading.anchor)
    for token in tokens:
        for child in token.children or []:
            if child.type == "image":
                address, description = str(child.attrGet("src") or ""), _plain(child)
                child.type, child.children = "html_inline", None
                child.content = image(address, description) if image else html.escape(description)
    return str(reader.renderer.render(tokens, reader.options, {}))


def anchor(text: str) -> str:
    """A heading's anchor as GitHub makes it, without the number that a repeated one gets.

    >>> anchor("What's new, in 2026?")
    'whats-new-in-2026'
    """
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-") or "section"


def _headings(tokens: Sequence[Token]) -> list[Heading]:
    found: list[Heading] = []
    taken: set[str] = set()
    for token, inline in itertools.pairwise(tokens):
        if token.type == "heading_open":
            text = _plain(inline)
            name = first = anchor(text)
            number = 0
            while name in taken:
                number += 1
                name = f"{first}-{number}"
            taken.add(name)
            found.append(Heading(int(token.tag[1]), text, name))
    return found


def _plain(inline: Token) -> str:
    kinds = {"text", "code_inline", "html_inline"}
    pieces = [
        child.content if child.type in kinds else " " * child.type.endswith("break") for child in inline.children or []
    ]
    return " ".join("".join(pieces).split())


@functools.cache
def _reader() -> MarkdownIt:
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    reader.inline.ruler.before("html_inline", "line_break_tag", _line_break)
    reader.add_render_rule("table_open", lambda *_: '<div class="table">\n<table>\n')
    reader.add_render_rule("table_close", lambda *_: "</table>\n</div>\n")
    return reader


def _line_break(state: StateInline, silent: bool) -> bool:
    found = _LINE_BREAK.match(state.src, state.pos)
    if found is None:
        return False
    if not silent:
        state.push("hardbreak", "br", 0)
    state.pos = found.end()
    return True
