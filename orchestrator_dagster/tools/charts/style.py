"""How charts look: colours, letters, numbers and words on axes."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

#: Colours of series: told apart with the common colour blindnesses and in print, each 3:1 or more against white.
PALETTE = (
    "#2f6db5", "#d9722e", "#2c8f67", "#b8434e", "#7d5fae", "#8a6a43", "#c4679f", "#5f6b76", "#97881f", "#2b8fa3",
)  # fmt: skip
DARK_PALETTE = (
    "#6aa5ea", "#f0995c", "#5fc49a", "#e8808a", "#b39adf", "#c8a67c", "#e79ac8", "#a3afba", "#cfc057", "#66c3d6",
)  # fmt: skip
#: Letters that DejaVu Sans, which comes with matplotlib, does not have, are taken from these where they are installed.
MORE_FONTS = (
    "Noto Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans", "WenQuanYi Zen Hei",
    "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari", "Noto Emoji", "Noto Sans Symbols 2",
    "Microsoft YaHei", "Hiragino Sans", "Arial Unicode MS",
)  # fmt: skip

_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


@dataclass(frozen=True)
class Look:
    """The colours of a chart."""

    ground: str
    text: str
    quiet: str
    line: str
    palette: tuple[str, ...]

    @classmethod
    def of(cls, theme: str, colors: Sequence[str] | None = None) -> Look:
        """The look of a theme, with the user's own colours of series where given."""
        if theme == "dark":
            return cls("#14181f", "#e4e8ee", "#a3aebc", "#3a4451", tuple(colors or DARK_PALETTE))
        return cls("#ffffff", "#1c2330", "#5b6472", "#dde2e8", tuple(colors or PALETTE))

    def color(self, number: int) -> str:
        """The colour of a series."""
        return self.palette[number % len(self.palette)]

    def settings(self, fonts: Sequence[str]) -> dict[str, Any]:
        """matplotlib's settings for it. Text is text: a ``$`` starts no formula."""
        return {
            "text.parse_math": False, "text.color": self.text, "axes.unicode_minus": True,
            "font.family": list(fonts), "font.size": 10.5,
            "figure.facecolor": self.ground, "savefig.facecolor": self.ground, "axes.facecolor": self.ground,
            "axes.edgecolor": self.quiet, "axes.labelcolor": self.text, "axes.labelsize": 10.5, "axes.labelpad": 7,
            "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.8, "axes.axisbelow": True,
            "axes.grid": False, "grid.color": self.line, "grid.linewidth": 0.8,
            "xtick.color": self.quiet, "ytick.color": self.quiet, "xtick.labelcolor": self.text,
            "ytick.labelcolor": self.text, "xtick.major.size": 0, "ytick.major.size": 0,
            "xtick.labelsize": 9.5, "ytick.labelsize": 9.5, "xtick.major.pad": 6, "ytick.major.pad": 6,
            "legend.frameon": False, "legend.fontsize": 9.5, "legend.title_fontsize": 9.5,
            "lines.linewidth": 2.0, "lines.solid_capstyle": "round", "patch.linewidth": 0,
            "svg.fonttype": "path", "svg.hashsalt": "orchestrator", "figure.constrained_layout.use": False,
        }  # fmt: skip


def fonts_for(texts: Sequence[str]) -> tuple[list[str], str]:
    """The families to draw these texts with, and the characters that none of them has."""
    from matplotlib import font_manager

    families = ["DejaVu Sans"]
    left = {sign for text in texts for sign in text if not sign.isspace()}
    left -= _characters(font_manager.findfont("DejaVu Sans"))
    if left:
        installed = {font.name: font.fname for font in font_manager.fontManager.ttflist}
        for family in MORE_FONTS:
            if left and family in installed and (covered := left & _characters(installed[family])):
                families.append(family)
                left -= covered
    return families, "".join(sorted(left))


def _characters(path: str) -> set[str]:
    from matplotlib.ft2font import FT2Font

    return {chr(code) for code in FT2Font(path).get_charmap()}


def words(name: str) -> str:
    """A column's name as words: ``air_temperature`` is read as *air temperature*."""
    return " ".join(name.replace("_", " ").split())


def axis_label(given: str | None, name: str, unit: str | None) -> str:
    """The label of an axis: as given, else the column's name without a unit at its end; with the unit in brackets.

    >>> axis_label(None, "air temperature c", "°C")
    'air temperature (°C)'
    """
    label = given
    if label is None:
        first, _, last = name.rpartition(" ")
        spelled = ("percent", "pct") if unit == "%" else (re.sub(r"\W", "", unit or "").lower(),)
        label = first if unit and first and last.lower() in spelled else name
    return f"{label} ({unit})" if unit and label else label or (unit or "")


def date_texts(dates: Sequence[Any]) -> list[str]:
    """Dates as short as they can be told apart: years, months, days, or with the time. The dates are ``datetime``."""
    if any(one.hour or one.minute or one.second for one in dates):
        return [one.isoformat(" ", "minutes") for one in dates]
    if len(set(dates)) > 1 and all(one.day == 1 for one in dates):
        months = {one.month for one in dates}
        return [f"{one.year}" if months == {1} else f"{_MONTHS[one.month - 1]} {one.year}" for one in dates]
    return [one.date().isoformat() for one in dates]


def wrapped(text: str, width: int, lines: int = 2) -> str:
    """A text in at most so many lines of so many characters, cut with an ellipsis."""
    parts = textwrap.wrap(" ".join(text.split()), max(4, width), break_long_words=True, break_on_hyphens=True)
    if len(parts) > lines:
        parts = [*parts[: lines - 1], parts[lines - 1][: max(1, width - 1)].rstrip() + "…"]
    return "\n".join(parts)


def number_text(value: float) -> str:
    """A number as people read it: ``1,234``, ``0.25``, ``3.4 M``; four digits that matter."""
    if not math.isfinite(value):
        return "–"
    size = abs(value)
    for least, unit in ((1e12, " T"), (1e9, " bn"), (1e6, " M")):
        if size >= least:
            return _trimmed(value / least, 2) + unit
    if size >= 1000:
        return f"{value:,.0f}"
    if size and size < 0.001:
        return f"{value:.2g}"
    return _trimmed(value, 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 else 3)


def number_texts(values: Sequence[float]) -> list[str]:
    """Numbers that stand beside each other: as :func:`number_text`, all with as many digits behind the point."""
    texts = [number_text(value) for value in values]
    digits = [len(text.partition(".")[2]) for text in texts if " " not in text and "e" not in text]
    most = max(digits, default=0)
    if most and len(digits) == len(texts):
        texts = [text if text == "–" else f"{value:,.{most}f}" for text, value in zip(texts, values, strict=True)]
    return [text.replace("-", "\u2212") for text in texts]


def _trimmed(value: float, digits: int) -> str:
    text = f"{value:,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def tick_format(axis: Any) -> None:
    """Write the numbers of an axis: with commas, or in M and bn where they are large; none with digits for nothing."""
    from matplotlib.ticker import FuncFormatter

    def write(value: float, _: Any) -> str:
        return number_text(value).replace("-", "\u2212")

    axis.set_major_formatter(FuncFormatter(write))
