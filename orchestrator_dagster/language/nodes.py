"""The tree that a YAML file is read into: every node knows where it stands, and is found by its path."""

from __future__ import annotations

import bisect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Union

from orchestrator_dagster.language.diagnostics import Span, lines_of
from orchestrator_dagster.language.template_text import code_regions

_DASHED = re.compile(r"(?<![\w.'\"-])[^\W\d]\w*(?:-\w+)+")

NodePath = Sequence[Union[str, int]]


@dataclass(eq=False)
class ScalarNode:
    """A single value: ``value`` as the core schema reads it, ``text`` as it stands in the file (without quotes).

    ``size`` counts the nodes in it and ``height`` the levels, both with aliases written out.
    """

    value: Any
    text: str
    span: Span
    quoted: bool = False
    size: int = 1
    height: int = 1


@dataclass(eq=False)
class SequenceNode:
    """A list of nodes."""

    items: list[Node]
    span: Span
    size: int = 1
    height: int = 1


@dataclass(eq=False)
class MappingNode:
    """A map; keys are scalars, in file order."""

    pairs: dict[str, tuple[ScalarNode, Node]]
    span: Span
    size: int = 1
    height: int = 1


Node = Union[ScalarNode, SequenceNode, MappingNode]


@dataclass
class Document:
    """A file that was read: its name for messages, its text, and the tree (None when it is not YAML).

    ``spellings`` has, for a key, the other spellings it may have in the file: a path that names the key finds them too.
    """

    file: str
    text: str
    root: Node | None
    path: Path | None = None
    spellings: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def value(self) -> Any:
        """The tree as plain dicts, lists and scalars."""
        return plain(self.root)

    def locate(self, path: NodePath) -> tuple[Node | None, Span]:
        """The node that ``path`` reaches and where it stands; the deepest one on the way when it does not exist.

        A list of one-key maps is walked like the map it stands for.
        """
        node, _ = self._walk(path)
        return node, node.span if node else Span()

    def has(self, path: NodePath) -> bool:
        """Whether there is a node at ``path``."""
        return self._walk(path)[1]

    def span(self, path: NodePath) -> Span:
        """Where the value at ``path`` stands (see :meth:`locate`)."""
        return self.locate(path)[1]

    def key_span(self, path: NodePath) -> Span:
        """Where the key of the last part of ``path`` stands; the nearest value's place when it has no key."""
        if not path:
            return self.locate(path)[1]
        parent, whole = self._walk(path[:-1])
        pair = self._pair(parent, path[-1]) if whole else None
        return pair[0].span if pair else self.locate(path)[1]

    def spelling(self, path: NodePath) -> str:
        """How the last key of ``path`` is spelled in the file."""
        parent, whole = self._walk(path[:-1])
        pair = self._pair(parent, path[-1]) if whole else None
        return pair[0].text if pair else str(path[-1])

    def _walk(self, path: NodePath) -> tuple[Node | None, bool]:
        """The deepest node on the way along ``path``, and whether it is its end."""
        node = self.root
        for part in path:
            found = self._child(node, part)
            if found is None:
                return node, False
            node = found
        return node, node is not None

    def _child(self, node: Node | None, part: str | int) -> Node | None:
        if isinstance(node, SequenceNode) and isinstance(part, int):
            return node.items[part] if 0 <= part < len(node.items) else None
        pair = self._pair(node, part)
        return pair[1] if pair else None

    def _pair(self, node: Node | None, part: str | int) -> tuple[ScalarNode, Node] | None:
        for name in (str(part), *self.spellings.get(str(part), ())):
            if isinstance(node, MappingNode) and name in node.pairs:
                return node.pairs[name]
            if isinstance(node, SequenceNode) and isinstance(part, str):
                for item in node.items:
                    if isinstance(item, MappingNode) and name in item.pairs:
                        return item.pairs[name]
                    if isinstance(item, ScalarNode) and item.text == name:
                        return item, item  # a name by itself in a list of one-key maps
        return None

    @cached_property
    def _line_starts(self) -> list[int]:
        """Index in the text at which each line starts, and the end of the text."""
        starts = [0]
        for line in lines_of(self.text, ends=True):
            starts.append(starts[-1] + len(line))
        return starts

    def _index(self, line: int, column: int) -> int:
        """Index in the text of a line and column that count from 1."""
        starts = self._line_starts
        return min(starts[min(line - 1, len(starts) - 1)] + column - 1, len(self.text))

    def region_in(self, path: NodePath, number: int) -> Span:
        """Where the ``{{`` or ``{%`` of that number stands inside the value at ``path``; else the value's place."""
        part, start, span = self._source(path)
        found = next((one for n, one in enumerate(code_regions(part)) if n == number), None)
        return self._span(start + found.start, start + found.start + 2) if found else span

    def _source(self, path: NodePath) -> tuple[str, int, Span]:
        """The text of the value at ``path`` as it stands in the file, where it starts, and its place."""
        _, span = self.locate(path)
        start, end = self._index(span.line, span.column), self._index(span.end_line, span.end_column)
        return self.text[start:end], start, span

    def place_in(self, path: NodePath, needle: str, after: str = "", line: int = 0) -> Span:
        """Where ``needle`` (a whole word) stands inside the value at ``path``; else the value's place.

        A word inside ``{{ }}`` is taken before the same word in the text around it, and a name by itself before a
        field of that name.

        Args:
            path: The value's path.
            needle: The word.
            after: The name that the word is a field of: the word behind it and a dot is looked for first.
            line: The line of a block (from 1) that it stands in, 0 when that is not known.
        """
        part, start, span = self._source(path)
        skipped = len("".join(lines_of(part, ends=True)[:line])) if part[:1] == "|" else 0
        regions = [(one.start, one.end) for one in code_regions(part)]
        behind = [rf"(?<=\b{re.escape(after)}\.)"] if after else []
        for places in (regions, [(0, len(part))]):
            for before in (*behind, r"(?<![\w.'\"-])", r"(?<![\w-])"):
                pattern = re.compile(rf"{before}{re.escape(needle)}(?![\w-])")
                for first, last in [*((max(a, skipped), b) for a, b in places if b > skipped), *places]:
                    found = pattern.search(part, first, last)
                    if found:
                        dollar = found.start() > 0 and part[found.start() - 1] == "$"
                        return self._span(start + found.start() - dollar, start + found.end())
        return span

    def dashed_in(self, path: NodePath, part: str) -> tuple[str, Span] | None:
        """The names joined by dashes without blanks that ``part`` is one of, inside the value at ``path``; its place.

        In templates it is looked for inside ``{{ }}``.
        """
        text, start, _ = self._source(path)
        regions = [(one.start, one.end) for one in code_regions(text)] or [(0, len(text))]
        for first, last in regions:
            for found in _DASHED.finditer(text, first, last):
                if part in found[0].split("-"):
                    return found[0], self._span(start + found.start(), start + found.end())
        return None

    def _span(self, start: int, end: int) -> Span:
        line = bisect.bisect_right(self._line_starts, start)
        end_line = bisect.bisect_right(self._line_starts, end)
        return Span(line, start - self._line_starts[line - 1] + 1, end_line, end - self._line_starts[end_line - 1] + 1)


def plain(node: Node | None) -> Any:
    """A node as plain dicts, lists and scalars."""
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, SequenceNode):
        return [plain(item) for item in node.items]
    if isinstance(node, MappingNode):
        return {name: plain(value) for name, (_, value) in node.pairs.items()}
    return None
