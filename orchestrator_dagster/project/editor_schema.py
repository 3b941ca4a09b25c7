"""The JSON Schema of a pipeline file as a file that editors read, with the names of tools as suggestions."""

from __future__ import annotations

import json
from collections.abc import Iterable

from orchestrator_dagster.language.file_schema import pipeline_schema
from orchestrator_dagster.tools.registry import BUILTIN, ToolRegistry

FILE_NAME = "pipeline.schema.json"
"""How the file is called in a new project and in the documentation."""


def schema_text(registry: ToolRegistry, names: Iterable[str] = BUILTIN) -> str:
    """The schema as the text of a JSON file, a line end at its end.

    Args:
        registry: Knows the tools.
        names: The tools that are suggested, by default the built-in ones.
    """
    tools = {name: registry.find(name).action_names() for name in sorted(names)}
    return json.dumps(pipeline_schema(tools), ensure_ascii=False, indent=2) + "\n"


def schema_line(path: str) -> str:
    """The comment at the top of a pipeline file that tells an editor its schema.

    Args:
        path: The schema's file, relative to the pipeline file.
    """
    return f"# yaml-language-server: $schema={path}\n"
