"""How the command shows tools."""

from __future__ import annotations

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
        parts.extend(_result(action))
    return "\n".join(parts)


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
    return ["  gives " + ", ".join(f"{name} ({_kind(field)})" for name, field in fields.items())]


def _kind(field: dict[str, Any]) -> str:
    kinds = [field.get("type")] if "type" in field else [one.get("type") for one in field.get("anyOf", [])]
    kinds = ["object" if one is None else one for one in kinds] or ["object" if "$ref" in field else "any"]
    return "/".join(str(one) for one in kinds if one != "null") or "any"


def _parameters(action: Action) -> list[str]:
    schema: dict[str, Any] = action.parameters.model_json_schema()
    required = set(schema.get("required", ()))
    lines = []
    for name, field in schema.get("properties", {}).items():
        kind = field.get("type") or "/".join(one.get("type", "any") for one in field.get("anyOf", [])) or "any"
        note = (
            "required"
            if name in required
            else f"default {field.get('default')!r}"
            if "default" in field
            else "optional"
        )
        lines.append(f"    {name}: {kind}, {note}{'. ' + field['description'] if field.get('description') else ''}")
    return lines
