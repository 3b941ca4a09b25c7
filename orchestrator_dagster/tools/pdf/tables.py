"""Tables on pages: columns as wide as they need, headings on each page, rows that may go over a page's end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from orchestrator_dagster.tools.pdf.letters import EXTRA, TOOL, clean, is_asian
from orchestrator_dagster.tools.pdf.pages import LINE, SOFT, TEXT
from orchestrator_dagster.tools.tool import require

if TYPE_CHECKING:
    from orchestrator_dagster.tools.pdf.story import Story

#: Sizes of letters of a table, as parts of the document's: the first with which its words fit.
_SCALES = (0.9, 0.82, 0.74, 0.66, 0.58)
_PADDING = 5.0  # points on each side of a cell
_LOOKED_AT = 400  # rows whose texts are measured


def table(story: Story, rows: Sequence[Sequence[tuple[str, str]]], right: Sequence[bool], room: float) -> list[Any]:
    """A table of ``(markup, text)`` cells, the first row its heading; ``right`` tells the columns of numbers."""
    platypus = require("reportlab.platypus", EXTRA, TOOL)
    count = len(rows[0])
    cells = [[*row[:count], *[("", "")] * (count - len(row))] for row in rows]
    texts = [[text for _, text in row] for row in cells]
    for scale in _SCALES:
        size = story.layout.size * scale
        widths, fits = column_widths(story, texts, size, room)
        if fits:
            break
    style = story.styles.but("cell", fontSize=size, leading=size * 1.32, spaceAfter=0)
    made = {
        False: style,
        True: story.styles.but("cell-right", style, alignment=2),
    }
    if not fits:
        story.notes.append(f"a table of {count} columns is too wide for the page: some of its words are broken")

    def cell(markup: str, text: str, column: int, head: bool) -> Any:
        # A short text without marks needs no paragraph: long tables are made in a third of the time.
        inside = widths[column] - 2 * _PADDING
        if "<" not in markup and "&" not in markup and story.letters.width(text, size, bold=head) <= inside:
            return clean(text)
        return story.paragraph(f"<b>{markup}</b>" if head else markup, made[right[column]], text)

    content = [
        [cell(markup, text, column, number == 0) for column, (markup, text) in enumerate(row)]
        for number, row in enumerate(cells)
    ]
    aligned = [("ALIGN", (column, 0), (column, -1), "RIGHT") for column, one in enumerate(right) if one]
    drawn = platypus.LongTable(content, colWidths=widths, repeatRows=1, hAlign="LEFT", splitByRow=1, splitInRow=1)
    drawn.setStyle(
        platypus.TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("FONT", (0, 0), (-1, -1), story.letters.face(), size, size * 1.32),
                ("FONT", (0, 0), (-1, 0), story.letters.face(bold=True), size, size * 1.32),
                ("TEXTCOLOR", (0, 0), (-1, -1), TEXT),
                *aligned,
                ("BACKGROUND", (0, 0), (-1, 0), SOFT),
                ("LINEBELOW", (0, 0), (-1, -1), 0.5, LINE),
                ("LINEABOVE", (0, 0), (-1, 0), 0.5, LINE),
                ("LEFTPADDING", (0, 0), (-1, -1), _PADDING),
                ("RIGHTPADDING", (0, 0), (-1, -1), _PADDING),
                ("TOPPADDING", (0, 0), (-1, -1), size * 0.32),
                ("BOTTOMPADDING", (0, 0), (-1, -1), size * 0.42),
            ]
        )
    )
    return [drawn, platypus.Spacer(1, story.layout.size * 0.9)]


def column_widths(story: Story, texts: Sequence[Sequence[str]], size: float, room: float) -> tuple[list[float], bool]:
    """Points of each column, and whether every word fits: what it needs where there is room, else a share."""
    letters = story.letters
    measured = [texts[0], *texts[1:_LOOKED_AT]]
    wanted, least = [], []
    for column in range(len(texts[0])):
        cells = [(row[column], number == 0) for number, row in enumerate(measured)]
        longest = max(cells, key=lambda cell: len(cell[0]))
        widest = max(letters.width(text[:200], size, bold=head) for text, head in (longest, *cells[:60]))
        words = [(word, head) for text, head in cells for word in (() if is_asian(text) else text[:2000].split())]
        word = max(words, key=lambda one: len(one[0]), default=("", False))
        wanted.append(widest + 2 * _PADDING + 1)
        least.append(min(letters.width(word[0][:80], size, bold=word[1]) * 1.04 + 2 * _PADDING + 1, room * 0.5))
    least = [min(small, large) for small, large in zip(least, wanted, strict=True)]
    if sum(wanted) <= room:
        return wanted, True
    if sum(least) > room:
        return [small * room / sum(least) for small in least], False
    return _shared(wanted, least, room), True


def _shared(wanted: Sequence[float], least: Sequence[float], room: float) -> list[float]:
    """Short columns get what they want, the long ones share what is left, none less than it must have."""
    widths = list(least)
    left = room - sum(least)
    for number, column in enumerate(sorted(range(len(wanted)), key=lambda column: wanted[column] - least[column])):
        more = min(wanted[column] - least[column], left / (len(wanted) - number))
        widths[column] += more
        left -= more
    return widths
