"""Loops of the earlier dialect: `foreach`, `action_loop`, `create_parallel_queue`, `parallel_map`, `loop_name`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from orchestrator_dagster.language.nodes import MappingNode, Node, ScalarNode, SequenceNode, plain
from orchestrator_dagster.language.older.names import Rule, place_of_word, replace_names
from orchestrator_dagster.language.older.notes import Notes, identifier
from orchestrator_dagster.language.older.tree import Keys, line, mapping, scalar, sequence, text_of
from orchestrator_dagster.text import nearest_name

_LOOP_KEYS = ("for_each", "foreach", "while", "until", "loop_condition", "action_loop", "create_parallel_queue")
_LOOP_TYPES = (
    "loop",
    "for_each",
    "foreach",
    "while",
    "until",
    "action_loop",
    "parallel_queue",
    "create_parallel_queue",
)
#: Types of steps that said nothing that the step's other keys do not say.
PLAIN_TYPES = ("workflow", "pipeline", "task", "step", "action")
_RENAMED = {"foreach": "for_each", "loop_condition": "while", "max_concurrent": "max_parallel"}
_QUEUE_KEYS = {
    "on": "for_each", "items": "for_each", "for_each": "for_each", "foreach": "for_each", "as": "as",
    "max_parallel": "max_parallel", "max_concurrent": "max_parallel", "action_loop": "steps", "steps": "steps",
    "while": "while", "until": "until", "loop_condition": "while", "max_iterations": "max_iterations",
    "on_item_failure": "on_item_failure",
}  # fmt: skip
_INNER = ("while", "until", "max_iterations")
_QUEUE = "create_parallel_queue"


def rewrite_type(keys: Keys, notes: Notes) -> None:
    """`type: parallel_map` with `items` is `for_each`; other types say what the other keys say."""
    if "type" not in keys:
        return
    key, said = keys.key("type"), (keys.text("type") or "").strip().lower().replace("-", "_")
    if said == "parallel_map":
        keys.remove("type")
        if "items" in keys:
            notes.rename(keys, "items", "for_each")
        elif "for_each" in keys or "foreach" in keys:
            notes.no_effect(key, "`type: parallel_map` says what `for_each` says")
        else:
            notes.unsupported(key, "`type: parallel_map` needs `items`", hint="write `for_each: …`")
        return
    if said in PLAIN_TYPES or (said in _LOOP_TYPES and any(name in keys for name in _LOOP_KEYS)):
        notes.no_effect(key, f"`type: {said}` never had an effect: the step's other keys say what it does")
    else:
        notes.unsupported(
            key,
            f"`type: {plain(keys.value('type'))}` says what kind of step this is; its keys say it today",
            suggestion=nearest_name(said, ("parallel_map", *PLAIN_TYPES)),
            hint="a step has `tool`, `prompt`, `pipeline`, or a loop's `steps`",
        )
    keys.remove("type")


def rewrite_loop(keys: Keys, notes: Notes) -> None:
    """Give a loop today's keys."""
    _rewrite_queue(keys, notes)
    for old, new in _RENAMED.items():
        if old in keys:
            notes.rename(keys, old, new)
    if "action_loop" in keys:
        _rewrite_action_loop(keys, notes)


def _rewrite_queue(keys: Keys, notes: Notes) -> None:
    """`create_parallel_queue: {on, max_parallel, action_loop}`, also as an action with these parameters."""
    under = _QUEUE
    if _QUEUE in keys and (keys.text("action") or "").strip().replace("-", "_") == _QUEUE:
        notes.no_effect(keys.key("action"), f"`action: {keys.text('action')}` says what `{_QUEUE}` says")
        keys.remove("action")
    if _QUEUE not in keys:
        action = (keys.text("action") or "").strip().replace("-", "_")
        if action != _QUEUE or not isinstance(keys.value("parameters"), MappingNode) or "tool" in keys:
            return
        under = "parameters"
    queue = keys.value(under)
    if not isinstance(queue, MappingNode):
        notes.unsupported(keys.key(under), f"`{_QUEUE}` is a map of `on`, `max_parallel` and `action_loop`")
        keys.remove(under)
        return
    today: dict[str, tuple[ScalarNode, Node]] = {}
    for name, (key, value) in queue.pairs.items():
        new = _QUEUE_KEYS.get(name)
        if new is None:
            near = nearest_name(name, _QUEUE_KEYS)
            notes.unsupported(
                key, f"`{_QUEUE}` has no `{name}`", suggestion=near, hint=f"it has {', '.join(_QUEUE_KEYS)}"
            )
        elif new in today or new in keys:
            notes.unsupported(key, f"`{name}` says what `{new}` says, and both stand here", hint="keep one of the two")
        else:
            today[new] = (key, value)
    if "for_each" not in today or "steps" not in today:
        notes.unsupported(
            keys.key(under), f"`{_QUEUE}` needs `on` and `action_loop`", hint="write `for_each:` and `steps:`"
        )
        keys.remove(under, *(["action"] if under == "parameters" else []))
        return
    key = keys.key("action" if under == "parameters" else under)
    notes.older(
        key,
        _QUEUE,
        "for_each",
        line("for_each", today["for_each"][1]),
        "its other keys stand beside it, its `action_loop` is `steps`",
    )
    body = _body(today["steps"][1], today["steps"][0], notes)
    inner = {name: today.pop(name) for name in _INNER if name in today}
    today["steps"] = (today["steps"][0], _nested(body, inner, notes) if inner else body)
    nodes = {name: value for name, (_, value) in today.items()}
    keys.replace(under, nodes)
    keys.pairs = {name: (today.get(name, pair)) for name, pair in keys.pairs.items()}
    if under == "parameters":
        keys.remove("action")


def _rewrite_action_loop(keys: Keys, notes: Notes) -> None:
    """`action_loop` is `steps`; without an end it ends at `max_iterations`; inside `for_each` it is an inner loop."""
    key, value = keys.key("action_loop"), keys.value("action_loop")
    assert value is not None
    if "steps" in keys:
        notes.unsupported(
            key, "`action_loop` is an older spelling of `steps`, and both stand here", hint="keep one of the two"
        )
        keys.remove("action_loop")
        return
    body = _body(value, key, notes)
    inner = {name: keys.pairs[name] for name in _INNER if name in keys}
    if "for_each" in keys and inner:
        notes.older(
            key, "action_loop", "steps", line("steps", "…"), "each item has a loop of its own, a step in `steps`"
        )
        keys.replace("action_loop", {"steps": _nested(body, inner, notes)})
        keys.remove(*inner)
        return
    today: dict[str, Node] = {"steps": body}
    more = ""
    if not any(name in keys for name in ("for_each", "while", "until")):
        today = {"while": scalar(True, key.span), **today}
        more = "without an end it is repeated `max_iterations` times, which is `while: true`"
    notes.older(key, "action_loop", "steps", line("while", True) if more else "steps:", more)
    keys.replace("action_loop", today)


def _nested(body: Node, inner: Mapping[str, tuple[ScalarNode, Node]], notes: Notes) -> SequenceNode:
    """A loop's body that is one step, which repeats the body."""
    name = notes.new_id(f"{notes.step}_loop")
    pairs = {"id": scalar(name, body.span), **{key: value for key, (_, value) in inner.items()}}
    if "while" not in pairs and "until" not in pairs:
        pairs["while"] = scalar(True, body.span)
    keys = {key: node for key, (node, _) in inner.items()}
    return sequence([mapping({**pairs, "steps": body}, body.span, keys)], body.span)


def _body(node: Node, key: ScalarNode, notes: Notes) -> Node:
    """The steps of an `action_loop`; one without an id gets one, of its name or its number."""
    if not isinstance(node, SequenceNode):
        notes.unsupported(node, f"`{key.text}` is a list of steps", hint="write `steps:` and below it `- id: first` …")
        return sequence([], node.span)
    made: list[Node] = []
    for number, item in enumerate(node.items):
        if isinstance(item, MappingNode) and plain(item.pairs.get("id", (None, None))[1]) is None:
            title = text_of(item.pairs["name"][1]) if "name" in item.pairs else None
            otherwise = f"{notes.step}_{number + 1}"
            name = notes.new_id(identifier(title, otherwise) if title else otherwise)
            notes.older(item.span, "- action: …", "- id: …", line("id", name))
            fresh = {"id": (scalar("id", item.span), scalar(name, item.span))}
            item = MappingNode({**fresh, **{k: pair for k, pair in item.pairs.items() if k != "id"}}, item.span)
        made.append(item)
    return node if all(a is b for a, b in zip(made, node.items, strict=True)) else sequence(made, node.span)


def rewrite_loop_name(keys: Keys, notes: Notes) -> None:
    """`loop_name: outer` named the loop in templates: `outer.iteration` is `<id>.iteration`, `outer.item` its item."""
    if "loop_name" not in keys:
        return
    key, name = keys.key("loop_name"), (keys.text("loop_name") or "").strip()
    own = notes.step or ""
    keys.remove("loop_name")
    if not name or not any(one in keys for one in ("for_each", "while", "until", "steps")):
        notes.no_effect(key, "`loop_name` names a loop, and this step is none" if name else "`loop_name` says nothing")
        return
    if name == own:
        notes.no_effect(key, "`loop_name` is the step's own id, which templates read anyway")
        return
    if name in notes.ids:
        notes.unsupported(
            key, f'"{name}" is the name of this loop and the id of another step', hint="rename one of the two"
        )
        return
    notes.older(key, "loop_name", "id", line("id", own), f"templates read the loop by its id: `{own}.iteration`")
    given = keys.text("as")
    item = given or f"{name.replace('-', '_')}_item"
    used, wrong = [], []

    def swap(found: re.Match[str]) -> str | None:
        if found["map"]:
            return None
        if found["field"] in ("iteration", "index"):
            return f"{own}.iteration"
        if found["field"] == "item":
            used.append(found[0])
            return item
        wrong.append(found[0])
        return None

    seen: list[ScalarNode] = []
    node = keys.done()
    made = replace_names(node, Rule(name, swap), seen)
    assert isinstance(made, MappingNode)
    if made is not node:
        keys.pairs = made.pairs
    if used and not given:
        keys.set("as", scalar(item, key.span), key)
    for text in dict.fromkeys(wrong):
        notes.unsupported(
            place_of_word(notes, node.span, text.lstrip("$")),
            f"`{text}` reads the loop by its older name, and a loop outside the innermost has no such field",
            hint=f"there is `{own}.iteration`, and its item as `{item}`",
        )
