"""The header of the earlier dialect: inputs, constants, outputs, version."""

from __future__ import annotations

import json
from collections.abc import Iterator

from orchestrator_dagster.language.nodes import MappingNode, Node, ScalarNode, SequenceNode, plain
from orchestrator_dagster.language.older.input_words import RENAMED, with_todays_words
from orchestrator_dagster.language.older.loops import PLAIN_TYPES
from orchestrator_dagster.language.older.names import reads_name
from orchestrator_dagster.language.older.notes import Notes
from orchestrator_dagster.language.older.retries import rewrite_retries
from orchestrator_dagster.language.older.steps import drop_no_effect
from orchestrator_dagster.language.older.tree import Keys, line, same, scalar, text_of
from orchestrator_dagster.language.pipeline import BUILT_IN_NAMES
from orchestrator_dagster.language.types import INPUT_TYPE_NAMES

#: Maps of the header whose values templates reach as `config.X`.
CONSTANTS = ("config", "context", "variables", "data")
_INPUTS = ("inputs", "parameters", "input_variables")
_DESCRIBES = frozenset(
    (
        *("type", "default", "description", "required", "enum", "choices", "minimum", "maximum", "range", "pattern"),
        *("items", "examples", "example", "format"),
        *RENAMED,
    )
)
_OUTPUT_KEYS = frozenset(("type", "value", "description", "name", "format", "location"))
_VARIABLE_KEYS = frozenset(("type", "value", "default", "description", "name", "required"))


def rewrite_header(header: Keys, notes: Notes) -> None:
    """Give the header today's keys; its steps are not looked at."""
    drop_no_effect(header, notes)
    said = (header.text("type") or "").strip().lower()
    if said in PLAIN_TYPES:
        notes.no_effect(header.key("type"), f"`type: {said}` never had an effect: every file is one pipeline")
        header.remove("type")
    _rewrite_version(header, notes)
    rewrite_retries(header, notes)
    _rewrite_inputs(header, notes)
    _rewrite_constants(header, notes)
    _rewrite_outputs(header, notes)


def _rewrite_version(header: Keys, notes: Notes) -> None:
    value = header.value("version")
    if value is not None and not isinstance(value, ScalarNode):
        text = scalar(json.dumps(plain(value), ensure_ascii=False), value.span)
        notes.older(header.key("version"), "version", "version", line("version", text), "the version is a text")
        header.set("version", text, header.key("version"))


def _rewrite_inputs(header: Keys, notes: Notes) -> None:
    """All inputs under `inputs`: of two with one name, the one in `inputs` holds."""
    for name in _INPUTS:
        value = header.value(name)
        made = value and _inputs(value, notes)
        if made is not None and made is not value:
            header.set(name, made, header.key(name))
    for old in _INPUTS[1:]:
        value = header.value(old)
        if value is None:
            continue
        key, wins = header.key(old), header.value("inputs")
        if wins is None:
            notes.older(key, old, "inputs", "inputs:")
            header.replace(old, {"inputs": value})
            continue
        both = _as_map(wins)
        pairs = dict(both.pairs)
        for name, (own, item) in _as_map(value).pairs.items():
            if name in pairs and not same(pairs[name][1], item):
                notes.older(
                    own, f"{old}.{name}", f"inputs.{name}", line(name, pairs[name][1]),
                    "the two say different things, and `inputs` wins",
                )  # fmt: skip
            pairs.setdefault(name, (own, item))
        notes.older(key, old, "inputs", "inputs:", "its names are added to those of `inputs`")
        header.set("inputs", MappingNode(pairs, both.span), header.key("inputs"))
        header.remove(old)


def _as_map(node: Node) -> MappingNode:
    """A list of one-key maps as the map it stands for; of a name that stands twice the first."""
    if isinstance(node, MappingNode):
        return node
    pairs: dict[str, tuple[ScalarNode, Node]] = {}
    for item in node.items if isinstance(node, SequenceNode) else ():
        if isinstance(item, MappingNode):
            for name, pair in item.pairs.items():
                pairs.setdefault(name, pair)
        elif isinstance(item, ScalarNode) and text_of(item):
            pairs.setdefault(item.text, (item, scalar(None, item.span)))
    return MappingNode(pairs, node.span)


def _inputs(node: Node, notes: Notes) -> Node:
    """Inputs as names with defaults or descriptions; the very same node when they are."""
    if isinstance(node, SequenceNode):
        named = _named_list(node, _DESCRIBES)
        items: list[Node] = [_named(item, notes, "inputs") if named else item for item in node.items]
        items = [_inputs(item, notes) if isinstance(item, MappingNode) else item for item in items]
        return node if all(a is b for a, b in zip(items, node.items, strict=True)) else SequenceNode(items, node.span)
    if not isinstance(node, MappingNode):
        return node
    made = {
        name: with_todays_words(name, _without_inner_default(name, value, notes), notes)
        for name, (_, value) in node.pairs.items()
    }
    if all(made[name] is value for name, (_, value) in node.pairs.items()):
        return node
    return MappingNode({name: (node.pairs[name][0], value) for name, value in made.items()}, node.span)


def _named_list(node: SequenceNode, keys: frozenset[str]) -> bool:
    """Whether a list has `{name: …, type: …}` items, and not one-key maps."""
    maps = [item for item in node.items if isinstance(item, MappingNode)]
    return any("name" in item.pairs and not keys.isdisjoint(item.pairs) for item in maps)


def _named(item: Node, notes: Notes, where: str) -> Node:
    """`{name: topic, type: string}` as `topic: {type: string}`."""
    if not isinstance(item, MappingNode) or "name" not in item.pairs:
        return item
    key, name = item.pairs["name"]
    if not isinstance(name, ScalarNode) or not name.text:
        notes.unsupported(key, f"an entry of `{where}` needs a name that is a text")
        return item
    rest = {other: pair for other, pair in item.pairs.items() if other != "name"}
    value: Node = MappingNode(rest, item.span) if rest else scalar(None, item.span)
    notes.older(key, "name: …", f"{name.text}: …", f"- {line(name.text, value)}")
    return MappingNode({name.text: (name, value)}, item.span)


def _without_inner_default(name: str, node: Node, notes: Notes) -> Node:
    """A description whose default is itself a description, with the inner default."""
    while isinstance(node, MappingNode) and "default" in node.pairs:
        key, inner = node.pairs["default"]
        if not isinstance(inner, MappingNode) or not _is_description(inner) or _is_object(node):
            break
        pairs = {other: pair for other, pair in node.pairs.items() if other != "default"}
        made = {**inner.pairs, **pairs}
        node = MappingNode(made, node.span)
        notes.older(key, f"{name}.default.default", f"{name}.default", line(name, node), "the inner default holds")
    return node


def _is_description(node: MappingNode) -> bool:
    if not set(node.pairs) <= _DESCRIBES:
        return False
    kind = text_of(node.pairs["type"][1]) if "type" in node.pairs else None
    known = kind is not None and kind.strip().lower() in INPUT_TYPE_NAMES
    return ("default" in node.pairs and len(node.pairs) > 1) or (
        known and ("description" in node.pairs or "required" in node.pairs)
    )


def _is_object(node: MappingNode) -> bool:
    """Whether the input is an object by its own type, so that a map may be meant as its default."""
    kind = text_of(node.pairs["type"][1]) if "type" in node.pairs else None
    return kind is not None and INPUT_TYPE_NAMES.get(kind.strip().lower()) == "object"


#: Names of a run that a variable may have been called too.
_OF_THE_RUN = ("timestamp", "current_timestamp", "current_date", "pipeline_id", "execution")


def _rewrite_constants(header: Keys, notes: Notes) -> None:
    """`config`, `context`, `variables` and `data` become `constants`; a variable is a name by itself too."""
    inputs = _as_map(header.value("inputs") or scalar(None, header.node.span)).pairs
    for name in CONSTANTS:
        value = header.value(name)
        if value is None:
            continue
        key = header.key(name)
        if name in inputs or name in notes.ids:
            other = "an input" if name in inputs else "a step"
            notes.unsupported(
                key,
                f"`{name}` is a map of the header and the name of {other}: templates cannot mean both",
                hint="rename one",
            )
            header.remove(name)
            continue
        if name == "variables":
            value = _values(value, notes)
        before = header.value("constants")
        pairs = dict(before.pairs) if isinstance(before, MappingNode) else {}
        if name in pairs:
            notes.unsupported(key, f"`constants` has a `{name}` too", hint="keep one of the two")
            header.remove(name)
            continue
        pairs[name] = (key, value)
        if name == "variables" and isinstance(value, MappingNode):
            pairs.update(_by_themselves(value, pairs, inputs, notes))
            _take_folder(value, inputs, header, notes)
            _note_hidden(value, header, notes)
        notes.older(
            key,
            name,
            "constants",
            f"constants: {{{line(name, value)}}}",
            f"templates read it as `{name}.X`" if name != "variables" else "",
        )
        made = MappingNode(pairs, before.span if before else value.span)
        if before is None:
            header.replace(name, {"constants": made})
        else:
            header.set("constants", made, header.key("constants"))
            header.remove(name)


def _values(node: Node, notes: Notes) -> Node:
    """Variables as a map of values: of descriptions the default, of a list the names."""
    named = isinstance(node, SequenceNode) and _named_list(node, _VARIABLE_KEYS - {"name"})
    if isinstance(node, SequenceNode):
        node = _as_map(
            SequenceNode([_named(item, notes, "variables") if named else item for item in node.items], node.span)
        )
    if not isinstance(node, MappingNode):
        return node
    return MappingNode({name: (key, _value(value, named)) for name, (key, value) in node.pairs.items()}, node.span)


def _value(node: Node, described: bool = False) -> Node:
    """The value of a description; a map of one key is one only where it is known to be (``described``)."""
    if isinstance(node, MappingNode) and (described or len(node.pairs) > 1) and set(node.pairs) <= _VARIABLE_KEYS:
        for name in ("value", "default"):
            if name in node.pairs:
                return node.pairs[name][1]
    return node


def _by_themselves(
    variables: MappingNode,
    taken: dict[str, tuple[ScalarNode, Node]],
    inputs: dict[str, tuple[ScalarNode, Node]],
    notes: Notes,
) -> Iterator[tuple[str, tuple[ScalarNode, Node]]]:
    """The variables that templates reach by their own name; one that is also something else must say the same."""
    for name, (key, value) in variables.pairs.items():
        if name in inputs or name in notes.ids:
            if not (name in inputs and (same(value, _value(inputs[name][1])) or _repeats(name, value))):
                other = "an input" if name in inputs else "a step"
                notes.unsupported(
                    key, f'"{name}" is a variable of the header and the name of {other}', hint="rename one of the two"
                )
        elif name not in BUILT_IN_NAMES and name not in taken:
            yield name, (key, value)


def _take_folder(
    variables: MappingNode, inputs: dict[str, tuple[ScalarNode, Node]], header: Keys, notes: Notes
) -> None:
    """A variable `output_dir` is the output folder: that name alone means it."""
    name = "output_dir"
    if name not in variables.pairs or name in inputs:
        return
    key, value = variables.pairs[name]
    if name in header and not same(header.value(name), value):
        notes.unsupported(
            key, f'"{name}" is a variable of the header and a key of it, with another value', hint="keep one of the two"
        )
    elif name not in header:
        notes.older(key, f"variables.{name}", name, line(name, value), "the products go there")
        header.set(name, value, key)


def _note_hidden(variables: MappingNode, header: Keys, notes: Notes) -> None:
    """Refuse a variable whose name alone is read, and is a name of the run."""
    for name, (key, _) in variables.pairs.items():
        if name in _OF_THE_RUN and any(reads_name(header.value(one), name) for one in ("steps", "outputs")):
            notes.unsupported(
                key,
                f'"{name}" is a variable of the header, and a name of every run: templates read the run\'s',
                hint=f"read it as `variables.{name}`, or rename it",
            )


def _repeats(name: str, value: Node) -> bool:
    """Whether a variable's value is the input of its name."""
    return (text_of(value) or "").replace(" ", "") in {
        f"{{{{{head}{name}}}}}" for head in ("", "inputs.", "parameters.")
    }


def _rewrite_outputs(header: Keys, notes: Notes) -> None:
    """Outputs are names with values; a description of one is its value."""
    node = header.value("outputs")
    if node is None:
        return
    made, named = node, False
    if isinstance(node, SequenceNode) and _named_list(node, _OUTPUT_KEYS - {"name"}):
        made, named = SequenceNode([_named(item, notes, "outputs") for item in node.items], node.span), True
    made = _output_values(made, notes, named)
    if made is not node:
        header.set("outputs", made, header.key("outputs"))


def _with_value(node: Node) -> Node:
    """A description whose value was called `source` or `from`."""
    if not isinstance(node, MappingNode) or "value" in node.pairs:
        return node
    old = next((name for name in ("source", "from") if name in node.pairs), None)
    if old is None or not set(node.pairs) <= _OUTPUT_KEYS | {old}:
        return node
    return MappingNode({"value" if one == old else one: pair for one, pair in node.pairs.items()}, node.span)


def _output_values(node: Node, notes: Notes, described: bool) -> Node:
    """Outputs with the values of their descriptions; ``described`` says that a map of one key is a description too."""
    if isinstance(node, SequenceNode):
        items = [
            _output_values(item, notes, described) if isinstance(item, MappingNode) else item for item in node.items
        ]
        return node if all(a is b for a, b in zip(items, node.items, strict=True)) else SequenceNode(items, node.span)
    if not isinstance(node, MappingNode):
        return node
    made: dict[str, tuple[ScalarNode, Node]] = {}
    for name, (key, given) in node.pairs.items():
        value = renamed = _with_value(given)
        while (
            isinstance(value, MappingNode)
            and "value" in value.pairs
            and len(value.pairs) > (0 if described else 1)
            and set(value.pairs) <= _OUTPUT_KEYS
        ):
            inner = value.pairs["value"][1]
            if "location" in value.pairs:
                where, hint = value.pairs["location"][0], "write `products:` at the step that makes the file"
                notes.no_effect(
                    where, f"`location` of the output `{name}`: an output is a value, no file is made of it", hint
                )
            notes.older(key, f"{name}: {{type, value}}", f"{name}: value", line(name, inner), "its type is the value's")
            value = inner
        made[name] = (key, given if value is renamed else value)  # a map with a key of that name is a value
    return (
        node if all(made[name][1] is value for name, (_, value) in node.pairs.items()) else MappingNode(made, node.span)
    )
