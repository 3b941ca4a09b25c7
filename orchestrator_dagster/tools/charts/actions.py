"""The actions chart and charts."""

from __future__ import annotations

import base64
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, Field

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.language.template_filters import slugify
from orchestrator_dagster.tools.charts.drawing import Drawn, render
from orchestrator_dagster.tools.charts.page import chart_page
from orchestrator_dagster.tools.charts.spec import (
    AggregateField,
    CellField,
    Chart,
    Format,
    GroupField,
    KindField,
    SortField,
    Theme,
    TopField,
    XField,
    YField,
    charts_of,
)
from orchestrator_dagster.tools.data.loading import read_table
from orchestrator_dagster.tools.data.types import Frame, Names, OptionalSource, Source
from orchestrator_dagster.tools.tool import ToolContext

FORMATS = ("png", "svg", "html")
OutputPath = Annotated[
    str | None,
    Field(
        description="File to write: .png, .svg or .html. Without it the picture is in the result.",
        validation_alias=AliasChoices("output_path", "path", "filename", "output"),
    ),
]


class ChartResult(BaseModel):
    """A chart: its file (``path``, alone in ``files`` and ``charts``), or its content where none was asked for.

    ``base64`` has the bytes of a PNG, ``content`` the text of an SVG or HTML. ``alt`` describes it in a sentence;
    ``warnings`` say what was left out. ``width`` and ``height`` are in pixels of the page; a PNG has twice as many.
    """

    path: str | None
    files: list[str]
    charts: list[str]
    kind: str
    format: str
    title: str
    alt: str
    width: int
    height: int
    base64: str | None
    content: str | None
    warnings: list[str]


class ChartFile(BaseModel):
    """One of several charts."""

    path: str
    kind: str
    title: str
    alt: str
    warnings: list[str]


class ChartsResult(BaseModel):
    """Several charts, each in a file; ``charts`` and ``files`` are their paths, ``items`` what they show."""

    charts: list[str]
    files: list[str]
    items: list[ChartFile]
    count: int


def chart(
    context: ToolContext,
    data: Source,
    kind: KindField = "auto",
    x: XField = None,
    y: YField = None,
    group_by: GroupField = None,
    cell: CellField = None,
    aggregate: AggregateField = None,
    title: Annotated[str | None, Field(description="Above the chart.")] = None,
    subtitle: Annotated[str | None, Field(description="Below the title, smaller.")] = None,
    x_label: Annotated[str | None, Field(description="Default: the column's name.")] = None,
    y_label: Annotated[str | None, Field(description="Default: the column's name and how it is aggregated.")] = None,
    x_unit: Annotated[str | None, Field(description="Unit behind the label: (km).")] = None,
    y_unit: Annotated[
        str | None, Field(description="Unit behind the label: (°C).", validation_alias=AliasChoices("y_unit", "unit"))
    ] = None,
    sort: SortField = "data",
    top: TopField = 30,
    stacked: Annotated[bool, Field(description="Bars or areas of several series on each other.")] = False,
    horizontal: Annotated[bool | None, Field(description="Lying bars. Default: where labels are long.")] = None,
    bins: Annotated[int | None, Field(ge=1, le=500, description="Of a histogram. Default by its values.")] = None,
    log_x: Annotated[bool, Field(description="Logarithmic horizontal axis.")] = False,
    log_y: Annotated[bool, Field(description="Logarithmic axis of the values.")] = False,
    trend: Annotated[bool, Field(description="A straight line through the points of a scatter plot.")] = False,
    width: Annotated[int, Field(ge=200, le=4000, description="In pixels; a PNG has twice as many.")] = 900,
    height: Annotated[int | None, Field(ge=150, le=4000, description="In pixels. Default by the chart.")] = None,
    theme: Annotated[Theme, Field(description="Colours of the ground and the letters.")] = "light",
    colors: Annotated[list[str] | None, Field(description="Colours of the series, such as #2f6db5.")] = None,
    format: Annotated[Format | None, Field(description="Default: by the file's ending, else png.")] = None,
    output_path: OutputPath = None,
) -> ChartResult:
    """Draw one chart from a table.

    Example:
        >>> chart(context, "sales.csv", x="shop", y="units", output_path="sales.svg").files  # doctest: +SKIP
        ['sales.svg']

    Raises:
        ParametersError: The table is empty, a column is missing or does not fit the chart.
        MissingExtraError: matplotlib is not installed.
    """
    wanted = Chart(
        kind=kind, x=x, y=y, group_by=group_by, cell=cell, aggregate=aggregate, title=title, subtitle=subtitle,
        x_label=x_label, y_label=y_label, x_unit=x_unit, y_unit=y_unit, sort=sort, top=top, stacked=stacked,
        horizontal=horizontal, bins=bins, log_x=log_x, log_y=log_y, trend=trend, width=width, height=height,
        theme=theme, colors=colors,
    )  # fmt: skip
    chosen = format or (_format_of(output_path) if output_path else "png")
    drawn, content = made(wanted, read_table(context, data), chosen)
    paths: list[str] = []
    if output_path is not None:
        paths = [context.workspace.relative(context.workspace.write(output_path, content).path)]
    for note in drawn.notes:
        context.log(note)
    return ChartResult(
        path=paths[0] if paths else None,
        files=paths,
        charts=paths,
        kind=drawn.kind,
        format=chosen,
        title=drawn.title,
        alt=drawn.alt,
        width=drawn.width,
        height=drawn.height,
        base64=base64.b64encode(content).decode("ascii") if not paths and chosen == "png" else None,
        content=content.decode("utf-8") if not paths and chosen != "png" else None,
        warnings=drawn.notes,
    )


def made(chart: Chart, frame: Frame, file_format: str) -> tuple[Drawn, bytes]:
    """A chart in one format: png, svg, or html, a page with the picture."""
    drawn, pictures = render(chart, frame, ["svg" if file_format == "html" else file_format])
    if file_format == "html":
        return drawn, chart_page(drawn, pictures["svg"], chart.theme).encode()
    return drawn, pictures[file_format]


def _format_of(path: str) -> str:
    ending = PurePosixPath(path).suffix.lower().lstrip(".")
    if ending not in FORMATS:
        raise ParametersError(
            f'the ending of "{path}" is no format of a chart', hint="use .png, .svg or .html, or name the `format`"
        )
    return ending


def charts(
    context: ToolContext,
    data: OptionalSource = None,
    charts: Annotated[
        list[dict[str, Any]] | None,
        Field(description="[{" + ", ".join(Chart.model_fields) + "}], as for `chart`."),
    ] = None,
    chart_types: Annotated[
        Names | None, Field(description="Instead of `charts`: a chart of each of these kinds, its columns chosen.")
    ] = None,
    output_dir: Annotated[str, Field(description="Folder for the files, which are named by the titles.")] = "charts",
    format: Annotated[Format, Field(description="Of the files.")] = "png",
    title: Annotated[str | None, Field(description="Of charts that have none.")] = None,
    theme: Annotated[Theme | None, Field(description="Of charts that name none.")] = None,
) -> ChartsResult:
    """Draw several charts into files of one folder.

    Raises:
        ParametersError: As for `chart`; all charts are drawn before the first file is written.
    """
    wanted = specs(charts, chart_types, title, theme)
    table = read_table(context, data) if data is not None else None
    drawn = [made(one, table_for(context, one, table, number), format) for number, one in enumerate(wanted, 1)]
    items: list[ChartFile] = []
    taken: set[str] = set()
    for number, (about, content) in enumerate(drawn, 1):
        name = slugify(about.title) if about.title else f"{number:02}-{about.kind}"
        name = name if name not in taken else f"{name}-{number}"
        taken.add(name)
        written = context.workspace.write(f"{output_dir.rstrip('/') or '.'}/{name}.{format}", content)
        path = context.workspace.relative(written.path)
        items.append(ChartFile(path=path, kind=about.kind, title=about.title, alt=about.alt, warnings=about.notes))
    paths = [item.path for item in items]
    return ChartsResult(charts=paths, files=paths, items=items, count=len(items))


def specs(
    charts: list[dict[str, Any]] | None, kinds: Names | None, title: str | None, theme: Theme | None
) -> list[Chart]:
    """The charts that are asked for, one way or the other.

    Raises:
        ParametersError: None or both ways are used, or one is wrong.
    """
    if (charts is None) == (kinds is None):
        raise ParametersError("either `charts` or `chart_types` is needed")
    names = [kinds] if isinstance(kinds, str) else list(kinds or ())
    found = charts_of(charts if charts is not None else [{"kind": name} for name in names])
    if not found:
        raise ParametersError("there is no chart to draw: the list is empty")
    changed = []
    for one in found:
        own = {"title": title} if one.title is None and title and len(found) == 1 else {}
        own |= {"theme": theme} if theme and "theme" not in one.model_fields_set else {}
        changed.append(one.model_copy(update=own))
    return changed


def table_for(context: ToolContext, chart: Chart, table: Frame | None, number: int) -> Frame:
    """The table of a chart: its own, or that of all.

    Raises:
        ParametersError: There is none.
    """
    if chart.data is not None:
        return read_table(context, chart.data)
    if table is None:
        raise ParametersError(f"chart {number} has no `data`, and there is none for all charts")
    return table
