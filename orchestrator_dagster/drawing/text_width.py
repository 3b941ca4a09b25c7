"""How wide a text is when it is drawn, without a font at hand."""

from __future__ import annotations

import unicodedata

#: The families whose letters have the widths below; they stand first in what is drawn.
FONT_FAMILY = "Helvetica, Arial, 'Liberation Sans', sans-serif"

# Advance widths of the characters from space to ~ in thousandths of the font size, measured with Liberation Sans,
# which has the metrics of Arial and Helvetica.
_REGULAR = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
    556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
    260, 334, 584,
)  # fmt: skip
_BOLD = (
    278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 333, 333, 584, 584, 584, 611, 975, 722, 722, 722, 722, 667, 611, 778, 722, 278, 556, 722, 611, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 333, 278, 333, 584, 556, 333, 556, 611, 556, 611,
    556, 333, 611, 611, 278, 278, 556, 278, 889, 611, 611, 611, 611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389,
    280, 389, 584,
)  # fmt: skip
_TYPOGRAPHIC = {"…": 1000, "—": 1000, "–": 556, "·": 278, "→": 1000, "“": 333, "”": 333, "‘": 222, "’": 222}
_WIDE, _OTHER_CAPITAL, _OTHER = (
    1000,
    780,
    620,
)  # em square of East Asian text; medians of Greek and Cyrillic, rounded up


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Width of a text in the unit of ``size``, the font size. Beyond ASCII it is an estimate.

    >>> text_width("mm", 10), text_width("mm", 10, bold=True)
    (16.66, 17.78)
    """
    table = _BOLD if bold else _REGULAR
    return sum(table[ord(one) - 32] if " " <= one <= "~" else _estimate(one) for one in text) * size / 1000


def _estimate(character: str) -> int:
    if character in _TYPOGRAPHIC:
        return _TYPOGRAPHIC[character]
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    if unicodedata.east_asian_width(character) in ("W", "F"):
        return _WIDE
    return _OTHER_CAPITAL if character.isupper() else _OTHER


def fitted(text: str, size: float, width: float, bold: bool = False) -> str:
    """The text, or as much of its beginning as is not wider than ``width``, with ``…`` behind it.

    >>> fitted("Write the report", 10, 60)
    'Write the r…'
    """
    if text_width(text, size, bold) <= width:
        return text
    room = width - text_width("…", size, bold)
    taken = 0.0
    for number, one in enumerate(text):
        taken += text_width(one, size, bold)
        if taken > room:
            return text[:number].rstrip() + "…"
    return text


def plain(text: str) -> str:
    """The text on one line, without characters that cannot be seen (nor be written in XML).

    >>> plain("two\\nlines\\x00 ")
    'two lines'
    """
    return "".join(one for one in " ".join(text.split()) if one.isprintable())
