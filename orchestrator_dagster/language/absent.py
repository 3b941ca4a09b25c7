"""The marker for a value that is not there: a skipped step's, a missing field's, a name without a value."""

from __future__ import annotations


class Absent:
    """A value that is not there, with the reason to tell people.

    ``and``, ``or``, ``not``, ``is defined`` and ``default`` take it as absent and false; whatever needs a value
    (comparing, printing, iterating) fails with ``reason``.

    Args:
        reason: Why there is no value, as a clause that can stand after a colon, such as
            ``step research was skipped because its condition was false``.
    """

    __slots__ = ("reason",)

    reason: str

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __bool__(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Absent) and other.reason == self.reason

    def __hash__(self) -> int:
        return hash((Absent, self.reason))

    def __repr__(self) -> str:
        return f"Absent({self.reason!r})"
