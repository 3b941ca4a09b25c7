"""Files that start runs: those a pattern finds, and which of them are new or changed and complete."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import PurePosixPath
from typing import Any

from orchestrator_dagster.errors import FileMissingError, PathError, SizeLimitError
from orchestrator_dagster.files.glob_pattern import GlobPattern
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.language.absent import Absent

#: The most files that a pattern may find: all of them are looked at, and remembered, at every tick.
MOST_FILES = 10_000
_WILD = frozenset("*?[")


@dataclass(frozen=True)
class WatchedFile:
    """A file as it stands there: its path relative to the workspace root, ``size`` in bytes, ``mtime_ns``."""

    path: str
    size: int
    mtime_ns: int

    @property
    def stamp(self) -> str:
        """What changes when the file does."""
        return f"{self.mtime_ns}-{self.size}"

    def fields(self) -> dict[str, Any]:
        """What templates read as ``file``."""
        path = PurePosixPath(self.path)
        try:
            moment = datetime.fromtimestamp(self.mtime_ns // 1_000_000_000, timezone.utc)
            modified: str | Absent = moment.isoformat(timespec="seconds")
        except (ValueError, OverflowError, OSError):
            modified = Absent(f'the time of change of "{self.path}" is none that a calendar has')
        return {
            "path": self.path,
            "name": path.name,
            "stem": path.stem,
            "folder": str(path.parent),
            "size": self.size,
            "modified": modified,
        }


def watched_files(workspace: Workspace, pattern: str) -> list[WatchedFile]:
    """Every file of the workspace that a pattern finds, by path. A folder that is not there has none.

    A file whose name is no UTF-8 is left out: neither a cursor nor a run can hold it.

    Raises:
        PathError: A folder leads out of the workspace, or cannot be read.
        SizeLimitError: There are more than :data:`MOST_FILES`.
    """
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    plain = next((number for number, part in enumerate(parts) if _WILD & set(part)), len(parts) - 1)
    plain = min(plain, len(parts) - 1)
    wanted = GlobPattern("/".join(parts[plain:]))
    folder = workspace.resolve("/".join(parts[:plain]) or ".")
    found: list[WatchedFile] = []
    try:
        with workspace.folder(folder) as opened:
            for names, status in opened.walk(wanted.depth, hidden=wanted.hidden):
                if not wanted.matches(names) or not _is_text(names):
                    continue
                regular = _regular(workspace, folder / "/".join(names), status)
                if regular is not None:
                    path = "/".join((*parts[:plain], *names))
                    found.append(WatchedFile(path, regular.st_size, regular.st_mtime_ns))
                if len(found) > MOST_FILES:
                    raise SizeLimitError(
                        f'more than {MOST_FILES:,} files fit "{pattern}"',
                        hint="move those that are done elsewhere, or name a narrower pattern",
                    )
    except FileMissingError:
        return []
    except OSError as error:
        raise workspace.refused(folder, "be listed", error) from error
    return sorted(found, key=lambda file: file.path)


def _is_text(names: Sequence[str]) -> bool:
    try:
        "".join(names).encode()
    except UnicodeEncodeError:
        return False
    return True


def _regular(workspace: Workspace, path: os.PathLike[str], status: os.stat_result) -> os.stat_result | None:
    """The status of a file, also of one that a link in the workspace leads to; None for what is no file."""
    if stat.S_ISLNK(status.st_mode):
        try:
            status = workspace.resolve(path).stat()
        except (PathError, OSError):  # it leaves the workspace, or leads nowhere
            return None
    return status if stat.S_ISREG(status.st_mode) else None


@dataclass
class FileCursor:
    """What a trigger remembers between two ticks: ``taken`` has the files that had their run, as they were then;
    ``waiting`` those that were new or changed at the last tick, as they were there."""

    taken: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str | None) -> FileCursor:
        """The cursor that :meth:`text` gave, a new one for None."""
        if not text:
            return cls()
        read: Mapping[str, dict[str, str]] = json.loads(text)
        return cls(dict(read["taken"]), dict(read["waiting"]))

    def text(self) -> str:
        """The cursor as a text."""
        return json.dumps({"taken": self.taken, "waiting": self.waiting}, ensure_ascii=False, separators=(",", ":"))

    def look(self, found: Sequence[WatchedFile]) -> tuple[list[WatchedFile], int]:
        """Which files are ready, the oldest first, and how many wait because they may still be written.

        A file is ready when it is new or has changed, and has not changed since the last look.
        """
        self.taken = {file.path: self.taken[file.path] for file in found if file.path in self.taken}
        new = [file for file in found if self.taken.get(file.path) != file.stamp]
        ready = [file for file in new if self.waiting.get(file.path) == file.stamp]
        self.waiting = {file.path: file.stamp for file in new}
        return sorted(ready, key=lambda file: (file.mtime_ns, file.path)), len(new) - len(ready)

    def take(self, file: WatchedFile) -> None:
        """Remember that a file had its run."""
        self.taken[file.path] = file.stamp
        self.waiting.pop(file.path, None)
