"""What a chart is asked to show."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.text import nearest
from orchestrator_dagster.tools.data.types import Names

Kind: TypeAlias = Literal["auto", "bar", "line", "area", "scatter", "histogram", "pie", "box", "heatmap"]
Format: TypeAlias = Literal["png", "svg", "html"]
Aggregate: TypeAlias = Literal["mean", "sum", "median", "count", "min", "max"]
Theme: TypeAlias = Literal["light", "dark"]

KindField: TypeAlias = Annotated[
    Kind,
    Field(
        description="auto: a line over dates, bars over texts, points for two numbers, a histogram for one.",
        validation_alias=AliasChoices("kind", "chart_type", "type"),
    ),
]
XField: TypeAlias = Annotated[
    str | None, Field(description="Column of the horizontal axis, of the categories, or of the numbers of a histogram.")
]
YField: TypeAlias = Annotated[
    Names | None,
    Field(
        description="Column of the values; several: one series each. In a heatmap the column of its rows.",
        validation_alias=AliasChoices("y", "value", "values", "y_column"),
    ),
]
GroupField: TypeAlias = Annotated[
    str | None,
    Field(
        description="Column whose values become series, each in its colour.",
        validation_alias=AliasChoices("group_by", "color", "color_by", "series", "hue"),
    ),
]
CellField: TypeAlias = Annotated[str | None, Field(description="Column of the cells of a heatmap.")]
AggregateField: TypeAlias = Annotated[
    Aggregate | None,
    Field(
        description="How rows of one place become one value. Default: mean, or count without values; the axis says so."
    ),
]
SortField: TypeAlias = Annotated[
    Literal["data", "value", "label"], Field(description="Order of bars: as in the table, largest first, or by label.")
]
TopField: TypeAlias = Annotated[
    int, Field(ge=1, le=200, description="Most categories; the others become one where that can be summed.")
]


class Chart(BaseModel):
    """One chart: its kind, its columns, its words and its looks."""

    model_config = ConfigDict(extra="forbid")

    kind: KindField = "auto"
    x: XField = None
    y: YField = None
    group_by: GroupField = None
    cell: CellField = None
    aggregate: AggregateField = None
    title: str | None = None
    subtitle: str | None = None
    x_label: str | None = None
    y_label: str | None = None
    x_unit: str | None = None
    y_unit: str | None = Field(default=None, validation_alias=AliasChoices("y_unit", "unit"))
    sort: SortField = "data"
    top: TopField = 30
    stacked: bool = False
    horizontal: bool | None = None
    bins: int | None = Field(default=None, ge=1, le=500)
    log_x: bool = False
    log_y: bool = False
    trend: bool = False
    width: int = Field(default=900, ge=200, le=4000)
    height: int | None = Field(default=None, ge=150, le=4000)
    theme: Theme = "light"
    colors: list[str] | None = None
    data: Any = None

    @property
    def y_names(self) -> list[str]:
        """The columns of values."""
        return [self.y] if isinstance(self.y, str) else list(self.y or ())


def charts_of(given: list[dict[str, Any]]) -> list[Chart]:
    """Charts as a step writes them.

    Raises:
        ParametersError: One has an unknown key or a wrong value; all problems are named.
    """
    found, problems = [], []
    for number, one in enumerate(given, 1):
        try:
            found.append(Chart.model_validate(one))
        except ValidationError as error:
            problems += [f"chart {number}: {_problem(item)}" for item in error.errors(include_url=False)]
    if problems:
        raise ParametersError("; ".join(problems), hint="a chart has " + ", ".join(Chart.model_fields))
    return found


def _problem(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"`{place}` is unknown{nearest(place, Chart.model_fields)}"
    return f"`{place}`: {error['msg']}"
