"""The action dashboard: figures and charts on one page."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, Field

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.tools.charts.actions import specs, table_for
from orchestrator_dagster.tools.charts.drawing import Drawn, check_colors, draw, drawing, picture, render, texts_of
from orchestrator_dagster.tools.charts.page import page, shown
from orchestrator_dagster.tools.charts.spec import Chart, Theme
from orchestrator_dagster.tools.charts.style import Look, wrapped
from orchestrator_dagster.tools.data.loading import read_table
from orchestrator_dagster.tools.data.types import Frame, Names, OptionalSource
from orchestrator_dagster.tools.tool import ToolContext

_MOST = 40


class Dashboard(BaseModel):
    """A dashboard: its file, or its text (HTML) where none was asked for; ``kinds`` are those of its charts."""

    path: str | None
    files: list[str]
    charts: list[str]
    format: str
    title: str
    count: int
    kinds: list[str]
    content: str | None
    warnings: list[str]


def dashboard(
    context: ToolContext,
    data: OptionalSource = None,
    charts: Annotated[
        list[dict[str, Any]] | None,
        Field(description="[{" + ", ".join(Chart.model_fields) + "}], as for `chart`.", max_length=_MOST),
    ] = None,
    chart_types: Annotated[
        Names | None, Field(description="Instead of `charts`: a chart of each of these kinds, its columns chosen.")
    ] = None,
    title: Annotated[str, Field(description="Of the page.")] = "Dashboard",
    text: Annotated[
        str, Field(description="A sentence below the title.", validation_alias=AliasChoices("text", "description"))
    ] = "",
    figures: Annotated[
        dict[str, Any] | None,
        Field(
            description="name -> number or text, in tiles.", validation_alias=AliasChoices("figures", "metrics", "kpis")
        ),
    ] = None,
    columns: Annotated[int, Field(ge=1, le=3, description="Charts side by side.")] = 2,
    theme: Annotated[Theme, Field(description="Colours of the ground and the letters.")] = "light",
    output_path: Annotated[
        str | None,
        Field(
            description="File to write: .html, .png or .svg. Without it the page is in the result.",
            validation_alias=AliasChoices("output_path", "path", "filename", "output"),
        ),
    ] = None,
) -> Dashboard:
    """Put figures and charts on one page: a standalone HTML page, or one picture.

    Raises:
        ParametersError: As for `chart`.
        MissingExtraError: matplotlib is not installed.
    """
    ending = PurePosixPath(output_path).suffix.lower().lstrip(".") if output_path else "html"
    if ending not in ("html", "png", "svg"):
        raise ParametersError(
            f'the ending of "{output_path}" is no format of a dashboard', hint="use .html, .png or .svg"
        )
    table = read_table(context, data) if data is not None else None
    wanted = [
        (one.model_copy(update={"theme": theme}), table_for(context, one, table, number))
        for number, one in enumerate(specs(charts, chart_types, None, theme), 1)
    ]
    if ending == "html":
        drawn = [(about, made["svg"]) for about, made in (render(chart, frame, ["svg"]) for chart, frame in wanted)]
        content = page(title, text, figures or {}, drawn, theme, columns=columns).encode()
        abouts = [about for about, _ in drawn]
    else:
        abouts, content = _sheet(wanted, title, text, figures or {}, columns, theme, ending)
    files = []
    if output_path is not None:
        files = [context.workspace.relative(context.workspace.write(output_path, content).path)]
    warnings = [note for about in abouts for note in about.notes]
    return Dashboard(
        path=files[0] if files else None,
        files=files,
        charts=[about.title or about.kind for about in abouts],
        format=ending,
        title=title,
        count=len(abouts),
        kinds=[about.kind for about in abouts],
        content=None if files else content.decode("utf-8"),
        warnings=warnings,
    )


def _sheet(
    wanted: list[tuple[Chart, Frame]],
    title: str,
    text: str,
    figures: dict[str, Any],
    columns: int,
    theme: str,
    file_format: str,
) -> tuple[list[Drawn], bytes]:
    """All charts in one picture: a row of figures, then the charts in rows."""
    for chart, _ in wanted:
        check_colors(chart.colors)
    from matplotlib.figure import Figure

    look = Look.of(theme)
    columns = min(columns, len(wanted))
    rows = -(-len(wanted) // columns)
    size = 1200 // columns if columns > 1 else 1000
    heights = [0.85 + 0.3 * bool(text)] + ([0.95] if figures else []) + [4.4] * rows
    letters = [title, text, *map(str, figures), *map(shown, figures.values())]
    letters += [one for chart, frame in wanted for one in texts_of(chart, frame)]
    with drawing(look, letters) as missing:
        whole = Figure(figsize=(size * columns / 100, sum(heights)), layout="constrained")
        parts = whole.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        parts[0].text(0.015, 0.68 if text else 0.45, wrapped(title, 70, 1), fontsize=19, fontweight="bold", va="center")
        if text:
            parts[0].text(0.015, 0.2, wrapped(text, 150, 1), fontsize=11, color=look.quiet, va="center")
        if figures:
            _tiles(parts[1], figures, look)
        abouts = []
        for number, (chart, frame) in enumerate(wanted):
            line = parts[len(heights) - rows + number // columns]
            if number % columns == 0:
                cells = line.subfigures(1, columns, squeeze=False)[0]
            own = chart.model_copy(update={"width": size, "height": 440})
            abouts.append(draw(own, frame, cells[number % columns], Look.of(theme, chart.colors)))
        whole.get_layout_engine().set(w_pad=0.12, h_pad=0.12)
        content = picture(whole, look, file_format, title)
    if missing:
        abouts[0].notes.append(f"no installed font has the characters {missing[:40]}")
    return abouts, content


def _tiles(part: Any, figures: dict[str, Any], look: Look) -> None:
    for number, (name, value) in enumerate(figures.items()):
        left = 0.015 + number * (0.97 / len(figures))
        part.text(left, 0.72, wrapped(name, max(8, 130 // len(figures)), 1), fontsize=10, color=look.quiet, va="center")
        part.text(
            left, 0.3, wrapped(shown(value), max(6, 70 // len(figures)), 1), fontsize=18, fontweight="bold", va="center"
        )
