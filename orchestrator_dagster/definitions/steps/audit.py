"""``audit.jsonl``: the record of every call of a model or a tool, in the folder of the root run beside its outcomes.

One line a call, appended in one write, so that threads and processes share the file. Behind a URL nothing can be
appended to: there each process writes parts of its own, ``audit-….jsonl``.
"""

from __future__ import annotations

import functools
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from orchestrator_dagster.files.stored_files import append_whole, shown, write_whole, writer_mark

if TYPE_CHECKING:
    from upath import UPath

    AnyPath = Union[Path, UPath]

FILE = "audit.jsonl"
_LINES_OF_A_PART = 100


class AuditFile:
    """The record of one root run, as this process writes it. Thread-safe.

    Args:
        folder: The root run's folder.
    """

    def __init__(self, folder: AnyPath) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._lines: list[str] = []
        self._half = False  # whether the last line may not have been written whole
        self._part = 0
        self._name = f"{writer_mark()}-{uuid.uuid4().hex[:8]}"

    def add(self, entry: Mapping[str, Any], warn: Callable[[str], object]) -> None:
        """Put one call on the record. A folder that cannot be written does not fail the step, whose call was made.

        Args:
            entry: JSON values, without secrets.
            warn: Told when it cannot be written.
        """
        line = json.dumps(entry, ensure_ascii=False, default=str)
        try:
            if isinstance(self.folder, Path):
                self._append(self.folder / FILE, line)
            else:
                self._write_part(line)
        except Exception as error:  # each file system has errors of its own
            reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
            warn(f'the call is not on the record: "{shown(self.folder)}" cannot be written: {reason}')

    def _append(self, path: Path, line: str) -> None:
        data = line.encode("utf-8", "replace") + b"\n"
        data = b"\n" + data if self._half else data
        self._half = True
        try:
            append_whole(path, data)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            append_whole(path, data)
        self._half = False

    def _write_part(self, line: str) -> None:
        with self._lock:
            if len(self._lines) >= _LINES_OF_A_PART:
                self._lines, self._part = [], self._part + 1
            self._lines.append(line)
            path = self.folder / f"audit-{self._name}-{self._part}.jsonl"
            write_whole(path, "\n".join(self._lines) + "\n")


@functools.lru_cache(maxsize=64)
def audit_in(folder: AnyPath) -> AuditFile:
    """The record in a folder; one for all threads of this process."""
    return AuditFile(folder)


def calls_on_record(folder: AnyPath) -> Iterator[dict[str, Any]]:
    """Every call on the record of a root run, in the order in which they ended; none when there is no record."""
    found: list[dict[str, Any]] = []
    if folder.exists():
        paths: list[Any] = list(folder.glob("audit*.jsonl"))
        for path in sorted(paths, key=lambda one: str(one.name)):
            for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):  # others may stand in a text
                try:
                    found.append(json.loads(line))
                except ValueError:  # half a line of a process that was killed
                    continue
    yield from sorted(found, key=lambda one: str(one.get("at", "")))
