"""Small tools for rewriting a tree of nodes: new nodes stand where the old ones stood, old ones are never changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from orchestrator_dagster.language.diagnostics import Span
from orchestrator_dagster.language.nodes import MappingNode, Node, ScalarNode, SequenceNode, plain

_PLAIN_TEXT = re.compile(r"[A-Za-z_./][\w ./-]*\Z")
_NO_PLAIN_TEXT = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))
_LONGEST_LINE = 100


class Keys:
    """The keys of one map while they are rewritten; :meth:`done` gives the new map.

    Args:
        node: The map; it stays as it is, because an alias may use it in a second place.
    """

    def __init__(self, node: MappingNode) -> None:
        self.node = node
        self.pairs = node.pairs

    def __contains__(self, name: str) -> bool:
        return name in self.pairs

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self.pairs))

    def key(self, name: str) -> ScalarNode:
        """The node of a key that is there."""
        return self.pairs[name][0]

    def value(self, name: str) -> Node | None:
        """The value of a key, None when it is not there."""
        pair = self.pairs.get(name)
        return pair[1] if pair else None

    def text(self, name: str) -> str | None:
        """The value of a key when it is a text, else None."""
        return text_of(self.value(name))

    def replace(self, old: str, new: Mapping[str, Node]) -> None:
        """Put new keys where an old one stands; they keep its place in the file."""
        key = self.pairs[old][0]
        made: dict[str, tuple[ScalarNode, Node]] = {}
        for name, pair in self.pairs.items():
            if name == old:
                made.update({added: (key, value) for added, value in new.items()})
            elif name not in new:
                made[name] = pair
        self.pairs = made

    def set(self, name: str, value: Node, key: ScalarNode) -> None:
        """Give a key a value; where it is not there yet it comes last, with the place of ``key``."""
        self.pairs = {**self.pairs, name: (self.pairs[name][0] if name in self.pairs else key, value)}

    def remove(self, *names: str) -> None:
        """Take keys out."""
        self.pairs = {name: pair for name, pair in self.pairs.items() if name not in names}

    def done(self) -> MappingNode:
        """The map with its new keys; the very same node when nothing changed."""
        if self.pairs is self.node.pairs:
            return self.node
        return MappingNode(self.pairs, self.node.span, self.node.size, self.node.height)


def text_of(node: Node | None) -> str | None:
    """The text of a node that is one, else None."""
    return node.value if isinstance(node, ScalarNode) and isinstance(node.value, str) else None


def scalar(value: Any, span: Span) -> ScalarNode:
    """A new single value at a place."""
    return ScalarNode(value, "" if value is None else str(value), span, isinstance(value, str))


def mapping(pairs: Mapping[str, Node], span: Span, keys: Mapping[str, ScalarNode] | None = None) -> MappingNode:
    """A new map at a place; its keys stand where their values stand, unless ``keys`` has their nodes."""
    made = {name: ((keys or {}).get(name) or scalar(name, value.span), value) for name, value in pairs.items()}
    return MappingNode(made, span)


def sequence(items: Iterable[Node], span: Span) -> SequenceNode:
    """A new list at a place."""
    return SequenceNode(list(items), span)


def same(first: Node | None, second: Node | None) -> bool:
    """Whether two nodes say the same."""
    return plain(first) == plain(second) and type(plain(first)) is type(plain(second))


def line(name: str, node: Node | Any) -> str:
    """One line of YAML, ``name: value``, for a message; long values are cut.

    >>> line("retries", {"max": 2, "delay": "5s"})
    'retries: {max: 2, delay: "5s"}'
    """
    value = plain(node) if isinstance(node, (ScalarNode, SequenceNode, MappingNode)) else node
    text = f"{name}: {_flow(value)}"
    return text if len(text) <= _LONGEST_LINE else text[: _LONGEST_LINE - 2] + " …"


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(name)}: {_flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, str) and _PLAIN_TEXT.match(value) and value.lower() not in _NO_PLAIN_TEXT:
        return value if value == value.strip() else json.dumps(value)
    return json.dumps(value, ensure_ascii=False)
