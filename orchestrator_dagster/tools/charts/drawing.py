"""A chart as a figure, and a figure as a file."""

from __future__ import annotations

import io
import threading
import warnings as python_warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.tools.charts import bars, points, spread
from orchestrator_dagster.tools.charts.columns import chosen, tidy, with_dates
from orchestrator_dagster.tools.charts.spec import Chart
from orchestrator_dagster.tools.charts.style import Look, fonts_for, number_text, tick_format, wrapped
from orchestrator_dagster.tools.data.types import Frame
from orchestrator_dagster.tools.tool import require

_KINDS = {
    "bar": bars.bar, "pie": bars.pie, "line": points.line, "area": points.line, "scatter": points.scatter,
    "histogram": spread.histogram, "box": spread.box,
}  # fmt: skip
#: Pixels of a PNG for each pixel of the size asked for: sharp on today's screens and in print.
SCALE = 2
#: matplotlib's settings and font cache belong to the process: one figure is drawn at a time.
_DRAWING = threading.Lock()


@dataclass
class Drawn:
    """A chart that is drawn: the kind, its words, a description for those who cannot see it, and notes."""

    kind: str
    title: str
    alt: str
    width: int
    height: int
    notes: list[str] = field(default_factory=list)


@contextmanager
def drawing(look: Look, texts: list[str]) -> Iterator[str]:
    """The time in which figures are made and written; gives the characters that no font has."""
    matplotlib = require("matplotlib", "charts", "visualization")
    with _DRAWING, python_warnings.catch_warnings():
        python_warnings.simplefilter("ignore")  # of letters that no font has: the result says so
        fonts, missing = fonts_for(texts)
        with matplotlib.rc_context(look.settings(fonts)):
            yield missing


def check_colors(colors: list[str] | None) -> None:
    """Refuse what is no colour.

    Raises:
        ParametersError: With the one that is none.
    """
    require("matplotlib", "charts", "visualization")
    from matplotlib.colors import is_color_like

    for color in colors or ():
        if not is_color_like(color):
            raise ParametersError(f'"{color}" is no colour', hint="write it as #2f6db5 or by its English name")


def texts_of(chart: Chart, frame: Frame) -> list[str]:
    """Every text that a chart of this table may show."""
    texts = [str(name) for name in frame.columns]
    texts += [
        one for one in (chart.title, chart.subtitle, chart.x_label, chart.y_label, chart.x_unit, chart.y_unit) if one
    ]
    for name in frame.columns:
        if frame[name].dtype.kind not in "iufbM":
            texts += [str(cell) for cell in frame[name].dropna().unique()[:2000]]
    return texts


def draw(chart: Chart, frame: Frame, figure: Any, look: Look) -> Drawn:
    """Draw a chart into an empty figure (or a part of one), inside :func:`drawing`.

    Raises:
        ParametersError: There is nothing to draw, or a column does not fit.
    """
    frame = with_dates(frame)
    chart = chosen(chart, frame)
    width = chart.width
    ax = figure.add_subplot()
    if chart.kind == "heatmap":
        notes = spread.heatmap(ax, chart, frame, look, width)
        alt = f"Table of colours with {len(frame):,} rows"
    else:
        made = tidy(chart, frame)
        _check_logarithms(made)
        _KINDS[chart.kind](ax, made, look, width)
        notes, alt = made.notes, _described(made)
    for axis in (ax.xaxis, ax.yaxis):
        if axis.get_scale() == "log":  # setting the scale has set other formats
            tick_format(axis)
            axis.set_minor_formatter("")
    title = chart.title or ""
    if title or chart.subtitle:
        _heading(figure, ax, title, chart.subtitle, look, width)
    height = chart.height or _height(ax, chart)
    return Drawn(chart.kind, title, f"{title + ': ' if title else ''}{alt}.", width, height, notes)


def _heading(figure: Any, ax: Any, title: str, subtitle: str | None, look: Look, width: int) -> None:
    """Title and subtitle from the left edge of the figure; the layout keeps their room free."""
    shown = wrapped(title, int(width / 11), 2)
    below = wrapped(subtitle, int(width / 7.0), 1) if subtitle else ""
    lines = "\n".join(filter(None, (shown, " " if below else "")))
    heading = figure.suptitle(lines, x=0.012, ha="left", fontsize=14.5, fontweight="bold")
    if below:  # it stands on the empty last line of the heading
        said = ax.annotate(below, (0, 0), xycoords=heading, xytext=(0, 3), textcoords="offset points", ha="left",
                           va="bottom", fontsize=10.5, color=look.quiet, annotation_clip=False)  # fmt: skip
        said.set_in_layout(False)


def _check_logarithms(made: Any) -> None:
    chart, values = made.chart, made.values
    for wanted, column, name in ((chart.log_y, "value", "log_y"), (chart.log_x, "x", "log_x")):
        if wanted and (column == "value" or made.x_kind == "number") and (values[column] <= 0).any():
            raise ParametersError(
                f"`{name}`: a logarithmic axis shows numbers above 0 only", hint="filter the others out"
            )


def _height(ax: Any, chart: Chart) -> int:
    """Pixels: enough for the labels of lying bars and of the rows of a heatmap."""
    rows = len(ax.get_yticklabels()) if chart.kind in ("bar", "heatmap") else 0
    many = [label.get_text() for label in ax.get_yticklabels()] if rows else []
    if chart.kind == "heatmap" or (many and len(many) > 4 and any(not _numeric(text) for text in many)):
        return max(
            360,
            min(
                2400, 130 + rows * (38 if any("\n" in text for text in many) else 30 if chart.kind == "heatmap" else 26)
            ),
        )
    return 420 if chart.kind == "pie" else 500


def _numeric(text: str) -> bool:
    return not text or text.replace("\u2212", "-").lstrip("-").replace(",", "").replace(".", "").split(" ")[0].isdigit()


_NAMES = {
    "bar": "Bar chart", "pie": "Pie chart", "line": "Line chart", "area": "Area chart", "scatter": "Scatter plot",
    "histogram": "Histogram", "box": "Box plot",
}  # fmt: skip


def _described(made: Any) -> str:
    column = "x" if made.chart.kind == "histogram" and made.chart.x is not None else "value"
    values = made.values[column].astype("float64")
    what = (made.x_name if column == "x" else made.y_name) or ", ".join(made.series[:5])
    over = f" by {made.x_name}" if made.x_name and column != "x" else ""
    split = f", {len(made.series)} series" if len(made.series) > 1 else ""
    spread_of = f"from {number_text(float(values.min()))} to {number_text(float(values.max()))}"
    return f"{_NAMES[made.chart.kind]} of {what}{over}{split}: {len(values):,} values {spread_of}"


def picture(figure: Any, look: Look, file_format: str, title: str) -> bytes:
    """A figure as the bytes of a PNG or SVG, the same for the same figure, inside :func:`drawing`."""
    target = io.BytesIO()
    metadata = {"Date": None, "Title": title} if file_format == "svg" else {"Title": title, "Software": None}
    figure.savefig(target, format=file_format, dpi=100 * (SCALE if file_format == "png" else 1), metadata=metadata,
                   facecolor=look.ground)  # fmt: skip
    return target.getvalue()


def render(chart: Chart, frame: Frame, file_formats: list[str]) -> tuple[Drawn, dict[str, bytes]]:
    """A chart in each of the formats png and svg.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ParametersError: There is nothing to draw, a colour is none, or a column does not fit.
    """
    check_colors(chart.colors)
    from matplotlib.figure import Figure

    look = Look.of(chart.theme, chart.colors)
    with drawing(look, texts_of(chart, frame)) as missing:
        figure = Figure(figsize=(chart.width / 100, 5.0), layout="constrained")
        drawn = draw(chart, frame, figure, look)
        figure.set_size_inches(chart.width / 100, drawn.height / 100)
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)
        made = {name: picture(figure, look, name, drawn.title) for name in dict.fromkeys(file_formats)}
    if missing:
        drawn.notes.append(f"no installed font has the characters {missing[:40]}")
    return drawn, made
