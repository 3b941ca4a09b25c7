"""What a page says: its main text, title, links and tables."""

from __future__ import annotations

import functools
import re
from typing import Any
from urllib.parse import urljoin, urlsplit

from pydantic import BaseModel

from orchestrator_dagster.errors import SizeLimitError, ToolError
from orchestrator_dagster.tools.tool import require

MOST_CELLS = 500_000
"""Cells of a table, those that `rowspan` and `colspan` make included; a page can ask for billions."""
_SHORT = 250  # characters below which trafilatura takes the whole page for the main text
_MOST_SPAN = 1000  # as browsers have it
_BLOCKS = frozenset(
    "address article aside blockquote br dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header "
    "hr li main nav ol option p pre section table td th tr ul".split()
)
_HIDDEN = ("script", "style", "noscript", "template", "svg", "head", "iframe", "object")


class Link(BaseModel):
    """A link: where it leads, and what it says."""

    url: str
    text: str


class Table(BaseModel):
    """A table: its rows as maps of column -> text. Columns without a heading are ``column_1`` …"""

    caption: str
    columns: list[str]
    rows: list[dict[str, str]]


class Parsed:
    """A page that was read.

    Args:
        markup: The page's text.
        url: Where it came from, for relative links; empty for a file.

    Raises:
        ToolError: Nothing in it can be read as a page.
        MissingExtraError: The extra ``web`` is not installed.
    """

    def __init__(self, markup: str, url: str) -> None:
        html = require("lxml.html", "web", "headless_browser")
        # As bytes, because a text may not say its encoding (`<?xml encoding=…?>`), and pages do.
        parser = html.HTMLParser(encoding="utf-8", recover=True, remove_comments=True, remove_pis=True)
        try:
            self.tree: Any = html.document_fromstring(markup.encode("utf-8", "replace"), parser=parser)
        except Exception as error:  # lxml's own, for an empty page
            raise ToolError(f"it cannot be read as a page: {error}", permanent=True) from None
        base = self.tree.find(".//base[@href]")
        self.url = url
        self.base = _joined(url, base.get("href")) or url if base is not None else url

    @property
    def title(self) -> str:
        """The page's title, else its first heading."""
        for place in (".//title", ".//h1"):
            found = self.tree.find(place)
            if found is not None and _text(found):
                return _text(found)
        return self.meta("og:title")

    @property
    def language(self) -> str | None:
        """The language that the page says it is in."""
        return self.tree.get("lang") or None

    def meta(self, *names: str) -> str:
        """The content of the first ``meta`` of one of these names; empty when there is none."""
        for element in self.tree.iter("meta"):
            if (element.get("name") or element.get("property") or "").lower() in names and element.get("content"):
                return " ".join(element.get("content").split())
        return ""

    def links(self) -> list[Link]:
        """Links to other pages, each once, in the order of the page."""
        found: dict[str, str] = {}
        for element in self.tree.iter("a", "area"):
            target = _joined(self.base, element.get("href") or "")
            if not target or target.partition("#")[0] == self.url.partition("#")[0]:
                continue
            text = _text(element) or element.get("title") or element.get("alt") or ""
            found[target] = found.get(target) or text
        return [Link(url=url, text=text) for url, text in found.items()]

    def tables(self) -> list[Table]:
        """Tables with at least two cells, without those that only arrange others."""
        made = []
        for element in self.tree.iter("table"):
            if element.find(".//table") is None:
                table = _table(element)
                if table is not None:
                    made.append(table)
        return made

    def main_text(self) -> tuple[str, str]:
        """The main text as Markdown and as plain text: without menus and footers; all of the page when it has none.

        Raises:
            MissingExtraError: The extra ``web`` is not installed.
        """
        made = []
        for style in ("markdown", "txt"):
            text = self._extracted(style)
            if (
                len(text) < _SHORT
            ):  # then all of it was taken, menus too: unless something in it says what is the main part
                within = self._extracted(style, _any_length())
                text = within if 2 * len(within) >= len(text) else text
            made.append(text or visible_text(self.tree))
        return made[0], made[1]

    def _extracted(self, style: str, config: Any = None) -> str:
        trafilatura = require("trafilatura", "web", "headless_browser")
        more = {} if config is None else {"config": config}
        links = style == "markdown"
        text: str | None = trafilatura.extract(
            _absolute(self.tree, self.base), url=self.url or None, output_format=style, include_links=links, **more
        )
        return text or ""


@functools.lru_cache(maxsize=1)
def _any_length() -> Any:
    """Settings with which a main part of any length counts as one."""
    config = require("trafilatura.settings", "web", "headless_browser").use_config()
    config.set("DEFAULT", "MIN_EXTRACTED_SIZE", "1")
    return config


def visible_text(tree: Any) -> str:
    """All text of a page that people see, a line for each block."""
    lines: list[str] = [""]

    def add(text: str | None) -> None:
        if text:
            lines[-1] += text

    # Not recursive: a page may be nested deeper than Python's stack.
    waiting: list[tuple[Any, bool]] = [(tree, False)]
    while waiting:
        element, left = waiting.pop()
        block = element.tag in _BLOCKS
        if left:
            if block:
                lines.append("")
            add(element.tail)
            continue
        if not isinstance(element.tag, str) or element.tag in _HIDDEN:
            add(element.tail)
            continue
        if block:
            lines.append("")
        add(element.text)
        waiting.append((element, True))
        waiting.extend((child, False) for child in reversed(element))
    return "\n".join(line for line in (" ".join(line.split()) for line in lines) if line)


def _absolute(tree: Any, base: str) -> Any:
    """A copy in which links say where they lead."""
    import copy

    made = copy.deepcopy(tree)
    for element in made.iter("a"):
        target = _joined(base, element.get("href") or "")
        if target:
            element.set("href", target)
    return made


def _joined(base: str, target: str) -> str | None:
    """Where a link leads; None for what is no page (``mailto:``, ``javascript:``, a place of the page itself)."""
    target = re.sub(r"[\t\r\n]", "", target.strip())
    if not target or target.startswith("#"):
        return None
    try:
        joined = urljoin(base, target) if base else target
        scheme = urlsplit(joined).scheme
    except ValueError:  # half an IPv6 address
        return None
    return joined if scheme in ("http", "https") or (not scheme and not base) else None


def _text(element: Any) -> str:
    return " ".join("".join(element.itertext()).split())


def _table(element: Any) -> Table | None:
    grid, heads = _grid(element)
    width = max(map(len, grid), default=0)
    if width * len(grid) < 2:
        return None
    if width * len(grid) > MOST_CELLS:
        raise _too_large()
    first = 1 if heads[0] else 0
    columns = _columns([*(grid[0] if first else []), *[""] * width][:width])
    rows = [dict(zip(columns, [*row, *[""] * (width - len(row))], strict=True)) for row in grid[first:]]
    caption = element.find("./caption")
    return Table(caption=_text(caption) if caption is not None else "", columns=columns, rows=rows)


def _columns(names: list[str]) -> list[str]:
    """Names of columns: each has one, and none has that of another."""
    made: dict[str, None] = {}
    seen: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        wanted = name or f"column_{number}"
        unique = wanted
        while unique in made:
            seen[wanted] = seen.get(wanted, 1) + 1
            unique = f"{wanted}_{seen[wanted]}"
        made[unique] = None
    return list(made)


def _grid(element: Any) -> tuple[list[list[str]], list[bool]]:
    """The cells by rows, with a cell that spans several repeated in all; and for each row whether it is of headings."""
    grid: list[list[str]] = []
    heads: list[bool] = []
    below: dict[int, tuple[int, str]] = {}  # column -> rows that a cell above still spans, its text
    cells = 0
    for row in element.iter("tr"):
        own = [cell for cell in row if cell.tag in ("td", "th")]
        line: list[str] = []
        waiting = iter(own)
        while True:
            while len(line) in below:
                left, text = below.pop(len(line))
                if left > 1:
                    below[len(line)] = (left - 1, text)
                line.append(text)
            cell = next(waiting, None)
            if cell is None:
                break
            text, down = _text(cell), _span(cell, "rowspan")
            for _ in range(_span(cell, "colspan")):
                if down > 1:
                    below[len(line)] = (down - 1, text)
                line.append(text)
            if cells + len(line) > MOST_CELLS:
                raise _too_large()
        cells += len(line)
        if line:
            grid.append(line)
            heads.append(bool(own) and (all(cell.tag == "th" for cell in own) or row.getparent().tag == "thead"))
    return grid, heads


def _too_large() -> SizeLimitError:
    return SizeLimitError(f"the page has a table of more than {MOST_CELLS:,} cells")


def _span(cell: Any, name: str) -> int:
    text = (cell.get(name) or "1").strip()
    return max(1, min(int(text), _MOST_SPAN)) if text.isascii() and text.isdigit() and len(text) < 10 else 1
