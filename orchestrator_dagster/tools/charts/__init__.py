"""The tool ``visualization``: charts and dashboards from tables, as PNG, SVG or HTML, drawn with matplotlib."""

from __future__ import annotations

from orchestrator_dagster.tools.charts import actions, dashboard
from orchestrator_dagster.tools.tool import Tool

visualization = Tool(
    "visualization",
    summary="Draws charts and dashboards from tables, as PNG, SVG or HTML.",
)

visualization.action(default=True, aliases=("create", "create_chart", "plot", "draw", "visualize"))(actions.chart)
visualization.action(aliases=("create_charts", "plots"))(actions.charts)
visualization.action(aliases=("create_dashboard",))(dashboard.dashboard)

__all__ = ["visualization"]
