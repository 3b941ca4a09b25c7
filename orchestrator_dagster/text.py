"""Small helpers for messages that people read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

_ASKED = re.compile(r'; did you mean "(?P<name>[^"]+)"\?')


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like ``name`` (case, ``-`` and ``_`` do not count), or None when none is near."""
    names = {candidate.lower().replace("-", "_"): candidate for candidate in sorted(known, reverse=True)}
    found = get_close_matches(name.lower().replace("-", "_"), names, n=1, cutoff=0.6)
    return names[found[0]] if found else None


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
