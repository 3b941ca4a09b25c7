"""Markdown as what ReportLab puts on pages: paragraphs, lists, tables, code and images."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from orchestrator_dagster.markdown_text import headings_in, plain_text
from orchestrator_dagster.tools.pdf.letters import EXTRA, MONO, TOOL, Letters, is_asian
from orchestrator_dagster.tools.pdf.pages import ACCENT, LINE, SOFT, Layout, Styles
from orchestrator_dagster.tools.pdf.tables import table
from orchestrator_dagster.tools.tool import require

if TYPE_CHECKING:
    from markdown_it.token import Token

_LINK = re.compile(r"(https?|mailto):", re.IGNORECASE)
#: What gives the picture at an address as (data, width, height in pixels), or None when it cannot be shown.
FindImage = Callable[[str], "tuple[bytes, int, int] | None"]


class Story:
    """Makes the flowables of one document."""

    def __init__(self, letters: Letters, styles: Styles, layout: Layout, image: FindImage) -> None:
        self.letters, self.styles, self.layout, self.image = letters, styles, layout, image
        self._platypus = require("reportlab.platypus", EXTRA, TOOL)
        self.notes: list[str] = []
        self._anchors: set[str] = set()
        self._entries: list[Any] = []
        self._level = -1
        self._depth = 0.0

    def of(self, tokens: Sequence[Token]) -> list[Any]:
        """Everything in a Markdown document."""
        self._entries = headings_in(tokens)
        self._anchors = {entry.anchor for entry in self._entries}
        return self._blocks(tokens, self.styles.body)

    def _blocks(self, tokens: Sequence[Token], style: Any) -> list[Any]:
        made: list[Any] = []
        place = 0
        while place < len(tokens):
            token = tokens[place]
            end = _end(tokens, place)
            inner = tokens[place + 1 : end]
            if token.type == "heading_open":
                made.append(self._heading(token, inner[0]))
            elif token.type == "paragraph_open":
                made += self._paragraph(inner[0], style)
            elif token.type in ("bullet_list_open", "ordered_list_open"):
                made += self._list(token, inner, style)
            elif token.type == "blockquote_open":
                made += self._indented(self._blocks(inner, self.styles.quiet), self.layout.size)
            elif token.type in ("fence", "code_block"):
                made.append(self._code(token.content))
            elif token.type == "table_open":
                made += self._table(inner)
            elif token.type == "hr":
                made.append(self._platypus.HRFlowable(width="100%", color=LINE, spaceBefore=4, spaceAfter=10))
            place = end + 1
        return self._together(made)

    def _together(self, blocks: list[Any]) -> list[Any]:
        """The blocks with a page's end before each heading that would stand alone at the foot of a page.

        ReportLab's own way would move a long table or paragraph to the next page with its heading.
        """
        made: list[Any] = []
        for place, block in enumerate(blocks):
            if _is_heading(block) and not (made and place and _is_heading(blocks[place - 1])):
                room = 0.0
                for follows in blocks[place:]:
                    if not _is_heading(follows):
                        height = getattr(follows, "drawHeight", None)  # of an image
                        room += height if height is not None else self.layout.size * 6
                        break
                    room += follows.style.leading * 1.3 + follows.style.spaceBefore + follows.style.spaceAfter
                made.append(self._platypus.CondPageBreak(min(room, self.layout.tall)))
            made.append(block)
        return made

    def paragraph(self, markup: str, style: Any, text: str = "", **more: Any) -> Any:
        """One paragraph; East Asian text may break between any two letters."""
        if is_asian(text) and style.wordWrap != "CJK":
            style = self.styles.but(f"{style.name}-cjk", style, wordWrap="CJK")
        return self._platypus.Paragraph(markup, style, **more)

    def _heading(self, token: Token, inline: Token) -> Any:
        entry = self._entries.pop(0)
        level = int(token.tag[1])
        style = self.styles.headings[level - 1]
        made = self.paragraph(f'<a name="{entry.anchor}"/><b>{self.inline(inline)}</b>', style, entry.text)
        # An outline may go down by one level at a time only.
        self._level = min(max(0, level - 2), self._level + 1)
        made.outline_entry = (self._level, entry.text, self.letters.markup(entry.text), f"section-{len(self._entries)}")
        return made

    def _paragraph(self, inline: Token, style: Any) -> list[Any]:
        children = inline.children or []
        solid = [
            one for one in children if not one.type.endswith("break") and (one.content.strip() or one.type != "text")
        ]
        if solid and all(one.type == "image" for one in solid):
            return [flowable for one in solid for flowable in self._image(one)]
        return [self.paragraph(self.inline(inline), style, plain_text(inline))]

    def _image(self, token: Token) -> list[Any]:
        found = self.image(str(token.attrGet("src") or ""))
        described = plain_text(token)
        if found is None:
            return [self.paragraph(f"<i>[{self.letters.markup(described or 'image')}]</i>", self.styles.quiet)]
        data, width, height = found
        room, tall = self.layout.room - self._depth, self.layout.tall * 0.8
        # A pixel of a picture is taken as half a point: charts have twice the pixels of a page's.
        scale = min(1.0 * room / width, tall / height, 0.6)
        made = self._platypus.Image(io.BytesIO(data), width * scale, height * scale, hAlign="LEFT")
        made.spaceAfter = self.layout.size * 0.5
        return [made]

    def _list(self, token: Token, inner: Sequence[Token], style: Any) -> list[Any]:
        made: list[Any] = []
        number = int(token.attrGet("start") or 1)
        place = 0
        step = self.layout.size * 1.7
        self._depth += step
        while place < len(inner):
            end = _end(inner, place)
            bullet = f"{number}." if token.type.startswith("ordered") else "•"
            made += self._item(inner[place + 1 : end], bullet, style)
            number, place = number + 1, end + 1
        self._depth -= step
        made = [self._platypus.Indenter(left=step), *made, self._platypus.Indenter(left=-step)]
        return [*made, self._platypus.Spacer(1, self.layout.size * 0.35)] if self._depth < 1 else made

    def _item(self, tokens: Sequence[Token], bullet: str, style: Any) -> list[Any]:
        item = self.styles.item
        if style is not self.styles.body:
            item = self.styles.but("item-quiet", item, textColor=style.textColor)
        blocks = self._blocks(tokens, item)
        first = tokens[1] if tokens and tokens[0].type == "paragraph_open" else None
        if first is not None and blocks and isinstance(blocks[0], self._platypus.Paragraph):
            markup = self.inline(first)
            blocks[0] = self.paragraph(markup, item, plain_text(first), bulletText=bullet)
        else:
            blocks.insert(0, self.paragraph("", item, bulletText=bullet))
        return blocks

    def _indented(self, flowables: list[Any], by: float) -> list[Any]:
        return [self._platypus.Indenter(left=by), *flowables, self._platypus.Indenter(left=-by)]

    def _code(self, content: str) -> Any:
        style = self.styles.code
        most = max(10, int((self.layout.room - self._depth - 24) / (style.fontSize * 0.602)))
        lines = []
        for line in content.rstrip("\n").expandtabs(4).split("\n"):
            lines += [line[start : start + most] for start in range(0, len(line), most)] or [""]
        shown = [self.letters.markup(line.replace(" ", "\u00a0") or "\u00a0", mono=True) for line in lines]
        return self._platypus.Paragraph("<br/>".join(shown), style)

    def _table(self, tokens: Sequence[Token]) -> list[Any]:
        rows: list[list[tuple[str, str]]] = []
        right: list[bool] = []
        for place, token in enumerate(tokens):
            if token.type == "tr_open":
                rows.append([])
            elif token.type in ("th_open", "td_open"):
                inline = tokens[place + 1]
                rows[-1].append((self.inline(inline), plain_text(inline)))
                if len(rows) == 1:
                    right.append("right" in str(token.attrGet("style") or ""))
        return table(self, rows, right, self.layout.room - self._depth)

    def inline(self, inline: Token) -> str:
        """The text of a paragraph, heading or cell as ReportLab's markup."""
        parts: list[str] = []
        closing: list[str] = []
        for token in inline.children or []:
            kind = token.type
            if kind == "text":
                parts.append(self.letters.markup(token.content))
            elif kind == "code_inline":
                shown = self.letters.markup(token.content, mono=True)
                parts.append(
                    f'<font name="{MONO}" size="{self.layout.size * 0.88:.1f}" backColor="{SOFT}">{shown}</font>'
                )
            elif kind == "softbreak":
                parts.append(" ")
            elif kind == "hardbreak":
                parts.append("<br/>")
            elif kind == "image":
                parts.append(f"<i>[{self.letters.markup(plain_text(token) or 'image')}]</i>")
            elif kind == "link_open":
                parts.append(self._link(str(token.attrGet("href") or ""), closing))
            elif kind == "link_close":
                parts.append(closing.pop())
            elif kind in _MARKS:
                parts.append(_MARKS[kind])
        return "".join(parts)

    def _link(self, address: str, closing: list[str]) -> str:
        known = address.startswith("#") and unquote(address[1:]) in self._anchors
        if not known and not _LINK.match(address):
            closing.append("")
            return ""  # its text stays
        closing.append("</a>")
        target = f"#{unquote(address[1:])}" if known else address
        return f'<a href="{html.escape(target)}" color="{ACCENT}">'


_MARKS = {
    "strong_open": "<b>", "strong_close": "</b>", "em_open": "<i>", "em_close": "</i>",
    "s_open": "<strike>", "s_close": "</strike>",
}  # fmt: skip


def _is_heading(block: Any) -> bool:
    return getattr(block, "outline_entry", None) is not None


def _end(tokens: Sequence[Token], place: int) -> int:
    """Where the block that begins at ``place`` ends; the same place for what has no inside."""
    if tokens[place].nesting != 1:
        return place
    level = tokens[place].level
    return next(
        number
        for number in range(place + 1, len(tokens))
        if tokens[number].nesting == -1 and tokens[number].level == level
    )
