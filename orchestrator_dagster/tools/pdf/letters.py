"""Letters of a PDF: the fonts that are embedded, and texts in which each character has a font that has it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator_dagster.tools.tool import require

TOOL, EXTRA = "pdf-compiler", "pdf"
SANS, SERIF, MONO = "DejaVuSans", "DejaVuSerif", "DejaVuSansMono"
#: The files of each face, as matplotlib brings them: regular, bold, italic, bold italic.
_FACES = {
    SANS: ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    SERIF: ("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
    MONO: ("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique"),
}
#: Fonts for East Asian letters that every PDF reader brings (Adobe's Asian font packs): they are named, not embedded.
_KANA, _HANGUL, _HAN = "HeiseiKakuGo-W5", "HYGothic-Medium", "STSong-Light"
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe0e\ufe0f\ufeff]")


class Letters:
    """The fonts of one document. ``missing`` are the characters that none of them has."""

    def __init__(self, family: str) -> None:
        metrics = require("reportlab.pdfbase.pdfmetrics", EXTRA, TOOL)
        fonts = require("reportlab.pdfbase.ttfonts", EXTRA, TOOL)
        folder = Path(require("matplotlib", EXTRA, TOOL).get_data_path()) / "fonts" / "ttf"
        self.family = family
        self.missing: set[str] = set()
        self.right_to_left = self.asian = False
        self._metrics = metrics
        for name in (family, MONO):
            if name not in metrics.getRegisteredFontNames():
                faces = _FACES[name]
                for face in faces:
                    metrics.registerFont(fonts.TTFont(face, str(folder / f"{face}.ttf")))
                metrics.registerFontFamily(name, *faces)
        self._has = {name: metrics.getFont(_FACES[name][0]).face.charToGlyph for name in (family, MONO)}

    def face(self, *, bold: bool = False) -> str:
        """The font of the text."""
        return _FACES[self.family][int(bold)]

    def width(self, text: str, size: float, *, bold: bool = False) -> float:
        """Points that a text is wide."""
        return float(self._metrics.stringWidth(clean(text), self.face(bold=bold), size))

    def markup(self, text: str, *, mono: bool = False) -> str:
        """A text as ReportLab's markup: escaped, each character in a font that has it."""
        text = clean(text)
        if _RIGHT_TO_LEFT.search(text):
            self.right_to_left = True
        parts = []
        for font, run in self._runs(text, MONO if mono else self.family):
            escaped = html.escape(run, quote=False)
            parts.append(f'<font name="{font}">{escaped}</font>' if font or mono else escaped)
        return "".join(parts)

    def _runs(self, text: str, usual: str) -> Iterator[tuple[str, str]]:
        """Runs of characters of one font; the name is empty for the usual one (it follows bold and italic)."""
        has = self._has[usual]
        at_home = MONO if usual == MONO else ""
        font, start = at_home, 0
        for place, character in enumerate(text):
            wanted = at_home if ord(character) in has or character.isspace() else self._other(character, at_home)
            if wanted != font:
                if place > start:
                    yield font, text[start:place]
                font, start = wanted, place
        if start < len(text):
            yield font, text[start:]

    def _other(self, character: str, at_home: str) -> str:
        code = ord(character)
        if 0x3040 <= code <= 0x30FF or 0xFF66 <= code <= 0xFF9D:
            return self._asian(_KANA)
        if 0xAC00 <= code <= 0xD7A3 or 0x1100 <= code <= 0x11FF:
            return self._asian(_HANGUL)
        if 0x2E80 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or 0xFF00 <= code <= 0xFFEF:
            return self._asian(_HAN)
        if at_home == MONO and code in self._has[self.family]:
            return self.family
        self.missing.add(character)
        return at_home

    def _asian(self, name: str) -> str:
        self.asian = True
        if name not in self._metrics.getRegisteredFontNames():
            fonts: Any = require("reportlab.pdfbase.cidfonts", EXTRA, TOOL)
            self._metrics.registerFont(fonts.UnicodeCIDFont(name))
            self._metrics.registerFontFamily(name, name, name, name, name)
        return name


def clean(text: str) -> str:
    """A text without what cannot be printed: control characters, direction marks, selectors of emoji shapes."""
    return _CONTROL.sub("", text)


def is_asian(text: str) -> bool:
    """Whether lines break between any two letters: mostly Chinese, Japanese or Korean."""
    signs = sum(0x2E80 <= ord(one) <= 0x9FFF or 0xAC00 <= ord(one) <= 0xD7A3 for one in text)
    return signs * 3 > len(text)
