"""Bars and slices."""

from __future__ import annotations

from typing import Any

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.tools.charts.categories import table_of
from orchestrator_dagster.tools.charts.columns import Tidy
from orchestrator_dagster.tools.charts.style import (
    Look,
    axis_label,
    date_texts,
    number_text,
    number_texts,
    tick_format,
    wrapped,
)

#: Slices of a pie; more cannot be compared.
_SLICES = 8
#: Bars that still get their value written beside them.
_LABELLED = 24
#: Width of a letter of the axis in pixels, about.
LETTER = 6.6


def lies_flat(tidy: Tidy, names: list[str], width: int) -> bool:
    """Whether bars lie, so that their labels can be read: when the labels would not stand side by side in two lines."""
    if tidy.chart.horizontal is not None:
        return tidy.chart.horizontal
    if tidy.x_kind == "date" or not names:
        return False
    room = (width - 110) / len(names) / LETTER  # letters that fit below a bar
    longest = max(len(word) for name in names for word in (name.split() or [""]))
    return max(map(len, names)) > room and (longest > room or max(map(len, names)) > 2 * room)


def bar(ax: Any, tidy: Tidy, look: Look, width: int) -> None:
    """Bars of one or several series, beside or on each other, standing or lying."""
    import numpy as np

    wide = table_of(tidy, tidy.chart.top)
    names = date_texts(wide.index) if tidy.x_kind == "date" else [str(name) for name in wide.index]
    flat = lies_flat(tidy, names, width)
    series = list(wide.columns)
    places = np.arange(len(wide), dtype="float64")
    stacked = tidy.chart.stacked and len(series) > 1
    size = 0.74 if stacked else 0.74 / len(series)
    above, below = np.zeros(len(wide)), np.zeros(len(wide))
    draw = ax.barh if flat else ax.bar
    for number, name in enumerate(series):
        values = wide[name].to_numpy(dtype="float64", na_value=np.nan)
        shift = 0.0 if stacked else (number - (len(series) - 1) / 2) * size
        start = np.where(np.nan_to_num(values) < 0, below, above) if stacked else np.zeros(len(wide))
        side = {"left": start} if flat else {"bottom": start}
        gap = {"edgecolor": look.ground, "linewidth": 0.8} if stacked else {}
        drawn = draw(places + shift, np.nan_to_num(values), size * (1 if stacked else 0.92), color=look.color(number),
                     label=str(name), **side, **gap)  # fmt: skip
        if stacked:
            above += np.clip(np.nan_to_num(values), 0, None)
            below += np.clip(np.nan_to_num(values), None, 0)
        elif len(wide) * len(series) <= _LABELLED and (flat or (width - 110) / (len(wide) * len(series)) > 34):
            known = values == values
            texts = iter(number_texts(values[known].tolist()))
            ax.bar_label(
                drawn, labels=[next(texts) if one else "" for one in known], padding=3, fontsize=8.5, color=look.quiet
            )
    _axes(ax, tidy, names, places, flat, width)
    if len(series) > 1:
        legend(ax, tidy, len(series))


def _axes(ax: Any, tidy: Tidy, names: list[str], places: Any, flat: bool, width: int) -> None:
    chart = tidy.chart
    value = axis_label(chart.y_label, tidy.y_name, chart.y_unit)
    category = axis_label(chart.x_label, tidy.x_name, chart.x_unit)
    beside = max(0.0, (4 - len(names)) / 2)  # one or two bars need not fill everything
    if flat:
        ax.set_yticks(places, [wrapped(name, 32, 2) for name in names])
        ax.set_ylim(len(names) - 0.4 + beside, -0.6 - beside)
        tick_format(ax.xaxis)
        ax.set_xlabel(value)
        ax.set_ylabel(category)
        ax.grid(axis="x")
        ax.spines["bottom"].set_visible(False)
        if chart.log_y:
            ax.set_xscale("log")
    else:
        step = max(1, -(-len(names) * 80 // max(width - 110, 1))) if tidy.x_kind == "date" else 1
        shown = [wrapped(name, max(6, int((width - 110) / len(names) * step / LETTER)), 3) for name in names]
        ax.set_xticks(places[::step], shown[::step])
        ax.set_xlim(-0.6 - beside, len(names) - 0.4 + beside)
        tick_format(ax.yaxis)
        ax.set_xlabel(category)
        ax.set_ylabel(value)
        ax.grid(axis="y")
        ax.spines["left"].set_visible(False)
        if chart.log_y:
            ax.set_yscale("log")
    low, high = ax.get_xlim() if flat else ax.get_ylim()
    if low < 0 < high:
        (ax.axvline if flat else ax.axhline)(0, color=ax.xaxis.label.get_color(), linewidth=0.8)
    if not chart.log_y:
        (ax.margins(x=0.09) if flat else ax.margins(y=0.09))


def legend(ax: Any, tidy: Tidy, count: int) -> None:
    """The names of the series, beside the drawing."""
    handles, labels = ax.get_legend_handles_labels()
    short = [wrapped(label, 22, 2) for label in labels]
    title = wrapped(tidy.group_name, 22, 2) or None
    ax.legend(handles[:count], short[:count], title=title, loc="upper left", bbox_to_anchor=(1.01, 1.02),
              borderaxespad=0, alignment="left", handlelength=1.2)  # fmt: skip


def pie(ax: Any, tidy: Tidy, look: Look, width: int) -> None:
    """Slices of a whole with their names, values and shares in a list beside it."""
    if len(tidy.series) > 1:
        raise ParametersError("a pie shows one series", hint="use bars with `stacked: true` for several")
    if (tidy.values["value"] < 0).any() or tidy.values["value"].sum() <= 0:
        raise ParametersError("a pie shows parts of a whole: its values are above 0", hint="use bars")
    how = tidy.chart.aggregate if tidy.chart.aggregate in ("sum", "count") else "sum"
    chart = tidy.chart.model_copy(
        update={"aggregate": how, "sort": "value" if tidy.chart.sort == "data" else tidy.chart.sort}
    )
    tidy.chart = chart
    wide = table_of(tidy, min(chart.top, _SLICES))
    values = wide.iloc[:, 0].to_numpy(dtype="float64")
    total = float(values.sum())
    colors = [look.color(number) for number in range(len(values))]
    if len(values) > 1 and str(wide.index[-1]).endswith(" others"):
        colors[-1] = look.quiet
    slices, _ = ax.pie(values, colors=colors, startangle=90, counterclock=False, radius=1.0,
                       wedgeprops={"edgecolor": look.ground, "linewidth": 1.2})  # fmt: skip
    unit = f" {chart.y_unit}" if chart.y_unit else ""
    labels = [
        f"{wrapped(str(name), 30, 2)}  {number_text(value)}{unit} ({value / total:.1%})"
        for name, value in zip(wide.index, values.tolist(), strict=True)
    ]
    ax.set_aspect("equal")
    ax.legend(slices, labels, loc="center left", bbox_to_anchor=(1.02, 0.5), borderaxespad=0, alignment="left",
              title=wrapped(axis_label(chart.x_label, tidy.x_name, None), 30) or None, handlelength=1.0)  # fmt: skip
