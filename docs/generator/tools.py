"""The page of the built-in tools. What an action answers is taken from its type, or from a call that is made here."""

from __future__ import annotations

import json
import tempfile
import textwrap
import typing
from pathlib import Path
from typing import Any

import yaml
from pydantic import AliasChoices, BaseModel, TypeAdapter
from typing_extensions import is_typeddict

from generator.calls import CALLS, FILES, MODEL, MODELS, NOT_MADE
from generator.in_step import run_in_step
from generator.markdown import code, join, prose, table, value
from generator.service import ADDRESS, readdressed, service
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.tools.registry import ALIASES, BUILTIN, ToolRegistry
from orchestrator_dagster.tools.settings import ToolSettings
from orchestrator_dagster.tools.tool import Action, Tool, ToolContext


def page() -> str:
    """Every built-in tool with its actions."""
    registry = ToolRegistry()
    found = [registry.find(name) for name in sorted(BUILTIN)]
    parts = [
        "# Built-in tools",
        "A step names a tool as `tool`, one of its actions as `action`, and gives `parameters`. In names `-` and `_`"
        " are alike. An action that a step does not name is the tool's default one. `orchestrator tools NAME` prints"
        " the parameters too. How to write a tool: [Tools](../guides/tools.md).",
        table(
            ("tool", "does", "actions"),
            (
                (
                    f"[`{tool.name}`](#{tool.name})",
                    tool.summary,
                    ", ".join(f"[`{one}`](#{tool.name}-{one})" for one in tool.actions),
                )
                for tool in found
            ),
        ),
        "Each example that shows an answer was run to make this page.",
    ]
    for tool in found:
        parts += _tool(tool)
    return join(parts)


def _tool(tool: Tool) -> list[str]:
    other = [name for name, target in ALIASES.items() if target == tool.name]
    note = f"Other names: {', '.join(f'`{name}`' for name in other)}." if other else ""
    parts = [f"## {tool.name}", prose(tool.summary), note]
    for action in tool.actions.values():
        parts += _action(tool, action)
    return parts


def _action(tool: Tool, action: Action) -> list[str]:
    asked = CALLS[tool.name, action.name]
    made = (tool.name, action.name) not in NOT_MADE
    answer = _run(action, asked) if made else {}
    default = "The default action." if action.name == tool.default_action else ""
    aliases = f"Also: {', '.join(f'`{name}`' for name in action.aliases)}." if action.aliases else ""
    step = {"id": action.name, "tool": tool.name, "action": action.name, "parameters": asked}
    if action.uses_models:
        step["model"] = MODELS.get((tool.name, action.name), MODEL)
    more = _operations(action) if action.operations else []
    return [
        f"### {tool.name} {action.name}",
        " ".join(filter(None, (prose(action.summary), default, aliases))),
        table(("parameter", "what", "default", "meaning"), _parameters(action)),
        table(("result", "what"), _result(action, answer)),
        code(_as_yaml([step]), "yaml"),
        code(_shown(answer), "json") if made else "",
        *more,
    ]


class _Dumper(yaml.SafeDumper):
    """YAML as people write it: texts of several lines as blocks, lists indented."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: _Dumper, found: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", found, style="|" if "\n" in found else None)


_Dumper.add_representer(str, _text)


def _as_yaml(found: list[Any]) -> str:
    text = yaml.dump(found, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return textwrap.dedent(text)


def _operations(action: Action) -> list[str]:
    """The operations of an action, which are written like actions; `transform` has some."""
    from orchestrator_dagster.tools.data.expressions import FUNCTIONS

    rows = []
    for operation in action.operations:
        schema = operation.parameters.model_json_schema()
        given = []
        for parameter, field in schema["properties"].items():
            kind = _kind(field, schema)
            given.append(f"`{parameter}`" + (f" ({kind})" if "`" in kind else ""))
        rows.append((f"`{operation.name}`", prose(operation.summary), ", ".join(given)))
    functions = ", ".join(f"`{name}`" for name in sorted(FUNCTIONS))
    return [
        f"The operations of `{action.name}`. `{{cast: {{zip: text}}}}` is short for"
        " `{operation: cast, columns: {zip: text}}`:"
        " the value is the operation's first parameter, or a map of its parameters.",
        table(("operation", "does", "parameters"), rows),
        "An expression, in `derive` and in the conditions of `filter`, knows columns by their names, numbers, texts"
        f" in quotes, `+ - * / // %`, comparisons, `in`, `and`, `or`, `not`, and the functions {functions}. Put an"
        " expression with a comma into quotes when it stands in a map in braces.",
    ]


def _parameters(action: Action) -> list[tuple[str, str, str, str]]:
    schema = action.parameters.model_json_schema()
    rows = []
    for name, field in schema.get("properties", {}).items():
        if name in schema.get("required", ()):
            default = "required"
        else:
            default = "" if field.get("default") is None else value(field["default"])
        meaning = [prose(field.get("description", "")), _other_names(action, name)]
        rows.append((f"`{name}`", _kind(field, schema), default, " ".join(filter(None, meaning))))
    return rows


def _other_names(action: Action, name: str) -> str:
    for info in action.parameters.model_fields.values():
        alias = info.validation_alias
        if isinstance(alias, AliasChoices) and alias.choices[0] == name:
            return f"Also: {', '.join(f'`{one}`' for one in alias.choices[1:])}."
    return ""


def _kind(field: dict[str, Any], schema: dict[str, Any]) -> str:
    """The type of a JSON Schema in words."""
    if "$ref" in field:
        return _kind(schema["$defs"][field["$ref"].rpartition("/")[2]], schema)
    if "enum" in field:
        return ", ".join(f"`{one}`" for one in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_kind(one, schema) for one in field["anyOf"] if one.get("type") != "null"))
    if field.get("type") == "array":
        inner = _kind(field.get("items", {}), schema)
        many = {"text": "texts", "map": "maps", "integer": "integers", "true or false": "true or false"}
        return "list" if inner == "any value" else f"list of {many.get(inner, inner)}"
    names = {"string": "text", "object": "map", "boolean": "true or false", "integer": "integer", "number": "number"}
    return names.get(field.get("type", ""), "any value")


def _result(action: Action, answer: Any) -> list[tuple[str, str]]:
    hint = typing.get_type_hints(action.function, include_extras=True).get("return")
    if is_typeddict(hint) or (isinstance(hint, type) and issubclass(hint, BaseModel)):
        schema = TypeAdapter(hint).json_schema(mode="serialization")
        return [(f"`{name}`", _kind(field, schema)) for name, field in schema["properties"].items()]
    kinds = {bool: "true or false", str: "text", int: "integer", float: "number", list: "list", dict: "map"}
    return [(f"`{name}`", kinds.get(type(one), "any value")) for name, one in answer.items()]


def _run(action: Action, parameters: dict[str, Any]) -> Any:
    """The answer of one call, in a workspace of its own."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in FILES.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        if action.stays:
            return run_in_step(Path(folder).resolve(), action, parameters)
        with service() as address:
            settings = ToolSettings(allowed_hosts=(address.partition("//")[2],))
            context = ToolContext(workspace=Workspace(Path(folder).resolve()), settings=settings)
            answer = action.call(context, readdressed(parameters, ADDRESS, address))
        return readdressed(answer, address, ADDRESS)


def _shown(answer: Any) -> str:
    """An answer as JSON: a line a field, a line a row of a list, and without what differs from run to run."""
    lines = []
    for name, found in _stable(answer).items():
        if isinstance(found, list) and found and isinstance(found[0], dict):
            rows = ",\n".join(f"    {_json(row)}" for row in found)
            lines.append(f"  {_json(name)}: [\n{rows}\n  ]")
        else:
            lines.append(f"  {_json(name)}: {_json(found)}")
    return "{\n" + ",\n".join(lines) + "\n}"


def _json(found: Any) -> str:
    return json.dumps(found, ensure_ascii=False)


#: What differs from run to run, by the name of its field.
_FIXED: dict[str, Any] = {
    "modified": "2026-01-31T12:00:00+00:00",
    "at": "2026-01-31T12:00:00+00:00",
    "saved_at": "2026-01-31T12:00:00.000+00:00",
    "expires_at": "2026-03-02T12:00:00.000+00:00",
    "duration": 0.1,
}


def _stable(found: Any) -> Any:
    if isinstance(found, dict):
        return {
            name: _FIXED[name] if name in _FIXED and one is not None else _stable(one) for name, one in found.items()
        }
    return [_stable(one) for one in found] if isinstance(found, list) else found
