"""Descriptions of inputs in the words of the earlier dialect: types and constraints that are called otherwise today."""

from __future__ import annotations

from orchestrator_dagster.language.nodes import MappingNode, Node, ScalarNode, SequenceNode
from orchestrator_dagster.language.older.notes import Notes
from orchestrator_dagster.language.older.tree import Keys, line, scalar, text_of

#: Constraints, older name -> today's.
RENAMED = {
    "min": "minimum", "max": "maximum", "min_value": "minimum", "max_value": "maximum", "options": "enum",
    "values": "enum", "allowed_values": "enum", "allowed": "enum", "item_type": "items", "regex": "pattern",
}  # fmt: skip
#: Types, older name -> today's type and format.
TYPES: dict[str, tuple[str | None, str | None]] = {
    "url": ("string", "uri"), "uri": ("string", "uri"), "email": ("string", "email"), "date": ("string", "date"),
    "file": ("path", None), "filepath": ("path", None), "file_path": ("path", None), "directory": ("path", None),
    "dir": ("path", None), "folder": ("path", None), "json": ("object", None), "choice": (None, None),
    "enum": (None, None), "select": (None, None), "any": (None, None),
}  # fmt: skip
_DESCRIBES = frozenset(("type", "default", "description", "required"))


def with_todays_words(name: str, node: Node, notes: Notes) -> Node:
    """The description of an input with today's type and constraints; the very same node when it has them."""
    if not isinstance(node, MappingNode) or not _DESCRIBES & node.pairs.keys():
        return node
    keys = Keys(node)
    for old, today in RENAMED.items():
        if old in keys and today not in keys:
            value = keys.value(old)
            assert value is not None
            notes.older(keys.key(old), f"{name}.{old}", today, line(today, value))
            keys.replace(old, {today: value})
    said = (keys.text("type") or "").strip().lower()
    if said in TYPES:
        _rewrite_type(name, said, keys, notes)
    return keys.done()


def _rewrite_type(name: str, said: str, keys: Keys, notes: Notes) -> None:
    kind, form = TYPES[said]
    key, span = keys.key("type"), keys.pairs["type"][1].span
    if said == "json" and isinstance(keys.value("default"), SequenceNode):
        kind = "array"
    if said == "json" and isinstance(keys.value("default"), ScalarNode) and text_of(keys.value("default")):
        kind = "string"
    today: dict[str, Node] = {}
    if kind:
        today["type"] = scalar(kind, span)
    if form and "format" not in keys:
        today["format"] = scalar(form, span)
    shown = ", ".join(line(one, value) for one, value in today.items()) or "no `type`"
    notes.older(key, f"{name}.type: {said}", "type", shown, "" if today else "without a type that of the default holds")
    keys.replace("type", today)
