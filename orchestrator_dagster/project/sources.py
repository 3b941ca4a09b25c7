"""The files that a folder of pipelines is made of, and whether they are what they were.

They are the pipeline files and shared fragments of the folder; every file that a pipeline includes, also those that its
steps run; the project's ``tools.py``, ``models.yaml`` and ``mcp.yaml``; and the personalities.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.models.personalities import home_folder

#: Files of the project itself that pipelines depend on.
PROJECT_FILES = ("tools.py", "models.yaml", "mcp.yaml")


@dataclass(frozen=True)
class _Stamp:
    """What a file was: its time of change, its size, and the SHA-256 of its content."""

    mtime_ns: int
    size: int
    digest: str


@dataclass
class Sources:
    """The sources of a folder as they were when this was made.

    Args:
        folder: The folder of pipeline files.
        root: The workspace root.
    """

    folder: Path
    root: Path
    _known: dict[Path, _Stamp | None] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path, root: Path) -> Sources:
        """The files of the folder and of the project as they are now; see :meth:`add` for what pipelines include."""
        made = cls(folder, root)
        for path in made._files():
            made._note(path)
        return made

    def add(self, pipelines: Iterable[CompiledPipeline]) -> None:
        """Watch what pipelines include as well, as it is now. A file that is not there may come."""
        for pipeline in pipelines:
            for path in _included(pipeline, self.root):
                self._note(path)

    def changed(self) -> list[Path]:
        """The files that were added, removed or changed since, by path. Only files with another time are read."""
        now = set(self._files())
        found = {path for path in now if path not in self._known}
        for path, before in self._known.items():
            if not _same(path, before):
                found.add(path)
        return sorted(found)

    def newest(self, paths: Iterable[Path]) -> float:
        """The time of the latest change among the files, in seconds since the epoch; 0 when none is there."""
        times = [0.0]
        for path in paths:
            with contextlib.suppress(OSError):
                times.append(path.stat().st_mtime)
        return max(times)

    def _note(self, path: Path) -> None:
        if path not in self._known:
            self._known[path] = _stamp(path)

    def _files(self) -> Iterator[Path]:
        """The files of the folder, of the project, and the personalities."""
        for folder, suffixes in (
            (self.folder, (".yaml", ".yml")),
            (self.root / "personalities", (".md", ".txt", ".yaml")),
            (home_folder(), (".md", ".txt", ".yaml")),
        ):
            with contextlib.suppress(OSError):
                for path in sorted(folder.rglob("*")):
                    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
                    if path.suffix.lower() in suffixes and not hidden and path.is_file():
                        yield path
        for name in PROJECT_FILES:
            for folder in (self.root, home_folder().parent):
                if (folder / name).is_file():
                    yield folder / name


def _included(pipeline: CompiledPipeline, root: Path) -> Iterator[Path]:
    """Every place where a file may stand that the pipeline, or one that it runs, includes."""
    folders = dict.fromkeys((Path(pipeline.folder), root)) if pipeline.folder else {root: None}
    for name in pipeline.includes:
        for folder in folders:
            yield folder / name
    if pipeline.folder:
        yield Path(pipeline.folder) / Path(pipeline.file).name
    for step in pipeline.steps:
        for one in step.walk():
            if one.pipeline is not None:
                yield from _included(one.pipeline, root)


def _stamp(path: Path) -> _Stamp | None:
    """What the file is now, None when it is not there."""
    try:
        status = path.stat()
        return _Stamp(status.st_mtime_ns, status.st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    except OSError:
        return None


def _same(path: Path, before: _Stamp | None) -> bool:
    try:
        status = path.stat()
    except OSError:
        return before is None
    if before is None:
        return False
    if (status.st_mtime_ns, status.st_size) == (before.mtime_ns, before.size):
        return True
    now = _stamp(path)
    return now is not None and now.digest == before.digest
