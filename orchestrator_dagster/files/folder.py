"""A folder that is held open, so that what is done in it cannot be led elsewhere.

Between the check of a path and its use, somebody may put a link in the place of one of its folders. Where the system
can open relative to an open folder (Linux, macOS), every part is opened without following links; elsewhere the path is
checked once more before it is used.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HELD = os.open in os.supports_dir_fd and os.rename in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_OPEN_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)

Entry = tuple[tuple[str, ...], os.stat_result]
"""The names from a folder down to an entry, and the entry's status."""


@dataclass(frozen=True)
class Folder:
    """A folder: its ``path`` and, where the system can do it, the ``descriptor`` that everything goes through."""

    path: Path
    descriptor: int | None

    def at(self, name: str) -> tuple[str, int | None]:
        """``name`` in this folder as the functions of :mod:`os` take it: a path and a ``dir_fd``."""
        return (name, self.descriptor) if self.descriptor is not None else (str(self.path / name), None)

    def names(self) -> list[str]:
        """The names in it, sorted."""
        return sorted(os.listdir(self.path if self.descriptor is None else self.descriptor))

    def status(self, name: str) -> os.stat_result:
        """The status of an entry itself: a link is not followed."""
        path, here = self.at(name)
        return os.stat(path, dir_fd=here, follow_symlinks=False)

    def exists(self, name: str) -> bool:
        """Whether there is an entry of that name, a dangling link included."""
        with contextlib.suppress(FileNotFoundError):
            self.status(name)
            return True
        return False

    def open(self, name: str, flags: int, mode: int = 0o666) -> int:
        """A descriptor of an entry, which may not be a link."""
        path, here = self.at(name)
        return os.open(path, flags | _NO_LINK | getattr(os, "O_CLOEXEC", 0), mode, dir_fd=here)

    @contextlib.contextmanager
    def child(self, name: str, *, create: bool = False) -> Iterator[Folder]:
        """A folder in this one, which may not be a link."""
        path, here = self.at(name)
        if create:
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, dir_fd=here)
        inside = self.path / name
        if here is None:
            if Path(os.path.realpath(inside)) != inside:
                raise OSError(errno.ELOOP, "a link stands in the place of a folder", str(inside))
            yield Folder(inside, None)
            return
        descriptor = os.open(path, _OPEN_FOLDER | _NO_LINK, dir_fd=here)
        try:
            yield Folder(inside, descriptor)
        finally:
            os.close(descriptor)

    def move(self, name: str, target: Folder, new: str, *, replace: bool = True) -> None:
        """Rename an entry into ``target``; without ``replace``, FileExistsError when the name is taken."""
        source, here = self.at(name)
        destination, there = target.at(new)
        if replace:
            os.replace(source, destination, src_dir_fd=here, dst_dir_fd=there)
            return
        if stat.S_ISREG(self.status(name).st_mode):
            # A second name fails when it is taken, in one step: two writers cannot both succeed.
            with contextlib.suppress(PermissionError, NotImplementedError):  # file systems without hard links
                os.link(source, destination, src_dir_fd=here, dst_dir_fd=there, follow_symlinks=False)
                self.unlink(name)
                return
        if target.exists(new):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target.path / new))
        os.rename(source, destination, src_dir_fd=here, dst_dir_fd=there)

    def unlink(self, name: str) -> None:
        """Remove a file or a link (not what it points to)."""
        path, here = self.at(name)
        os.unlink(path, dir_fd=here)

    def remove(self, name: str) -> int:
        """Remove a file, a link, or a folder with everything in it; the number of entries removed."""
        if not stat.S_ISDIR(self.status(name).st_mode):
            self.unlink(name)
            return 1
        with self.child(name) as inside:
            count = sum(inside.remove(entry) for entry in inside.names())
        path, here = self.at(name)
        os.rmdir(path, dir_fd=here)
        return count + 1

    def walk(
        self, depth: int | None = None, *, hidden: bool = False
    ) -> Iterator[tuple[tuple[str, ...], os.stat_result]]:
        """Every entry below, folders before what is in them; links are given, never followed.

        Args:
            depth: Levels to go down, None for all.
            hidden: Whether names that start with a dot are given.
        """
        for name in self.names():
            if name.startswith(".") and not hidden:
                continue
            try:
                status = self.status(name)
            except FileNotFoundError:  # removed since the folder was read
                continue
            yield (name,), status
            if stat.S_ISDIR(status.st_mode) and (depth is None or depth > 1):
                with self.child(name) as inside:
                    for parts, below in inside.walk(None if depth is None else depth - 1, hidden=hidden):
                        yield (name, *parts), below


@contextlib.contextmanager
def open_folder(root: Path, path: Path, *, create: bool = False) -> Iterator[Folder]:
    """The folder ``path``, which is ``root`` or below it (both with all links followed).

    Args:
        root: A folder that is trusted.
        path: Where to go.
        create: Whether folders that are missing are made.

    Raises:
        OSError: A part is missing, is no folder, or has become a link.
    """
    if create:
        root.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        here = Folder(root, None)
        if HELD:
            descriptor = os.open(root, _OPEN_FOLDER)
            stack.callback(os.close, descriptor)
            here = Folder(root, descriptor)
        for part in path.relative_to(root).parts:
            here = stack.enter_context(here.child(part, create=create))
        yield here


@contextlib.contextmanager
def locked(folder: Folder, name: str) -> Iterator[None]:
    """Hold the folder's lock for changes to ``name`` that read before they write. Blocks until it is free.

    The folder itself is locked, so no lock file is left behind; where a folder cannot be locked (NFS), a file
    ``.<name>.lock`` beside it is. Windows has neither: there only the last step, the rename, is safe.
    """
    if folder.descriptor is None:
        yield
        return
    import fcntl

    # A second descriptor, because the lock belongs to the open file: one shared by threads would not exclude them.
    with contextlib.ExitStack() as stack:
        lock = os.open(".", _OPEN_FOLDER, dir_fd=folder.descriptor)
        stack.callback(os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:  # not for folders on this file system
            lock = folder.open(f".{name[:200]}.lock", os.O_RDWR | os.O_CREAT)
            stack.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
