"""What conditions do with values: their kinds, truth, equality, order and text, each bounded by a budget of steps."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from orchestrator_dagster.errors import ConditionError
from orchestrator_dagster.language.absent import Absent

MAX_STEPS: Final = 100_000  # of one evaluation; a step is a node, 100 items or 1,000 characters
MAX_NUMBER: Final = 10**100  # of an integer that a condition computes
MAX_CHARACTERS: Final = 1_000_000  # of a text that a condition makes
MAX_ITEMS: Final = 100_000  # of a list that a condition makes
MAX_NESTING: Final = 200  # levels of a value that becomes text

_ITEMS_A_STEP: Final = 100  # gone through by one of Python's built-ins
_WALKED_A_STEP: Final = 20  # gone through one by one by code of ours
_CHARACTERS_A_STEP: Final = 1_000
_SHRINK: Final = "compute it in a step before"

ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


class Budget:
    """Counts the steps of one evaluation."""

    __slots__ = ("steps",)

    def __init__(self) -> None:
        self.steps = 0

    def charge(self, steps: int = 1) -> None:
        """Take ``steps`` away.

        Raises:
            ConditionError: None are left.
        """
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise ConditionError(f"the condition takes more than {MAX_STEPS:,} steps", hint=_SHRINK)

    def read(self, value: Any) -> None:
        """Charge for going through a text, list or map once."""
        if isinstance(value, str):
            self.charge(len(value) // _CHARACTERS_A_STEP + 1)
        elif isinstance(value, (list, tuple, Mapping)):
            self.charge(len(value) // _ITEMS_A_STEP + 1)

    def walk(self, value: Any) -> None:
        """Charge for going through the items of a list or map one by one."""
        self.charge(len(value) // _WALKED_A_STEP + 1)


def kind(value: Any) -> str:
    """What people call the type of a value: ``text``, ``a number``, ``a list`` …"""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, Mapping):
        return "a map"
    return f"a Python {type(value).__name__}"


def main(value: Any) -> Any:
    """The value itself. A step is a map of its fields that also stands for one value: its ``main_value()``.

    Raises:
        ConditionError: It is no JSON value.
    """
    if value is None or type(value) in _PLAIN:
        return value
    if isinstance(value, Mapping):
        of_step = getattr(value, "main_value", None)
        return main(of_step()) if callable(of_step) else value
    if isinstance(value, (str, int, float, list, tuple, Absent)):
        return value
    raise ConditionError(
        f"a condition works on JSON values, and this is {kind(value)}", hint="convert it in a step before"
    )


_PLAIN: Final = frozenset({str, bool, int, float, list, dict, tuple})


def is_number(value: Any) -> bool:
    """Whether it is a number; booleans are, as in Python."""
    return isinstance(value, (int, float))


def bounded_number(value: Any) -> Any:
    """``value``, unless it is an integer beyond 10**100 or a complex number.

    Raises:
        ConditionError: It is.
    """
    if isinstance(value, int) and not -MAX_NUMBER <= value <= MAX_NUMBER:
        raise ConditionError("the number is too large; conditions compute up to 10**100", hint=_SHRINK)
    if isinstance(value, complex):
        raise ConditionError("the power of a negative number is no real number")
    return value


def bounded_size(size: int, what: str) -> None:
    """Refuse a text or list that is about to be made too large.

    Raises:
        ConditionError: ``size`` is above the limit for ``what`` (``text`` or ``list``).
    """
    most, unit = (MAX_CHARACTERS, "characters") if what == "text" else (MAX_ITEMS, "items")
    if size > most:
        raise ConditionError(f"the {what} is too large: more than {most:,} {unit}", hint=_SHRINK)


def items_of(value: Any, budget: Budget, purpose: str) -> Sequence[Any]:
    """The items of a list, the characters of a text or the keys of a map.

    Raises:
        ConditionError: It has none of these.
    """
    budget.read(value)
    if isinstance(value, (list, tuple, str)):
        return value
    if isinstance(value, Mapping):
        return list(value)
    raise ConditionError(f"{purpose} needs a list, not {kind(value)}")


def present(value: Any) -> Any:
    """An item of a list or map, as the value itself.

    Raises:
        ConditionError: It is absent.
    """
    value = main(value)
    if isinstance(value, Absent):
        raise ConditionError(f"an item has no value here: {value.reason}")
    return value


def equal(left: Any, right: Any, budget: Budget) -> bool:
    """Python's ``==`` without its recursion; lists and tuples are alike."""
    pairs: list[tuple[Any, Any]] = [(left, right)]
    top = True
    while pairs:
        one, other = pairs.pop()
        one, other = present(one), present(other)
        if not top and one is other:  # as Python: inside a list NaN equals itself
            continue
        top = False
        if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
            if len(one) != len(other):
                return False
            budget.walk(one)
            pairs.extend(zip(one, other, strict=True))
        elif isinstance(one, Mapping) and isinstance(other, Mapping):
            if len(one) != len(other):
                return False
            budget.walk(one)
            for key, value in one.items():
                if key not in other:
                    return False
                pairs.append((value, other[key]))
        elif isinstance(one, str) and isinstance(other, str):
            budget.read(one)
            if one != other:
                return False
        elif one != other:
            return False
    return True


def ordered(left: Any, sign: str, right: Any, budget: Budget) -> bool:
    """``left sign right`` for two numbers, two texts or two lists.

    Raises:
        ConditionError: They have no order.
    """
    while True:
        if is_number(left) and is_number(right):
            return ORDER[sign](left, right)
        if isinstance(left, str) and isinstance(right, str):
            budget.read(left)
            return ORDER[sign](left, right)
        if not (isinstance(left, (list, tuple)) and isinstance(right, (list, tuple))):
            raise ConditionError(
                f'"{sign}" cannot compare {kind(left)} with {kind(right)}',
                hint="convert one side, as in float(x) or str(x), or test for null before",
            )
        budget.walk(left)
        for one, other in zip(left, right, strict=False):
            if one is not other and not equal(one, other, budget):
                left, right = present(one), present(other)  # the first difference decides
                break
        else:
            return ORDER[sign](len(left), len(right))


def contains(container: Any, item: Any, budget: Budget) -> bool:
    """``item in container`` for a text, list or map.

    Raises:
        ConditionError: Nothing can be in it, or not such an item.
    """
    if isinstance(container, str):
        if not isinstance(item, str):
            raise ConditionError(f"{kind(item)} cannot be in text; only text can", hint="write str(...) around it")
        budget.read(container)
        return item in container
    if isinstance(container, Mapping):
        if isinstance(item, (list, tuple, Mapping)):
            raise ConditionError(f"{kind(item)} cannot be a key of a map")
        return item in container
    if isinstance(container, (list, tuple)):
        if item is None or isinstance(item, (str, int, float)):
            budget.read(container)
            return item in container
        budget.walk(container)
        return any(each is item or equal(each, item, budget) for each in container)
    raise ConditionError(f'"in" needs text, a list or a map on its right, not {kind(container)}')


def text_of(value: Any, budget: Budget) -> str:
    """Python's ``str(value)``, of at most 1,000,000 characters.

    Raises:
        ConditionError: It would be longer, or it is nested too deep.
    """
    if isinstance(value, str):
        budget.read(value)
        return value
    try:
        text = str(_copied(value, budget, 0)) if isinstance(value, (list, tuple, Mapping)) else str(value)
    except ValueError:  # Python refuses to write integers of more than 4,300 digits
        raise ConditionError("the number is too large to become text", hint=_SHRINK) from None
    bounded_size(len(text), "text")
    return text


def _copied(value: Any, budget: Budget, depth: int) -> Any:
    """Plain lists and dicts, counted while they are made, so that no large text is made before it is refused."""
    value = present(value)
    if depth > MAX_NESTING:
        raise ConditionError(f"the value is nested deeper than {MAX_NESTING} levels", hint=_SHRINK)
    if isinstance(value, str):
        bounded_size(len(value), "text")
        budget.read(value)
        return value
    if isinstance(value, (list, tuple)):
        bounded_size(len(value), "list")
        budget.walk(value)
        return [_copied(item, budget, depth + 1) for item in value]
    if isinstance(value, Mapping):
        bounded_size(len(value), "list")
        budget.walk(value)
        return {key: _copied(item, budget, depth + 1) for key, item in value.items()}
    return value


def joined(parts: Iterator[str] | Sequence[str], between: str = "") -> str:
    """The texts one after another, refused before they grow beyond 1,000,000 characters."""
    size = 0
    kept: list[str] = []
    for part in parts:
        size += len(part) + (len(between) if kept else 0)
        bounded_size(size, "text")
        kept.append(part)
    return between.join(kept)
