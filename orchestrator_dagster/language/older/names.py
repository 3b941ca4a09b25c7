"""Names in templates and conditions that are called differently today: replaced in code, never in text around it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from orchestrator_dagster.language.diagnostics import Span, lines_of
from orchestrator_dagster.language.nodes import MappingNode, Node, ScalarNode, SequenceNode
from orchestrator_dagster.language.older.notes import Notes
from orchestrator_dagster.language.older.tree import Keys
from orchestrator_dagster.language.template_text import code_regions

#: Keys whose text is an expression without braces too.
CONDITIONS = frozenset(("condition", "if", "while", "until", "loop_condition", "for_each", "foreach"))
_STRING = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\""""

#: Gives the new name for a match, or None to leave it.
Rule = Callable[["re.Match[str]"], "str | None"]


def replace_names(node: Node, pattern: re.Pattern[str], rule: Rule, seen: list[ScalarNode], key: str = "") -> Node:
    """A tree with names replaced in the code of its texts; the very same node where nothing is.

    Args:
        node: The tree.
        pattern: What a name looks like; made by :func:`name_pattern`.
        rule: What it is replaced by.
        seen: Takes every node of which something was replaced.
        key: The key whose value the node is.
    """
    if isinstance(node, MappingNode):
        found = {name: replace_names(item, pattern, rule, seen, name) for name, (_, item) in node.pairs.items()}
        if all(found[name] is item for name, (_, item) in node.pairs.items()):
            return node
        return replace(node, pairs={name: (node.pairs[name][0], item) for name, item in found.items()})
    if isinstance(node, SequenceNode):
        items = [replace_names(item, pattern, rule, seen, key) for item in node.items]
        return node if all(a is b for a, b in zip(items, node.items, strict=True)) else replace(node, items=items)
    if not isinstance(node.value, str):
        return node
    text = _in_text(node.value, pattern, rule, bare=key in CONDITIONS)
    if text == node.value:
        return node
    seen.append(node)
    return replace(node, value=text)


def name_pattern(name: str) -> re.Pattern[str]:
    """Strings, and the name where it stands first; what follows it as ``.field`` is the group ``field``.

    A field of that name, a keyword argument and a longer name are none.
    """
    word = re.escape(name)
    return re.compile(
        rf"(?:{_STRING})|(?P<name>(?<![\w.$-])\$?(?:(?P<map>inputs|parameters)\.)?{word})(?![\w-])(?!\s*=[^=])(?:\.(?P<field>\w+))?"
    )


def _in_text(text: str, pattern: re.Pattern[str], rule: Rule, bare: bool) -> str:
    def swap(found: re.Match[str]) -> str:
        made = rule(found) if found["name"] else None
        return found[0] if made is None else made

    if "{{" not in text and "{%" not in text:
        return pattern.sub(swap, text) if bare and "<AUTO" not in text else text
    parts, position = [], 0
    for region in code_regions(text):
        between = text[position : region.start]
        parts.append(pattern.sub(swap, between) if bare and "<AUTO" not in text else between)
        parts.append(pattern.sub(swap, text[region.start : region.end]))
        position = region.end
    rest = text[position:]
    parts.append(pattern.sub(swap, rest) if bare and "<AUTO" not in text else rest)
    return "".join(parts)


def rewrite_output_path(header: Keys, notes: Notes) -> None:
    """Read `output_path` as `output_dir` in templates, where nothing in the file is called so."""
    name = "output_path"
    if name not in notes.document.text or any(
        name in _declared(header.value(key)) for key in ("inputs", "constants", "steps")
    ):
        return
    pattern, own = name_pattern(name), re.compile(r"\b(?:set|for)\s+output_path\b")
    seen: list[ScalarNode] = []

    def rule(found: re.Match[str]) -> str | None:
        if own.search(found.string):
            return None
        field = f".{found['field']}" if found["field"] else ""
        return f"{found['map'] + '.' if found['map'] else ''}output_dir{field}"

    for key in ("steps", "outputs"):
        value = header.value(key)
        made = value and replace_names(value, pattern, rule, seen)
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


def place_of_word(notes: Notes, span: Span, word: str) -> Span:
    """Where a word stands in the file, inside a place; the place itself when it cannot be seen."""
    lines = lines_of(notes.document.text)
    for number in range(span.line, min(span.end_line, len(lines)) + 1):
        first = span.column - 1 if number == span.line else 0
        found = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)").search(lines[number - 1], first)
        if found:
            return Span(number, found.start() + 1, number, found.end() + 1)
    return span


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
