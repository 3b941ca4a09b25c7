"""Cron expressions as Dagster takes them, checked without Dagster; each mistake is named with its field.

Dagster's own check (a croniter that it carries with it) answers yes or no, and importing it imports all of Dagster. A
property test compares the two.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from orchestrator_dagster.text import nearest_name

#: Dagster's names for common expressions, and what they stand for.
MACROS = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}  # fmt: skip
_MONTHS = dict(zip("jan feb mar apr may jun jul aug sep oct nov dec".split(), range(1, 13), strict=True))
_WEEKDAYS = dict(zip("sun mon tue wed thu fri sat".split(), range(7), strict=True))
#: The most days that each month has.
_LONGEST = dict(zip(range(1, 13), (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), strict=True))
_DAY, _MONTH, _WEEKDAY = 2, 3, 4

_NUMBER = re.compile(r"[0-9]+\Z")
_ELEMENT = re.compile(r"(?P<low>\*|[^-/*]+)(?:-(?P<high>[^-/*]+))?(?:/(?P<step>[^/]*))?\Z")
_NTH = re.compile(r"(?P<days>[a-z]{3}-[a-z]{3}|\w+)#(?P<nth>[0-9]+)\Z", re.ASCII)
_LAST = re.compile(r"l(?P<day>[0-9]+)\Z")


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    names: dict[str, int] = field(default_factory=dict)

    @property
    def range(self) -> str:
        names = list(self.names)
        return f"{self.low}–{self.high}" + (f" or {names[0]}–{names[-1]}" if names else "")


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 6, _WEEKDAYS),
)


class _Wrong(Exception):  # noqa: N818 - not an error that anybody sees: what is wrong with one field
    """What is wrong with one field."""


def cron_problems(text: str) -> list[str]:
    """What is wrong with a cron expression, one part of a sentence for each mistake; nothing when Dagster takes it.

    Args:
        text: Five fields, or one of :data:`MACROS`.

    Example:
        >>> cron_problems("0 25 * * *"), cron_problems("0 6 * * mon-fri"), cron_problems("@daily")
        (['the hour "25" is not in 0–23'], [], [])
    """
    lowered = text.lower()
    parts = MACROS.get(lowered, lowered).split()
    if lowered.startswith("@") and lowered not in MACROS:
        return [f'there is no "{text}"']
    if len(parts) != len(_FIELDS):
        return [f"it has {len(parts)} field{'s' * (len(parts) != 1)}, and not five"]
    found: list[set[int | str] | None] = []
    wrong: list[str] = []
    for number, part in enumerate(parts):
        try:
            found.append(_values(number, part))
        except _Wrong as problem:
            found.append(None)
            wrong.append(str(problem))
    days, months, weekdays = found[_DAY], found[_MONTH], found[_WEEKDAY]
    if days is not None and months is not None and weekdays is not None and _never(days, months, weekdays):
        wrong.append("that day is in none of its months")
    return wrong


def cron_hint(text: str) -> str:
    """The next step for an expression that is wrong."""
    word = re.sub(r"[^a-z]", "", text.lower())
    near = nearest_name(f"@{word}", MACROS) if word else None
    if near and "*" not in text:
        return f'write `cron: "{near}"`, or five fields: minute, hour, day of month, month, day of week'
    return 'write five fields: minute, hour, day of month, month, day of week; `"0 6 * * 1-5"` is 6:00 on weekdays'


def _never(days: set[int | str], months: set[int | str], weekdays: set[int | str]) -> bool:
    """Whether the days are in none of the months; a day of week beside them still has its days."""
    if months == {2} and len(days) == 1 and days <= {30, 31}:
        return True  # Dagster refuses these also with a day of week
    numbers = [day for day in days if isinstance(day, int)]
    if "*" not in weekdays or len(numbers) < len(days):
        return False
    longest = max((_LONGEST[one] for one in months if isinstance(one, int)), default=31)
    return "*" not in months and min(numbers) > longest


def _values(number: int, text: str) -> set[int | str]:
    """The values of a field: numbers, ``*``, and ``l`` for the last day of the month."""
    one = _FIELDS[number]
    if "?" in text:
        if text != "?" or number not in (_DAY, _WEEKDAY):
            raise _Wrong(f'the {one.name} "{text}": ? stands alone, and only for a day')
        return {"*"}
    values: set[int | str] = set()
    special: set[int | str] = set()
    for element in text.split(","):
        if not element:
            raise _Wrong(f'the {one.name} "{text}" has a comma too many')
        nth, last = _NTH.match(element), _LAST.match(element)
        if number == _WEEKDAY and (nth or last):
            if nth and not 1 <= _int(nth["nth"]) <= 5:
                raise _Wrong(f'the {one.name} "{element}": a weekday is in a month 1 to 5 times')
            got = _element(number, nth["days"] if nth else last["day"], element)  # type: ignore[index]
            special |= got
        else:
            got = _element(number, element, element)
        values |= got
    if special and values - special - {"*"} and len(values) != 7:
        raise _Wrong(f'the {one.name} "{text}": weekdays with # or L cannot stand beside others')
    return {"*"} if len(values) == one.high - one.low + 1 and number not in (_DAY, _WEEKDAY) else values


def _element(number: int, element: str, shown: str) -> set[int | str]:
    """The values of one element between commas: ``5``, ``mon``, ``1-5``, ``*/15``, ``10-50/5``."""
    one = _FIELDS[number]
    if number == _DAY and element == "l":
        return {"l"}
    parts = _ELEMENT.match(element)
    if parts is None or (parts["low"] == "*" and parts["high"]):
        raise _Wrong(f'the {one.name} "{shown}" is neither in {one.range} nor a range such as {one.low}-{one.high}')
    low, high, step = parts["low"], parts["high"], parts["step"]
    if low == "*" and step is None:
        return {"*"}
    if step is not None and (not _NUMBER.match(step) or _int(step) == 0):
        raise _Wrong(f'the {one.name} "{shown}": the step behind / is a number from 1')
    first = one.low if low == "*" else _number(number, low, shown)
    if high is None and step is None:
        if not one.low <= first <= one.high:
            raise _Wrong(f'the {one.name} "{shown}" is not in {one.range}')
        return {first}
    last = one.high if high is None else one.high if number == _DAY and high == "l" else _number(number, high, shown)
    size = _int(step or "1")
    # The first past the last goes round (`fri-mon`); the two alike are the whole round, as Dagster has it.
    if max(first, last) > one.high or (first < last and first < one.low):
        raise _Wrong(f'the {one.name} "{shown}" leaves {one.range}')
    if first == last:
        return set(range(one.low, one.high + 1, size))
    if first < last:
        return set(range(first, last + 1, size))
    # Which days follow after the turn does not matter here: all of them are in the range.
    return {*range(first, one.high + 1, size), *range(one.low, last + 1)}


def _int(digits: str) -> int:
    """The number; one of very many digits is cut, which leaves it too large."""
    return int(digits.lstrip("0")[:9] or "0")


def _number(number: int, text: str, shown: str) -> int:
    """A number or name of a field; 7 is Sunday."""
    one = _FIELDS[number]
    if _NUMBER.match(text):
        value = _int(text)
    elif text in one.names:
        value = one.names[text]
    else:
        near = nearest_name(text, one.names)
        asked = f'; did you mean "{near}"?' if near else ""
        raise _Wrong(f'the {one.name} "{shown}" is not in {one.range}{asked}')
    return 0 if number == _WEEKDAY and value == 7 else value
