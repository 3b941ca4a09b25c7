"""Small helpers for messages that people read."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from orchestrator_dagster.near_names import NearNames

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
