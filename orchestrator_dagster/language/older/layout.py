"""Where things stood in files of the earlier dialect: the file as a whole, its header, and the keys of a step."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator_dagster.language.nodes import MappingNode, Node, ScalarNode, SequenceNode, plain
from orchestrator_dagster.language.older.notes import Notes, identifier
from orchestrator_dagster.language.older.tree import Keys, line, mapping, scalar, text_of

_WRAPPERS = ("pipeline", "workflow")
#: Header keys that say who, when and what for, and change nothing.
_ABOUT = (
    "author", "authors", "maintainer", "created", "created_at", "created_by", "updated", "updated_at", "last_updated",
    "license", "category", "keywords", "documentation", "notes", "use_case", "use_cases", "requirements_note",
)  # fmt: skip
#: Keys of a step that are its parameters.
_PARAMETERS = ("config", "params", "args", "arguments", "inputs")
#: Actions that say no more than the keys of a loop.
_LOOP_ACTIONS = (
    "action_loop",
    "for_each",
    "foreach",
    "loop",
    "while",
    "until",
    "parallel_map",
    "for_loop",
    "while_loop",
)
_LOOP_KEYS = ("for_each", "foreach", "while", "until", "loop_condition", "action_loop", "steps", "items")
_OLDER_ACTIONS = ("generate_text", "analyze_text", "generate_structured", "text_generation", "llm_generate")
_RENAMED = {"when": "condition", "needs": "dependencies", "wait_for": "dependencies", "after": "dependencies"}
#: Keys of a model as a map that name it.
_MODEL_NAMES = frozenset(("name", "model", "id", "model_name"))
#: Kinds of steps by the keys that say so.
_TYPES = {
    "llm": ("prompt", "instruction", "model", "action"), "model": ("prompt", "model"), "prompt": ("prompt",),
    "tool": ("tool",),
    "condition": ("condition", "if"), "conditional": ("condition", "if"), "generate": ("prompt", "action"),
    "tool_call": ("tool",), "function": ("tool",), "sub_pipeline": ("pipeline",),
}  # fmt: skip
_BOOLEAN = r"\s*(?:true|false|yes|no|1|0)\s*"
_TRUE_OR_FALSE = re.compile(
    rf"\{{%-?\s*if\s(?P<test>(?:(?!%\}}).)+?)-?%\}}(?P<then>{_BOOLEAN})"
    rf"\{{%-?\s*else\s*-?%\}}(?P<else>{_BOOLEAN})\{{%-?\s*endif\s*-?%\}}",
    re.IGNORECASE | re.DOTALL,
)
_CHECKPOINTS = ("checkpoint", "checkpoints", "checkpointing", "checkpoint_interval")


def unwrap(root: MappingNode, notes: Notes) -> MappingNode:
    """A file whose whole content stands below `pipeline`."""
    for name in _WRAPPERS:
        pair = root.pairs.get(name)
        if pair and "steps" not in root.pairs and isinstance(pair[1], MappingNode) and "steps" in pair[1].pairs:
            inside = pair[1]
            rest = {key: value for key, value in root.pairs.items() if key != name and key not in inside.pairs}
            notes.older(pair[0], f"{name}:", "id", "id: …", "what stands below it is the file's own header")
            return MappingNode({**inside.pairs, **rest}, inside.span, root.size, root.height)
    return root


def rewrite_layout(header: Keys, notes: Notes) -> None:
    """Give what is said about the file, its model, its tags and its steps today's place."""
    steps = header.value("steps")
    if (
        isinstance(steps, MappingNode)
        and steps.pairs
        and all(isinstance(v, MappingNode) for _, v in steps.pairs.values())
    ):
        header.set("steps", _listed(steps, notes), header.key("steps"))
    if "model" in header:
        _rewrite_model(header, notes)
    tags_of(header, notes)
    _rewrite_about(header, notes)
    _drop_checkpoints(header, notes)


def _listed(steps: MappingNode, notes: Notes) -> SequenceNode:
    """Steps by their ids as a list."""
    made: list[Node] = []
    for name, (key, step) in steps.pairs.items():
        assert isinstance(step, MappingNode)
        if "id" in step.pairs:
            made.append(step)
        else:
            made.append(MappingNode({"id": (key, scalar(name, key.span)), **step.pairs}, step.span))
            notes.ids.add(name)
    first = next(iter(steps.pairs))
    notes.older(
        next(iter(steps.pairs.values()))[0], f"{first}: {{…}}", f"- id: {first}", f"- id: {first}", "steps are a list"
    )
    return SequenceNode(made, steps.span)


def _rewrite_model(keys: Keys, notes: Notes) -> None:
    """The header's `model` is `default_model`; `<AUTO>` is what is done without any."""
    key, said = keys.key("model"), keys.text("model") or ""
    value = keys.value("model")
    if isinstance(value, MappingNode) and not _MODEL_NAMES.isdisjoint(value.pairs):
        value = model_name(value, notes)
        if value is None:
            keys.remove("model")
            return
    if said.strip().startswith("<AUTO"):
        notes.older(
            key, "model: <AUTO>", "selection_schema", "selection_schema: balanced", "the schema chooses a model"
        )
        keys.remove("model")
    else:
        notes.rename(keys, "model", "default_model", value)


def model_name(
    said: MappingNode, notes: Notes, settings: dict[str, tuple[ScalarNode, Node]] | None = None
) -> Node | None:
    """A model as a map of `provider` and `name`, as one name; its further keys are put into ``settings``."""
    name = next(
        (text_of(said.pairs[one][1]) for one in ("name", "model", "id", "model_name") if one in said.pairs), None
    )
    provider = text_of(said.pairs["provider"][1]) if "provider" in said.pairs else None
    if not name:
        notes.unsupported(said, "a model as a map has `provider` and `name`", hint="write `model: provider:name`")
        return None
    for one, (key, value) in said.pairs.items():
        if one in _MODEL_NAMES or one == "provider":
            continue
        if settings is not None:
            settings[one] = (key, value)
        else:
            notes.unsupported(
                key, f"`{one}` is a setting of model steps, and the header has none", hint=f"write `{one}` at the steps"
            )
    return scalar(f"{provider}:{name}" if provider and not name.startswith(f"{provider}/") else name, said.span)


def _rewrite_about(header: Keys, notes: Notes) -> None:
    before = header.value("metadata")
    if before is not None and not isinstance(before, MappingNode):
        return
    pairs = dict(before.pairs) if before else {}
    for name in _ABOUT:
        if name in header and name not in pairs:
            key, value = header.pairs[name]
            pairs[name] = (key, value)
            notes.older(key, name, "metadata", line("metadata", {name: plain(value)}))
            made = MappingNode(pairs, before.span if before else value.span)
            header.remove(name)
            header.set("metadata", made, key)


def _drop_checkpoints(keys: Keys, notes: Notes) -> None:
    for name in _CHECKPOINTS:
        if name in keys:
            notes.no_effect(
                keys.key(name), f"`{name}` has no effect: the outcome of every step is kept, and a run can be resumed"
            )
            keys.remove(name)


def rewrite_keys(keys: Keys, notes: Notes) -> None:
    """Give the keys of a step today's names."""
    if "config" in keys or any(name in keys for name in _PARAMETERS):
        _rewrite_parameters(keys, notes)
    said = (keys.text("type") or "").strip().lower().replace("-", "_")
    if any(name in keys for name in _TYPES.get(said, ())):
        notes.no_effect(keys.key("type"), f"`type: {keys.text('type')}` says what the step's other keys say")
        keys.remove("type")
    if "llm" in keys:
        notes.rename(keys, "llm", "model")
    for old, today in _RENAMED.items():
        if old in keys:
            notes.rename(keys, old, today)
    _rewrite_switches(keys, notes)
    if "model_requirements" in keys:
        notes.rename(keys, "model_requirements", "requires_model")
    _rewrite_step_model(keys, notes)
    _rewrite_conditions(keys, notes)
    action = (keys.text("action") or "").strip().lower().replace("-", "_")
    over_items = action in ("parallel_map", "for_each", "foreach", "for_loop") and "items" in keys
    if action in _LOOP_ACTIONS and (over_items or ("tool" not in keys and any(name in keys for name in _LOOP_KEYS))):
        notes.no_effect(keys.key("action"), f"`action: {keys.text('action')}` says what the step's other keys say")
        keys.remove("action")
        if over_items:
            notes.rename(keys, "items", "for_each")
    _drop_checkpoints(keys, notes)
    if "priority" in keys:
        notes.no_effect(
            keys.key("priority"), "`priority` has no effect: a step runs as soon as those before it are done"
        )
        keys.remove("priority")


def tags_of(keys: Keys, notes: Notes) -> None:
    """Tags that are words are names without values."""
    tags = keys.value("tags")
    if isinstance(tags, SequenceNode) and tags.items and all(text_of(one) for one in tags.items):
        made = mapping({text_of(one) or "": scalar("", one.span) for one in tags.items}, tags.span)
        notes.older(keys.key("tags"), "tags: [name]", "tags", line("tags", made))
        keys.set("tags", made, keys.key("tags"))


def _rewrite_switches(keys: Keys, notes: Notes) -> None:
    """`enabled` and `cache` as true or false."""
    tags_of(keys, notes)
    enabled = plain(keys.value("enabled")) if "enabled" in keys else None
    if enabled is True:
        notes.no_effect(keys.key("enabled"), "`enabled: true` has no effect: a step that stands here is run")
        keys.remove("enabled")
    elif enabled is False and "condition" not in keys and "if" not in keys:
        notes.rename(keys, "enabled", "condition")
    cache = plain(keys.value("cache")) if "cache" in keys else None
    if isinstance(cache, bool):
        key, made = keys.key("cache"), scalar("always" if cache else "off", keys.pairs["cache"][1].span)
        notes.older(key, f"cache: {str(cache).lower()}", "cache", line("cache", made))
        keys.set("cache", made, key)


def share_model(keys: Keys, notes: Notes) -> None:
    """The model of a loop around steps is that of the steps in it that ask one and name none."""
    body = keys.value("steps")
    for name in ("model", "requires_model", "requires-model"):
        if name not in keys or not isinstance(body, SequenceNode):
            continue
        key, value = keys.pairs[name]
        today = "requires_model" if name == "requires-model" else name
        body = SequenceNode([_with_model(one, today, key, value) for one in body.items], body.span)
        notes.older(key, name, today, line(today, value), "it stands at the steps inside that ask a model")
        keys.remove(name)
        keys.set("steps", body, key)


def _with_model(step: Node, name: str, key: ScalarNode, value: Node) -> Node:
    if not isinstance(step, MappingNode) or any(
        one in step.pairs for one in ("model", "requires_model", "requires-model", "tool", "pipeline", "steps")
    ):
        return step
    action = text_of(step.pairs["action"][1]) if "action" in step.pairs else ""
    if (action or "").split(" ")[0].lower() in ("echo", "debug", "log", "evaluate_condition"):
        return step
    return MappingNode({**step.pairs, name: (key, value)}, step.span)


def _rewrite_conditions(keys: Keys, notes: Notes) -> None:
    """A condition as a template with two texts, true and false, is the expression between them."""
    for name in ("condition", "if", "while", "until"):
        found = _TRUE_OR_FALSE.fullmatch((keys.text(name) or "").strip())
        if found is None:
            continue
        yes, no = (found[one].strip().lower() in ("true", "yes", "1") for one in ("then", "else"))
        if yes == no:
            continue
        said = found["test"].strip()
        made = scalar(f"{{{{ {said} }}}}" if yes else f"{{{{ not ({said}) }}}}", keys.pairs[name][1].span)
        notes.older(keys.key(name), f"{name}: {{% if … %}}true{{% else %}}false{{% endif %}}", name, line(name, made))
        keys.set(name, made, keys.key(name))


def rewrite_orchestrator(header: Keys, notes: Notes, is_older: bool) -> None:
    """Where nothing is said to decide `<AUTO>` values, the model of all steps does, else the one that is chosen."""
    if "orchestrator" in header or not is_older:
        return
    first = next(_decided(header.value("steps")), None)
    if first is None:
        return
    model = header.value("default_model")
    said = text_of(model)
    made = (
        model
        if said and not said.startswith("builtin")
        else scalar("<AUTO>the best that can be reached</AUTO>", first.span)
    )
    assert made is not None
    notes.older(
        first, "<AUTO>", "orchestrator", line("orchestrator", made), "the header does not say which model decides it"
    )
    header.set("orchestrator", made, header.key("steps"))


def _decided(node: Node | None) -> Iterator[ScalarNode]:
    """The texts with an `<AUTO>` value that a model decides; one as a model leaves it to the schema."""
    if isinstance(node, MappingNode):
        for name, (_, value) in node.pairs.items():
            if name not in ("model", "name", "metadata", "description"):
                yield from _decided(value)
    elif isinstance(node, SequenceNode):
        for item in node.items:
            yield from _decided(item)
    elif isinstance(node, ScalarNode) and "<AUTO" in (text_of(node) or ""):
        yield node


def looks_older(steps: Node | None) -> bool:
    """Whether a step asks a model in the way of the earlier dialect: by an action with its prompt among parameters."""
    for item in steps.items if isinstance(steps, SequenceNode) else ():
        if not isinstance(item, MappingNode):
            continue
        action = text_of(item.pairs["action"][1]) if "action" in item.pairs else None
        if action and action.replace("-", "_") in _OLDER_ACTIONS and "tool" not in item.pairs:
            return True
        if "steps" in item.pairs and looks_older(item.pairs["steps"][1]):
            return True
    return False


def _rewrite_parameters(keys: Keys, notes: Notes) -> None:
    """`config` of a step, and its like, are its `parameters`."""
    if "pipeline" in keys or not ("tool" in keys or "action" in keys):
        return
    for old in _PARAMETERS:
        value = keys.value(old)
        if not isinstance(value, MappingNode):
            continue
        if "parameters" not in keys:
            notes.rename(keys, old, "parameters")
            continue
        before = keys.value("parameters")
        if isinstance(before, MappingNode) and not set(before.pairs) & set(value.pairs):
            notes.older(keys.key(old), old, "parameters", "parameters:", "its keys are added to those of `parameters`")
            keys.set("parameters", MappingNode({**before.pairs, **value.pairs}, before.span), keys.key("parameters"))
            keys.remove(old)


def _rewrite_step_model(keys: Keys, notes: Notes) -> None:
    """A model as a map of its provider and name, at the step or among its parameters; a provider beside the model."""
    model = keys.value("model")
    if isinstance(model, MappingNode) and not _MODEL_NAMES.isdisjoint(model.pairs):
        settings: dict[str, tuple[ScalarNode, Node]] = {}
        name = model_name(model, notes, settings)
        if name is not None:
            notes.older(keys.key("model"), "model: {provider, name}", "model", line("model", name))
            keys.set("model", name, keys.key("model"))
            for one, (key, value) in settings.items():
                if one not in keys:
                    keys.set(one, value, key)
    parameters = keys.value("parameters")
    if "tool" in keys or not isinstance(parameters, MappingNode) or not {"provider", "model"} <= set(parameters.pairs):
        return
    inside = Keys(parameters)
    provider, name_ = inside.text("provider"), inside.text("model")
    if provider and name_ and "<AUTO" not in name_ and ":" not in name_ and "/" not in name_:
        made = scalar(f"{provider}:{name_}", inside.pairs["model"][1].span)
        notes.older(inside.key("provider"), "provider", "model", line("model", made))
        inside.set("model", made, inside.key("model"))
        inside.remove("provider")
        keys.set("parameters", inside.done(), keys.key("parameters"))


def with_ids(body: SequenceNode, notes: Notes) -> SequenceNode:
    """Steps that have a `name` and no `id` with an id made of the name."""
    made: list[Node] = []
    for item in body.items:
        if isinstance(item, MappingNode) and "id" not in item.pairs and text_of_name(item):
            key, value = item.pairs["name"]
            text = text_of_name(item) or ""
            name = text if _is_id(text) else identifier(text, "step")
            if name not in notes.ids:
                notes.ids.add(name)
                notes.older(key, "- name: …", "- id: …", line("id", name), "the id is what templates know the step by")
                item = MappingNode({"id": (key, scalar(name, value.span)), **item.pairs}, item.span)
        made.append(item)
    return body if all(a is b for a, b in zip(made, body.items, strict=True)) else SequenceNode(made, body.span)


def text_of_name(step: MappingNode) -> str | None:
    """The text of a step's `name`."""
    return text_of(step.pairs["name"][1]) if "name" in step.pairs else None


def _is_id(text: str) -> bool:
    return bool(text) and text[0].isalpha() and text.replace("_", "a").replace("-", "a").isalnum() and text.isascii()
