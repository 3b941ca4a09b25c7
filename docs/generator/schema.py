"""The JSON Schema of a pipeline file with the built-in tools: the examples point their editors to it."""

from __future__ import annotations

from orchestrator_dagster.project.editor_schema import schema_text
from orchestrator_dagster.tools.registry import ToolRegistry


def text() -> str:
    """The file's text."""
    return schema_text(ToolRegistry())
