"""A text that a regular expression matches, the same every time."""

from __future__ import annotations

import re
import string
import sys
from collections.abc import Sequence
from typing import Any

if sys.version_info >= (3, 11):
    from re import _constants, _parser  # type: ignore[attr-defined]  # the parser of re has no public name
else:
    import sre_constants as _constants
    import sre_parse as _parser

_MOST_REPEATS = 64
_ALPHABET = string.ascii_letters + string.digits + " -_.,:;!?/@#$%&*+=()[]{}<>'\"\\|~^`\t\n"
_CATEGORY = {
    _constants.CATEGORY_DIGIT: r"\d",
    _constants.CATEGORY_NOT_DIGIT: r"\D",
    _constants.CATEGORY_SPACE: r"\s",
    _constants.CATEGORY_NOT_SPACE: r"\S",
    _constants.CATEGORY_WORD: r"\w",
    _constants.CATEGORY_NOT_WORD: r"\W",
}


def pattern_text(pattern: str, least: int = 0, most: float = float("inf")) -> str | None:
    """A text of ``least`` to ``most`` characters in which ``pattern`` is found, None when none could be made.

    Look-arounds and back-references are passed over, so a pattern that needs them may get None.
    """
    try:
        compiled, parsed = re.compile(pattern), _parser.parse(pattern)
    except (re.error, OverflowError):
        return None
    for extra in range(_MOST_REPEATS):
        text = _sequence(parsed, extra)
        padded = text + "." * (least - len(text))
        for candidate in (text, padded):
            if least <= len(candidate) <= most and compiled.search(candidate):
                return candidate
    return None


def _sequence(parsed: Any, extra: int) -> str:
    """The text of one parsed pattern; every repetition takes ``extra`` more than its least."""
    return "".join(_part(kind, value, extra) for kind, value in parsed)


def _part(kind: Any, value: Any, extra: int) -> str:
    if kind is _constants.LITERAL:
        return chr(value)
    if kind is _constants.NOT_LITERAL:
        return next(character for character in _ALPHABET if ord(character) != value)
    if kind is _constants.ANY:
        return "a"
    if kind is _constants.IN:
        return _one_of(value)
    if kind is _constants.BRANCH:
        return _sequence(value[1][0], extra)
    if kind is _constants.SUBPATTERN:
        return _sequence(value[3], extra)
    if kind in _REPEATS:
        least, most, inner = value
        return _sequence(inner, extra) * min(int(least) + extra, int(most))
    if kind in _GROUPS:
        return _sequence(value, extra)
    return ""  # an anchor, a look-around, a back-reference: the caller checks what came out


_REPEATS = [
    getattr(_constants, name) for name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT") if hasattr(_constants, name)
]
_GROUPS = [_constants.ATOMIC_GROUP] if hasattr(_constants, "ATOMIC_GROUP") else []


def _one_of(items: Sequence[tuple[Any, Any]]) -> str:
    """The first character of a set like ``[a-z]`` or ``[^0-9]``."""
    negated = items[0][0] is _constants.NEGATE
    if not negated:
        kind, value = items[0]
        if kind is _constants.LITERAL:
            return chr(value)
        if kind is _constants.RANGE:
            return chr(value[0])
    return next((c for c in _ALPHABET if negated != any(_has(kind, value, c) for kind, value in items)), "")


def _has(kind: Any, value: Any, character: str) -> bool:
    if kind is _constants.LITERAL:
        return ord(character) == int(value)
    if kind is _constants.RANGE:
        return bool(value[0] <= ord(character) <= value[1])
    return kind is _constants.CATEGORY and re.match(_CATEGORY[value], character) is not None
