"""YAML text becomes a tree of nodes, each knowing its line and column.

The reader is safe and bounded (no tags, limits on size, depth and aliases) and follows YAML 1.2's core schema: only
``true`` and ``false`` are booleans, numbers are decimal, dates stay text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

import yaml

from orchestrator_dagster.language.diagnostics import Problems, Span

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 100_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BOOLEANS = {"true": True, "false": False}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")
_STANDARD_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")}

Path_ = Sequence[Union[str, int]]


@dataclass(eq=False)
class ScalarNode:
    """A single value: ``value`` as the core schema reads it, ``text`` as it stands in the file (without quotes)."""

    value: Any
    text: str
    span: Span
    quoted: bool = False
    size: int = 1


@dataclass(eq=False)
class SequenceNode:
    """A list of nodes."""

    items: list[Node]
    span: Span
    size: int = 1


@dataclass(eq=False)
class MappingNode:
    """A map; keys are scalars, in file order."""

    pairs: dict[str, tuple[ScalarNode, Node]]
    span: Span
    size: int = 1


Node = Union[ScalarNode, SequenceNode, MappingNode]


@dataclass
class Document:
    """A file that was read: its name for messages, its text, and the tree (None when it is not YAML)."""

    file: str
    text: str
    root: Node | None
    path: Path | None = None
    _lines: list[str] = field(default_factory=list, repr=False)

    def value(self) -> Any:
        """The tree as plain dicts, lists and scalars."""
        return plain(self.root)

    def locate(self, path: Path_) -> tuple[Node | None, Span]:
        """The node that ``path`` reaches and where it stands; the deepest one on the way when it does not exist.

        A list of one-key maps is walked like the map it stands for.
        """
        node, span = self.root, self.root.span if self.root else Span()
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            node, span = found, found.span
        return node, span

    def span(self, path: Path_) -> Span:
        """Where the value at ``path`` stands (see :meth:`locate`)."""
        return self.locate(path)[1]

    def key_span(self, path: Path_) -> Span:
        """Where the key of the last part of ``path`` stands; the value's place when it has no key."""
        parent, span = self.locate(path[:-1])
        key = _key(parent, path[-1]) if path else None
        return key.span if key else span

    def place_in(self, path: Path_, needle: str, occurrence: int = 0) -> Span:
        """Where ``needle`` (a whole word) stands inside the value at ``path``; the value's place when it cannot be seen."""
        _, span = self.locate(path)
        if not self._lines:
            self._lines = self.text.splitlines()
        # A name by itself first, then as a field behind a dot or in quotes.
        for before in (r"(?<![\w.'\"])", r"(?<!\w)"):
            pattern = re.compile(rf"{before}{re.escape(needle)}(?!\w)")
            found = self._search(pattern, span, occurrence)
            if found:
                return found
        return span

    def _search(self, pattern: re.Pattern[str], span: Span, occurrence: int) -> Span | None:
        """The place of a match inside ``span``."""
        for number in range(span.line, min(span.end_line, len(self._lines)) + 1):
            start = span.column - 1 if number == span.line else 0
            for found in pattern.finditer(self._lines[number - 1], start):
                if number == span.end_line and found.start() >= span.end_column > 1:
                    break
                if occurrence == 0:
                    return Span(number, found.start() + 1, number, found.end() + 1)
                occurrence -= 1
        return None


def _child(node: Node | None, part: str | int) -> Node | None:
    if isinstance(node, MappingNode):
        pair = node.pairs.get(str(part))
        return pair[1] if pair else None
    if isinstance(node, SequenceNode):
        if isinstance(part, int):
            return node.items[part] if 0 <= part < len(node.items) else None
        for item in node.items:
            if isinstance(item, MappingNode) and part in item.pairs:
                return item.pairs[part][1]
    return None


def _key(node: Node | None, part: str | int) -> ScalarNode | None:
    if isinstance(node, MappingNode) and str(part) in node.pairs:
        return node.pairs[str(part)][0]
    if isinstance(node, SequenceNode) and isinstance(part, str):
        for item in node.items:
            if isinstance(item, MappingNode) and part in item.pairs:
                return item.pairs[part][0]
    return None


def plain(node: Node | None) -> Any:
    """A node as plain dicts, lists and scalars."""
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, SequenceNode):
        return [plain(item) for item in node.items]
    if isinstance(node, MappingNode):
        return {name: plain(value) for name, (_, value) in node.pairs.items()}
    return None


def read_file(path: Path, file: str | None = None) -> tuple[Document, Problems]:
    """Read a pipeline file. ``file`` is its name in messages, default the path as given."""
    name = file or str(path)
    problems = Problems(name)
    try:
        size = path.stat().st_size
        if path.is_dir():
            problems.add("file-missing", f'"{name}" is a folder, a pipeline file was expected')
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
            line = data.count(b"\n", 0, error.start) + 1
            problems.add("file-encoding", f"byte {error.start} is not UTF-8", Span(line, 1, line, 2), hint="save it as UTF-8")
            return Document(file, "", None, path), problems
    else:
        text = data.removeprefix("\ufeff")
    problems = Problems(file, text)
    document = Document(file, text, None, path)
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        problems.add("file-size", f"the file is larger than {MAX_BYTES:,} bytes")
        return document, problems
    try:
        document.root = _Composer(text, problems).compose()
    except yaml.MarkedYAMLError as error:
        _syntax_problem(error, text, problems)
    except yaml.YAMLError as error:  # a character that YAML does not allow: the reader's error has no mark
        position = getattr(error, "position", None)
        span = Span()
        if isinstance(position, int):
            before = text[:position]
            line, column = before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1
            span = Span(line, column, line, column + 1)
        problems.add("yaml-syntax", f"a character that YAML does not allow: {getattr(error, 'reason', error)}", span)
    except _Stop:
        pass  # the problem is already on the list
    if document.root is None and not problems.errors:
        problems.add("yaml-empty", "the file is empty", hint="`orchestrator init` writes a first pipeline")
    return document, problems


class _Stop(Exception):  # noqa: N818 - not an error that anybody sees: it ends the reading of a file
    """Reading cannot go on; the reason is already a problem."""


def _span(event: yaml.Event, end: yaml.Event | None = None) -> Span:
    start, stop = event.start_mark, (end or event).end_mark
    return Span(start.line + 1, start.column + 1, stop.line + 1, stop.column + 1)


class _Composer:
    """Builds nodes from the parser's events."""

    def __init__(self, text: str, problems: Problems) -> None:
        self.lines = text.splitlines()
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

    def node(self, event: yaml.Event, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self.problems.add("yaml-depth", f"nested deeper than {MAX_DEPTH} levels", _span(event))
            raise _Stop
        if isinstance(event, yaml.AliasEvent):
            found = self.anchors.get(event.anchor)
            if found is None:
                self.problems.add("yaml-alias", f'the alias "*{event.anchor}" has no anchor before it', _span(event))
                return ScalarNode(None, "", _span(event))
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

    def grow(self, parent: SequenceNode | MappingNode, child: Node) -> None:
        """Count what the parent would be with all aliases written out, so that a small file cannot become a huge one."""
        parent.size += child.size
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

    def mapping(self, event: yaml.Event, depth: int) -> MappingNode:
        node = MappingNode({}, _span(event))
        merged: list[Node] = []
        for child in self.events:
            if isinstance(child, yaml.MappingEndEvent):
                node.span = _span(event, child)
                break
            key = self.node(child, depth + 1)
            value_event = next(self.events)
            value = self.node(value_event, depth + 1)
            self.grow(node, value)
            if not isinstance(key, ScalarNode) or key.value is None and key.text == "":
                self.bad_key(child, key)
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
        return node

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

    def bad_key(self, event: yaml.Event, key: Node) -> None:
        line = self.lines[key.span.line - 1] if key.span.line <= len(self.lines) else ""
        if line[max(0, key.span.column - 2) :].startswith("{{"):
            column = key.span.column - 1
            self.problems.add(
                "yaml-unquoted-template",
                "YAML reads an unquoted {{ … }} as a map",
                Span(key.span.line, column, key.span.line, column + 2),
                hint='put the value in quotes: "{{ … }}"',
            )
        else:
            self.problems.add("yaml-key", "a key must be text", key.span)

    def check_tag(self, event: yaml.Event) -> None:
        tag = getattr(event, "tag", None)
        if tag and tag != "!" and tag not in _STANDARD_TAGS:
            self.problems.add(
                "yaml-tag", f'the tag "{tag}" is not allowed', _span(event), hint="remove it: values are plain YAML"
            )

    def scalar(self, event: yaml.ScalarEvent) -> ScalarNode:
        text: str = event.value
        quoted = bool(event.style)
        node = ScalarNode(text, text, _span(event), quoted)
        tag = event.tag
        if tag == "tag:yaml.org,2002:str" or tag == "!" or (quoted and not tag):
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
            if len(text) <= 300:
                return int(text)
        elif _FLOAT.match(text):
            number = float(text)
            if number not in (float("inf"), float("-inf")):
                return number
        elif not _NOT_FINITE.match(text):
            return text
        self.problems.add("yaml-number", f'"{text[:40]}" is no number that JSON can hold', node.span, hint="quote it as text")
        return None


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, problems: Problems) -> None:
    # At the end of the text the parser has lost its place: then where the open bracket stands is the better one.
    mark = max((m for m in (error.problem_mark, error.context_mark) if m), key=lambda m: (m.line, m.column), default=None)
    lines = text.splitlines() or [""]
    line = min(mark.line, len(lines) - 1) if mark else 0
    column = mark.column if mark else 0
    span = Span(line + 1, column + 1, line + 1, column + 2)
    culprit = _unquoted_template(lines, line, error.context_mark.line if error.context_mark else line)
    if culprit:
        number, start, what = culprit
        problems.add(
            "yaml-unquoted-template",
            f"YAML cannot read this line with an unquoted {what}",
            Span(number + 1, start + 1, number + 1, start + 1 + len(what.split()[0])),
            hint=f'put the whole value in quotes, or write it as a block after "|": "… {what} …"',
        )
        return
    message = str(error.problem or error.context or "the text is not YAML")
    hints = {
        "cannot start any token": "indent with blanks, never with tabs; quote values that start with a special character",
        "mapping values are not allowed": 'quote a value that has ": " in it; check the indentation',
        "could not find expected ':'": "a key is followed by a colon and a blank",
        "expected <block end>": "check the indentation: this line stands at another depth than its neighbours",
        "unexpected end of stream": "a quote or bracket is not closed",
    }
    hint = next((text for part, text in hints.items() if part in message or part in str(error.context)), None)
    context = f" ({error.context})" if error.context and error.context != message else ""
    problems.add("yaml-syntax", f"{message}{context}", span, hint=hint)


def _unquoted_template(lines: list[str], line: int, context_line: int) -> tuple[int, int, str] | None:
    """Where an unquoted ``{{`` or ``<AUTO>`` stands at, or just before, the place where YAML failed."""
    pattern = re.compile(r"""^\s*(?:-\s+)?(?:[\w$.-]+\s*:\s+)?(?P<value>[^"'|>#\s].*)$""")
    for number in dict.fromkeys((line, line - 1, context_line)):
        if not 0 <= number < len(lines):
            continue
        match = pattern.match(lines[number])
        if not match:
            continue
        value = match["value"]
        for token, what in (("{{", "{{ … }}"), ("<AUTO", "<AUTO> tag")):
            if token in value:
                return number, match.start("value") + value.index(token), what
    return None
