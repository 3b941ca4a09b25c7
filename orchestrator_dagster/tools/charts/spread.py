"""How values are spread: histograms, boxes, and tables of colours."""

from __future__ import annotations

from typing import Any

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.tools.charts.bars import LETTER, legend
from orchestrator_dagster.tools.charts.columns import Tidy
from orchestrator_dagster.tools.charts.spec import Chart
from orchestrator_dagster.tools.charts.style import (
    Look,
    axis_label,
    date_texts,
    number_texts,
    tick_format,
    words,
    wrapped,
)
from orchestrator_dagster.tools.data.columns import kind, require_kind
from orchestrator_dagster.tools.data.plain import plain_values, text_of
from orchestrator_dagster.tools.data.types import Frame

_BINS = 60
#: Rows or columns of a heatmap; cells that still get their value.
_CELLS, _WRITTEN = 60, 260


def histogram(ax: Any, tidy: Tidy, look: Look, width: int) -> None:
    """How many rows have a value in each of some ranges of equal width."""
    import numpy as np

    column = "value" if tidy.chart.x is None else "x"
    values = tidy.values[column].to_numpy(dtype="float64")
    bins = tidy.chart.bins or min(_BINS, max(1, len(np.histogram_bin_edges(values, "auto")) - 1))
    edges = np.histogram_bin_edges(values, bins)
    many = len(tidy.series) > 1
    for number, name in enumerate(tidy.series):
        one = tidy.values[tidy.values["series"] == name][column].to_numpy(dtype="float64")
        if many:
            ax.hist(one, edges, histtype="stepfilled", color=look.color(number), alpha=0.25, linewidth=0)
            ax.hist(one, edges, histtype="step", color=look.color(number), linewidth=1.8, label=str(name))
        else:
            ax.hist(one, edges, color=look.color(0), edgecolor=look.ground, linewidth=0.8)
    chart = tidy.chart
    ax.set_xlabel(axis_label(chart.x_label, tidy.x_name or tidy.y_name, chart.x_unit or chart.y_unit))
    ax.set_ylabel(axis_label(chart.y_label, "number of rows", None))
    tick_format(ax.xaxis)
    tick_format(ax.yaxis)
    ax.grid(axis="y")
    ax.spines["left"].set_visible(False)
    if chart.log_y:
        ax.set_yscale("log")
    if many:
        legend(ax, tidy, len(tidy.series))


def box(ax: Any, tidy: Tidy, look: Look, width: int) -> None:
    """Median, quartiles, whiskers (1.5 interquartile ranges) and outliers of each category."""
    table = tidy.values
    by_x = tidy.chart.x is not None
    key = "x" if by_x else "series"
    names = list(dict.fromkeys(table[key]))
    if tidy.chart.sort == "label":
        names.sort(key=lambda name: str(name).casefold())
    elif tidy.chart.sort == "value":
        names.sort(key=lambda name: -table[table[key] == name]["value"].median())
    if len(names) > tidy.chart.top:
        sizes = table.groupby(key, sort=False).size().sort_values(ascending=False, kind="stable")
        kept = set(sizes.index[: tidy.chart.top])
        tidy.notes.append(f"{tidy.chart.top} of {len(names):,} categories are shown: those with the most rows")
        names = [name for name in names if name in kept]
    series = tidy.series if by_x and len(tidy.series) > 1 else [None]
    size = 0.6 / len(series)
    for number, name in enumerate(series):
        rows = table if name is None else table[table["series"] == name]
        groups = [rows[rows[key] == one]["value"].to_numpy(dtype="float64") for one in names]
        places = [place + (number - (len(series) - 1) / 2) * size for place in range(len(names))]
        given = [(values, place) for values, place in zip(groups, places, strict=True) if len(values)]
        color = look.color(number)
        ax.boxplot(
            [values for values, _ in given], positions=[place for _, place in given], widths=size * 0.82,
            patch_artist=True, manage_ticks=False, label=None if name is None else str(name),
            boxprops={"facecolor": color, "edgecolor": color, "alpha": 0.75}, whiskerprops={"color": color},
            capprops={"color": color}, medianprops={"color": look.ground, "linewidth": 2},
            flierprops={"marker": "o", "markersize": 3.5, "markerfacecolor": color, "markeredgewidth": 0, "alpha": 0.6},
        )  # fmt: skip
    room = max(6, int((width - 110) / len(names) / LETTER))
    turned = max(len(str(name)) for name in names) > 3 * room
    ax.set_xticks(range(len(names)), [wrapped(str(name), 26 if turned else room, 1 if turned else 3) for name in names],
                  rotation=40 if turned else 0, ha="right" if turned else "center", rotation_mode="anchor")  # fmt: skip
    ax.set_xlim(-0.6, len(names) - 0.4)
    chart = tidy.chart
    ax.set_xlabel(axis_label(chart.x_label, tidy.x_name, chart.x_unit))
    ax.set_ylabel(axis_label(chart.y_label, tidy.y_name, chart.y_unit))
    tick_format(ax.yaxis)
    ax.grid(axis="y")
    ax.spines["left"].set_visible(False)
    if chart.log_y:
        ax.set_yscale("log")
    if len(series) > 1:
        legend(ax, tidy, len(series))


def heatmap(ax: Any, chart: Chart, frame: Frame, look: Look, width: int) -> list[str]:
    """A table of colours: a value for each x and y, or, without columns, how numbers go together (Pearson's r).

    Returns:
        What a reader should know of it.
    """
    import numpy as np
    from matplotlib.colors import LinearSegmentedColormap

    table, label, related = _cells(chart, frame)
    if table.shape[0] > _CELLS or table.shape[1] > _CELLS:
        raise ParametersError(
            f"a heatmap of {table.shape[0]:,} by {table.shape[1]:,} cells cannot be read, {_CELLS} by {_CELLS} can",
            hint="filter or aggregate the table first",
        )
    values = table.to_numpy(dtype="float64")
    signed = related or (np.nanmin(values) < 0 < np.nanmax(values))
    middle = look.line if look.ground == "#ffffff" else "#2a323d"
    colors = [look.color(0), middle, look.color(1)] if signed else [middle, look.color(0)]
    shades = LinearSegmentedColormap.from_list("shades", colors)
    reach = 1.0 if related else float(np.nanmax(np.abs(values)))
    low, high = (-reach, reach) if signed else (float(np.nanmin(values)), float(np.nanmax(values)))
    drawn = ax.pcolormesh(np.ma.masked_invalid(values), cmap=shades, vmin=low, vmax=high if high > low else low + 1,
                          edgecolors=look.ground, linewidth=1.0)  # fmt: skip
    ax.invert_yaxis()
    names = [str(name) for name in table.columns]
    room = max(4, int((width - 260) / len(names) / LETTER))
    turned = max(map(len, names)) > 2 * room
    labels = [wrapped(name, 26 if turned else room, 1 if turned else 2) for name in names]
    ax.set_xticks(np.arange(len(names)) + 0.5, labels,
                  rotation=40 if turned else 0, ha="right" if turned else "center", rotation_mode="anchor")  # fmt: skip
    ax.set_yticks(np.arange(len(table)) + 0.5, [wrapped(str(name), 26, 2) for name in table.index])
    for side in ax.spines.values():
        side.set_visible(False)
    if values.size <= _WRITTEN and (width - 260) / len(names) > 30:
        known = [(place, float(value)) for place, value in np.ndenumerate(values) if value == value]
        texts = number_texts([round(value, 2) if related else value for _, value in known])
        for ((row, column), value), text in zip(known, texts, strict=True):
            ax.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=8.5,
                    color=_readable_on(drawn.cmap(drawn.norm(value))))  # fmt: skip
    bar = ax.figure.colorbar(drawn, ax=ax, pad=0.02, aspect=30)
    bar.outline.set_visible(False)
    bar.set_label(axis_label(None, label, chart.y_unit))
    tick_format(bar.ax.yaxis)
    if not related:
        ax.set_xlabel(axis_label(chart.x_label, words(chart.x or ""), chart.x_unit))
        ax.set_ylabel(words(chart.y_names[0]) if chart.y_label is None else chart.y_label)
    return ["colours show Pearson's r: 1 and -1 where two columns rise and fall together"] if related else []


def _readable_on(color: tuple[float, float, float, float]) -> str:
    """Black or white, whichever stands out more from a colour (relative luminance of WCAG 2)."""
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in color[:3])
    return "#14181f" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.19 else "#ffffff"


def _cells(chart: Chart, frame: Frame) -> tuple[Frame, str, bool]:
    import pandas as pd

    if chart.x is None and not chart.y_names and chart.cell is None:
        numbers = [str(name) for name in frame.columns if kind(frame[name]) == "number" and frame[name].nunique() > 1]
        if len(numbers) < 2:
            raise ParametersError("a heatmap needs `x`, `y` and `cell`, or a table with two columns of numbers")
        table = frame[numbers].astype("float64").corr().rename(index=words, columns=words)
        return table, "correlation", True
    if chart.x is None or len(chart.y_names) != 1:
        raise ParametersError("a heatmap needs `x` (its columns), `y` (its rows) and, but for counts, `cell`")
    row = chart.y_names[0]
    how = chart.aggregate or ("mean" if chart.cell else "count")
    if chart.cell:
        require_kind(frame, chart.cell, ("number",), "the heatmap")
    values = frame[chart.cell].astype("float64") if chart.cell else pd.Series(1.0, index=frame.index)
    keys = {name: _keys(frame, name) for name in (chart.x, row)}
    long = pd.DataFrame({"x": keys[chart.x], "y": keys[row], "value": values.to_numpy()}).dropna(subset=["value"])
    if not len(long):
        raise ParametersError("there is nothing to draw: no row has a value", hint="check the column `cell`")
    table = long.pivot_table(index="y", columns="x", values="value", aggfunc=how, sort=False, observed=True)
    columns, rows = list(dict.fromkeys(long["x"])), list(dict.fromkeys(long["y"]))
    repeated = bool(long.duplicated(["x", "y"]).any())
    label = f"{how} of {words(chart.cell)}" if chart.cell and repeated else words(chart.cell or "number of rows")
    if chart.sort == "label":
        columns, rows = sorted(columns), sorted(rows)
    return table.reindex(index=rows, columns=columns), label, False


def _keys(frame: Frame, name: str) -> list[str]:
    column = frame[name]
    if kind(column) == "date" and column.dtype.kind == "M" and column.notna().all():
        return date_texts(column.dt.tz_localize(None).tolist())
    return [text_of("" if cell is None else cell) for cell in plain_values(column)]
