"""Pydantic's errors in the words of the language: what was expected, what was found, one problem a place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_EXPECTED = {
    "string_type": "a text", "string_sub_type": "a text",
    "int_type": "an integer", "int_parsing": "an integer", "int_from_float": "an integer",
    "int_parsing_size": "an integer",
    "float_type": "a number", "float_parsing": "a number", "finite_number": "a finite number",
    "bool_type": "true or false", "bool_parsing": "true or false",
    "dict_type": "a map", "model_type": "a map", "model_attributes_type": "a map", "mapping_type": "a map",
    "dataclass_type": "a map", "typed_dict_type": "a map",
    "list_type": "a list", "tuple_type": "a list", "set_type": "a list", "iterable_type": "a list",
    "none_required": "nothing", "is_instance_of": "another kind of value",
    "date_type": "a date", "date_parsing": "a date such as 2026-01-31",
    "date_from_datetime_parsing": "a date such as 2026-01-31",
    "datetime_type": "a date and time", "datetime_parsing": "a date and time such as 2026-01-31T08:00",
    "url_parsing": "a URL such as https://example.com", "path_type": "a path",
}  # fmt: skip
_LIMITS = {
    "greater_than": ("gt", "a number greater than {}"), "greater_than_equal": ("ge", "at least {}"),
    "less_than": ("lt", "a number less than {}"), "less_than_equal": ("le", "at most {}"),
    "multiple_of": ("multiple_of", "a multiple of {}"),
}  # fmt: skip
_LENGTHS = {
    "too_short": ("min_length", "at least {} entries"), "too_long": ("max_length", "at most {} entries"),
    "string_too_short": ("min_length", "at least {} characters"),
    "string_too_long": ("max_length", "at most {} characters"),
}  # fmt: skip
_WRONG_VALUES = ("literal_error", "enum", *_LIMITS, *_LENGTHS, "string_pattern_mismatch", "finite_number")

#: Says which parts of an error's place are keys and indexes, and not names that Pydantic puts in between.
Place = tuple[Any, ...]
Placing = Callable[[Mapping[str, Any]], Place]


@dataclass
class Fault:
    """What is wrong at one place: Pydantic's errors there (of a union, one for each member), as one.

    ``expected`` has what would have been right; without it, ``message`` says what is wrong.
    """

    place: Place
    kind: str
    value: Any
    expected: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    message: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_wrong_value(self) -> bool:
        """Whether the type is right and the value is not."""
        return self.kind in _WRONG_VALUES

    @property
    def sentence(self) -> str:
        """What was expected and what was found."""
        if not self.expected:
            return self.message
        return f"expected {_either(self.expected)}, found {described(self.value)}"


def faults(errors: Sequence[Mapping[str, Any]], placing: Placing) -> list[Fault]:
    """Pydantic's errors, those of one place together, in their order.

    Args:
        errors: From ``ValidationError.errors()``.
        placing: Gives the place of one error.
    """
    found: dict[Place, Fault] = {}
    for error in errors:
        place, kind = placing(error), str(error["type"])
        context = error.get("ctx", {})
        expected = expectation(kind, context)
        before = found.get(place)
        # An error deeper in one member of a union says more than that another member is of a different type.
        if before is None or not (expected and before.expected):
            if before is not None and expected:
                continue
            found[place] = before = Fault(place, kind, error["input"], context=context)
            before.message = str(error["msg"]).removeprefix("Value error, ")
        if expected and expected not in before.expected:
            before.expected.append(expected)
        if kind == "literal_error":
            before.options += re.findall(r"'([^']+)'", str(context.get("expected", "")))
    # Pydantic counts only the entries that are right: a list of one wrong entry is "too short" for it.
    return [one for one in found.values() if one.kind != "too_short" or not _has_inner(one.place, found)]


def _has_inner(place: Place, found: Mapping[Place, Fault]) -> bool:
    return any(len(other) > len(place) and other[: len(place)] == place for other in found)


def expectation(kind: str, context: Mapping[str, Any]) -> str | None:
    """What an error of this kind wanted, such as ``an integer``; None when its own message says it better."""
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    if kind in _LIMITS:
        name, text = _LIMITS[kind]
        return text.format(_number(context.get(name)))
    if kind in _LENGTHS:
        name, text = _LENGTHS[kind]
        number = context.get(name)
        return text.format(number) if number != 1 else text.format(number).replace("entries", "entry")
    if kind in ("literal_error", "enum"):
        return "one of " + str(context.get("expected", "")).replace("'", '"')
    return None


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _either(options: Sequence[str]) -> str:
    options = ["a number" if one == "an integer" and "a number" in options else one for one in options]
    options = list(dict.fromkeys(options))
    return ", ".join(options[:-1]) + " or " + options[-1] if len(options) > 1 else options[0]


def described(value: Any) -> str:
    """A value as a message names it: ``the number 3``, ``the text "a"``, ``a list``."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        text = value if len(value) <= 40 else value[:39] + "…"
        return f'the text "{text}"'
    if isinstance(value, (list, tuple)):
        return "a list"
    return "a map" if isinstance(value, Mapping) else f"a {type(value).__name__}"


def path_text(place: Sequence[Any]) -> str:
    """A place as ``rows[2].name``."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
