"""Steps of the earlier dialect, and the lists that they stand in."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator_dagster.language.nodes import MappingNode, Node, ScalarNode, SequenceNode
from orchestrator_dagster.language.older.branches import rewrite_branch, with_conditions
from orchestrator_dagster.language.older.commands import rewrite_command
from orchestrator_dagster.language.older.failure import rewrite_failure
from orchestrator_dagster.language.older.layout import rewrite_keys, share_model, with_ids
from orchestrator_dagster.language.older.loops import rewrite_loop, rewrite_loop_name, rewrite_type
from orchestrator_dagster.language.older.notes import Notes
from orchestrator_dagster.language.older.products import rewrite_model, rewrite_product, schema_of
from orchestrator_dagster.language.older.retries import rewrite_retries, take_from_parameters
from orchestrator_dagster.language.older.tools import rewrite_tool
from orchestrator_dagster.language.older.tree import Keys

#: Keys that never did anything, in the header or in a step.
NO_EFFECT = ("add_completion_task", "enhanced_outputs", "parallel")
#: Keys that only the earlier dialect has.
_OLDER = frozenset(
    (
        *("type", "items", "foreach", "loop_condition", "max_concurrent", "action_loop", "create_parallel_queue"),
        *("loop_name", "on_error", "continue_on_error", "max_retries", "retry", "retry_config", "produces", "location"),
        *("requires-model", "template", "else", "then", "retry_delay"),
    )
) | frozenset(NO_EFFECT)
#: Keys that both have, with values that only the earlier dialect has.
_MAPS_ARE_OLDER = ("if", "condition", "on_failure")


@dataclass(frozen=True)
class Header:
    """What steps need to know of the header: the pipeline's id, and its output folder when that is a plain text."""

    id: str
    folder: str | None


def rewrite_body(node: Node, notes: Notes, header: Header) -> Node:
    """A list of steps in today's spelling; the very same node when it is."""
    if not isinstance(node, SequenceNode):
        return node
    notes = notes.for_body()
    given, node = node, with_ids(node, notes)
    made: list[Node] = []
    waiting = list(reversed(node.items))
    while waiting:
        item = waiting.pop()
        if isinstance(item, MappingNode):
            item, added = rewrite_step(item, notes, header)
            waiting.extend(reversed(added))
        made.append(item)
    made = with_conditions(made, notes)
    if len(made) == len(given.items) and all(a is b for a, b in zip(made, given.items, strict=True)):
        return given
    return SequenceNode(made, node.span, node.size, node.height)


def rewrite_step(node: MappingNode, notes: Notes, header: Header) -> tuple[MappingNode, list[MappingNode]]:
    """One step in today's spelling, and the steps that were written inside it and stand after it."""
    keys = Keys(node)
    named = node.pairs.get("id")
    notes = notes.inside(named[1].text if named and isinstance(named[1], ScalarNode) else None)
    added: list[MappingNode] = []
    rewrite_keys(keys, notes)
    take_from_parameters(keys, notes)
    if is_older(keys.done()):
        drop_no_effect(keys, notes)
        rewrite_type(keys, notes)
        rewrite_loop(keys, notes)
        rewrite_loop_name(keys, notes)
        share_model(keys, notes)
        rewrite_retries(keys, notes)
        added += rewrite_failure(keys, notes)
        added += rewrite_branch(keys, notes)
        rewrite_model(keys, notes)
        rewrite_product(keys, notes, header.folder, header.id)
    rewrite_tool(keys, notes)
    rewrite_command(keys, notes)
    body = keys.value("steps")
    made = body and rewrite_body(body, notes, header)
    if made is not None and made is not body:
        keys.set("steps", made, keys.key("steps"))
    return keys.done(), added


def is_older(step: MappingNode) -> bool:
    """Whether a step has a key or value of the earlier dialect."""
    pairs = step.pairs
    if not _OLDER.isdisjoint(pairs):
        return True
    if any(name in pairs and not isinstance(pairs[name][1], ScalarNode) for name in _MAPS_ARE_OLDER):
        return True
    if "requires_model" in pairs:
        return True
    parameters = pairs["parameters"][1] if "parameters" in pairs else None
    if schema_of(pairs) is not None or (isinstance(parameters, MappingNode) and "response_format" in parameters.pairs):
        return True
    action = pairs.get("action")
    return bool(
        action
        and isinstance(action[1], ScalarNode)
        and action[1].text.strip().replace("-", "_") == "create_parallel_queue"
    )


def drop_no_effect(keys: Keys, notes: Notes) -> None:
    """Take out the keys that never had an effect."""
    for name in NO_EFFECT:
        value = keys.value(name)
        if value is None:
            continue
        if isinstance(value, ScalarNode):
            why = (
                "steps that do not wait for each other run at once anyway" if name == "parallel" else "it does nothing"
            )
            notes.no_effect(keys.key(name), f"`{name}` never had an effect: {why}")
        else:
            notes.unsupported(
                keys.key(name),
                f"`{name}` is true or false, found a {'list' if isinstance(value, SequenceNode) else 'map'}",
                hint="write the steps beside each other: they run at the same time when neither waits for the other",
            )
        keys.remove(name)
