"""The value of an expression over a table, whole columns at a time."""

from __future__ import annotations

import ast
from typing import Any

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.tools.data.columns import kind, require_columns, simplest
from orchestrator_dagster.tools.data.comparing import compare, is_column, is_in
from orchestrator_dagster.tools.data.expressions import Expression, constant, constant_name, parse
from orchestrator_dagster.tools.data.functions import arithmetic, call, described, kind_of, negative
from orchestrator_dagster.tools.data.types import Column, Frame

_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
}  # fmt: skip
_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Is: "==",
    ast.IsNot: "!=",
}  # fmt: skip


def column_of(frame: Frame, text: str) -> Column:
    """The column that an expression makes of a table (a constant is repeated).

    Raises:
        ParametersError: The expression is refused, names an unknown column, or mixes types.
    """
    import pandas as pd

    value = _Evaluation(frame, parse(text)).run()
    if is_column(value):
        return simplest(value)
    dtype = "object" if value is None else None
    return pd.Series([value] * len(frame), index=frame.index, dtype=dtype)


def condition_of(frame: Frame, text: str) -> Column:
    """Which rows an expression is true for, as ``boolean`` (missing where it is neither true nor false).

    Raises:
        ParametersError: The expression is refused, names an unknown column, mixes types, or is no condition.
    """
    import pandas as pd

    value = _Evaluation(frame, parse(text)).run()
    if kind_of(value) not in ("boolean", "null"):
        raise ParametersError(
            f"the expression {text[:120]!r} is no condition: it gives {described(value)}",
            hint="compare with something, such as: price > 10",
        )
    if is_column(value):
        return value.astype("boolean") if kind(value) == "boolean" else pd.Series(pd.NA, value.index, dtype="boolean")
    return pd.Series(pd.NA if value is None else value, index=frame.index, dtype="boolean")


class _Evaluation:
    """One expression over one table. The tree has been checked, so every node is one of those handled here."""

    def __init__(self, frame: Frame, expression: Expression) -> None:
        import pandas as pd

        self.frame = frame
        self.expression = expression
        self.like = pd.Series(range(len(frame)), index=frame.index)

    def run(self) -> Any:
        return self.value(self.expression.tree)

    def value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return self.name(node)
        if isinstance(node, ast.BoolOp):
            return self.logic(node)
        if isinstance(node, ast.UnaryOp):
            if isinstance(node.op, ast.Not):
                return ~self.condition(node.operand)
            value = self.value(node.operand)
            return negative(value) if isinstance(node.op, ast.USub) else arithmetic("+", 0, value)
        if isinstance(node, ast.BinOp):
            return arithmetic(_BINARY[type(node.op)], self.value(node.left), self.value(node.right))
        if isinstance(node, ast.Compare):
            return self.comparison(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return call(node.func.id, [self.value(argument) for argument in node.args], self.like)
        raise ParametersError(
            f"the expression {self.expression.text[:120]!r} is refused: a list can only stand after `in`"
        )

    def name(self, node: ast.Name) -> Any:
        name = self.expression.column(node)
        if name not in self.frame.columns and name == node.id and constant_name(name):
            return constant(node)
        require_columns(self.frame, [name])
        return self.frame[name]

    def condition(self, node: ast.expr) -> Column:
        import pandas as pd

        value = self.value(node)
        if kind_of(value) not in ("boolean", "null"):
            raise ParametersError(
                f"and, or and not join conditions, {described(value)} is none", hint="compare it with something"
            )
        if is_column(value) and kind(value) == "boolean":
            return value.astype("boolean")
        return pd.Series(value if isinstance(value, bool) else pd.NA, index=self.like.index, dtype="boolean")

    def logic(self, node: ast.BoolOp) -> Column:
        result = self.condition(node.values[0])
        for other in node.values[1:]:
            second = self.condition(other)
            result = result & second if isinstance(node.op, ast.And) else result | second
        return result

    def comparison(self, node: ast.Compare) -> Column:
        result: Any = None
        left = self.value(node.left)
        for symbol, right_node in zip(node.ops, node.comparators, strict=True):
            left_column = left if is_column(left) else self.spread(left)
            if isinstance(symbol, (ast.In, ast.NotIn)):
                assert isinstance(right_node, (ast.List, ast.Tuple))
                found = is_in(left_column, [constant(item) for item in right_node.elts])
                part, right = (found if isinstance(symbol, ast.In) else ~found), None
            else:
                is_test = isinstance(symbol, (ast.Is, ast.IsNot))
                right = None if is_test else self.value(right_node)
                part = compare(left if is_column(right) else left_column, _COMPARE[type(symbol)], right)
            result = part if result is None else result & part
            left = right
        return result

    def spread(self, value: Any) -> Column:
        import pandas as pd

        dtype = "object" if value is None else None
        return pd.Series([value] * len(self.like), index=self.like.index, dtype=dtype)
