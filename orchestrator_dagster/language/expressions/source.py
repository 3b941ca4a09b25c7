"""What both spellings of a condition share while they are read: limits, literals, names and calls."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final

from orchestrator_dagster.language.expressions.functions import FILTERS, METHODS, NAMED, OPERATIONS
from orchestrator_dagster.language.expressions.scanner import Chunk, Span, scan
from orchestrator_dagster.language.expressions.syntax import (
    CONSTANTS,
    MAX_DEPTH,
    MAX_NODES,
    Call,
    Default,
    ExpressionSyntaxError,
    Literal,
    Name,
    Node,
    OlderSpelling,
)
from orchestrator_dagster.language.expressions.values import MAX_NUMBER
from orchestrator_dagster.text import nearest, nearest_name

_STRING_LINE: Final = re.compile(r"<([0-9]+)>")


class Source:
    """The text of one condition and the count of its nodes, in whatever spelling they are written."""

    def __init__(self, text: str, dashed_names: frozenset[str]) -> None:
        self.text = text
        self.dashed_names = dashed_names
        self.nodes = 0
        self.older: list[OlderSpelling] = []

    def scan(self, span: Span, *, template: bool) -> list[Chunk]:
        """The chunks of a part of the text; see :func:`scanner.scan`."""
        return scan(self.text, span, template=template, dashed_names=self.dashed_names)

    def enter(self, depth: int, offset: int, end: int) -> None:
        """Count a node that is about to be built at ``depth``.

        Raises:
            ExpressionSyntaxError: It is one too many, or nested too deep.
        """
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise ExpressionSyntaxError(
                f"the condition has more than {MAX_NODES:,} parts", offset, end, "compute a part of it in a step before"
            )
        if depth > MAX_DEPTH:
            raise self.too_deep(offset, end)

    def too_deep(self, offset: int, end: int) -> ExpressionSyntaxError:
        """The error for what is nested deeper than conditions may be."""
        return ExpressionSyntaxError(
            f"the condition is nested deeper than {MAX_DEPTH} levels",
            offset,
            end,
            "compute a part of it in a step before",
        )

    @staticmethod
    def string_indexes(line: str) -> list[int]:
        """The chunks that a parser's string stands for; several when texts in quotes stand side by side."""
        return [int(index) for index in _STRING_LINE.findall(line)]


def make_literal(value: Any, offset: int, end: int) -> Literal:
    """A number, boolean or null.

    Raises:
        ExpressionSyntaxError: The number is too large.
    """
    too_large = isinstance(value, int) and value > MAX_NUMBER
    if too_large or (isinstance(value, float) and not math.isfinite(value)):
        raise ExpressionSyntaxError("the number is too large", offset, end, "numbers reach up to 10**100")
    return Literal(offset, end, value)


def make_name(name: str, offset: int, end: int) -> Node:
    """A name, or the constant that it is (``true``, ``null``)."""
    return Literal(offset, end, CONSTANTS[name]) if name in CONSTANTS else Name(offset, end, name)


def make_call(name: str, arguments: tuple[Node, ...], at: Span, offset: int, end: int) -> Node:
    """``name(arguments)``.

    Raises:
        ExpressionSyntaxError: No such function, or it does not take so many values.
    """
    if name == "default":
        return make_filter(name, arguments, {}, at, offset, end)
    if name not in NAMED:
        guess = nearest_name(name, [*NAMED, "default"])
        raise ExpressionSyntaxError(
            f'there is no function "{name}" in conditions{nearest(name, [*NAMED, "default"])}', *at,
            hint=f'write "{guess}(...)"' if guess else f"the functions are {', '.join(sorted(NAMED))}",
            code="unknown-name",
        )  # fmt: skip
    return _checked(Call(offset, end, name, arguments), name, len(arguments), at)


def make_method(name: str, target: Node, arguments: tuple[Node, ...], at: Span, offset: int, end: int) -> Node:
    """``target.name(arguments)``, the older spelling of some functions.

    Raises:
        ExpressionSyntaxError: No such method, or it does not take so many values.
    """
    if name not in METHODS:
        guess = nearest_name(name, METHODS)
        hint = f'write "{name}(...)"' if name in NAMED else f"the methods are {', '.join(sorted(METHODS))}"
        raise ExpressionSyntaxError(
            f'".{name}()" cannot be called in conditions{nearest(name, METHODS)}', *at,
            hint=f'write ".{guess}(...)"' if guess else hint,
        )  # fmt: skip
    return _checked(Call(offset, end, METHODS[name], (target, *arguments)), f".{name}", len(arguments), at, method=True)


def make_filter(name: str, arguments: Sequence[Node], named: dict[str, Node], at: Span, offset: int, end: int) -> Node:
    """``arguments[0] | name(arguments[1:], named)``.

    Raises:
        ExpressionSyntaxError: No such filter, or it does not take such values.
    """
    if name not in FILTERS:
        guess = nearest_name(name, FILTERS)
        raise ExpressionSyntaxError(
            f'there is no filter "{name}" in conditions{nearest(name, FILTERS)}', *at,
            hint=f'write "| {guess}"' if guess else f"the filters are {', '.join(sorted(FILTERS))}",
            code="unknown-filter",
        )  # fmt: skip
    function, parameters = FILTERS[name]
    values: list[Node] = list(arguments)
    known = [parameter for parameter, _ in parameters]
    unknown = next((given for given in named if given not in known[max(len(values) - 1, 0) :]), None)
    if not values or len(values) - 1 > len(known) or unknown is not None:
        takes = f"takes {', '.join(known)}" if known else "takes no values"
        problem = f' and no second or other "{unknown}"' if unknown is not None else ""
        raise ExpressionSyntaxError(f'"{name}" {takes}{problem}', *at, hint="correct its values")
    for parameter, otherwise in parameters[len(values) - 1 :]:
        values.append(named.get(parameter) or Literal(offset, end, otherwise))
    if function == "default":
        return Default(offset, end, values[0], values[1], values[2])
    return Call(offset, end, function, tuple(values))


def _checked(call: Call, name: str, count: int, at: Span, method: bool = False) -> Call:
    operation = OPERATIONS[call.function]
    least, most = operation.least - method, operation.most - method
    if not least <= count <= most:
        takes = f"{least}" if least == most else f"{least} to {most}" if most < 1000 else f"at least {least}"
        raise ExpressionSyntaxError(
            f'"{name}" takes {takes} value{"s" * (takes != "1")}, not {count}', *at, hint="correct its values"
        )
    return call
