"""Small helpers for messages that people read."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like ``name`` (case, ``-`` and ``_`` do not count), or None when none is near."""
    names = {candidate.lower().replace("-", "_"): candidate for candidate in sorted(known, reverse=True)}
    found = get_close_matches(name.lower().replace("-", "_"), names, n=1, cutoff=0.6)
    return names[found[0]] if found else None


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean "x"?`` or nothing, to put behind a message."""
    found = nearest_name(name, known)
    return f'; did you mean "{found}"?' if found else ""
