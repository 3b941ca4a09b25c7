"""`if` as a map of `condition`, `then` and `else`."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator_dagster.language.nodes import MappingNode, Node, ScalarNode, SequenceNode
from orchestrator_dagster.language.older.notes import Notes
from orchestrator_dagster.language.older.tree import Keys, line, mapping, scalar, text_of
from orchestrator_dagster.text import nearest_name

_CONDITIONS = ("condition", "if", "when")
_KINDS = ("tool", "action", "prompt", "instruction", "pipeline", "steps", "action_loop", "create_parallel_queue")


def rewrite_branch(keys: Keys, notes: Notes) -> list[MappingNode]:
    """Make a branch a condition with routes, or with conditions of the steps of a longer branch.

    Returns:
        Steps that were written inside the branch, to stand after the step.
    """
    _gather(keys, notes)
    maps = [name for name in ("condition", "if") if isinstance(keys.value(name), MappingNode)]
    if maps and "condition" in keys and "if" in keys:
        why = "`if` is another spelling of `condition`, and both stand here"
        notes.unsupported(keys.key("if"), why, hint="keep one of the two")
        keys.remove("if")
    old = next((name for name in maps if name in keys), None)
    if old is None:
        return []
    key, branch = keys.key(old), keys.value(old)
    assert isinstance(branch, MappingNode)
    said = next((name for name in _CONDITIONS if name in branch.pairs), None)
    if said is None or not isinstance(branch.pairs[said][1], ScalarNode):
        notes.unsupported(key, f"`{old}` is a map without `condition`", hint="write `condition: …`")
        keys.remove(old)
        return []
    for name, (inner, _) in branch.pairs.items():
        if name not in (said, "then", "else"):
            notes.unsupported(inner, f"`{old}` has no `{name}`", hint="it has `condition`, `then` and `else`")
    condition = branch.pairs[said][1]
    today: dict[str, Node] = {"condition": condition}
    added: list[MappingNode] = []
    for name, route, text in (("then", "on_success", "not {}.skipped"), ("else", "on_false", "{}.skipped")):
        if name not in branch.pairs:
            continue
        inner, value = branch.pairs[name]
        before = len(added)
        targets = _targets(value, inner, notes, added)
        if len(added) > before:
            notes.inside_branches.setdefault(notes.step or "", []).extend(targets)
        if len(targets) == 1 and len(added) == before:
            if route in keys:
                notes.unsupported(
                    inner, f"`{name}` is a route like `{route}`, which stands here too", hint="keep one of the two"
                )
            else:
                today[route] = targets[0]
        for target in targets if len(targets) > 1 or len(added) > before else ():
            notes.routes.setdefault(str(target.value), (text.format(notes.step), target))
    notes.older(
        key, f"{old}: {{condition, then, else}}", "condition", "`, `".join(line(n, v) for n, v in today.items())
    )
    keys.replace(old, today)
    # A branch that does nothing itself is a step that succeeds, with the value true, when its condition holds.
    if not any(name in keys for name in _KINDS):
        message = mapping({"message": scalar(True, key.span)}, key.span)
        keys.set("action", scalar("echo", key.span), key)
        if "parameters" not in keys:
            keys.set("parameters", message, key)
    return added


def _gather(keys: Keys, notes: Notes) -> None:
    """`then` and `else` that stand beside a condition, as if they stood in it."""
    for name in ("then", "else"):
        if name not in keys:
            continue
        old = next((one for one in ("condition", "if") if one in keys), None)
        if old is None:
            notes.unsupported(keys.key(name), f"`{name}` belongs to a condition", hint="write `condition: …` too")
            keys.remove(name)
            continue
        value = keys.value(old)
        pairs = value.pairs if isinstance(value, MappingNode) else {"condition": keys.pairs[old]}
        if name in pairs:
            notes.unsupported(keys.key(name), f"`{name}` stands here twice", hint="keep one of the two")
        else:
            pairs = {**pairs, name: keys.pairs[name]}
        keys.set(old, MappingNode(dict(pairs), keys.key(old).span), keys.key(old))
        keys.remove(name)


def _targets(value: Node, key: ScalarNode, notes: Notes, added: list[MappingNode]) -> Sequence[ScalarNode]:
    """The ids of a branch: one id, a comma list, a list of ids, or steps written right there."""
    if isinstance(value, ScalarNode):
        if value.value is None:
            return []
        parts = [part.strip() for part in value.text.split(",") if part.strip()]
        return [value] if parts == [value.text] else [scalar(part, value.span) for part in parts]
    if isinstance(value, MappingNode):
        value = SequenceNode([value], value.span)
    found = []
    for item in value.items:
        if isinstance(item, MappingNode):
            name = item.pairs.get("id")
            if name is None or not isinstance(name[1], ScalarNode):
                notes.unsupported(item, f"a step in `{key.text}` needs an `id`", hint="give it one")
                continue
            added.append(item)
            found.append(name[1])
        elif text_of(item) is not None and isinstance(item, ScalarNode):
            found.append(item)
        else:
            notes.unsupported(item, f"`{key.text}` has steps or ids of steps", hint="name a step")
    return found


def with_conditions(body: list[Node], notes: Notes) -> list[Node]:
    """The steps of a body, those of longer branches with the condition that the branch's step puts on them."""
    body = [_after_branches(item, notes) for item in body] if notes.inside_branches else body
    if not notes.routes:
        return body
    made: list[Node] = []
    left = dict(notes.routes)
    for item in body:
        name = text_of(item.pairs["id"][1]) if isinstance(item, MappingNode) and "id" in item.pairs else None
        wanted = left.pop(name, None) if name else None
        made.append(
            item if wanted is None or not isinstance(item, MappingNode) else _conditioned(item, wanted[0], notes)
        )
    for target, (_, node) in left.items():
        notes.unsupported(
            node,
            f'a branch goes to "{target}", and no step beside it is called so',
            suggestion=nearest_name(target, notes.ids),
            hint="name a step of the same list of steps",
        )
    return made


def _after_branches(item: Node, notes: Notes) -> Node:
    """A step that waits for one that branches waits for the steps inside its branches too."""
    if not isinstance(item, MappingNode):
        return item
    own = text_of(item.pairs["id"][1]) if "id" in item.pairs else None
    name = next((one for one in ("dependencies", "depends_on") if one in item.pairs), None)
    if name is None:
        return item
    key, value = item.pairs[name]
    parts: list[Node] = list(value.items) if isinstance(value, SequenceNode) else []
    if isinstance(value, ScalarNode):
        parts = [scalar(part.strip(), value.span) for part in value.text.split(",") if part.strip()]
    said = {text_of(part) for part in parts}
    further: list[Node] = [
        inner
        for branch, inside in notes.inside_branches.items()
        if branch in said and own not in {text_of(one) for one in inside}
        for inner in inside
        if text_of(inner) not in said
    ]
    if not further:
        return item
    return MappingNode({**item.pairs, name: (key, SequenceNode([*parts, *further], value.span))}, item.span)


def _conditioned(step: MappingNode, wanted: str, notes: Notes) -> Node:
    keys = Keys(step)
    name = next((one for one in ("condition", "if") if one in keys), None)
    if name is None:
        keys.set("condition", scalar(wanted, step.span), scalar("condition", step.span))
        return keys.done()
    own = keys.value(name)
    text = own.text.strip() if isinstance(own, ScalarNode) else ""
    if not isinstance(own, ScalarNode) or "<AUTO" in text or "{%" in text:
        notes.unsupported(
            keys.key(name),
            "the step is in a branch of another step, and its own condition cannot be joined with the branch's",
            hint=f"write one condition with `{wanted}`",
        )
        return step
    keys.set(name, ScalarNode(f"({wanted}) and ({text})", own.text, own.span), keys.key(name))
    return keys.done()
