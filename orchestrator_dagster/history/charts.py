"""Small charts as inline SVG: stacked columns, and lines with dots. Colours come from the page's style sheet."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence

_WIDTH, _HEIGHT = 720, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 22, 12, 26


def columns(
    labels: Sequence[str], series: Mapping[str, Sequence[float]], shown: Callable[[float], str], title: str
) -> str:
    """Stacked columns, one for each label.

    Args:
        labels: What stands below the columns; of many, some are left out.
        series: The values of each part of a column, by the part's name, which is its CSS class too.
        shown: A value as text, for the axis and for what a pointer shows.
        title: What the chart shows, for those who do not see it.
    """
    totals = [sum(values[at] for values in series.values()) for at in range(len(labels))]
    top, ticks = _scale(max(totals, default=0.0))
    parts = [_frame(labels, ticks, top, shown)]
    wide = (_WIDTH - _LEFT - _RIGHT) / max(1, len(labels))
    for at, label in enumerate(labels):
        under = 0.0
        for name, values in series.items():
            if values[at] > 0:
                y, height = _y(under + values[at], top), _y(under, top) - _y(under + values[at], top)
                said = html.escape(f"{label}: {name} {shown(values[at])}")
                parts.append(
                    f'<rect class="{_class(name)}" x="{_LEFT + at * wide + wide * 0.12:.1f}" y="{y:.1f}"'
                    f' width="{max(1.0, wide * 0.76):.1f}" height="{max(0.8, height):.1f}"><title>{said}</title></rect>'
                )
                under += values[at]
    return _svg(parts, title)


def lines(
    labels: Sequence[str], series: Mapping[str, Sequence[float | None]], shown: Callable[[float], str], title: str
) -> str:
    """Lines with a dot for each value; where there is no value a line is broken. Arguments as for :func:`columns`."""
    every = [value for values in series.values() for value in values if value is not None]
    top, ticks = _scale(max(every, default=0.0))
    parts = [_frame(labels, ticks, top, shown)]
    wide = (_WIDTH - _LEFT - _RIGHT) / max(1, len(labels))
    for name, values in series.items():
        points = [
            None if value is None else (_LEFT + (at + 0.5) * wide, _y(value, top)) for at, value in enumerate(values)
        ]
        for piece in _pieces(points):
            drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in piece)
            parts.append(f'<polyline class="{_class(name)}" points="{drawn}"/>')
        for label, value, point in zip(labels, values, points, strict=True):
            if point is not None and value is not None:
                said = html.escape(f"{label}: {name} {shown(value)}")
                parts.append(
                    f'<circle class="{_class(name)}" cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="3">'
                    f"<title>{said}</title></circle>"
                )
    return _svg(parts, title)


def bar(share: float, name: str = "completed") -> str:
    """A small bar in a table: how much of the whole something is, 0 to 1."""
    width = max(0.0, min(1.0, share)) * 100
    return (
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="ground" width="100" height="8"/>'
        f'<rect class="{_class(name)}" width="{width:.1f}" height="8"/></svg>'
    )


def _class(name: str) -> str:
    return "".join(char if char.isalnum() else "-" for char in name)


def _pieces(
    points: Sequence[tuple[float, float] | None],
) -> list[list[tuple[float, float]]]:
    found: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            found.append([])
        else:
            found[-1].append(point)
    return [piece for piece in found if len(piece) > 1]


def _scale(most: float) -> tuple[float, list[float]]:
    """The top of an axis and its ticks, at round numbers."""
    if most <= 0:
        return 1.0, [0.0]
    raw = most / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    count = math.ceil(most / step - 1e-9)
    return step * count, [step * number for number in range(count + 1)]


def _y(value: float, top: float) -> float:
    return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - value / top)


def _frame(labels: Sequence[str], ticks: Sequence[float], top: float, shown: Callable[[float], str]) -> str:
    parts = []
    for tick in ticks:
        y = _y(tick, top)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="end" x="{_LEFT - 6}" y="{y + 4:.1f}">{html.escape(shown(tick))}</text>')
    wide = (_WIDTH - _LEFT - _RIGHT) / max(1, len(labels))
    every = max(1, math.ceil(len(labels) * max((len(label) for label in labels), default=1) * 7.5 / (_WIDTH - _LEFT)))
    for at in range(0, len(labels), every):
        x = _LEFT + (at + 0.5) * wide
        parts.append(f'<text class="mid" x="{x:.1f}" y="{_HEIGHT - 8}">{html.escape(labels[at])}</text>')
    return "".join(parts)


def _svg(parts: Sequence[str], title: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.escape(title)}">'
        f"{''.join(parts)}</svg>"
    )
