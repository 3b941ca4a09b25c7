"""Lines, areas and points."""

from __future__ import annotations

from typing import Any

from orchestrator_dagster.tools.charts.bars import LETTER, legend
from orchestrator_dagster.tools.charts.columns import Tidy
from orchestrator_dagster.tools.charts.style import Look, axis_label, number_text, tick_format, wrapped

#: Points that are drawn as a picture inside an SVG: as shapes they would be too many for a reader.
_RASTERED = 3_000


def line(ax: Any, tidy: Tidy, look: Look, width: int) -> None:
    """A line for each series, from left to right; a mark for each value where there are few."""
    import numpy as np

    area = tidy.chart.kind == "area"
    places = _places(tidy)
    longest = max(len(one) for _, one in tidy.values.groupby("series", sort=False))
    base = np.zeros(len(places)) if area and tidy.chart.stacked else None
    for number, name in enumerate(tidy.series):
        one = tidy.values[tidy.values["series"] == name]
        if tidy.x_kind == "text":
            one = one.assign(x=one["x"].map(places))
        one = one.sort_values("x", kind="stable")
        x, y = one["x"].to_numpy(), one["value"].to_numpy(dtype="float64")
        color, label = look.color(number), str(name)
        if base is not None:
            keys = list(places) if tidy.x_kind != "text" else list(range(len(places)))
            full = one.groupby("x")["value"].sum().reindex(keys).fillna(0.0).to_numpy(dtype="float64")
            ax.fill_between(np.asarray(keys), base, base + full, color=color, alpha=0.85, linewidth=0, label=label)
            base = base + full
            continue
        ax.plot(x, y, color=color, label=label, marker="o" if longest <= 40 else None, markersize=4.5)
        if area:
            ax.fill_between(x, 0, y, color=color, alpha=0.22, linewidth=0)
    _x_axis(ax, tidy, places, width)
    tick_format(ax.yaxis)
    _words(ax, tidy)
    ax.grid(axis="y")
    ax.spines["left"].set_visible(False)
    if area and not tidy.chart.log_y and not (tidy.values["value"] < 0).any():
        ax.set_ylim(bottom=0)
    if len(tidy.series) > 1:
        legend(ax, tidy, len(tidy.series))


def _places(tidy: Tidy) -> dict[Any, int]:
    values = dict.fromkeys(tidy.values["x"])
    ordered = list(values) if tidy.x_kind == "text" and tidy.chart.sort != "label" else sorted(values)
    return {value: place for place, value in enumerate(ordered)}


def _x_axis(ax: Any, tidy: Tidy, places: dict[Any, int], width: int) -> None:
    if tidy.x_kind == "text":
        step = max(1, -(-len(places) * 60 // max(width - 110, 1)))
        room = max(8, int((width - 110) / len(places) * step / LETTER))
        ax.set_xticks(list(range(len(places)))[::step], [wrapped(str(name), room, 2) for name in list(places)[::step]])
    elif tidy.x_kind == "date":
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator(minticks=3, maxticks=max(4, min(10, width // 90)))
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    else:
        tick_format(ax.xaxis)


def _words(ax: Any, tidy: Tidy) -> None:
    chart = tidy.chart
    ax.set_xlabel(axis_label(chart.x_label, tidy.x_name, chart.x_unit))
    ax.set_ylabel(axis_label(chart.y_label, tidy.y_name, chart.y_unit))
    if chart.log_y:
        ax.set_yscale("log")
    if chart.log_x and tidy.x_kind == "number":
        ax.set_xscale("log")


def scatter(ax: Any, tidy: Tidy, look: Look, width: int) -> None:
    """A point for each row; with ``trend`` a straight line of least squares for each series, and its r."""
    count = len(tidy.values)
    size, alpha = (
        (34, 0.8) if count <= 200 else (20, 0.6) if count <= 2_000 else (9, 0.35) if count <= 20_000 else (4, 0.12)
    )
    places = _places(tidy) if tidy.x_kind == "text" else {}
    for number, name in enumerate(tidy.series):
        one = tidy.values[tidy.values["series"] == name]
        x = one["x"].map(places) if tidy.x_kind == "text" else one["x"]
        ax.scatter(x.to_numpy(), one["value"].to_numpy(), s=size, alpha=alpha, color=look.color(number), linewidths=0,
                   label=str(name), rasterized=count > _RASTERED)  # fmt: skip
        if tidy.chart.trend and tidy.x_kind == "number":
            _trend(ax, tidy, str(name), one, look.color(number))
    _x_axis(ax, tidy, places, width)
    tick_format(ax.yaxis)
    _words(ax, tidy)
    ax.grid(axis="both")
    if len(tidy.series) > 1:
        legend(ax, tidy, len(tidy.series))
        for handle in ax.get_legend().legend_handles:
            handle.set_alpha(1)
            handle.set_sizes([34])


def _trend(ax: Any, tidy: Tidy, name: str, one: Any, color: str) -> None:
    import numpy as np

    x, y = one["x"].to_numpy(dtype="float64"), one["value"].to_numpy(dtype="float64")
    who = f"{name}: " if len(tidy.series) > 1 else ""
    if len(x) < 3 or x.std() == 0 or y.std() == 0:
        tidy.notes.append(f"{who}no trend can be drawn through these points")
        return
    slope, start = np.polyfit(x, y, 1)
    ends = np.array([x.min(), x.max()])
    ax.plot(ends, slope * ends + start, color=color, linewidth=1.6, linestyle=(0, (5, 3)), label="_trend")
    tidy.notes.append(f"{who}r = {np.corrcoef(x, y)[0, 1]:.2f}, slope {number_text(float(slope))}")
