"""How the command shows tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.tools.registry import ToolRegistry
from orchestrator_dagster.tools.tool import Action, Tool, ToolContext

_LONGEST = 60.0  # seconds that a server may take to say what it has


def list_tools(registry: ToolRegistry) -> str:
    """Every tool with its summary."""
    summaries = registry.summaries()
    width = max(map(len, summaries), default=0)
    return "\n".join(f"{name:{width}}  {summary}" for name, summary in sorted(summaries.items()))


def show_tool(tool: Tool, root: Path) -> str:
    """A tool's actions with their parameters; a tool that only knows them when it runs is asked.

    Raises:
        StepError: It cannot be asked.
    """
    tool.prepare(ToolContext(Workspace(root), timeout=_LONGEST))
    parts = [f"{tool.name}: {tool.summary}"]
    for action in tool.actions.values():
        default = " (default)" if action.name == tool.default_action else ""
        parts.append(f"\n{action.name}{default}\n  {action.summary}")
        parts.extend(_parameters(action))
        parts.extend(_operations(action))
        parts.extend(_result(action))
    return "\n".join(parts).replace("``", "`")  # as docstrings mark code


def _result(action: Action) -> list[str]:
    """The fields of its result, where they are known."""
    try:
        schema = action.result.json_schema(mode="serialization")
    except Exception:  # of a type that JSON does not have: then nothing is known
        return []
    fields = schema.get("properties", {})
    if not fields:
        kind = schema.get("type")
        return [f"  gives {kind}"] if kind and kind != "object" else []
    return ["  gives " + ", ".join(f"{name} ({_kind(field, schema)})" for name, field in fields.items())]


def _kind(field: dict[str, Any], schema: dict[str, Any]) -> str:
    """The type of a JSON Schema; of a choice its values. That a parameter may be null is what its default says."""
    if "$ref" in field:
        return _kind(schema["$defs"][field["$ref"].rpartition("/")[2]], schema)
    if "enum" in field:
        return ", ".join(str(one) for one in field["enum"])
    if "const" in field:
        return str(field["const"])
    if "anyOf" in field:
        return "/".join(dict.fromkeys(_kind(one, schema) for one in field["anyOf"] if one.get("type") != "null"))
    return str(field.get("type", "any"))


def _parameters(action: Action) -> list[str]:
    schema: dict[str, Any] = action.parameters.model_json_schema()
    required = set(schema.get("required", ()))
    lines = []
    for name, field in schema.get("properties", {}).items():
        note = "optional"
        if name in required:
            note = "required"
        elif field.get("default") is not None:
            note = f"default {json.dumps(field['default'], ensure_ascii=False, default=str)}"
        kind = _kind(field, schema)
        parts = f"{kind}; {note}" if ", " in kind else f"{kind}, {note}"
        lines.append(f"    {name}: {parts}{'. ' + field['description'] if field.get('description') else ''}")
    return lines


def _operations(action: Action) -> list[str]:
    """What stands in its list ``operations``: each has parameters of its own."""
    lines = ["  operations"] if action.operations else []
    for operation in action.operations:
        schema = operation.parameters.model_json_schema()
        given = []
        for parameter, field in schema["properties"].items():
            kind = _kind(field, schema)
            given.append(f"{parameter}: {kind}" if ", " in kind else parameter)
        lines.append(f"    {operation.name} ({'; '.join(given)}): {operation.summary}")
    return lines
