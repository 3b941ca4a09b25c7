"""Names in templates and conditions that are called differently today: replaced in code, never in text around it."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from orchestrator_dagster.language.diagnostics import Span, lines_of
from orchestrator_dagster.language.nodes import MappingNode, Node, ScalarNode, SequenceNode
from orchestrator_dagster.language.older.notes import Notes
from orchestrator_dagster.language.older.tree import Keys
from orchestrator_dagster.language.template_text import code_regions

#: Keys whose text is an expression without braces too.
CONDITIONS = frozenset(("condition", "if", "while", "until", "loop_condition", "for_each", "foreach"))
_STRING = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\""""


class Replacing(Protocol):
    """What :func:`replace_names` replaces with; a text without ``name`` has nothing to replace."""

    @property
    def name(self) -> str:
        """A part of every text in which something is replaced."""
        ...

    def makes(self, text: str) -> bool:
        """Whether a template itself gives the name to something."""
        ...

    def apply(self, code: str) -> str:
        """Code with the names replaced."""
        ...


class Rule:
    """Replaces one name.

    Args:
        name: The name.
        swap: Gives what stands for a match, or None to leave it. The match has the groups ``name``, ``map`` (``inputs``
            or ``parameters`` before it) and ``field`` (what is read from it).
    """

    def __init__(self, name: str, swap: Callable[[re.Match[str]], str | None]) -> None:
        self.name = name
        word = re.escape(name)
        before, after = (
            r"(?<![\w.$-])\$?(?:(?P<map>inputs|parameters)\.)?",
            r"(?![\w-])(?!\s*=[^=])(?:\.(?P<field>\w+))?",
        )
        self._pattern = re.compile(rf"(?:{_STRING})|(?P<name>{before}{word}{after})")
        self._own = re.compile(rf"\{{%-?\s*(?:set|for)\s+{word}\b")
        self._swap = swap

    def makes(self, text: str) -> bool:
        """Whether a template itself gives the name to something."""
        return bool(self._own.search(text))

    def apply(self, code: str) -> str:
        """Code with the name replaced; a string, a field or keyword argument of that name, and a longer name stay."""
        return self._pattern.sub(self._one, code)

    def _one(self, found: re.Match[str]) -> str:
        made = self._swap(found) if found["name"] else None
        return found[0] if made is None else made


def replace_names(node: Node, rule: Replacing, seen: list[ScalarNode], key: str = "") -> Node:
    """A tree with names replaced in the code of its texts; the very same node where nothing is.

    Args:
        node: The tree.
        rule: Which name is replaced, by what.
        seen: Takes every node of which something was replaced.
        key: The key whose value the node is.
    """
    if isinstance(node, MappingNode):
        found = {name: replace_names(item, rule, seen, name) for name, (_, item) in node.pairs.items()}
        if all(found[name] is item for name, (_, item) in node.pairs.items()):
            return node
        return replace(node, pairs={name: (node.pairs[name][0], item) for name, item in found.items()})
    if isinstance(node, SequenceNode):
        items = [replace_names(item, rule, seen, key) for item in node.items]
        return node if all(a is b for a, b in zip(items, node.items, strict=True)) else replace(node, items=items)
    if not isinstance(node.value, str):
        return node
    text = _in_text(node.value, rule, bare=key in CONDITIONS)
    if text == node.value:
        return node
    seen.append(node)
    return replace(node, value=text)


def _in_text(text: str, rule: Replacing, bare: bool) -> str:
    if rule.name not in text or rule.makes(text):
        return text
    bare = bare and "<AUTO" not in text
    parts, position = [], 0
    for region in code_regions(text):
        between = text[position : region.start]
        parts.append(rule.apply(between) if bare else between)
        parts.append(rule.apply(text[region.start : region.end]))
        position = region.end
    rest = text[position:]
    return "".join([*parts, rule.apply(rest) if bare else rest])


def replace_everywhere(header: Keys, rule: Replacing, notes: Notes) -> Iterator[tuple[ScalarNode, Notes]]:
    """Replace in all steps and in the outputs; gives every node of which something was replaced, with its step's notes.

    The header is changed when all of them have been taken.
    """
    for key in ("steps", "outputs"):
        value = header.value(key)
        if value is None:
            continue
        made: list[Node] = []
        for item in value.items if isinstance(value, SequenceNode) else [value]:
            seen: list[ScalarNode] = []
            made.append(replace_names(item, rule, seen))
            named = item.pairs.get("id") if isinstance(item, MappingNode) and key == "steps" else None
            inside = notes.inside(named[1].text) if named and isinstance(named[1], ScalarNode) else notes
            yield from ((node, inside) for node in seen)
        if not isinstance(value, SequenceNode):
            if made[0] is not value:
                header.set(key, made[0], header.key(key))
        elif any(a is not b for a, b in zip(made, value.items, strict=True)):
            header.set(key, replace(value, items=made), header.key(key))


def names_output_folder(header: Keys) -> bool:
    """Whether a header declares an output folder, or a template reads one that is no field of something else."""
    if "output_dir" in header or any(
        not {"output_dir", "output_path"}.isdisjoint(_declared(header.value(name)))
        for name in ("inputs", "parameters", "input_variables", "variables")
    ):
        return True
    return any(reads_name(value, name) for _, value in header.pairs.values() for name in ("output_dir", "output_path"))


def reads_name(node: Node | None, name: str) -> bool:
    """Whether a template below a node reads a name, or an input of that name, and not a field of something else."""
    if isinstance(node, MappingNode):
        return any(reads_name(value, name) for _, value in node.pairs.values())
    if isinstance(node, SequenceNode):
        return any(reads_name(item, name) for item in node.items)
    return isinstance(node, ScalarNode) and name in node.text and _read(name).search(node.text) is not None


@functools.lru_cache(maxsize=16)
def _read(name: str) -> re.Pattern[str]:
    return re.compile(rf"\{{[{{%][^}}]*?(?<![\w.])(?:(?:inputs|parameters)\.)?{name}\b")


def rewrite_output_path(header: Keys, notes: Notes) -> None:
    """Read `output_path` as `output_dir` in templates, where nothing in the file is called so."""
    name = "output_path"
    if name not in notes.document.text or any(
        name in _declared(header.value(key)) for key in ("inputs", "constants", "steps")
    ):
        return
    seen: list[ScalarNode] = []

    def swap(found: re.Match[str]) -> str:
        field = f".{found['field']}" if found["field"] else ""
        return f"{found['map'] + '.' if found['map'] else ''}output_dir{field}"

    for key in ("steps", "outputs"):
        value = header.value(key)
        made = value and replace_names(value, Rule(name, swap), seen)
        if made is not None and made is not value:
            header.set(key, made, header.key(key))
    for node in seen:
        notes.older(
            place_of_word(notes, node.span, name),
            name,
            "output_dir",
            "{{ output_dir }}",
            "nothing in the file is called so, so the folder of the products is meant",
        )


def note_replaced(node: ScalarNode, made: Mapping[str, str], notes: Notes) -> None:
    """Warn of what was replaced in a node: ``made`` has what it was and what it is."""
    said = {old: today for old, today in made.items() if old in str(node.value)} or made
    for old, today in said.items():
        span = place_of_word(notes, node.span, old.rpartition(".")[2] or old)
        if span is not node.span:
            notes.older(span, old, today, f"{{{{ {today} }}}}" if "." in old else today)
            return
    old, today = next(iter(said.items()))
    notes.older(node.span, old, today, today)


def place_of_word(notes: Notes, span: Span, word: str) -> Span:
    """Where a word stands in the file, inside a place; the place itself when it cannot be seen."""
    lines = _lines(notes.document.text)
    for number in range(span.line, min(span.end_line, len(lines)) + 1):
        first = span.column - 1 if number == span.line else 0
        found = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)").search(lines[number - 1], first)
        if found:
            return Span(number, found.start() + 1, number, found.end() + 1)
    return span


@functools.lru_cache(maxsize=2)
def _lines(text: str) -> list[str]:
    return lines_of(text)


def _declared(node: Node | None) -> frozenset[str]:
    """Names that inputs, constants or steps give."""
    return frozenset(_names(node))


def _names(node: Node | None) -> Iterator[str]:
    if isinstance(node, SequenceNode):
        for item in node.items:
            yield from _names(item)
    elif isinstance(node, MappingNode):
        yield from node.pairs
        for key in ("id", "as"):
            value = node.pairs.get(key)
            if value and isinstance(value[1], ScalarNode):
                yield value[1].text
        for key in ("vars", "products", "steps"):
            if key in node.pairs:
                yield from _names(node.pairs[key][1])
    elif isinstance(node, ScalarNode) and isinstance(node.value, str):
        yield node.value  # a list of inputs may have a name by itself
