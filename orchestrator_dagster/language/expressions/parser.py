"""Reads the text of a condition into a tree: Python's expression syntax, with ``{{ }}`` in Jinja's."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any, Final

from orchestrator_dagster.language.expressions.functions import NAMED
from orchestrator_dagster.language.expressions.jinja_form import build_template
from orchestrator_dagster.language.expressions.scanner import Chunk
from orchestrator_dagster.language.expressions.source import Source, make_call, make_literal, make_method, make_name
from orchestrator_dagster.language.expressions.syntax import (
    MAX_TEXT,
    TESTS,
    Arithmetic,
    Choice,
    Compare,
    Expression,
    ExpressionSyntaxError,
    Field,
    Index,
    Join,
    ListOf,
    Literal,
    Logic,
    MapOf,
    Node,
    Not,
    OlderSpelling,
    Sign,
    Slice,
    Test,
)

_FIRST_LINE: Final = 2  # the chunks stand between "(" and ")", each on a line of its own

_ARITHMETIC: Final[dict[type[ast.operator], str]] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
}  # fmt: skip
_COMPARISON: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_REFUSED: Final[dict[str, tuple[str, str]]] = {
    "Lambda": ("a lambda", "use a function such as any(...), len(...) or contains(...)"),
    "ListComp": ("a comprehension", "compute the list in a step before, and test it with len, any, all or in"),
    "SetComp": ("a comprehension", "compute the list in a step before, and test it with len, any, all or in"),
    "DictComp": ("a comprehension", "compute the map in a step before"),
    "GeneratorExp": ("a comprehension", "compute the list in a step before, and test it with len, any, all or in"),
    "NamedExpr": ("an assignment", 'use "==" to compare'),
    "JoinedStr": ("an f-string", "join texts with +, or put {{ }} inside quotes"),
    "Starred": ("a starred value", "write the list itself, as in max(items)"),
    "Await": ("await", "write the value itself"),
    "Yield": ("yield", "write the value itself"),
    "YieldFrom": ("yield", "write the value itself"),
    "Set": ("a set", "write a list: [a, b]"),
}
_WORDS: Final = {"AND": "and", "OR": "or", "NOT": "not", "IN": "in", "IS": "is"}


def parse_condition(text: str | bool | int | float | None, dashed_names: Collection[str] = frozenset()) -> Expression:
    """Read a condition. Results are cached by text.

    Args:
        text: An expression, a whole ``{{ expression }}``, or an expression with ``{{ }}`` in it; YAML's booleans,
            numbers and null are themselves.
        dashed_names: The step ids that contain ``-``. Written without blanks such an id is one name; the tree has it
            with ``_``.

    Raises:
        ExpressionSyntaxError: The text cannot be read, says something that conditions do not have, or is larger than
            conditions may be.
    """
    if not isinstance(text, (str, bool, int, float)) and text is not None:
        raise ExpressionSyntaxError(
            f"a condition is an expression, not a {'list' if isinstance(text, list) else type(text).__name__}", 0, 0,
            "write one expression in quotes, such as \"score > 0.5\"",
        )  # fmt: skip
    if not isinstance(text, str):
        shown = str(text)[:MAX_TEXT]
        return Expression(shown, Literal(0, len(shown), text))
    return _parse(text, frozenset(dashed_names))


@lru_cache(maxsize=4096)
def _parse(text: str, dashed_names: frozenset[str]) -> Expression:
    if len(text) > MAX_TEXT:
        raise ExpressionSyntaxError(
            f"the condition has {len(text):,} characters; at most {MAX_TEXT:,} are allowed", MAX_TEXT, len(text),
            "compute a part of it in a step before",
        )  # fmt: skip
    if not text.strip():
        raise ExpressionSyntaxError("the condition is empty", 0, len(text), "write an expression, or remove the key")
    source = Source(text, dashed_names)
    try:
        root = _PythonForm(source).read()
        return Expression(text, root, tuple(source.older))
    except RecursionError:  # the caller itself is near Python's limit
        raise source.too_deep(0, len(text)) from None


class _PythonForm:
    """Reads the whole text, and turns the nodes of ``ast`` into ours. What has no entry in ``_BUILDERS`` is refused."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.chunks = source.scan((0, len(source.text)), template=False)

    def read(self) -> Node:
        try:
            tree = ast.parse("\n".join(["(", *(chunk.line for chunk in self.chunks), ")"]), mode="eval")
        except SyntaxError as error:
            raise self.unreadable(error) from None
        except (RecursionError, MemoryError):  # the parser's own limits on nesting
            raise self.source.too_deep(0, len(self.source.text)) from None
        except ValueError as error:
            raise ExpressionSyntaxError(f"the condition cannot be read: {error}", 0, len(self.source.text)) from None
        if tree.body.lineno < _FIRST_LINE and isinstance(tree.body, ast.Tuple):  # its brackets are ours
            behind_first = (tree.body.elts[0].end_lineno or _FIRST_LINE) - _FIRST_LINE + 1
            comma = next(chunk for chunk in self.chunks[behind_first:] if chunk.line == ",")
            raise ExpressionSyntaxError(
                "a comma joins nothing in a condition", comma.offset, comma.end, 'write "and" or "or"'
            )
        return self.build(tree.body, 0)

    def unreadable(self, error: SyntaxError) -> ExpressionSyntaxError:
        # "a b": Python marks both and thinks of a comma; it is the second that should not stand there
        line = error.end_lineno if "forgot a comma" in error.msg else error.lineno
        index = (line or 1) - _FIRST_LINE
        said = error.msg.split(". Perhaps")[0].split(". Did you")[0]
        detail = "" if said == "invalid syntax" else f": {said}"
        if index >= len(self.chunks) or index < 0:
            stop = len(self.source.text.rstrip())
            return ExpressionSyntaxError(f"the condition ends too early{detail}", stop, stop, "complete the expression")
        chunk = self.chunks[index]
        around = self.chunks[max(index - 1, 0) : index + 2]
        for near in around:
            if near.name in _WORDS:
                return ExpressionSyntaxError(
                    f'"{near.name}" is not an operator here', near.offset, near.end, f'write "{_WORDS[near.name]}"'
                )
        shown = self.source.text[chunk.offset : chunk.end]
        return ExpressionSyntaxError(
            f'the condition cannot be read at "{shown}"{detail}', chunk.offset, chunk.end,
            "compare with == != < <= > >= in, and join comparisons with and, or",
        )  # fmt: skip

    def first(self, tree: ast.expr) -> Chunk:
        return self.chunks[max(tree.lineno - _FIRST_LINE, 0)]

    def last(self, tree: ast.expr) -> Chunk:
        return self.chunks[min((tree.end_lineno or tree.lineno) - _FIRST_LINE, len(self.chunks) - 1)]

    def build(self, tree: ast.expr, depth: int) -> Node:
        offset, end = self.first(tree).offset, self.last(tree).end
        self.source.enter(depth, offset, end)
        builder = _BUILDERS.get(type(tree))
        if isinstance(tree, (ast.GeneratorExp, ast.ListComp, ast.SetComp, ast.DictComp)):
            word = self.chunks[max(tree.generators[0].target.lineno - _FIRST_LINE - 1, 0)]  # its "for"
            offset, end = word.offset, word.end
        if builder is None:
            what, hint = _REFUSED.get(
                type(tree).__name__, ("this", "use comparisons, arithmetic, and/or/not and the pure functions")
            )
            raise ExpressionSyntaxError(f"{what} is not part of conditions", offset, end, hint)
        return builder(self, tree, offset, end, depth + 1)

    def constant(self, tree: ast.Constant, offset: int, end: int, depth: int) -> Node:
        value = tree.value
        if isinstance(value, str):
            indexes = self.source.string_indexes(value)
            parts = [part for index in indexes for part in self.chunks[index].parts]
            if all(isinstance(part, str) for part in parts):
                return Literal(offset, end, "".join(part for part in parts if isinstance(part, str)))
            return Join(offset, end, tuple(self.part(part, offset, end, depth) for part in parts if part != ""))
        return make_literal(value, offset, end)

    def part(self, part: str | tuple[int, int], offset: int, end: int, depth: int) -> Node:
        return Literal(offset, end, part) if isinstance(part, str) else build_template(self.source, part, depth)

    def name(self, tree: ast.Name, offset: int, end: int, depth: int) -> Node:
        chunk = self.first(tree)
        if chunk.kind == "piece":
            (span,) = chunk.parts
            assert not isinstance(span, str)  # a piece has its span and no text
            return build_template(self.source, span, depth)
        return make_name(chunk.name, offset, end)

    def attribute(self, tree: ast.Attribute, offset: int, end: int, depth: int) -> Node:
        target, name = self.build(tree.value, depth), self.last(tree).name
        if name.isdigit():
            chunk = self.last(tree)
            return Index(offset, end, target, make_literal(int(name), chunk.offset, chunk.end))
        return Field(offset, end, target, name)

    def subscript(self, tree: ast.Subscript, offset: int, end: int, depth: int) -> Node:
        target = self.build(tree.value, depth)
        if not isinstance(tree.slice, ast.Slice):
            return Index(offset, end, target, self.build(tree.slice, depth))
        parts = (tree.slice.lower, tree.slice.upper, tree.slice.step)
        start, stop, step = (self.build(part, depth) if part is not None else None for part in parts)
        return Slice(offset, end, target, start, stop, step)

    def logic(self, tree: ast.BoolOp, offset: int, end: int, depth: int) -> Node:
        operator = "and" if isinstance(tree.op, ast.And) else "or"
        return Logic(offset, end, operator, tuple(self.build(value, depth) for value in tree.values))

    def unary(self, tree: ast.UnaryOp, offset: int, end: int, depth: int) -> Node:
        operand = self.build(tree.operand, depth)
        if isinstance(tree.op, ast.Not):
            return Not(offset, end, operand)
        return Sign(offset, end, "-" if isinstance(tree.op, ast.USub) else "+", operand)

    def binary(self, tree: ast.BinOp, offset: int, end: int, depth: int) -> Node:
        operator = _ARITHMETIC.get(type(tree.op))
        if operator is None:
            raise ExpressionSyntaxError(
                "this operator is not part of conditions", offset, end, "use arithmetic or and/or"
            )
        return Arithmetic(offset, end, operator, self.build(tree.left, depth), self.build(tree.right, depth))

    def compare(self, tree: ast.Compare, offset: int, end: int, depth: int) -> Node:
        first = self.build(tree.left, depth)
        if any(isinstance(operator, (ast.Is, ast.IsNot)) for operator in tree.ops):
            return self.test(tree, first, offset, end)
        others = zip(tree.ops, tree.comparators, strict=True)
        return Compare(
            offset,
            end,
            first,
            tuple((_COMPARISON[type(operator)], self.build(other, depth)) for operator, other in others),
        )

    def test(self, tree: ast.Compare, operand: Node, offset: int, end: int) -> Node:
        right = tree.comparators[0]
        word = self.first(right)
        if len(tree.ops) > 1 or not isinstance(right, (ast.Name, ast.Constant)) or word.name not in TESTS:
            raise ExpressionSyntaxError(
                '"is" asks for None, defined, true, false, string, number, mapping, sequence or iterable, once',
                word.offset, word.end, 'use "==" to compare with a value, and parentheses around each "is"',
            )  # fmt: skip
        test = Test(offset, end, operand, TESTS[word.name])
        return Not(offset, end, test) if isinstance(tree.ops[0], ast.IsNot) else test

    def choice(self, tree: ast.IfExp, offset: int, end: int, depth: int) -> Node:
        then, condition, otherwise = (self.build(part, depth) for part in (tree.body, tree.test, tree.orelse))
        return Choice(offset, end, condition, then, otherwise)

    def list_of(self, tree: ast.List | ast.Tuple, offset: int, end: int, depth: int) -> Node:
        return ListOf(offset, end, tuple(self.build(item, depth) for item in tree.elts))

    def map_of(self, tree: ast.Dict, offset: int, end: int, depth: int) -> Node:
        items = []
        for key, value in zip(tree.keys, tree.values, strict=True):
            if key is None:
                at = self.first(value)
                raise ExpressionSyntaxError("** is not part of a map here", at.offset, at.end, "name each key")
            items.append((self.build(key, depth), self.build(value, depth)))
        return MapOf(offset, end, tuple(items))

    def call(self, tree: ast.Call, offset: int, end: int, depth: int) -> Node:
        if tree.keywords:
            at = self.first(tree.keywords[0].value)
            raise ExpressionSyntaxError(
                "functions take no named values here", at.offset, at.end, "give the values in order"
            )
        function = tree.func
        if isinstance(function, ast.Attribute):
            name = self.last(function)
            target = self.build(function.value, depth)
            arguments = tuple(self.build(value, depth) for value in tree.args)
            made = make_method(name.name, target, arguments, (name.offset, name.end), offset, end)
            self.note_method(name, target, arguments)
            return made
        name = self.first(function)
        if not isinstance(function, ast.Name) or name.kind == "piece":
            raise ExpressionSyntaxError(
                "only a function's name can be called", offset, end, "write an operator between"
            )
        arguments = tuple(self.build(value, depth) for value in tree.args)
        return make_call(name.name, arguments, (name.offset, name.end), offset, end)

    def note_method(self, name: Chunk, target: Node, arguments: tuple[Node, ...]) -> None:
        """Note that a function was called as a method, where a function of that name does the same."""
        if name.name in NAMED:
            written = ", ".join(self.source.text[node.offset : node.end] for node in (target, *arguments))
            today = f"{name.name}({written})"
            self.source.older.append(OlderSpelling(f".{name.name}()", today, name.offset, name.end))


_BUILDERS: Final[dict[type[ast.expr], Callable[[_PythonForm, Any, int, int, int], Node]]] = {
    ast.Constant: _PythonForm.constant,
    ast.Name: _PythonForm.name,
    ast.Attribute: _PythonForm.attribute,
    ast.Subscript: _PythonForm.subscript,
    ast.BoolOp: _PythonForm.logic,
    ast.UnaryOp: _PythonForm.unary,
    ast.BinOp: _PythonForm.binary,
    ast.Compare: _PythonForm.compare,
    ast.IfExp: _PythonForm.choice,
    ast.List: _PythonForm.list_of,
    ast.Tuple: _PythonForm.list_of,
    ast.Dict: _PythonForm.map_of,
    ast.Call: _PythonForm.call,
}
