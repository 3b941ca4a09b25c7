"""Tool steps of the earlier dialect: their actions and parameters as today's tools take them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator_dagster.language.nodes import MappingNode, Node, SequenceNode, plain
from orchestrator_dagster.language.older.notes import Notes
from orchestrator_dagster.language.older.tool_forms import FORMS, Form, ToolForm
from orchestrator_dagster.language.older.tree import Keys, line, mapping, scalar, text_of

#: Names of tools in the earlier dialect, where they are no alias of today's tool.
TOOL_NAMES = {
    "mcp_server": "mcp", "memory": "mcp_memory", "file_system": "filesystem", "file": "filesystem",
    "http": "http_client",
    "filesystem_tool": "filesystem", "web_search_tool": "web_search", "browser": "headless_browser",
    "headless_browser_tool": "headless_browser", "report": "report_generator", "pdf": "pdf_compiler",
    "report_generator_tool": "report_generator", "pdf_compiler_tool": "pdf_compiler", "validation_tool": "validation",
    "data_processing_tool": "data_processing", "python": "python_executor", "python_executor_tool": "python_executor",
    "bash": "terminal", "shell": "terminal", "terminal_tool": "terminal",
}  # fmt: skip
#: Those of them that have to be written otherwise today.
RENAMED_TOOLS = {"http": "http-client", "data_processing_tool": "data-processing"}
#: Parameters that name the operation where the step's `action` does not.
_OPERATIONS = ("action", "operation", "mode")
#: What `mode` says when it is no operation.
_NO_ACTIONS = ("strict", "lenient", "report_only")
_SAYS_NOTHING = ("", "execute", "run")
_ENDING = re.compile(r"\.(?:png|jpe?g|webp)\s*\Z", re.IGNORECASE)
_SHORT_OPERATIONS = re.compile(r"[a-z_]+\Z")


def word(text: str | None) -> str:
    """A name as tools and actions are compared: ``-`` and ``_`` are alike."""
    return (text or "").strip().lower().replace("-", "_")


def tool_of(step: MappingNode) -> tuple[str, ToolForm, str] | None:
    """The built-in tool of a step as it is called today, with its form and its action; None when it has none."""
    pairs = step.pairs
    said = text_of(pairs["tool"][1]) if "tool" in pairs else None
    name = TOOL_NAMES.get(word(said), word(said))
    form = FORMS.get(name)
    if form is None:
        return None
    action = word(text_of(pairs["action"][1])) if "action" in pairs else ""
    parameters = pairs["parameters"][1] if "parameters" in pairs else None
    if action in (*_SAYS_NOTHING, name) or " " in action:
        action = ""
        for key in _OPERATIONS:
            pair = parameters.pairs.get(key) if isinstance(parameters, MappingNode) else None
            if pair and not action and text_of(pair[1]):
                action = word(text_of(pair[1]))
                action = "" if action in _NO_ACTIONS else action
    return name, form, form.actions.get(action, action or form.default)


def rewrite_tool(keys: Keys, notes: Notes) -> None:
    """Give a step of a built-in tool the action and the parameters that this takes today."""
    _search_in_browser(keys, notes)
    found = tool_of(keys.done())
    if found is None:
        return
    name, tool, action = found
    said = keys.text("tool") or ""
    if word(said) in RENAMED_TOOLS:
        today = RENAMED_TOOLS[word(said)]
        notes.older(keys.key("tool"), said, today, line("tool", today))
        keys.set("tool", scalar(today, keys.pairs["tool"][1].span), keys.key("tool"))
    if name == "mcp" and _spoken_action(keys) == "disconnect":
        _nothing_to_do(keys, notes)
        return
    _rewrite_action(keys, tool, notes)
    parameters = keys.value("parameters")
    if not isinstance(parameters, MappingNode):
        return
    inside = Keys(parameters)
    form = tool.form(action)
    _rewrite_parameters(inside, form, action, notes)
    if name == "pipeline_executor":
        _error_handling(keys, inside, notes)
    if form.sections and "template" not in inside:
        _sections(inside, form.sections, notes)
    if name == "image_generation":
        _picture_path(inside, notes)
    if name == "approval_gate":
        _approval(keys, inside, notes)
    _settings(keys, inside, form, notes)
    if name == "mcp":
        for one in ("server_config", "tool_name", "tool_params") if action == "list_tools" else ():
            if one in inside:
                inside.remove(one)
    made = inside.done()
    if made is not parameters:
        keys.set("parameters", made, keys.key("parameters"))


def _spoken_action(keys: Keys) -> str:
    action, parameters = word(keys.text("action")), keys.value("parameters")
    if action in _SAYS_NOTHING and isinstance(parameters, MappingNode) and "action" in parameters.pairs:
        return word(text_of(parameters.pairs["action"][1]))
    return action


def _search_in_browser(keys: Keys, notes: Notes) -> None:
    """A search was an action of the browser too."""
    if word(keys.text("tool")) in ("headless_browser", "browser") and _spoken_action(keys) in ("search", "web_search"):
        today = scalar("web-search", keys.pairs["tool"][1].span)
        notes.older(keys.key("tool"), keys.text("tool") or "", "web-search", "tool: web-search", "it is what searches")
        keys.set("tool", today, keys.key("tool"))


def _nothing_to_do(keys: Keys, notes: Notes) -> None:
    """`disconnect` has nothing to do: the connection ends with each call."""
    key, span = keys.key("tool"), keys.pairs["tool"][1].span
    notes.no_effect(key, "there is nothing to disconnect from: a server is connected to when it is called")
    keys.remove("tool", "parameters")
    keys.set("action", scalar("echo", span), key)
    keys.set("parameters", MappingNode({"message": (scalar("message", span), scalar(True, span))}, span), key)


def _rewrite_action(keys: Keys, tool: ToolForm, notes: Notes) -> None:
    """The name of the action, where it stands: at the step, or among the parameters."""
    parameters = keys.value("parameters")
    if word(keys.text("action")) in tool.actions:
        said = keys.text("action") or ""
        today = scalar(tool.actions[word(said)], keys.pairs["action"][1].span)
        notes.older(keys.key("action"), said, today.text, line("action", today))
        keys.set("action", today, keys.key("action"))
    if not isinstance(parameters, MappingNode):
        return
    inside = Keys(parameters)
    for name in _OPERATIONS:
        spoken = word(inside.text(name))
        if spoken in tool.actions:
            today = scalar(tool.actions[spoken], inside.pairs[name][1].span)
            notes.older(inside.key(name), inside.text(name) or "", today.text, line(name, today))
            inside.set(name, today, inside.key(name))
    action = word(keys.text("action"))
    if "action" in inside and action not in _SAYS_NOTHING and word(inside.text("action")) == action:
        notes.older(inside.key("action"), "parameters.action", "action", line("action", action), "it stands here twice")
        inside.remove("action")
    if inside.pairs is not parameters.pairs:
        keys.set("parameters", inside.done(), keys.key("parameters"))


def _rewrite_parameters(inside: Keys, form: Form, action: str, notes: Notes) -> None:
    for name in form.lift:
        if isinstance(inside.value(name), MappingNode):
            _lift(inside, name, action, notes)
    if action in ("convert", "save") and "format" in inside:
        for old in ("output_format", "to_format", "target_format"):
            if old in inside:
                notes.no_effect(
                    inside.key("format"), f"`format` beside `{old}` has no effect: the format is seen from the data"
                )
                inside.remove("format")
                break
    for old, today in form.rename.items():
        if old in inside and today not in inside:
            notes.rename(inside, old, today, _todays_value(inside, old, today, form))
    for name, why in form.drop.items():
        if name not in inside or name in form.rename or name in form.rename.values():
            continue
        if name not in form.only or plain(inside.value(name)) in form.only[name]:
            notes.no_effect(inside.key(name), f"`{name}` has no effect: {why}")
            inside.remove(name)
    for name in form.values:
        made = _todays_value(inside, name, name, form)
        if made is not None:
            notes.older(inside.key(name), inside.text(name) or "", str(plain(made)).lower(), line(name, made))
            inside.set(name, made, inside.key(name))
    if action in ("clean", "transform"):
        _named_operations(inside, notes)
    for name in ("aggregations", "aggregation", "aggregates", "metrics") if action == "aggregate" else ():
        _named_aggregations(inside, name, notes)
    if form.texts in inside:
        _texts(inside, form.texts, notes)


def _todays_value(inside: Keys, name: str, today: str, form: Form) -> Node | None:
    """What a parameter's word is called today; None when it is called so still."""
    words, said = form.values.get(today, {}), word(inside.text(name))
    if said not in words:
        return None
    return scalar({"true": True, "false": False}.get(words[said], words[said]), inside.pairs[name][1].span)


def _lift(inside: Keys, name: str, action: str, notes: Notes) -> None:
    """A map of parameters among the parameters: they stand beside the others."""
    inner = inside.value(name)
    assert isinstance(inner, MappingNode)
    today = {
        own: value
        for own, (_, value) in inner.pairs.items()
        if own not in inside and not (own in ("type", "name", "action") and word(text_of(value)) == action)
    }
    keys = {own: pair[0] for own, pair in inner.pairs.items()}
    notes.older(
        inside.key(name), name, "parameters", line("parameters", dict.fromkeys(today, "…")), "they stand beside it"
    )
    inside.remove(name)
    for own, value in today.items():
        inside.set(own, value, keys[own])


def _named_operations(inside: Keys, notes: Notes) -> None:
    """`operations: [drop_null]`: each by its name alone; removing duplicates is an action of its own."""
    value = inside.value("operations")
    if not isinstance(value, SequenceNode) or not any(text_of(item) for item in value.items):
        return
    made: list[Node] = []
    for item in value.items:
        said = text_of(item)
        if said and _SHORT_OPERATIONS.match(word(said)):
            made.append(MappingNode({"operation": (scalar("operation", item.span), item)}, item.span))
        else:
            made.append(item)
    listed = SequenceNode(made, value.span)
    notes.older(inside.key("operations"), "operations: [name]", "operations", line("operations", listed))
    inside.set("operations", listed, inside.key("operations"))


def _named_aggregations(inside: Keys, name: str, notes: Notes) -> None:
    """`[{column, function, alias}]` as a map of the new columns."""
    value = inside.value(name)
    if not isinstance(value, SequenceNode) or not all(isinstance(one, MappingNode) for one in value.items):
        return
    made: dict[str, Node] = {}
    for one in value.items:
        said = {key: node for key, (_, node) in one.pairs.items()} if isinstance(one, MappingNode) else {}
        column = next((said[key] for key in ("column", "field", "on") if key in said), None)
        function = next(
            (said[key] for key in ("function", "func", "agg", "operation", "type", "method") if key in said), None
        )
        alias = next((text_of(said[key]) for key in ("alias", "as", "name", "output") if key in said), None)
        if column is None or function is None:
            return
        made[alias or f"{plain(column)}_{plain(function)}"] = mapping(
            {"column": column, "function": function}, one.span
        )
    named = mapping(made, value.span)
    notes.older(inside.key(name), f"{name}: [{{column, function, alias}}]", name, line(name, named))
    inside.set(name, named, inside.key(name))


def _texts(inside: Keys, name: str, notes: Notes) -> None:
    """A list of texts of which some are maps of one text and what was known of it: the texts alone."""
    value = inside.value(name)
    if not isinstance(value, SequenceNode):
        return
    made = []
    for item in value.items:
        text = item
        for key in ("task", "prompt", "request", "text") if isinstance(item, MappingNode) else ():
            if key in item.pairs:  # type: ignore[union-attr]
                text = item.pairs[key][1]  # type: ignore[union-attr]
        made.append(text)
    if any(a is not b for a, b in zip(made, value.items, strict=True)):
        listed = SequenceNode(made, value.span)
        notes.older(
            inside.key(name), f"{name}: [{{task}}]", name, line(name, listed), "which model fits is seen from it"
        )
        inside.set(name, listed, inside.key(name))


def _sections(inside: Keys, names: tuple[str, ...], notes: Notes) -> None:
    """What a report was made of, each under a parameter of its own, as its sections."""
    made = [name for name in inside if name in names]
    if not made or "sections" in inside:
        return
    key, span = inside.key(made[0]), inside.key(made[0]).span
    titles = {name.replace("_", " ").capitalize(): inside.pairs[name] for name in made}
    sections = MappingNode(titles, span)
    shown = line("sections", dict.fromkeys(titles, "…"))
    notes.older(key, "`, `".join(made), "sections", shown, "each is a section of the report")
    inside.remove(*made)
    inside.set("sections", sections, key)


def _picture_path(inside: Keys, notes: Notes) -> None:
    """`output_path` of a picture: a file, or the folder of one."""
    said = inside.text("output_path")
    if said is None or "path" in inside:
        return
    value = inside.pairs["output_path"][1]
    path = said if _ENDING.search(said) else f"{said.rstrip('/')}/image.png"
    notes.rename(inside, "output_path", "path", value if path == said else scalar(path, value.span))


def _settings(keys: Keys, inside: Keys, form: Form, notes: Notes) -> None:
    """Settings of the model that a tool asks, among its parameters: they are the step's."""
    for name in form.settings:
        if name in inside and name not in keys:
            key, value = inside.pairs[name]
            notes.older(key, f"parameters.{name}", name, line(name, value), "it stands beside `parameters`")
            inside.remove(name)
            keys.set(name, value, key)


def _approval(keys: Keys, inside: Keys, notes: Notes) -> None:
    """A rejection was an answer like an approval, where the file looks at it."""
    own = re.escape(notes.step or "").replace(r"\-", "[-_]")
    looks = re.compile(
        rf"\b{own}(?:\.result)?\.(?:rejection_reason|decision)\b|\bnot\s+{own}(?:\.result)?\.approved\b"
        rf"|\b{own}(?:\.result)?\.approved\s*==\s*[Ff]alse"
    )
    if "on_rejection" in inside or "on_failure" in keys or not looks.search(notes.document.text):
        return
    key = keys.key("tool")
    notes.older(key, "approval-gate", "on_rejection", "on_rejection: answer", "the file looks at what was rejected")
    inside.set("on_rejection", scalar("answer", key.span), key)


def _error_handling(keys: Keys, inside: Keys, notes: Notes) -> None:
    """`error_handling` of a pipeline's step is its `on_failure`."""
    said = word(inside.text("error_handling"))
    if said not in ("continue", "fail", "skip", "retry", "stop", "abort", "ignore"):
        return
    policy = {"stop": "fail", "abort": "fail", "ignore": "continue"}.get(said, said)
    key, span = inside.key("error_handling"), inside.pairs["error_handling"][1].span
    notes.older(key, "error_handling", "on_failure", line("on_failure", policy), "it stands beside `parameters`")
    inside.remove("error_handling")
    if "on_failure" not in keys:
        keys.set("on_failure", scalar(policy, span), key)


def tool_steps(body: Node | None) -> Iterator[MappingNode]:
    """Every step below a list of steps, those inside loops included."""
    for item in body.items if isinstance(body, SequenceNode) else ():
        if isinstance(item, MappingNode):
            yield item
            if "steps" in item.pairs:
                yield from tool_steps(item.pairs["steps"][1])
