"""Glob patterns over paths, the same on every Python and every system.

``*`` and ``?`` stay inside one name, ``**`` stands for any number of folders, ``[ab]`` for one of the characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from orchestrator_dagster.errors import PathError
from orchestrator_dagster.files.path_text import check_path_text


class GlobPattern:
    """A pattern for paths relative to a folder, written with ``/``.

    Args:
        pattern: For example ``*.md`` or ``docs/**/*.txt``.
        hidden: Whether ``*``, ``?`` and ``**`` stand for names that start with a dot too.

    Raises:
        PathError: It is absolute or goes up.

    Example:
        >>> GlobPattern("docs/**/*.md").matches(["docs", "a", "c.md"]), GlobPattern("*.md").matches(["docs", "c.md"])
        (True, False)
    """

    def __init__(self, pattern: str, *, hidden: bool = False) -> None:
        text = check_path_text(pattern)
        parts = [part for part in text.split("/") if part not in ("", ".")]
        if text.startswith("/") or ".." in parts or not parts:
            raise PathError(
                f'the pattern "{text}" leaves the folder it is searched in',
                hint="give the folder as `path` and a pattern below it, for example *.md or **/*.txt",
            )
        self.depth = None if "**" in parts else len(parts)
        """Levels of folders that a match can lie under, None without limit."""
        self.hidden = hidden or any(part.startswith(".") for part in parts)
        """Whether a match can have a name that starts with a dot."""
        self._all = hidden
        self._parts = [*parts, "*"] if parts[-1] == "**" else parts  # `docs/**` is what is in it, not `docs`

    def matches(self, names: Sequence[str]) -> bool:
        """Whether the path made of these names, outermost first, fits."""
        # All positions in the pattern that the names so far can have led to: linear, whatever the pattern.
        places = self._skip({0})
        for name in names:
            places = self._skip({after for place in places for after in self._after(place, name)})
        return len(self._parts) in places

    def _after(self, place: int, name: str) -> set[int]:
        if place == len(self._parts):
            return set()
        part = self._parts[place]
        if name.startswith(".") and not (self._all or part.startswith(".")):
            return set()
        if part == "**":
            return {place}
        return {place + 1} if fnmatchcase(name, part) else set()

    def _skip(self, places: set[int]) -> set[int]:
        for place in sorted(places):
            while place < len(self._parts) and self._parts[place] == "**":
                place += 1
                places.add(place)
        return places
