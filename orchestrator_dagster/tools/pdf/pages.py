"""The pages of a PDF: sizes, styles, what stands on each page, and the contents."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from orchestrator_dagster.errors import ToolError
from orchestrator_dagster.tools.pdf.letters import EXTRA, TOOL, Letters
from orchestrator_dagster.tools.tool import require

PageSize: TypeAlias = Literal["A3", "A4", "A5", "letter", "legal"]
MILLIMETRE = 72 / 25.4
#: Points, width and height.
SIZES: dict[str, tuple[float, float]] = {
    "A3": (297 * MILLIMETRE, 420 * MILLIMETRE), "A4": (210 * MILLIMETRE, 297 * MILLIMETRE),
    "A5": (148 * MILLIMETRE, 210 * MILLIMETRE), "letter": (612.0, 792.0), "legal": (612.0, 1008.0),
}  # fmt: skip
#: For each level the letters' size and the space before, as parts of the text's size.
_HEADINGS = ((1.7, 1.6), (1.4, 1.5), (1.15, 1.2), (1.02, 1.0), (1.0, 0.9), (1.0, 0.9))
TEXT, QUIET, LINE, SOFT, ACCENT = "#1c2330", "#5b6472", "#cfd6de", "#f1f4f7", "#1f5fae"


@dataclass(frozen=True)
class Layout:
    """How pages look: ``width`` and ``height`` and ``margin`` in points, letters in points."""

    width: float
    height: float
    margin: float
    size: float
    title: str
    author: str
    subject: str
    header: str
    page_numbers: bool
    language: str

    @property
    def room(self) -> float:
        """Points between the margins."""
        return self.width - 2 * self.margin

    @property
    def tall(self) -> float:
        """Points from the top margin to the bottom one."""
        return self.height - 2 * self.margin


class Styles:
    """ReportLab's paragraph styles of one document."""

    def __init__(self, letters: Letters, layout: Layout) -> None:
        self._make = require("reportlab.lib.styles", EXTRA, TOOL).ParagraphStyle
        size = layout.size
        family = letters.family
        self.body = self._make(
            "body", fontName=family, fontSize=size, leading=size * 1.45, textColor=TEXT, spaceAfter=size * 0.62,
            allowWidows=0, allowOrphans=0, splitLongWords=1, linkUnderline=0,
        )  # fmt: skip
        self.title = self.but("title", fontSize=size * 2.1, leading=size * 2.55, spaceAfter=size * 0.5)
        self.about = self.but("about", textColor=QUIET, spaceAfter=size)
        self.quiet = self.but("quiet", textColor=QUIET)
        self.caption = self.but("caption", textColor=QUIET, fontSize=size * 0.88, leading=size * 1.25, spaceAfter=size)
        self.item = self.but(
            "item", spaceAfter=size * 0.25, bulletFontName=family, bulletFontSize=size, bulletIndent=-size * 1.3
        )
        self.code = self.but(
            "code", fontSize=size * 0.84, leading=size * 1.22, backColor=SOFT, borderPadding=(5, 6, 5, 6),
            leftIndent=6, rightIndent=6, spaceBefore=size * 0.5, spaceAfter=size * 1.1,
        )  # fmt: skip
        self.headings = [
            self.but(
                f"heading{level}", fontSize=size * scale, leading=size * scale * 1.25,
                spaceBefore=size * before, spaceAfter=size * 0.5,
            )
            for level, (scale, before) in enumerate(_HEADINGS, 1)
        ]  # fmt: skip

    def but(self, name: str, like: Any = None, **changes: Any) -> Any:
        """A style (that of the body, when none is named) with some changes."""
        return self._make(name, parent=like or self.body, **changes)


@functools.cache
def _classes() -> tuple[Any, Any]:
    """The page template and the canvas, made when ReportLab is first needed."""
    platypus = require("reportlab.platypus", EXTRA, TOOL)
    canvas_module = require("reportlab.pdfgen.canvas", EXTRA, TOOL)

    class Document(platypus.BaseDocTemplate):  # type: ignore[misc, name-defined]
        """Tells the contents and the outline of each heading as it is placed."""

        def afterFlowable(self, flowable: Any) -> None:  # noqa: N802 - ReportLab's name
            """Called when something has been placed on a page."""
            entry = getattr(flowable, "outline_entry", None)
            if entry is None:
                return
            level, text, markup, key = entry
            self.canv.bookmarkPage(key)
            self.canv.addOutlineEntry(text, key, level, closed=level > 0)
            if level < 2:
                self.notify("TOCEntry", (level, markup, self.page, key))

    class Canvas(canvas_module.Canvas):  # type: ignore[misc, name-defined]
        """Keeps the pages until their number is known, then writes what stands on each."""

        def __init__(self, *args: Any, on_page: Any = None, **settings: Any) -> None:
            super().__init__(*args, **settings)
            self._kept: list[dict[str, Any]] = []
            self._on_page = on_page

        def showPage(self) -> None:  # noqa: N802
            """End a page."""
            self._kept.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            """End the document."""
            for number, state in enumerate(self._kept, 1):
                kept = self._kept
                self.__dict__.update(state)
                self._kept = kept
                self._on_page(self, number, len(kept))
                super().showPage()
            super().save()

    return Document, Canvas


def build(story: Sequence[Any], layout: Layout, letters: Letters, *, listed: bool) -> tuple[bytes, int]:
    """The PDF of what is in ``story``, and its number of pages. The same story gives the same bytes.

    ``listed`` tells that it has contents, for which everything is placed twice.

    Raises:
        ToolError: Something does not fit on any page.
    """
    platypus = require("reportlab.platypus", EXTRA, TOOL)
    errors = require("reportlab.platypus.doctemplate", EXTRA, TOOL)
    document_class, canvas_class = _classes()
    target = io.BytesIO()
    document = document_class(
        target, pagesize=(layout.width, layout.height), leftMargin=layout.margin, rightMargin=layout.margin,
        topMargin=layout.margin, bottomMargin=layout.margin, title=layout.title, author=layout.author,
        subject=layout.subject, creator="orchestrator-dagster", invariant=1, lang=layout.language,
        initialFontName=letters.family,
    )  # fmt: skip
    frame = platypus.Frame(layout.margin, layout.margin, layout.room, layout.tall, 0, 0, 0, 0, id="text")
    document.addPageTemplates([platypus.PageTemplate(id="page", frames=[frame])])
    pages = 0

    def on_page(canvas: Any, number: int, count: int) -> None:
        nonlocal pages
        pages = count
        _furniture(canvas, layout, letters, number, count)

    try:
        make = document.multiBuild if listed else document.build
        make(list(story), canvasmaker=functools.partial(canvas_class, on_page=on_page))
    except errors.LayoutError as error:
        raise ToolError(
            f"something does not fit on a page: {str(error)[:200]}",
            hint="use a larger `page_size`, a smaller `font_size`, or split it",
            permanent=True,
        ) from error
    return target.getvalue(), pages


def _furniture(canvas: Any, layout: Layout, letters: Letters, number: int, count: int) -> None:
    size = layout.size * 0.8
    canvas.saveState()
    canvas.setFont(letters.family, size)
    canvas.setFillColor(QUIET)
    below = max(layout.margin * 0.5, size * 1.5)
    if layout.page_numbers:
        canvas.drawRightString(layout.width - layout.margin, below, f"{number} / {count}")
        if number > 1 and layout.title:
            canvas.drawString(layout.margin, below, _cut(layout.title, letters, size, layout.room * 0.8))
    if layout.header:
        above = layout.height - max(layout.margin * 0.55, size * 2)
        canvas.drawString(layout.margin, above, _cut(layout.header, letters, size, layout.room))
    canvas.restoreState()


def _cut(text: str, letters: Letters, size: float, room: float) -> str:
    text = " ".join(text.split())
    while text and letters.width(text, size) > room:
        text = text[: max(1, int(len(text) * 0.9)) - 1].rstrip() + "…" if len(text) > 2 else ""
    return text
