"""Regular expressions that would take forever on some texts, refused before they are used.

Python's ``re`` tries every way to match. Where one part of a text can be matched in many ways, because a repeat stands
in a repeat or because two branches of a repeat begin alike, the time doubles with every character.
"""

from __future__ import annotations

import functools
import re
import sys
from typing import Any

if sys.version_info >= (3, 11):
    from re import _constants as signs  # type: ignore[attr-defined]
    from re import _parser as parser  # type: ignore[attr-defined]
else:  # pragma: no cover - Python 3.10
    import sre_constants as signs
    import sre_parse as parser

_LONGEST_PATTERN = 2000
_MANY = 16  # a repeat that can go on longer is as good as endless
# Beyond ASCII: 128 stands for letters and digits, 129 for white space, 130 for everything else.
_ALL = frozenset(range(131))
_BEYOND = frozenset((128, 129, 130))
_CATEGORIES = {"digit": r"\d", "space": r"\s", "word": r"\w"}


@functools.lru_cache(maxsize=1024)
def check_pattern(pattern: str) -> str | None:
    """What is wrong with a regular expression, as a clause behind it; None when nothing is.

    >>> check_pattern("(a+)+$")
    'may take forever on some texts: a repeat stands in a repeat'
    >>> check_pattern(r"(\\d+,)*\\d+") is None
    True
    """
    if len(pattern) > _LONGEST_PATTERN:
        return f"is longer than {_LONGEST_PATTERN:,} characters"
    try:
        re.compile(pattern)
        tree = parser.parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"is no regular expression: {error}"
    return _in_sequence(_items(tree), False)


def _items(tree: Any) -> list[Any]:
    return list(tree)


def _in_sequence(items: list[Any], repeated: bool) -> str | None:
    """What is dangerous in a sequence. ``repeated`` says that it stands in a repeat without end."""
    for sign, value in items:
        for body, again in _bodies(sign, value):
            if again and _clashes(body):
                return "may take forever on some texts: a repeat stands in a repeat"
            wrong = _in_sequence(body, repeated or again)
            if wrong:
                return wrong
        if sign is signs.BRANCH and repeated and _begin_alike(value[1]):
            return "may take forever on some texts: branches of a repeat begin alike"
    return None


def _bodies(sign: Any, value: Any) -> list[tuple[list[Any], bool]]:
    """The sequences inside an item, and whether each is repeated without end."""
    if sign in (signs.MAX_REPEAT, signs.MIN_REPEAT):
        return [(list(value[2]), value[1] is signs.MAXREPEAT or value[1] > _MANY)]
    if sign is signs.SUBPATTERN:
        return [(list(value[-1]), False)]
    if sign is signs.BRANCH:
        return [(list(branch), False) for branch in value[1]]
    if sign in (signs.ASSERT, signs.ASSERT_NOT):
        return [(list(value[1]), False)]
    if sign is signs.GROUPREF_EXISTS:
        return [(list(part), False) for part in value[1:] if part is not None]
    return []


def _clashes(body: list[Any]) -> bool:
    """Whether a repeated sequence has a repeat in it that nothing separates from the next round."""
    inner = _repeated_characters(body)
    if not inner:
        return False
    return not any(own and not own & inner for own in map(_characters, _flat(body)))


def _flat(body: list[Any]) -> list[Any]:
    """The items of a sequence, those of plain groups among them."""
    found: list[Any] = []
    for sign, value in body:
        found += _flat(list(value[-1])) if sign is signs.SUBPATTERN else [(sign, value)]
    return found


def _repeated_characters(body: list[Any]) -> frozenset[int]:
    """Every character that a repeat without end in the sequence may match."""
    found: frozenset[int] = frozenset()
    for sign, value in body:
        for inner, again in _bodies(sign, value):
            found |= _all_characters(inner) if again else _repeated_characters(inner)
    return found


def _all_characters(body: list[Any]) -> frozenset[int]:
    found: frozenset[int] = frozenset()
    for item in body:
        own = _characters(item)
        found |= own
        for inner, _ in _bodies(*item):
            found |= _all_characters(inner)
        if not own and item[0] in (signs.GROUPREF,):
            return _ALL
    return found


def _characters(item: Any) -> frozenset[int]:
    """The characters that an item of one character matches; none for other items."""
    sign, value = item
    if sign is signs.LITERAL:
        return frozenset((_code(value),))
    if sign is signs.NOT_LITERAL:
        return _ALL - ({value} if value < 128 else set())
    if sign is signs.ANY:
        return _ALL
    if sign is not signs.IN:
        return frozenset()
    found: set[int] = set()
    for kind, one in value:
        if kind is signs.LITERAL:
            found.add(_code(one))
        elif kind is signs.RANGE:
            found.update(range(one[0], min(one[1], 127) + 1))
            found |= _BEYOND if one[1] > 127 else set()
        elif kind is signs.CATEGORY:
            found |= _category(str(one).lower())
    return _ALL - found if value and value[0][0] is signs.NEGATE else frozenset(found)


def _code(character: int) -> int:
    if character < 128:
        return character
    return 129 if chr(character).isspace() else 128 if chr(character).isalnum() else 130


def _category(name: str) -> frozenset[int]:
    key = next(key for key in _CATEGORIES if key in name)
    own = {code for code in range(128) if re.match(_CATEGORIES[key], chr(code))} | {129 if key == "space" else 128}
    if "not" not in name:
        return frozenset(own)
    # Letters and digits beyond ASCII are in \D too: some of them are no digits.
    return (_ALL - own) | ({128} if key == "digit" else frozenset())


def _begin_alike(branches: list[Any]) -> bool:
    """Whether two branches may begin with the same character, or one may be empty."""
    seen: frozenset[int] = frozenset()
    for branch in branches:
        first = _flat(list(branch))[:1]
        own = _characters(first[0]) if first else frozenset()
        if first and not own and first[0][0] in (signs.MAX_REPEAT, signs.MIN_REPEAT) and first[0][1][0] > 0:
            own = _all_characters(list(first[0][1][2]))
        if not own or own & seen:
            return True
        seen |= own
    return False
