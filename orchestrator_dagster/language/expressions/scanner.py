"""Cuts the text of a condition into chunks that a parser may safely read.

The chunks are written one a line for ``ast.parse`` or for Jinja's parser, so the line number of each of their nodes
tells the column in the text. Neither parser ever sees the inside of a text in quotes, a field's name, or an embedded
``{{ }}``: chunks stand in for them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias

from orchestrator_dagster.language.expressions.syntax import MAX_DEPTH, MAX_NODES, ExpressionSyntaxError

Span: TypeAlias = tuple[int, int]

MAX_CHUNKS: Final = 2 * MAX_NODES  # a node is hardly ever less than two chunks: its operator and a bracket or comma
_DEEPEST_IN_TEMPLATE: Final = 30  # Jinja's parser calls itself 13 times a bracket, and Python stops at 1,000 calls
_LONGEST_NUMBER: Final = 110  # characters; values stay below 10**100
_STEP_MAPS: Final = frozenset({"steps", "results", "previous_results"})
_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)
      | (?P<piece>\{\{) | (?P<block>\{%)
      | (?P<string>(?P<prefix>(?i:br|rb|fr|rf|tr|rt|[rbfut])?)['"])
      | (?P<number>0[xXoObB][0-9a-fA-F_]+
          | (?:[0-9][0-9_]*(?:\.(?:[0-9][0-9_]*|(?![\w.])))?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9][0-9_]*)?)
      | (?P<name>\$?[^\W\d]\w*)
      | (?P<operator>\.\.\.|\*\*|//|==|!=|<=|>=|<>|:=|&&|\|\||->|=>|=<|<<|>>|[-+*/%<>=!&|^~@.,:;?()\[\]{}])""",
    re.VERBOSE,
)
_DIGITS: Final = re.compile(r"[0-9]+")
_DASHED: Final = re.compile(r"[^\W\d]\w*(?:-\w+)+")
_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{1,3})|(.))", re.DOTALL)
_ESCAPED: Final = {
    "\\": "\\", "'": "'", '"': '"', "n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v",
}  # fmt: skip

# Operators that conditions do not have: (what is wrong, the next step).
_REFUSED: Final = {
    "&&": ('"&&" is not an operator here', 'write "and"'),
    "||": ('"||" is not an operator here', 'write "or"'),
    "!": ('"!" is not an operator here', 'write "not"'),
    "=": ('"=" does not compare, and nothing is assigned in a condition', 'use "=="'),
    "=>": ('"=>" is not an operator here', 'write ">=" for "at least"'),
    "=<": ('"=<" is not an operator here', 'write "<=" for "at most"'),
    ":=": ('":=" assigns, and nothing is assigned in a condition', 'use "==" to compare'),
    "<>": ('"<>" is not an operator here', 'write "!="'),
    "?": ('"?" is not an operator here', 'write "a if condition else b"'),
    "...": ('"..." is not a value here', "write a literal, a name or a function call"),
    "<<": ('"<<" is neither an operator here nor a file include', "use comparisons, arithmetic and and/or/not"),
}
_REFUSED_IN_PYTHON: Final = {
    "|": ('"|" is not an operator here; filters stand inside {{ }}', 'write "{{ x | length }}" or "len(x)", or "or"'),
    "~": ('"~" joins texts only inside {{ }}', 'write "{{ a ~ b }}", or "a + b" for two texts'),
}


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of the text that becomes one line for a parser.

    Attributes:
        offset, end: Where it stands in the condition's text.
        kind: ``name``, ``field``, ``number``, ``string``, ``piece`` (an embedded ``{{ }}``) or ``operator``.
        line: What the parser reads in its place.
        name: Of a name or field, what it is called: ``a_b`` where the text has the step id ``a-b``, ``a`` for ``$a``.
        parts: Of a string its decoded texts and the spans of the ``{{ }}`` inside; of a piece its own span.
    """

    offset: int
    end: int
    kind: str
    line: str
    name: str = ""
    parts: tuple[str | Span, ...] = ()


def scan(text: str, span: Span, *, template: bool, dashed_names: Collection[str]) -> list[Chunk]:
    """The chunks of ``text[start:stop]``.

    Args:
        text: The whole condition.
        span: Start and stop of the part to scan.
        template: The part is the inside of ``{{ }}``, so Jinja's operators are allowed.
        dashed_names: Step ids with ``-`` in them; written without blanks, each is one name.

    Raises:
        ExpressionSyntaxError: A character, operator or name that conditions do not have, a quote or bracket that is
            not closed, too many chunks.
    """
    return _Scanner(text, span, template, dashed_names).run()


class _Scanner:
    def __init__(self, text: str, span: Span, template: bool, dashed_names: Collection[str]) -> None:
        self.text = text
        self.position, self.stop = span
        self.template = template
        self.dashed_names = dashed_names
        self.chunks: list[Chunk] = []
        self.open: list[tuple[str, int]] = []

    def run(self) -> list[Chunk]:
        while self.position < self.stop:
            start = self.position
            match = _TOKEN.match(self.text, start, self.stop)
            if match is None:
                self.unknown_character(start)
            self.position = match.end()
            kind = match.lastgroup
            if kind == "name":
                self.name(start, match.end())
            elif kind == "operator":
                self.operator(match.group(), start)
            elif kind == "string":
                self.string(match.group("prefix").lower(), start)
            elif kind == "number":
                self.number(match.group(), start)
            elif kind == "piece":
                self.piece(start)
            elif kind == "block":
                _refuse_block(start)
            if len(self.chunks) > MAX_CHUNKS:
                raise ExpressionSyntaxError(
                    f"the condition is too long: it has more than {MAX_CHUNKS} parts", start, start, _SPLIT
                )
        if self.open:
            bracket, at = self.open[-1]
            raise ExpressionSyntaxError(f'"{bracket}" is not closed', at, at + 1, f'add "{_CLOSING[bracket]}"')
        return self.chunks

    def add(
        self, kind: str, offset: int, end: int, line: str, name: str = "", parts: tuple[str | Span, ...] = ()
    ) -> None:
        self.chunks.append(Chunk(offset, end, kind, line, name, parts))

    def after_dot(self) -> bool:
        return bool(self.chunks) and self.chunks[-1].line == "."

    def after_operand(self) -> bool:
        if not self.chunks:
            return False
        last = self.chunks[-1]
        if last.kind == "name":
            return last.name not in {"and", "or", "not", "in", "is", "if", "else"}
        return last.kind != "operator" or last.line in ")]}"

    def name(self, start: int, end: int) -> None:
        begin = start + 1 if self.text[start] == "$" else start
        name = self.text[begin:end]
        field = self.after_dot()
        if end < self.stop and self.text[end] == "-" and self.dashed_names:
            of_steps = len(self.chunks) > 1 and self.chunks[-2].name in _STEP_MAPS
            if not field or of_steps:
                found = self.dashed(begin, name)
                end = self.position = begin + len(found)
                name = found.replace("-", "_")
        if not name.isascii() and (unicodedata.normalize("NFKC", name) != name or not name.isidentifier()):
            raise ExpressionSyntaxError(
                f"the name {name!r} has characters that look like others", start, end, "write it with plain letters"
            )
        if name.startswith("__") and name.endswith("__") and len(name) > 4:
            raise ExpressionSyntaxError(
                f'"{name}" is an inner name of Python, and conditions reach none of them; '
                "a field is a key of a map",
                start, end, "use a name of the pipeline, or [\"...\"] for a key of that spelling",
            )  # fmt: skip
        if field:
            self.add("field", start, end, "_", name)
        else:
            self.add("name", start, end, name, name)

    def dashed(self, begin: int, name: str) -> str:
        """The longest step id that starts at ``begin``, or ``name`` itself."""
        match = _DASHED.match(self.text, begin, self.stop)
        candidate = match.group() if match else name
        while candidate not in self.dashed_names and "-" in candidate:
            candidate = candidate.rpartition("-")[0]
        return candidate if "-" in candidate else name

    def number(self, digits: str, start: int) -> None:
        if digits.startswith(".") and (self.after_operand() or self.after_dot()):
            self.position = start + 1
            self.add("operator", start, start + 1, ".")
            return
        if self.after_dot():  # rows.0.name, as in Jinja; "0.1" would swallow the next dot
            match = _DIGITS.match(self.text, start, self.stop)
            assert match is not None  # the token began with a digit
            self.position = match.end()
            self.add("field", start, match.end(), "_", match.group())
            return
        end = self.position
        if end < self.stop and (self.text[end].isalnum() or self.text[end] == "_"):
            if self.text[end] in "jJ":
                raise ExpressionSyntaxError("complex numbers are not values here", start, end + 1, "use a plain number")
            raise ExpressionSyntaxError("a number runs into a name", start, end + 1, "put a blank or operator between")
        if len(digits) > _LONGEST_NUMBER:
            raise ExpressionSyntaxError("the number is too long", start, end, "numbers reach up to 10**100")
        self.add("number", start, end, f"0{digits}" if digits.startswith(".") else digits)

    def operator(self, operator: str, start: int) -> None:
        end = start + len(operator)
        named_value = operator == "=" and self.template and bool(self.open)  # default(x, boolean=true)
        refused = None if named_value else _REFUSED.get(operator)
        if refused is None and not self.template:
            refused = _REFUSED_IN_PYTHON.get(operator)
        if refused is None and operator in {"&", "^", ">>", "@", ";", "->"}:
            refused = (f'"{operator}" is not an operator here', "use comparisons, arithmetic and and/or/not")
        if refused is not None:
            raise ExpressionSyntaxError(refused[0], start, end, refused[1])
        if operator in _CLOSING:
            self.open.append((operator, start))
            deepest = _DEEPEST_IN_TEMPLATE if self.template else MAX_DEPTH
            if len(self.open) > deepest:
                raise ExpressionSyntaxError(f"brackets are nested deeper than {deepest}", start, end, _SPLIT)
        elif operator in ")]}" and (not self.open or _CLOSING[self.open.pop()[0]] != operator):
            raise ExpressionSyntaxError(f'"{operator}" closes nothing', start, end, "open it before, or take it away")
        self.add("operator", start, end, operator)

    def piece(self, start: int) -> None:
        if self.template:
            raise ExpressionSyntaxError('"{{" stands inside "{{ }}"', start, start + 2, "take the inner braces away")
        span, self.position = piece_span(self.text, start, self.stop)
        self.add("piece", start, self.position, "_", parts=(span,))

    def string(self, prefix: str, start: int) -> None:
        text, quote, raw = self.text, self.text[self.position - 1], "r" in prefix
        if "f" in prefix or "t" in prefix:
            raise ExpressionSyntaxError(
                "an f-string is not part of conditions",
                start,
                self.position,
                "join texts with +, or put {{ }} inside quotes",
            )
        if "b" in prefix:
            raise ExpressionSyntaxError("bytes are not values here", start, self.position, 'write the text without "b"')
        parts: list[str | Span] = []
        position = begin = self.position
        while position < self.stop and text[position] != quote:
            if text[position] in "\r\n":
                break
            if text[position] == "\\":
                position += 2
            elif text[position] == "{" and not self.template and text.startswith("{{", position):
                parts.append(_decode(text[begin:position], begin, raw))
                span, position = piece_span(text, position, self.stop)
                parts.append(span)
                begin = position
            elif text.startswith("{%", position) and not self.template:
                _refuse_block(position)
            else:
                position += 1
        if position >= self.stop or text[position] != quote:
            raise ExpressionSyntaxError(
                "the text that starts here has no closing quote", start, start + 1, f"add {quote}"
            )
        parts.append(_decode(text[begin:position], begin, raw))
        self.position = position + 1
        self.add("string", start, self.position, f'"<{len(self.chunks)}>"', parts=tuple(parts))

    def unknown_character(self, start: int) -> NoReturn:
        character = self.text[start]
        shown = f'"{character}"' if character.isprintable() else f"U+{ord(character):04X}"
        hint = {
            "#": "write the comment in the YAML, outside of the condition",
            "$": 'a name follows "$", as in $item',
            "\\": "a line needs no backslash at its end",
        }.get(character, "use straight quotes and plain operators")
        raise ExpressionSyntaxError(f"the character {shown} is not part of conditions", start, start + 1, hint)


_SPLIT: Final = "split the condition: compute a part of it in a step before"


def piece_span(text: str, start: int, stop: int) -> tuple[Span, int]:
    """The inside of the ``{{ }}`` that starts at ``start``, and the position behind it. Quotes and brackets count."""
    position = begin = start + 2 + (text[start + 2 : start + 3] in {"-", "+"})
    depth = 0
    while position < stop:
        character = text[position]
        if character in "'\"":
            position += 1
            while position < stop and text[position] != character:
                position += 2 if text[position] == "\\" else 1
        elif depth == 0 and text.startswith("}}", position):
            end = position - 1 if position > begin and text[position - 1] == "-" else position
            if not text[begin:end].strip():
                raise ExpressionSyntaxError(
                    'the "{{ }}" is empty', start, position + 2, "write a name or expression inside"
                )
            return (begin, end), position + 2
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth = max(depth - 1, 0)
        position += 1
    raise ExpressionSyntaxError('"{{" is not closed', start, start + 2, 'add "}}"', "template-syntax")


def _refuse_block(start: int) -> NoReturn:
    raise ExpressionSyntaxError(
        '"{% %}" is not part of conditions; a condition is one expression', start, start + 2,
        'write "a if condition else b"',
    )  # fmt: skip


def _decode(raw: str, offset: int, keep: bool) -> str:
    """Python's escapes of a text in quotes; an escape that Python does not know stays as it is written."""
    if keep or "\\" not in raw:
        return raw

    def one(match: re.Match[str]) -> str:
        code = match.group(1) or match.group(2) or match.group(3)
        if code or match.group(4):
            number = int(code, 16) if code else int(match.group(4), 8)
            if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
                at = offset + match.start()
                raise ExpressionSyntaxError("no such character", at, offset + match.end(), "correct the escape")
            return chr(number)
        return _ESCAPED.get(match.group(5), match.group())

    return _ESCAPE.sub(one, raw)
