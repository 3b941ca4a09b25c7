"""Values for a log: as they are, with long texts and long lists cut."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

_TEXT, _ITEMS, _DEPTH = 1000, 20, 5


def short(value: Any, depth: int = _DEPTH) -> Any:
    """A JSON value that is bounded: texts of 1,000 characters, lists and maps of 20 entries, five levels deep.

    What was cut says so in its place.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return value if len(value) <= _TEXT else f"{value[:_TEXT]}… ({len(value):,} characters)"
    if isinstance(value, Mapping):
        if depth <= 0:
            return f"… ({len(value):,} fields)"
        found = {str(name): short(item, depth - 1) for name, item in islice(value.items(), _ITEMS)}
        return {**found, "…": f"{len(value) - _ITEMS:,} more"} if len(value) > _ITEMS else found
    if isinstance(value, (list, tuple)):
        if depth <= 0:
            return f"… ({len(value):,} items)"
        shown = [short(item, depth - 1) for item in value[:_ITEMS]]
        return [*shown, f"… {len(value) - _ITEMS:,} more"] if len(value) > _ITEMS else shown
    return short(str(value))
