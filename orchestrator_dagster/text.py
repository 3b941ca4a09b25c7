"""Small helpers for messages that people read."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from orchestrator_dagster.near_names import NearNames

# Control characters but for line end and tab, and those that turn the direction of what follows.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_HALF = re.compile(r"[\ud800-\udfff]")
_ASKED = re.compile(r'; did you mean "(?P<name>[^"]+)"\?')


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like ``name`` (case, ``-`` and ``_`` do not count), or None when none is near."""
    names, near = _as_compared(tuple(known))
    found = near.nearest(name.lower().replace("-", "_"))
    return names[found] if found is not None else None


@functools.lru_cache(maxsize=32)
def _as_compared(known: tuple[str, ...]) -> tuple[dict[str, str], NearNames]:
    """Names by how they are compared, of several that are alike the first by its letters; asked for again and again."""
    names = {candidate.lower().replace("-", "_"): candidate for candidate in sorted(known, reverse=True)}
    return names, NearNames(names)


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean "x"?`` or nothing, to put behind a message."""
    found = nearest_name(name, known)
    return f'; did you mean "{found}"?' if found else ""


def without_question(message: str) -> tuple[str, str | None]:
    """A message without what :func:`nearest` put behind it, and the name that it asked for.

    >>> without_question('there is no tool "web_serch"; did you mean "web_search"?')
    ('there is no tool "web_serch"', 'web_search')
    """
    found = _ASKED.search(message)
    return (message.replace(found[0], ""), found["name"]) if found else (message, None)


def visible(text: str) -> str:
    """A text as a terminal may show it: what would move the cursor, colour or hide something is written out.

    What models, tools and documents say stands in messages; their escape sequences are no commands.

    >>> visible("red: \\x1b[31m")
    'red: \\\\x1b[31m'
    """
    return _HALF.sub("\N{REPLACEMENT CHARACTER}", _CONTROL.sub(lambda sign: ascii(sign[0])[1:-1], text))


def encodable(text: str) -> str:
    """A text that UTF-8 can hold: halves of characters, which JSON can bring along, become the replacement character.

    >>> encodable("a\\ud800b") == "a\N{REPLACEMENT CHARACTER}b"
    True
    """
    return _HALF.sub("\N{REPLACEMENT CHARACTER}", text)
