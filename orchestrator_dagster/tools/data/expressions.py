"""Expressions over columns: a closed language, parsed into a tree of which only listed nodes are accepted.

Python's grammar is used for its parser alone. Nothing is compiled or evaluated by Python: no attribute, subscript,
lambda, comprehension, keyword or f-string gets through, a call only to a function listed in ``functions.py``, and a
name means a column. Names that are no identifiers stand in backticks: ```unit price` * 2``.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.text import nearest

MAX_LENGTH, MAX_DEPTH, MAX_NODES = 4_000, 100, 800
MAX_EXPONENT = 64
_INTEGER = 2**63

#: Functions and how many arguments each takes (least, most; None without limit).
FUNCTIONS: dict[str, tuple[int, int | None]] = {
    "round": (1, 2), "abs": (1, 1), "log": (1, 2), "lower": (1, 1), "upper": (1, 1), "trim": (1, 1), "length": (1, 1),
    "year": (1, 1), "month": (1, 1), "day": (1, 1), "coalesce": (1, None), "if_else": (3, 3), "is_null": (1, 1),
    "not_null": (1, 1), "contains": (2, 2), "starts_with": (2, 2), "ends_with": (2, 2), "matches": (2, 2),
}  # fmt: skip
_CONSTANT_NAMES = {"true": True, "false": False, "null": None}
_NODES = (
    ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.BinOp, ast.Add, ast.Sub, ast.Mult,
    ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In,
    ast.NotIn, ast.Is, ast.IsNot, ast.Constant, ast.Name, ast.Load, ast.Call, ast.List, ast.Tuple,
)  # fmt: skip
_HINTS: dict[type[ast.AST], str] = {
    ast.Attribute: "a dot has no meaning here: use a function such as lower(name) or year(day)",
    ast.Subscript: "brackets after a name have no meaning here: write the column's name, in backticks if it has spaces",
    ast.BitAnd: "write `and` instead of `&`",
    ast.BitOr: "write `or` instead of `|`",
    ast.Invert: "write `not` instead of `~`",
    ast.IfExp: "write if_else(condition, then, otherwise)",
}
_TOKENS = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|`([^`]*)`""", re.DOTALL)


@dataclass(frozen=True)
class Expression:
    """A checked expression: its text, tree, and the columns behind the names that stood in backticks."""

    text: str
    tree: ast.expr
    quoted: dict[str, str] = field(default_factory=dict)

    def column(self, name: ast.Name) -> str:
        """The column that a name of the tree means."""
        return self.quoted.get(name.id, name.id)


def parse(text: str) -> Expression:
    """Check an expression and give its tree.

    Example:
        >>> parse("price > 10 and region in ['a', 'b']").text
        "price > 10 and region in ['a', 'b']"

    Raises:
        ParametersError: It is no expression of the language; the message shows the part that is not.
    """
    if not isinstance(text, str) or not text.strip():
        raise ParametersError("an expression is empty", hint="such as: price > 10 and region == 'north'")
    if len(text) > MAX_LENGTH:
        raise ParametersError(f"an expression has {len(text):,} characters, {MAX_LENGTH:,} are allowed")
    prefix = "_q"
    while prefix in text:  # so that no name of the text can be taken for one that stood in backticks
        prefix += "_"
    quoted: dict[str, str] = {}

    def replace(found: re.Match[str]) -> str:
        if found.group(2) is None:
            return found.group(0)
        name = f"{prefix}{len(quoted)}"
        quoted[name] = found.group(2)
        return f" {name} "

    source = _TOKENS.sub(replace, text).replace("\n", " ")
    try:
        tree = ast.parse(source.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "it is nested too deeply or has a wrong character"
        raise ParametersError(
            f"the expression {_short(text)} cannot be read: {reason}",
            hint="compare with ==, join with and/or/not, put texts in quotes and names with spaces in backticks",
        ) from None
    _check(tree, text)
    return Expression(text, tree, quoted)


def _short(text: str) -> str:
    return repr(text if len(text) <= 120 else text[:117] + "...")


def _refuse(node: ast.AST, text: str, why: str, hint: str | None = None) -> ParametersError:
    part = ast.get_source_segment(text, node) if isinstance(node, ast.expr) else None
    where = f" ({_short(part)})" if part and part != text else ""
    return ParametersError(f"the expression {_short(text)} is refused: {why}{where}", hint=hint)


def _check(tree: ast.expr, text: str) -> None:
    """Walk without recursion: the depth is part of what is checked."""
    queue: list[tuple[ast.AST, int]] = [(tree, 1)]
    seen = 0
    while queue:
        node, depth = queue.pop()
        seen += isinstance(node, ast.expr)
        if depth > MAX_DEPTH or seen > MAX_NODES:
            raise ParametersError(
                f"the expression {_short(text)} is refused: more than {MAX_DEPTH} levels or {MAX_NODES} parts",
                hint="split it into several steps or columns",
            )
        if not isinstance(node, _NODES):
            raise _refuse(node, text, f"{type(node).__name__} is not part of the language", _HINTS.get(type(node)))
        _check_node(node, text)
        children = ast.iter_child_nodes(node)
        if isinstance(node, ast.Call):
            children = iter(node.args)
        queue.extend((child, depth + isinstance(child, ast.expr)) for child in children)


def _check_node(node: ast.AST, text: str) -> None:
    if isinstance(node, ast.Constant):
        if not isinstance(node.value, (str, int, float, bool, type(None))):
            raise _refuse(node, text, f"a constant of type {type(node.value).__name__} is not part of the language")
        if isinstance(node.value, int) and not -_INTEGER <= node.value < _INTEGER:
            raise _refuse(node, text, "a whole number has more than 64 bits")
    elif isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name):
            raise _refuse(node, text, "only the listed functions can be called", _functions())
        name, count = node.func.id, len(node.args)
        if name not in FUNCTIONS:
            raise _refuse(node, text, f'there is no function "{name}"{nearest(name, FUNCTIONS)}', _functions())
        least, most = FUNCTIONS[name]
        if node.keywords or count < least or (most is not None and count > most):
            wanted = f"{least}" if least == most else f"{least} to {most}" if most else f"{least} or more"
            raise _refuse(node, text, f"{name} takes {wanted} arguments, by position")
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        exponent = node.right.operand if isinstance(node.right, ast.UnaryOp) else node.right
        number = exponent.value if isinstance(exponent, ast.Constant) else None
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not abs(number) <= MAX_EXPONENT:
            raise _refuse(node, text, f"an exponent must be a number of at most {MAX_EXPONENT}")
    elif isinstance(node, ast.Compare):
        for symbol, other in zip(node.ops, node.comparators, strict=True):
            if isinstance(symbol, (ast.In, ast.NotIn)) and not _is_list_of_constants(other):
                raise _refuse(node, text, "`in` needs a list of constants", "such as: region in ['north', 'south']")
            if isinstance(symbol, (ast.Is, ast.IsNot)) and not _is_null(other):
                raise _refuse(node, text, "`is` compares with null alone", "write == or !=")
            if isinstance(other, (ast.List, ast.Tuple)) and not isinstance(symbol, (ast.In, ast.NotIn)):
                raise _refuse(node, text, "a list can only stand after `in`")


def _functions() -> str:
    return f"functions: {', '.join(sorted(FUNCTIONS))}"


def _is_null(node: ast.expr) -> bool:
    return (isinstance(node, ast.Constant) and node.value is None) or (isinstance(node, ast.Name) and node.id == "null")


def _is_list_of_constants(node: ast.expr) -> bool:
    return isinstance(node, (ast.List, ast.Tuple)) and all(
        isinstance(item.operand if isinstance(item, ast.UnaryOp) else item, ast.Constant)
        or (isinstance(item, ast.Name) and item.id in _CONSTANT_NAMES)
        for item in node.elts
    )


def constant(node: ast.expr) -> object:
    """The value of a constant, ``true``/``false``/``null`` included, or of a signed number."""
    if isinstance(node, ast.Name):
        return _CONSTANT_NAMES[node.id]
    if isinstance(node, ast.UnaryOp):
        value = constant(node.operand)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or isinstance(node.op, ast.Not):
            raise ParametersError(f"a sign can only stand before a number, not before {value!r}")
        return -value if isinstance(node.op, ast.USub) else value
    assert isinstance(node, ast.Constant)
    return node.value


def constant_name(name: str) -> bool:
    """Whether a name is ``true``, ``false`` or ``null``."""
    return name in _CONSTANT_NAMES
