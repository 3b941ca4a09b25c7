"""Works out what a condition is, over JSON values and nothing else.

There is one method for each kind of node. Each node is worked out at most once, so the time is bounded by the size of
the tree and by the budget for going through texts, lists and maps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from orchestrator_dagster.errors import ConditionError
from orchestrator_dagster.language.absent import Absent
from orchestrator_dagster.language.expressions.functions import OPERATIONS
from orchestrator_dagster.language.expressions.syntax import (
    Arithmetic,
    Call,
    Choice,
    Compare,
    Default,
    Expression,
    Field,
    Index,
    Join,
    ListOf,
    Literal,
    Logic,
    MapOf,
    Name,
    Node,
    Not,
    Sign,
    Slice,
    Test,
    describe,
)
from orchestrator_dagster.language.expressions.values import (
    MAX_NUMBER,
    Budget,
    bounded_number,
    bounded_size,
    contains,
    equal,
    is_number,
    joined,
    kind,
    main,
    ordered,
    text_of,
)

_ANSWERS: Final = {"true": True, "yes": True, "false": False, "no": False}
_FIELDS_SHOWN: Final = 8


def evaluate(expression: Expression, lookup: Callable[[str], Any]) -> Any:
    """The value of a condition.

    Args:
        expression: See :func:`parser.parse_condition`.
        lookup: Gives the value of a name: a JSON value, an :class:`Absent` (also by raising KeyError), or a map with a
            method ``main_value`` (a step: its fields are reached by name, and it stands for that value itself).

    Returns:
        A JSON value, or an :class:`Absent`.

    Raises:
        ConditionError: It has no value: an absent value is used, types do not fit, a limit is reached.
    """
    evaluator = _Evaluator(lookup)
    try:
        return main(evaluator.value(expression.root))
    except RecursionError:  # a value from outside that is nested beyond reason, or a caller near Python's own limit
        raise ConditionError("the condition or a value in it is nested too deep") from None


def decide(expression: Expression, lookup: Callable[[str], Any]) -> bool:
    """The answer of a condition: a boolean, or what a number, null, list, map or the text true/false/yes/no says.

    Args:
        expression: See :func:`parser.parse_condition`.
        lookup: See :func:`evaluate`.

    Raises:
        ConditionError: It has no value, or the value is other text.
    """
    answer = evaluate(expression, lookup)
    if isinstance(answer, Absent):
        if isinstance(expression.root, Logic):  # and/or take it as false
            return False
        raise _no_value("the condition", answer, expression.root)
    if isinstance(answer, str):
        word = answer.strip().lower() if len(answer) < 1_000 else answer
        if word not in _ANSWERS:
            shown = answer if len(answer) <= 60 else f"{answer[:57]}..."
            raise ConditionError(
                f"the answer of the condition is the text {shown!r}; it must be true, false, yes, no, "
                "a boolean, number, null, list or map",
                hint='compare it, as in x == "done", or len(x) > 0 for "not empty"',
            )
        return _ANSWERS[word]
    return bool(answer)


def _no_value(what: str, absent: Absent, node: Node) -> ConditionError:
    path = describe(node)
    return ConditionError(
        f"{what} needs {path}: {absent.reason}", hint=f'ask "{path} is defined" before, or give a default'
    )


class _Evaluator:
    """One evaluation: where names come from, and what is left of the budget."""

    __slots__ = ("budget", "lookup")

    def __init__(self, lookup: Callable[[str], Any]) -> None:
        self.lookup = lookup
        self.budget = Budget()

    def value(self, node: Node) -> Any:
        """The node's value; a step stays a step, an absent value stays absent."""
        self.budget.charge()
        return _METHODS[type(node)](self, node)

    def present(self, node: Node, purpose: str) -> Any:
        """The node's value itself.

        Raises:
            ConditionError: It is absent.
        """
        value = main(self.value(node))
        if isinstance(value, Absent):
            raise _no_value(purpose, value, node)
        return value

    def truth(self, node: Node) -> bool:
        return bool(main(self.value(node)))

    def literal(self, node: Literal) -> Any:
        return node.value

    def name(self, node: Name) -> Any:
        try:
            return self.lookup(node.name)
        except KeyError:
            return Absent(f'nothing is named "{node.name}" here')

    def field(self, node: Field) -> Any:
        return _item(self.value(node.target), node.name, node.target)

    def index(self, node: Index) -> Any:
        target = self.value(node.target)
        return _item(target, self.present(node.index, "[...]"), node.target)

    def slice(self, node: Slice) -> Any:
        target = main(self.value(node.target))
        if isinstance(target, Absent):
            return target
        if not isinstance(target, (str, list, tuple)):
            raise ConditionError(f"only text and lists have slices; {describe(node.target)} is {kind(target)}")
        bounds = [None if part is None else self.present(part, "[...]") for part in (node.start, node.stop, node.step)]
        if not all(bound is None or isinstance(bound, int) for bound in bounds):
            raise ConditionError("the bounds of a slice are whole numbers")
        if bounds[2] == 0:
            raise ConditionError("the step of a slice cannot be 0")
        self.budget.read(target)
        part = target[slice(*bounds)]
        return part if isinstance(part, str) else list(part)

    def logic(self, node: Logic) -> Any:
        value: Any = None
        for operand in node.operands:
            value = main(self.value(operand))
            if bool(value) is (node.operator == "or"):
                break
        return value

    def inverse(self, node: Not) -> bool:
        return not self.truth(node.operand)

    def compare(self, node: Compare) -> bool:
        left = self.present(node.first, "a comparison")
        for operator, other in node.others:
            right = self.present(other, "a comparison")
            if not self.holds(left, operator, right):
                return False
            left = right
        return True

    def holds(self, left: Any, operator: str, right: Any) -> bool:
        if operator in ("==", "!="):
            return equal(left, right, self.budget) is (operator == "==")
        if operator in ("in", "not in"):
            return contains(right, left, self.budget) is (operator == "in")
        return ordered(left, operator, right, self.budget)

    def test(self, node: Test) -> bool:
        if node.name in ("defined", "undefined"):
            return isinstance(main(self.value(node.operand)), Absent) is (node.name == "undefined")
        return _TESTS[node.name](self.present(node.operand, f'"is {node.name}"'))

    def arithmetic(self, node: Arithmetic) -> Any:
        operator = node.operator
        left, right = self.present(node.left, f'"{operator}"'), self.present(node.right, f'"{operator}"')
        if is_number(left) and is_number(right):
            return _calculated(left, operator, right)
        if operator == "+":
            return self.sequence_sum(left, right)
        if operator == "*" and (isinstance(left, int) or isinstance(right, int)):
            times, repeated = (left, right) if isinstance(left, int) else (right, left)
            if isinstance(repeated, (str, list, tuple)):
                size = max(0, len(repeated) * times)
                bounded_size(size, "text" if isinstance(repeated, str) else "list")
                result = repeated * (times if size else 0)
                self.budget.read(result)
                return result
        hint = "use {{ }} inside quotes to put values into text" if operator == "%" and isinstance(left, str) else None
        raise ConditionError(f'"{operator}" cannot take {kind(left)} and {kind(right)}', hint=hint)

    def sequence_sum(self, left: Any, right: Any) -> Any:
        if isinstance(left, str) and isinstance(right, str):
            bounded_size(len(left) + len(right), "text")
            result: Any = left + right
        elif isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
            bounded_size(len(left) + len(right), "list")
            result = [*left, *right]
        else:
            hint = "write str(...) around the other" if isinstance(left, str) or isinstance(right, str) else None
            raise ConditionError(f'"+" cannot take {kind(left)} and {kind(right)}', hint=hint)
        self.budget.read(result)
        return result

    def sign(self, node: Sign) -> Any:
        value = self.present(node.operand, f'"{node.operator}"')
        if not is_number(value):
            raise ConditionError(f'"{node.operator}" needs a number, not {kind(value)}')
        return -value if node.operator == "-" else +value

    def choice(self, node: Choice) -> Any:
        return self.value(node.then if self.truth(node.condition) else node.otherwise)

    def list_of(self, node: ListOf) -> list[Any]:
        return [self.present(item, "a list") for item in node.items]

    def map_of(self, node: MapOf) -> dict[Any, Any]:
        made = {}
        for key_node, value_node in node.items:
            key = self.present(key_node, "a key")
            if not isinstance(key, str):
                raise ConditionError(f"the keys of a map are text, not {kind(key)}")
            made[key] = self.present(value_node, "a map")
        return made

    def join(self, node: Join) -> str:
        return joined(text_of(self.present(part, "joining text"), self.budget) for part in node.parts)

    def default(self, node: Default) -> Any:
        value = main(self.value(node.value))
        if isinstance(value, Absent) or (not value and self.truth(node.or_false)):
            return self.value(node.fallback)
        return value

    def call(self, node: Call) -> Any:
        name = node.function.lstrip(".|")
        arguments = [self.present(argument, f"{name}()") for argument in node.arguments]
        try:
            return OPERATIONS[node.function].call(self.budget, *arguments)
        except (ValueError, OverflowError) as error:  # infinity as an integer, an integer as a float
            raise ConditionError(f"{name}(): {error}") from None


def _item(target: Any, key: Any, node: Node) -> Any:
    """``target[key]`` of a map, list or text; an :class:`Absent` that says why, where there is none."""
    if isinstance(target, Mapping):
        return _field(target, key, node)
    target = main(target)
    if isinstance(target, Absent):
        return target
    if isinstance(target, (str, list, tuple)) and not isinstance(key, str):
        if not isinstance(key, int):
            raise ConditionError(f"the index of {describe(node)} is a whole number, not {kind(key)}")
        if -len(target) <= key < len(target):
            return target[key]
        unit = "character" if isinstance(target, str) else "item"
        return Absent(f"{describe(node)} has no {unit} {key}; it has {len(target):,}")
    if target is not None and not isinstance(key, str):
        raise ConditionError(f"{describe(node)} is {kind(target)}, which has no index")
    shown = f"'{key}'" if isinstance(key, str) else f"item {key}"
    return Absent(f"{describe(node)} is {kind(target)} and has no {'field ' if isinstance(key, str) else ''}{shown}")


def _field(target: Mapping[Any, Any], key: Any, node: Node) -> Any:
    if isinstance(key, (list, tuple, Mapping)):
        raise ConditionError(f"{kind(key)} cannot be a key of a map")
    try:
        return target[key]
    except KeyError:
        pass
    if not isinstance(key, str) and callable(getattr(target, "main_value", None)):
        return _item(main(target), key, node)  # rows[0] of a step whose value is a list
    names = [str(name) for name in list(target)[: _FIELDS_SHOWN + 1]]
    more = ", ..." if len(names) > _FIELDS_SHOWN else ""
    has = f"it has {', '.join(names[:_FIELDS_SHOWN])}{more}" if names else "it is empty"
    return Absent(f"{describe(node)} has no field {key!r}; {has}")


def _calculated(left: Any, operator: str, right: Any) -> Any:
    for operand in (left, right):  # a product of numbers of a million digits would take minutes
        bounded_number(operand)
    try:
        return bounded_number(_power(left, right) if operator == "**" else _ARITHMETIC[operator](left, right))
    except ZeroDivisionError:
        raise ConditionError(f'"{operator}" divides by zero', hint="test for 0 before") from None
    except OverflowError:
        raise ConditionError("the number is too large to compute with") from None


def _power(left: Any, right: Any) -> Any:
    """``left ** right``, refused before an integer of more than about 10**100 is made."""
    whole = isinstance(left, int) and isinstance(right, int) and right > 0
    # 2**(b-1) <= |left|, so the result has more than (b-1)*right bits
    if whole and (abs(left).bit_length() - 1) * right > MAX_NUMBER.bit_length():
        raise ConditionError("the power is too large; conditions compute up to 10**100")
    return left**right


_ARITHMETIC: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "//": lambda left, right: left // right,
    "%": lambda left, right: left % right,
}
_TESTS: Final[dict[str, Callable[[Any], bool]]] = {
    "none": lambda value: value is None,
    "true": lambda value: value is True,
    "false": lambda value: value is False,
    "boolean": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "number": is_number,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, float),
    "mapping": lambda value: isinstance(value, Mapping),
    "sequence": lambda value: isinstance(value, (str, list, tuple, Mapping)),  # as Jinja: what has a length and items
    "iterable": lambda value: isinstance(value, (str, list, tuple, Mapping)),
}
_METHODS: Final[dict[type[Node], Callable[[_Evaluator, Any], Any]]] = {
    Literal: _Evaluator.literal,
    Name: _Evaluator.name,
    Field: _Evaluator.field,
    Index: _Evaluator.index,
    Slice: _Evaluator.slice,
    Logic: _Evaluator.logic,
    Not: _Evaluator.inverse,
    Compare: _Evaluator.compare,
    Test: _Evaluator.test,
    Arithmetic: _Evaluator.arithmetic,
    Sign: _Evaluator.sign,
    Choice: _Evaluator.choice,
    ListOf: _Evaluator.list_of,
    MapOf: _Evaluator.map_of,
    Join: _Evaluator.join,
    Default: _Evaluator.default,
    Call: _Evaluator.call,
}
