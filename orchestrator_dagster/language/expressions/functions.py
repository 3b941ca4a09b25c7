"""The pure functions that conditions may call, the methods that are another spelling of them, and Jinja's filters.

A function takes the budget of the evaluation and JSON values, and gives a JSON value; it changes nothing and reaches
nothing else. An absent value never gets here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from orchestrator_dagster.errors import ConditionError
from orchestrator_dagster.language.absent import Absent
from orchestrator_dagster.language.expressions.syntax import Scalar
from orchestrator_dagster.language.expressions.values import (
    Budget,
    bounded_number,
    bounded_size,
    contains,
    is_number,
    items_of,
    joined,
    kind,
    ordered,
    present,
    text_of,
)

MANY: Final = 1_000  # "any number of values": more than a condition can write
_LONGEST_NUMBER: Final = (
    400  # characters of a text that becomes a number; a float has at most 309 digits before the dot
)
_MOST_PLACES: Final = 400  # decimal places of round; round(5, -10**9) would compute for hours


def _need(value: Any, wanted: str, name: str) -> None:
    fits = {
        "text": isinstance(value, str),
        "a number": is_number(value),
        "a map": isinstance(value, Mapping),
        "text, a list or a map": isinstance(value, (str, list, tuple, Mapping)),
    }[wanted]
    if not fits:
        raise ConditionError(f"{name} needs {wanted}, not {kind(value)}")


def _len(budget: Budget, value: Any) -> int:
    _need(value, "text, a list or a map", "len()")
    return len(value)


def _extreme(name: str, sign: str) -> Callable[..., Any]:
    def function(budget: Budget, *values: Any) -> Any:
        items = items_of(values[0], budget, f"{name}()") if len(values) == 1 else values
        if not items:
            raise ConditionError(
                f"{name}() of an empty list has no value", hint=f"test len(...) > 0 before {name}(...)"
            )
        return _best(items, sign, budget)

    return function


def _best(items: Any, sign: str, budget: Budget) -> Any:
    best = present(items[0])
    budget.walk(items)
    for item in items[1:]:
        item = present(item)
        if ordered(item, sign, best, budget):
            best = item
    return best


def _sum(budget: Budget, values: Any) -> Any:
    items = [present(item) for item in items_of(values, budget, "sum()")]
    for item in items:
        _need(item, "a number", "sum(): each item")
    return bounded_number(sum(items))


def _abs(budget: Budget, value: Any) -> Any:
    _need(value, "a number", "abs()")
    return abs(value)


def _round(budget: Budget, value: Any, places: Any = None) -> Any:
    _need(value, "a number", "round()")
    if places is None:
        return bounded_number(round(value))
    if not isinstance(places, int) or abs(places) > _MOST_PLACES:
        raise ConditionError(f"round() takes a whole number of decimal places up to {_MOST_PLACES}")
    return bounded_number(round(value, places))


def _any(budget: Budget, values: Any) -> bool:
    return any(present(item) for item in items_of(values, budget, "any()"))


def _all(budget: Budget, values: Any) -> bool:
    return all(present(item) for item in items_of(values, budget, "all()"))


def _number(name: str, convert: Callable[[Any], Any]) -> Callable[[Budget, Any], Any]:
    def function(budget: Budget, value: Any) -> Any:
        if not isinstance(value, (str, int, float)):
            raise ConditionError(f"{name}() needs a number or text, not {kind(value)}")
        if isinstance(value, str) and len(value) > _LONGEST_NUMBER:
            raise ConditionError(f"{name}() of a text of {len(value):,} characters: the number is too large")
        try:
            return bounded_number(convert(value))
        except (ValueError, OverflowError):  # text that is no number; infinity
            raise ConditionError(f"{name}() cannot read {str(value)[:60]!r} as a number") from None

    return function


_int = _number("int", int)
_float = _number("float", float)


def _bool(budget: Budget, value: Any) -> bool:
    return bool(value)


def _text(name: str, change: Callable[[str], str]) -> Callable[[Budget, Any], str]:
    def function(budget: Budget, value: Any) -> str:
        _need(value, "text", f"{name}()")
        budget.read(value)
        return change(value)

    return function


def _edge(name: str, test: Callable[[str, Any], bool]) -> Callable[[Budget, Any, Any], bool]:
    def function(budget: Budget, value: Any, edge: Any) -> bool:
        _need(value, "text", f"{name}()")
        edges = edge if isinstance(edge, (list, tuple)) else (edge,)
        budget.read(edges)
        for each in edges:
            _need(each, "text", f"{name}(): what is looked for")
        return test(value, tuple(edges))

    return function


def _contains(budget: Budget, container: Any, item: Any) -> bool:
    return contains(container, item, budget)


def _strip(budget: Budget, value: Any, characters: Any = None) -> str:
    _need(value, "text", "strip()")
    if characters is not None:
        _need(characters, "text", "strip(): the characters")
        budget.read(characters)
        budget.charge(len(value) * len(characters) // 1_000)  # each character is compared with each of them
    budget.read(value)
    return str(value.strip(characters))


def _get(budget: Budget, value: Any, key: Any, otherwise: Any = None) -> Any:
    _need(value, "a map", ".get()")
    if isinstance(key, (list, tuple, Mapping)):
        raise ConditionError(f"{kind(key)} cannot be a key of a map")
    return value.get(key, otherwise)


def _parts(name: str, part: Callable[[Mapping[Any, Any]], Any]) -> Callable[[Budget, Any], list[Any]]:
    def function(budget: Budget, value: Any) -> list[Any]:
        _need(value, "a map", f".{name}()")
        bounded_size(len(value), "list")
        budget.read(value)
        return list(part(value))

    return function


# Jinja's filters, where they differ from the function of that name: a text that is no number gives the default, and
# an empty list gives an absent value.


def _filter_number(name: str, convert: Callable[[Any], Any]) -> Callable[[Budget, Any, Any], Any]:
    def function(budget: Budget, value: Any, otherwise: Any) -> Any:
        if isinstance(value, str) and len(value) > _LONGEST_NUMBER:
            raise ConditionError(f"| {name} of a text of {len(value):,} characters: the number is too large")
        try:
            return bounded_number(convert(value))
        except (ValueError, TypeError, OverflowError):  # as Jinja: what is no number gives the default
            return otherwise

    return function


def _int_of(value: Any) -> int:
    try:
        return int(value)
    except ValueError:  # "42.5" | int is 42
        return int(float(value))


def _filter_round(budget: Budget, value: Any, places: Any, method: Any) -> Any:
    _need(value, "a number", "| round")
    if not isinstance(places, int) or abs(places) > _MOST_PLACES:
        raise ConditionError(f"| round takes a whole number of decimal places up to {_MOST_PLACES}")
    if method == "common":
        return bounded_number(round(value, places))
    if method not in ("ceil", "floor"):
        raise ConditionError("| round takes the method common, ceil or floor")
    try:
        scale = 10.0**places
        return (math.ceil if method == "ceil" else math.floor)(value * scale) / scale
    except (OverflowError, ValueError, ZeroDivisionError):  # the scaled number is infinite, or the scale is zero
        raise ConditionError("| round: the number is too large for so many places") from None


def _filter_trim(budget: Budget, value: Any, characters: Any) -> str:
    return _strip(budget, text_of(value, budget), characters)


def _filter_text(change: Callable[[str], str]) -> Callable[[Budget, Any], str]:
    def function(budget: Budget, value: Any) -> str:
        text = text_of(value, budget)
        budget.read(text)
        return change(text)

    return function


def _filter_edge(name: str, position: int) -> Callable[[Budget, Any], Any]:
    def function(budget: Budget, value: Any) -> Any:
        items = items_of(value, budget, f"| {name}")
        return items[position] if items else Absent(f"{kind(value)} without items has no {name} item")

    return function


def _filter_extreme(name: str, sign: str) -> Callable[[Budget, Any], Any]:
    def function(budget: Budget, value: Any) -> Any:
        items = [present(item) for item in items_of(value, budget, f"| {name}")]
        if not items:
            return Absent(f"{kind(value)} without items has no {name}")
        if not all(isinstance(item, str) for item in items):
            return _best(items, sign, budget)
        best = items[0]
        for item in items[1:]:  # as Jinja: capital letters do not count
            budget.read(item)
            if ordered(item.lower(), sign, best.lower(), budget):
                best = item
        return best

    return function


def _filter_join(budget: Budget, value: Any, between: Any) -> str:
    separator = text_of(between, budget)
    return joined((text_of(present(item), budget) for item in items_of(value, budget, "| join")), separator)


def _filter_from_json(budget: Budget, value: Any) -> Any:
    _need(value, "text", "| from_json")
    bounded_size(len(value), "text")
    budget.charge(len(value) // 100 + 1)
    try:
        return json.loads(value, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        said = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise ConditionError(f"| from_json cannot read the text as JSON: {said}") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


@dataclass(frozen=True, slots=True)
class Operation:
    """A function with how many values it takes and, for the check before anything runs, their types.

    Attributes:
        call: Takes the budget and the values.
        least, most: How many values.
        takes: Type names of the first value that are accepted; empty for any.
        gives: Type name of the result, ``unknown`` where it depends.
    """

    call: Callable[..., Any]
    least: int
    most: int
    takes: frozenset[str]
    gives: str


def _operation(call: Callable[..., Any], least: int, most: int, takes: str, gives: str) -> Operation:
    return Operation(call, least, most, frozenset(takes.split()), gives)


_ITEMS: Final = "array string object"
_NUMBER: Final = "number integer boolean"

# By the name that the tree uses: "len" is a function, ".get" a method only, "|int" a filter with its own meaning.
OPERATIONS: Final[dict[str, Operation]] = {
    "len": _operation(_len, 1, 1, _ITEMS, "integer"),
    "min": _operation(_extreme("min", "<"), 1, MANY, "", "unknown"),
    "max": _operation(_extreme("max", ">"), 1, MANY, "", "unknown"),
    "sum": _operation(_sum, 1, 1, _ITEMS, "number"),
    "abs": _operation(_abs, 1, 1, _NUMBER, "number"),
    "round": _operation(_round, 1, 2, _NUMBER, "number"),
    "any": _operation(_any, 1, 1, _ITEMS, "boolean"),
    "all": _operation(_all, 1, 1, _ITEMS, "boolean"),
    "str": _operation(lambda budget, value: text_of(value, budget), 1, 1, "", "string"),
    "int": _operation(_int, 1, 1, f"{_NUMBER} string", "integer"),
    "float": _operation(_float, 1, 1, f"{_NUMBER} string", "number"),
    "bool": _operation(_bool, 1, 1, "", "boolean"),
    "lower": _operation(_text("lower", str.lower), 1, 1, "string", "string"),
    "upper": _operation(_text("upper", str.upper), 1, 1, "string", "string"),
    "startswith": _operation(_edge("startswith", str.startswith), 2, 2, "string", "boolean"),
    "endswith": _operation(_edge("endswith", str.endswith), 2, 2, "string", "boolean"),
    "contains": _operation(_contains, 2, 2, _ITEMS, "boolean"),
    ".strip": _operation(_strip, 1, 2, "string", "string"),
    ".get": _operation(_get, 2, 3, "object", "unknown"),
    ".keys": _operation(_parts("keys", lambda value: value), 1, 1, "object", "array"),
    ".values": _operation(_parts("values", lambda value: value.values()), 1, 1, "object", "array"),
    ".items": _operation(_parts("items", lambda value: map(list, value.items())), 1, 1, "object", "array"),
    "|int": _operation(_filter_number("int", _int_of), 2, 2, "", "unknown"),
    "|float": _operation(_filter_number("float", float), 2, 2, "", "unknown"),
    "|round": _operation(_filter_round, 3, 3, _NUMBER, "number"),
    "|trim": _operation(_filter_trim, 2, 2, "", "string"),
    "|lower": _operation(_filter_text(str.lower), 1, 1, "", "string"),
    "|upper": _operation(_filter_text(str.upper), 1, 1, "", "string"),
    "|first": _operation(_filter_edge("first", 0), 1, 1, _ITEMS, "unknown"),
    "|last": _operation(_filter_edge("last", -1), 1, 1, _ITEMS, "unknown"),
    "|min": _operation(_filter_extreme("min", "<"), 1, 1, _ITEMS, "unknown"),
    "|max": _operation(_filter_extreme("max", ">"), 1, 1, _ITEMS, "unknown"),
    "|join": _operation(_filter_join, 2, 2, _ITEMS, "string"),
    "|from_json": _operation(_filter_from_json, 1, 1, "string", "unknown"),
}

NAMED: Final = frozenset(name for name in OPERATIONS if name.isidentifier())
METHODS: Final = {
    **{name: name for name in ("lower", "upper", "startswith", "endswith")},
    **{name[1:]: name for name in OPERATIONS if name.startswith(".")},
}
# Filter: the operation, and the names and defaults of what it takes besides the value.
FILTERS: Final[dict[str, tuple[str, tuple[tuple[str, Scalar], ...]]]] = {
    "default": ("default", (("default_value", ""), ("boolean", False))),
    "d": ("default", (("default_value", ""), ("boolean", False))),
    "length": ("len", ()),
    "count": ("len", ()),
    "lower": ("|lower", ()),
    "upper": ("|upper", ()),
    "string": ("str", ()),
    "trim": ("|trim", (("chars", None),)),
    "int": ("|int", (("default", 0),)),
    "float": ("|float", (("default", 0.0),)),
    "round": ("|round", (("precision", 0), ("method", "common"))),
    "abs": ("abs", ()),
    "first": ("|first", ()),
    "last": ("|last", ()),
    "sum": ("sum", ()),
    "min": ("|min", ()),
    "max": ("|max", ()),
    "join": ("|join", (("d", ""),)),
    "from_json": ("|from_json", ()),
}
