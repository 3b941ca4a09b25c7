"""Which columns of a table a chart shows, and the values that it draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.tools.charts.spec import Chart
from orchestrator_dagster.tools.charts.style import words
from orchestrator_dagster.tools.data.columns import kind, parse_dates, require_columns, require_kind
from orchestrator_dagster.tools.data.plain import plain_values, text_of
from orchestrator_dagster.tools.data.types import Frame

#: Most series of one chart: more colours cannot be told apart.
MAX_SERIES = 10
#: Most different texts of a column that is taken as categories without being named.
_FEW = 50
_ISO_DATE = r"\d{4}-\d\d(-\d\d([T ]\d\d:\d\d.*)?)?"


@dataclass
class Tidy:
    """What is drawn: ``values`` is a table with the columns x, value and series, rows without a value left out."""

    chart: Chart
    values: Frame
    x_kind: str
    x_name: str
    y_name: str
    series: list[str]
    group_name: str = ""
    notes: list[str] = field(default_factory=list)


def with_dates(frame: Frame) -> Frame:
    """The table with columns of ISO dates as dates."""
    changed = {}
    for name in frame.columns:
        if kind(frame[name]) == "text":
            texts = frame[name].dropna()
            if len(texts) and texts.str.fullmatch(_ISO_DATE).all():
                dates = parse_dates(frame[name])
                if dates.notna().sum() == len(texts):
                    changed[name] = dates
    return frame.assign(**changed)


def chosen(chart: Chart, frame: Frame) -> Chart:
    """The chart with its kind and columns, where it leaves them open.

    Raises:
        ParametersError: The table is empty, has no such column, or none that the kind could show.
    """
    if not len(frame) or not len(frame.columns):
        raise ParametersError(
            f"there is nothing to draw: the table has {len(frame)} rows and {len(frame.columns)} columns",
            hint="check the step that makes the table, or give this one a `condition`",
        )
    named = [name for name in (chart.x, *chart.y_names, chart.group_by, chart.cell) if name is not None]
    require_columns(frame, named)
    kinds = {str(name): kind(frame[name]) for name in frame.columns}
    numbers = [name for name, held in kinds.items() if held == "number" and name not in (chart.x, chart.group_by)]
    dates = [name for name, held in kinds.items() if held == "date"]
    texts = [
        name for name, held in kinds.items() if held in ("text", "boolean") and frame[name].nunique() <= max(_FEW, 1)
    ]
    wanted = chart.kind
    if wanted == "auto":
        wanted = _kind_for(chart, kinds, numbers, dates, texts)
    x, y = chart.x, chart.y_names
    if wanted in ("line", "area"):
        x = x or next(iter([*dates, *(name for name in numbers if y and name not in y), *texts]), None)
        y = y or [name for name in numbers if name != x][:1]
    elif wanted in ("bar", "pie"):
        x = x or next(iter([*texts, *dates, *(name for name in kinds if name not in y)]), None)
        y = y or ([] if chart.aggregate == "count" else [name for name in numbers if name != x][:1])
    elif wanted == "scatter":
        x = x or next((name for name in numbers if name not in y), None)
        y = y or [name for name in numbers if name != x][:1]
    elif wanted == "histogram":
        x, y = (x, []) if x else (None, y or numbers[:1])
    elif wanted == "box":
        y = y or numbers[:1]
        x = x or (None if len(y) > 1 else next((name for name in texts if name != chart.group_by), None))
    if wanted not in ("bar", "pie", "heatmap") and not y and not (wanted == "histogram" and x):
        raise ParametersError(
            f"a {wanted} chart needs a column of numbers, the table has none left for it",
            hint="its columns: " + ", ".join(f"{name} ({held})" for name, held in kinds.items()),
        )
    if wanted in ("bar", "pie", "scatter") and x is None:
        raise ParametersError(f"a {wanted} chart needs a column for `x`", hint="name it")
    return chart.model_copy(update={"kind": wanted, "x": x, "y": y})


def _kind_for(chart: Chart, kinds: Mapping[str, str], numbers: list[str], dates: list[str], texts: list[str]) -> Any:
    if chart.cell is not None:
        return "heatmap"
    if chart.x is not None:
        held = kinds[chart.x]
        if held == "date":
            return "line"
        if held == "number":
            return "scatter" if chart.y_names else "histogram"
        return "bar"
    if dates and numbers:
        return "line"
    if texts:
        return "bar"
    return "scatter" if len(numbers) >= 2 else "histogram" if numbers else "bar"


def tidy(chart: Chart, frame: Frame) -> Tidy:
    """The values of a chart whose columns are chosen, one row a point; repeated places are aggregated.

    Raises:
        ParametersError: Values are no numbers, none is left, or there are more series than colours.
    """
    import pandas as pd

    y = chart.y_names
    if len(y) > 1 and chart.group_by:
        raise ParametersError(
            "several columns in `y` and a `group_by` are too much for one chart", hint="leave one out"
        )
    for name in y:
        require_kind(frame, name, ("number",), f"the {chart.kind} chart")
    x_values, x_kind = _x_values(chart, frame)
    parts = []
    columns: list[str | None] = list(y) or [None]
    for column in columns:
        values = pd.Series(1.0, index=frame.index) if column is None else frame[column].astype("float64")
        series = _texts(frame, chart.group_by) if chart.group_by else words(column or "")
        parts.append(pd.DataFrame({"x": x_values, "value": values, "series": series}))
    table = pd.concat(parts, ignore_index=True)
    whole = len(table)
    table = table[table["value"].notna() & table["x"].notna() & table["value"].abs().ne(float("inf"))]
    if not len(table):
        raise ParametersError("there is nothing to draw: no row has a value", hint="check the columns `x` and `y`")
    notes = [f"{whole - len(table):,} of {whole:,} rows without a value are left out"] if len(table) < whole else []
    names = list(dict.fromkeys(table["series"]))
    if len(names) > MAX_SERIES:
        table, names, more = _fewer_series(table)
        notes.append(more)
    y_name = words(y[0]) if len(y) == 1 else "" if y else "rows"
    made = Tidy(chart, table, x_kind, words(chart.x or ""), y_name, names, words(chart.group_by or ""), notes)
    return _aggregated(made) if chart.kind in ("bar", "line", "area", "pie") else made


def _x_values(chart: Chart, frame: Frame) -> tuple[Any, str]:
    import pandas as pd

    if chart.x is None:
        return pd.Series(range(1, len(frame) + 1), index=frame.index, dtype="float64"), "number"
    held = kind(frame[chart.x])
    if held == "number" and chart.kind not in ("bar", "pie", "box"):
        return frame[chart.x].astype("float64"), "number"
    if held == "date" and chart.kind not in ("pie", "box"):
        dates = frame[chart.x]
        if dates.dtype.kind != "M":
            dates = pd.to_datetime(dates, errors="coerce")
        if getattr(dates.dtype, "tz", None) is not None:
            dates = dates.dt.tz_localize(None)
        if chart.kind != "bar" or dates.nunique() > 1:
            return dates, "date"
    return _texts(frame, chart.x), "text"


def _texts(frame: Frame, name: str | None) -> Any:
    import pandas as pd

    cells = ["(none)" if cell is None else text_of(cell) for cell in plain_values(frame[name])]
    return pd.Series(cells, index=frame.index, dtype="object")


def _fewer_series(table: Frame) -> tuple[Frame, list[str], str]:
    sizes = table.groupby("series", sort=False).size().sort_values(ascending=False, kind="stable")
    kept = list(sizes.index[:MAX_SERIES])
    shown = table[table["series"].isin(kept)]
    names = [name for name in dict.fromkeys(table["series"]) if name in kept]
    return shown, names, f"{len(sizes) - len(kept)} of {len(sizes)} series are left out: those with the fewest rows"


def _aggregated(made: Tidy) -> Tidy:
    chart, table = made.chart, made.values
    how = chart.aggregate or ("mean" if chart.y_names else "count")
    if chart.kind == "pie" and chart.aggregate is None and chart.y_names:
        how = "sum"  # parts of a whole
    repeated = bool(table.duplicated(["x", "series"]).any())
    if repeated or how == "count":
        table = table.groupby(["series", "x"], sort=False, observed=True)["value"].agg(how).reset_index()
        if how != "count" and made.y_name:
            made = replace(made, y_name=f"{how} of {made.y_name}")
    if how == "count":
        made = replace(made, y_name="number of rows")
    return replace(made, values=table, chart=chart.model_copy(update={"aggregate": how}))
