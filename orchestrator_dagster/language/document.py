"""YAML text becomes a tree of nodes, each knowing its line and column.

The reader is safe and bounded (no tags, limits on size, depth and aliases) and follows YAML 1.2's core schema: only
``true`` and ``false`` are booleans, numbers are decimal, dates stay text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from orchestrator_dagster.language.diagnostics import Problems, Span, lines_of
from orchestrator_dagster.language.nodes import Document as Document
from orchestrator_dagster.language.nodes import MappingNode as MappingNode
from orchestrator_dagster.language.nodes import Node as Node
from orchestrator_dagster.language.nodes import ScalarNode as ScalarNode
from orchestrator_dagster.language.nodes import SequenceNode as SequenceNode
from orchestrator_dagster.language.yaml_syntax import UNQUOTED, note_syntax_error

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 100_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BOOLEANS = {"true": True, "false": False}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")
_LONGEST_INTEGER = 300  # digits; what a double can hold at most
_TAG = "tag:yaml.org,2002:"
_STANDARD_TAGS = {f"{_TAG}{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")}
# YAML's printable characters, without what is only allowed at the very start.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def read_file(path: Path, file: str | None = None) -> tuple[Document, Problems]:
    """Read a pipeline file. ``file`` is its name in messages, default the path as given."""
    name = file or str(path)
    problems = Problems(name)
    try:
        size = path.stat().st_size
        if not path.is_file():  # reading a pipe or device may never end
            what = "a folder" if path.is_dir() else "no regular file"
            problems.add("file-missing", f'"{name}" is {what}, a pipeline file was expected')
        elif size > MAX_BYTES:
            problems.add("file-size", f"the file has {size:,} bytes, at most {MAX_BYTES:,} are read")
        else:
            return read_text(path.read_bytes(), name, path)
    except OSError as error:
        hint = "check the path; it is relative to the current folder" if not path.is_absolute() else "check the path"
        problems.add("file-missing", f'"{name}" cannot be read: {error.strerror}', hint=hint)
    return Document(name, "", None, path), problems


def read_text(data: bytes | str, file: str, path: Path | None = None) -> tuple[Document, Problems]:
    """Read the text of a pipeline file into a document; problems are collected, not raised."""
    if isinstance(data, bytes):
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            problems = Problems(file)
            before = data[: error.start].decode("utf-8-sig", "replace")
            line, column = _position(before, len(before))
            problems.add(
                "file-encoding",
                f"byte {error.start} is not UTF-8",
                Span(line, column, line, column + 1),
                hint="save the file as UTF-8",
            )
            return Document(file, "", None, path), problems
    else:
        text = data.removeprefix("\ufeff")
    problems = Problems(file, text)
    document = Document(file, text, None, path)
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        problems.add("file-size", f"the file is larger than {MAX_BYTES:,} bytes")
        return document, problems
    forbidden = _FORBIDDEN.search(text)
    if forbidden:
        line, column = _position(text, forbidden.start())
        problems.add(
            "yaml-syntax",
            f"the character U+{ord(forbidden[0]):04X} is not allowed in YAML",
            Span(line, column, line, column + 1),
            hint="remove it; inside double quotes it can be written as an escape such as \\x1b",
        )
        return document, problems
    try:
        document.root = _Composer(text, problems).compose()
    except yaml.MarkedYAMLError as error:
        note_syntax_error(error, text, problems)
    except yaml.YAMLError as error:
        problems.add("yaml-syntax", f"the text is not YAML: {error}")
    except _Stop:
        pass  # the problem is already on the list
    if document.root is None and not problems.errors:
        problems.add("yaml-empty", "the file is empty", hint="`orchestrator init` writes a first pipeline")
    return document, problems


def _position(text: str, index: int) -> tuple[int, int]:
    """Line and column, from 1, of an index in a text."""
    lines = lines_of(text[:index], ends=True)
    if not lines or lines[-1][-1] in "\n\r\x85\u2028\u2029":
        return len(lines) + 1, 1
    return len(lines), len(lines[-1]) + 1


class _Stop(Exception):  # noqa: N818 - not an error that anybody sees: it ends the reading of a file
    """Reading cannot go on; the reason is already a problem."""


def _span(event: Any, end: Any = None) -> Span:
    start, stop = event.start_mark, (end or event).end_mark
    return Span(start.line + 1, start.column + 1, stop.line + 1, stop.column + 1)


class _Composer:
    """Builds nodes from the parser's events."""

    def __init__(self, text: str, problems: Problems) -> None:
        self.lines = lines_of(text)
        self.problems = problems
        self.anchors: dict[str, Node] = {}
        self.events: Iterator[yaml.Event] = yaml.parse(text, Loader=_LOADER)

    def compose(self) -> Node | None:
        root: Node | None = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    self.problems.add(
                        "yaml-documents",
                        "a second document starts here; a file holds one pipeline",
                        _span(event),
                        hint="move it to a file of its own",
                    )
                    raise _Stop
            elif not isinstance(event, (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentEndEvent)):
                root = self.node(event, 1)
        empty = isinstance(root, ScalarNode) and root.value is None
        return None if empty else root

    def node(self, event: Any, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self.too_deep(event)
        if isinstance(event, yaml.AliasEvent):
            found = self.anchors.get(str(event.anchor))
            if found is None:
                self.problems.add("yaml-alias", f'the alias "*{event.anchor}" has no anchor before it', _span(event))
                return ScalarNode(None, "", _span(event))
            if depth + found.height - 1 > MAX_DEPTH:
                self.too_deep(event)
            return found
        self.check_tag(event)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = self.scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self.sequence(event, depth)
        else:
            node = self.mapping(event, depth)
        if getattr(event, "anchor", None):
            self.anchors[event.anchor] = node
        return node

    def too_deep(self, event: yaml.Event) -> None:
        self.problems.add("yaml-depth", f"nested deeper than {MAX_DEPTH} levels", _span(event))
        raise _Stop

    def grow(self, parent: SequenceNode | MappingNode, child: Node) -> None:
        """Count what the parent would be with all aliases written out: a small file cannot become a huge one."""
        parent.size += child.size
        parent.height = max(parent.height, child.height + 1)
        if parent.size > MAX_NODES:
            self.problems.add("yaml-aliases", f"more than {MAX_NODES:,} nodes, aliases written out", parent.span)
            raise _Stop

    def sequence(self, event: yaml.Event, depth: int) -> SequenceNode:
        node = SequenceNode([], _span(event))
        for child in self.events:
            if isinstance(child, yaml.SequenceEndEvent):
                node.span = _span(event, child)
                break
            item = self.node(child, depth + 1)
            self.grow(node, item)
            node.items.append(item)
        return node

    def mapping(self, event: yaml.Event, depth: int) -> MappingNode | ScalarNode:
        node = MappingNode({}, _span(event))
        merged: list[Node] = []
        template = False
        for child in self.events:
            if isinstance(child, yaml.MappingEndEvent):
                node.span = _span(event, child)
                break
            key = self.node(child, depth + 1)
            value_event = next(self.events)
            value = self.node(value_event, depth + 1)
            self.grow(node, value)
            if isinstance(key, ScalarNode):
                self.check_key(key)
            if not isinstance(key, ScalarNode) or (key.value is None and key.text == ""):
                template = self.bad_key(key) or template
            elif key.text == "<<" and not key.quoted and isinstance(value, (MappingNode, SequenceNode)):
                merged.append(value)
            elif key.text in node.pairs:
                first = node.pairs[key.text][0].span.line
                self.problems.add(
                    "yaml-duplicate-key",
                    f'the key "{key.text}" stands twice; first in line {first}',
                    key.span,
                    hint="remove one of the two",
                )
            else:
                node.pairs[key.text] = (key, value)
        for source in merged:
            self.merge(node, source)
        if template:  # read on with what was meant, so that the rest can be checked
            text = self.source(node.span)
            return ScalarNode(text, text, node.span, True, node.size)
        return node

    def source(self, span: Span) -> str:
        """The text of a place."""
        lines = self.lines[span.line - 1 : span.end_line]
        lines[-1] = lines[-1][: span.end_column - 1]
        lines[0] = lines[0][span.column - 1 :]
        return "\n".join(lines)

    def merge(self, node: MappingNode, source: Node) -> None:
        """YAML's merge key: what the map does not say itself is taken from the merged maps, earlier ones first."""
        for one in source.items if isinstance(source, SequenceNode) else [source]:
            if not isinstance(one, MappingNode):
                self.problems.add("wrong-type", "only maps can be merged with <<", one.span)
                continue
            for name, pair in one.pairs.items():
                if name not in node.pairs:
                    self.grow(node, pair[1])
                    node.pairs[name] = pair

    def bad_key(self, key: Node) -> bool:
        """Note a key that is no text; gives whether it is the inside of an unquoted template."""
        line = self.lines[key.span.line - 1] if key.span.line <= len(self.lines) else ""
        if line[max(0, key.span.column - 2) :].startswith("{{"):
            column = key.span.column - 1
            self.problems.add(
                "yaml-unquoted-template",
                "YAML reads an unquoted {{ … }} as a map",
                Span(key.span.line, column, key.span.line, column + 2),
                hint=UNQUOTED.format("{{ … }}"),
            )
            return True
        self.problems.add("yaml-key", "a key must be text", key.span)
        return False

    def check_key(self, key: ScalarNode) -> None:
        """Note a key that YAML reads as a number, boolean or null: no template could read it by what is written."""
        kind = {bool: "a boolean", int: "a number", float: "a number"}.get(type(key.value))
        if kind is None and key.value is None and key.text in _NULLS - {""}:
            kind = "null"
        if kind is not None:
            self.problems.add(
                "yaml-key", f"the key {key.text} is {kind}, and keys are text", key.span, hint=f'quote it: "{key.text}"'
            )

    def check_tag(self, event: yaml.Event) -> None:
        tag = getattr(event, "tag", None)
        if tag and tag != "!" and tag not in _STANDARD_TAGS:
            shown = str(tag).replace(_TAG, "!!")
            self.problems.add(
                "yaml-tag",
                f'the tag "{shown}" is not allowed',
                _span(event),
                hint="remove it, or quote the value if the ! belongs to it",
            )

    def scalar(self, event: Any) -> ScalarNode:
        text: str = event.value
        quoted = bool(event.style)
        node = ScalarNode(text, text, _span(event), quoted)
        tag = event.tag
        if tag == f"{_TAG}str" or tag == "!" or (quoted and not tag):
            return node
        node.value = self.resolve(text, node)
        return node

    def resolve(self, text: str, node: ScalarNode) -> Any:
        """The core schema's reading of a plain scalar."""
        if text in _NULLS:
            return None
        lowered = text.lower()
        if lowered in _BOOLEANS:
            return _BOOLEANS[lowered]
        if _INTEGER.match(text):
            if len(text) <= _LONGEST_INTEGER:
                return int(text)
        elif _FLOAT.match(text):
            number = float(text)
            if number not in (float("inf"), float("-inf")):
                return number
        elif not _NOT_FINITE.match(text):
            return text
        self.problems.add(
            "yaml-number", f'"{text[:40]}" is no number that JSON can hold', node.span, hint="quote it as text"
        )
        return None
