"""Glob patterns over paths, the same on every Python and every system.

``*`` and ``?`` stay inside one name, ``**`` stands for any number of folders, ``[ab]`` for one of the characters.
"""

from __future__ import annotations

import fnmatch
import re

from orchestrator_dagster.errors import PathError
from orchestrator_dagster.path_text import check_path_text


class GlobPattern:
    """A pattern for paths relative to a folder, written with ``/``.

    Args:
        pattern: For example ``*.md`` or ``docs/**/*.txt``.

    Raises:
        PathError: It is absolute or goes up.

    Example:
        >>> GlobPattern("docs/**/*.md").matches("docs/a/b/c.md"), GlobPattern("*.md").matches("docs/c.md")
        (True, False)
    """

    def __init__(self, pattern: str) -> None:
        text = check_path_text(pattern)
        parts = [part for part in text.split("/") if part not in ("", ".")]
        if text.startswith("/") or ".." in parts or not parts:
            raise PathError(
                f'the pattern "{text}" leaves the folder it is searched in',
                hint="give the folder as `path` and a pattern below it, for example *.md or **/*.txt",
            )
        self.depth = None if "**" in parts else len(parts)
        """Levels of folders that a match can lie under, None without limit."""
        self.hidden = any(part.startswith(".") for part in parts)
        """Whether it asks for names that start with a dot."""
        last = len(parts) - 1
        self._regex = re.compile("".join(_translate(part, at == last) for at, part in enumerate(parts)))

    def matches(self, path: str) -> bool:
        """Whether the whole relative path (with ``/``) fits."""
        return self._regex.fullmatch(path) is not None


def _translate(part: str, last: bool) -> str:
    if part == "**":
        return "(?:[^/]+(?:/[^/]+)*)" if last else "(?:[^/]+/)*"
    body = fnmatch.translate(part).removeprefix("(?s:").removesuffix(r")\Z").removesuffix(r")\z")
    # What stands for any character in one name must not stand for a separator.
    body = body.replace(".*", "[^/]*").replace("(?>[^/]*?", "(?:[^/]*?")
    return ("(?![.])" if not part.startswith(".") else "") + body + ("" if last else "/")
