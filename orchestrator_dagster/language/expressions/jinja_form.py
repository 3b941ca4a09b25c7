"""Reads the inside of ``{{ }}`` with Jinja's own parser into the tree that Python's spelling gives as well."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from orchestrator_dagster.language.expressions.scanner import Chunk, Span
from orchestrator_dagster.language.expressions.source import (
    Source,
    make_call,
    make_filter,
    make_literal,
    make_method,
    make_name,
)
from orchestrator_dagster.language.expressions.syntax import (
    TESTS,
    Arithmetic,
    Choice,
    Compare,
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
    Sign,
    Slice,
    Test,
)
from orchestrator_dagster.text import nearest

if TYPE_CHECKING:
    from jinja2 import Environment, nodes

_FIRST_LINE: Final = 2  # the first line is "{{"

_ARITHMETIC: Final = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "/", "FloorDiv": "//", "Mod": "%", "Pow": "**"}
_COMPARISON: Final = {
    "eq": "==", "ne": "!=", "lt": "<", "lteq": "<=", "gt": ">", "gteq": ">=", "in": "in", "notin": "not in",
}  # fmt: skip


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment

    # Only its parser is used: nothing is ever compiled or rendered here.
    return Environment()


def build_template(source: Source, span: Span, depth: int) -> Node:
    """The tree of ``source.text[start:stop]``, the inside of one ``{{ }}``.

    Raises:
        ExpressionSyntaxError: Jinja cannot read it, or it says something that conditions do not have.
    """
    return _JinjaForm(source, span).read(depth)


class _JinjaForm:
    def __init__(self, source: Source, span: Span) -> None:
        self.source = source
        self.span = span
        self.chunks = source.scan(span, template=True)

    def read(self, depth: int) -> Node:
        from jinja2 import TemplateSyntaxError, nodes

        start, stop = self.span
        try:
            template = _environment().parse("\n".join(["{{", *(chunk.line for chunk in self.chunks), "}}"]))
        except TemplateSyntaxError as error:
            raise self.unreadable(error) from None
        except RecursionError:  # Jinja's parser calls itself once a level
            raise self.source.too_deep(start, stop) from None
        match template.body:
            case [nodes.Output(nodes=[nodes.Expr() as tree])]:
                return self.build(tree, depth)
            case _:
                raise ExpressionSyntaxError('the inside of "{{ }}" is not one expression', start, stop, "write one")

    def unreadable(self, error: Exception) -> ExpressionSyntaxError:
        index = getattr(error, "lineno", 1) - _FIRST_LINE
        if not 0 <= index < len(self.chunks):
            stop = self.span[1]
            return ExpressionSyntaxError('the expression in "{{ }}" ends too early', stop, stop, "complete it")
        chunk = self.chunks[index]
        shown = self.source.text[chunk.offset : chunk.end]
        if chunk.name in {"AND", "OR", "NOT", "IN", "IS"}:
            return ExpressionSyntaxError(
                f'"{shown}" is not an operator here', chunk.offset, chunk.end, f'write "{shown.lower()}"'
            )
        return ExpressionSyntaxError(
            f'the expression in "{{{{ }}}}" cannot be read at "{shown}"', chunk.offset, chunk.end,
            "write a value, its filters, comparisons, and/or/not",
        )  # fmt: skip

    def chunk(self, tree: nodes.Node, ahead: int = 0) -> Chunk:
        index = tree.lineno - _FIRST_LINE + ahead
        return self.chunks[min(max(index, 0), len(self.chunks) - 1)]

    def build(self, tree: Any, depth: int) -> Node:
        """One node of Jinja's tree as one of ours; what has no method here is refused."""
        chunk = self.chunk(tree)
        self.source.enter(depth, chunk.offset, chunk.end)
        kind = type(tree).__name__
        if kind in _ARITHMETIC:
            left, right = self.build(tree.left, depth + 1), self.build(tree.right, depth + 1)
            return Arithmetic(left.offset, right.end, _ARITHMETIC[kind], left, right)
        builder = _BUILDERS.get(kind)
        if builder is None:
            raise ExpressionSyntaxError(
                "this is not part of conditions",
                chunk.offset,
                chunk.end,
                "write a value, its filters, comparisons, and/or/not",
            )
        return builder(self, tree, chunk, depth + 1)

    def constant(self, tree: nodes.Const, chunk: Chunk, depth: int) -> Node:
        value = tree.value
        if isinstance(value, str):
            chunks = [self.chunks[index] for index in self.source.string_indexes(value)]
            parts = [part for each in chunks for part in each.parts if isinstance(part, str)]
            return Literal(chunk.offset, chunks[-1].end if chunks else chunk.end, "".join(parts))
        return make_literal(value, chunk.offset, chunk.end)

    def name(self, tree: nodes.Name, chunk: Chunk, depth: int) -> Node:
        return make_name(chunk.name, chunk.offset, chunk.end)

    def field(self, tree: nodes.Getattr, chunk: Chunk, depth: int) -> Node:
        target, name = self.build(tree.node, depth), self.chunk(tree, 1)
        if name.name.isdigit():
            index = make_literal(int(name.name), name.offset, name.end)
            return Index(target.offset, name.end, target, index)
        return Field(target.offset, name.end, target, name.name)

    def index(self, tree: nodes.Getitem, chunk: Chunk, depth: int) -> Node:
        from jinja2 import nodes

        target = self.build(tree.node, depth)
        if not isinstance(tree.arg, nodes.Slice):
            index = self.build(tree.arg, depth)
            return Index(target.offset, index.end + 1, target, index)
        parts = (tree.arg.start, tree.arg.stop, tree.arg.step)
        start, stop, step = (self.build(part, depth) if part is not None else None for part in parts)
        return Slice(target.offset, chunk.end, target, start, stop, step)

    def logic(self, tree: nodes.And | nodes.Or, chunk: Chunk, depth: int) -> Node:
        kind, operands = type(tree), []
        spine: Any = tree
        while isinstance(spine, kind):  # Jinja nests "a and b and c" to the left
            operands.append(spine.right)
            spine = spine.left
        built = tuple(self.build(operand, depth) for operand in (spine, *reversed(operands)))
        return Logic(built[0].offset, built[-1].end, kind.__name__.lower(), built)

    def inverse(self, tree: nodes.Not, chunk: Chunk, depth: int) -> Node:
        operand = self.build(tree.node, depth)
        return Not(chunk.offset, operand.end, operand)

    def sign(self, tree: nodes.Neg | nodes.Pos, chunk: Chunk, depth: int) -> Node:
        operand = self.build(tree.node, depth)
        return Sign(chunk.offset, operand.end, "-" if type(tree).__name__ == "Neg" else "+", operand)

    def compare(self, tree: nodes.Compare, chunk: Chunk, depth: int) -> Node:
        first = self.build(tree.expr, depth)
        others = tuple((_COMPARISON[other.op], self.build(other.expr, depth)) for other in tree.ops)
        return Compare(first.offset, others[-1][1].end, first, others)

    def test(self, tree: nodes.Test, chunk: Chunk, depth: int) -> Node:
        operand = self.build(tree.node, depth)
        if tree.name == "in" and tree.args and len(tree.args) == 1:
            values = self.build(tree.args[0], depth)
            return Compare(operand.offset, values.end, operand, (("in", values),))
        if tree.name not in TESTS or tree.args or tree.kwargs or tree.dyn_args or tree.dyn_kwargs:
            raise ExpressionSyntaxError(
                f'there is no test "is {tree.name}" in conditions{nearest(tree.name, TESTS)}', chunk.offset, chunk.end,
                f"the tests are {', '.join(sorted(set(TESTS.values()) | {'undefined'}))}", "unknown-filter",
            )  # fmt: skip
        return Test(operand.offset, chunk.end, operand, TESTS[tree.name])

    def choice(self, tree: nodes.CondExpr, chunk: Chunk, depth: int) -> Node:
        if tree.expr2 is None:
            raise ExpressionSyntaxError('"if" needs its "else" here', chunk.offset, chunk.end, 'add "else" and a value')
        then, condition, otherwise = (self.build(part, depth) for part in (tree.expr1, tree.test, tree.expr2))
        return Choice(then.offset, otherwise.end, condition, then, otherwise)

    def list_of(self, tree: nodes.List | nodes.Tuple, chunk: Chunk, depth: int) -> Node:
        return ListOf(chunk.offset, chunk.end, tuple(self.build(item, depth) for item in tree.items))

    def map_of(self, tree: nodes.Dict, chunk: Chunk, depth: int) -> Node:
        items = ((self.build(pair.key, depth), self.build(pair.value, depth)) for pair in tree.items)
        return MapOf(chunk.offset, chunk.end, tuple(items))

    def join(self, tree: nodes.Concat, chunk: Chunk, depth: int) -> Node:
        parts = tuple(self.build(part, depth) for part in tree.nodes)
        return Join(parts[0].offset, parts[-1].end, parts)

    def filter(self, tree: nodes.Filter, chunk: Chunk, depth: int) -> Node:
        self.no_stars(tree, chunk)
        assert tree.node is not None  # only the {% filter %} block has none
        value = self.build(tree.node, depth)
        arguments = [value, *(self.build(argument, depth) for argument in tree.args)]
        named = {str(pair.key): self.build(pair.value, depth) for pair in tree.kwargs}
        at = (chunk.offset, chunk.end)
        return make_filter(tree.name, arguments, named, at, value.offset, max(chunk.end, arguments[-1].end))

    def call(self, tree: nodes.Call, chunk: Chunk, depth: int) -> Node:
        from jinja2 import nodes

        self.no_stars(tree, chunk)
        if tree.kwargs:
            raise ExpressionSyntaxError(
                "functions take no named values here", chunk.offset, chunk.end, "give them in order"
            )
        function = tree.node
        if isinstance(function, nodes.Getattr):
            name = self.chunk(function, 1)
            target = self.build(function.node, depth)
            arguments = tuple(self.build(argument, depth) for argument in tree.args)
            return make_method(name.name, target, arguments, (name.offset, name.end), target.offset, name.end)
        if not isinstance(function, nodes.Name):
            raise ExpressionSyntaxError(
                "only a function's name can be called", chunk.offset, chunk.end, "write an operator between"
            )
        name = self.chunk(function)
        arguments = tuple(self.build(argument, depth) for argument in tree.args)
        end = max((argument.end for argument in arguments), default=name.end)
        return make_call(name.name, arguments, (name.offset, name.end), name.offset, end)

    @staticmethod
    def no_stars(tree: nodes.Filter | nodes.Call, chunk: Chunk) -> None:
        if tree.dyn_args is not None or tree.dyn_kwargs is not None:
            raise ExpressionSyntaxError(
                "a starred value is not part of conditions", chunk.offset, chunk.end, "write the list itself"
            )


_BUILDERS: Final[dict[str, Callable[[_JinjaForm, Any, Chunk, int], Node]]] = {
    "Const": _JinjaForm.constant,
    "Name": _JinjaForm.name,
    "Getattr": _JinjaForm.field,
    "Getitem": _JinjaForm.index,
    "And": _JinjaForm.logic,
    "Or": _JinjaForm.logic,
    "Not": _JinjaForm.inverse,
    "Neg": _JinjaForm.sign,
    "Pos": _JinjaForm.sign,
    "Compare": _JinjaForm.compare,
    "Test": _JinjaForm.test,
    "CondExpr": _JinjaForm.choice,
    "List": _JinjaForm.list_of,
    "Tuple": _JinjaForm.list_of,
    "Dict": _JinjaForm.map_of,
    "Concat": _JinjaForm.join,
    "Filter": _JinjaForm.filter,
    "Call": _JinjaForm.call,
}
