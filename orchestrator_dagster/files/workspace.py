"""The part of the file system that a pipeline may touch.

Everything a step, a tool or a product reads or writes goes through one :class:`Workspace`: paths are resolved, links
followed, and refused when they leave the roots; files are written whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from orchestrator_dagster.errors import FileMissingError, PathError, SizeLimitError
from orchestrator_dagster.files.folder import Folder, locked, open_folder
from orchestrator_dagster.files.remote_files import allowed_url, is_url, local_path, read_url
from orchestrator_dagster.files.roots import Roots, below, nearest_hint
from orchestrator_dagster.files.run_quota import RunQuota
from orchestrator_dagster.files.stored_files import writer_mark

MEGABYTE = 1024 * 1024

# What a file system says that takes no more.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class WrittenFile:
    """A file that is in place: absolute ``path``, size in ``bytes``, hex ``sha256`` of its content."""

    path: Path
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Workspace(Roots):
    """Where relative paths start, which folders may be touched, and how files in them are read and written.

    Args:
        root: Folder in which relative paths start: the current folder for the command, the project's folder for a
            code location.
        extra_roots: Further folders that absolute paths may point into.
        max_file_bytes: Largest file that is read or written, in bytes.
        environment: Names of environment variables that templates may read as ``env.NAME``.
        urls: URLs of folders, in buckets for example, that products may be written to and loaded from.
        quota: What the run may write here in all, where there is a run.

    Example:
        >>> workspace = Workspace(Path("."))
        >>> workspace.resolve("outputs/report.md").name
        'report.md'
    """

    max_file_bytes: int = 256 * MEGABYTE
    environment: frozenset[str] = field(default_factory=frozenset)
    urls: tuple[str, ...] = ()
    quota: RunQuota | None = None

    def existing_file(self, path: str | os.PathLike[str]) -> Path:
        """The resolved path of a regular file of allowed size.

        Raises:
            FileMissingError: There is no such file.
            PathError: It is a folder or a device, or it leaves the workspace.
            SizeLimitError: It is larger than ``max_file_bytes``.
        """
        resolved = self.resolve(path)
        try:
            status = resolved.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise FileMissingError(
                f'there is no file "{self.relative(resolved)}" (looked in "{Path(os.path.realpath(self.root))}")',
                hint=nearest_hint(resolved),
            ) from None
        except OSError as error:
            raise PathError(f'"{self.relative(resolved)}" cannot be read: {error.strerror}') from error
        if stat.S_ISDIR(status.st_mode):
            raise PathError(f'"{self.relative(resolved)}" is a folder, a file was expected')
        if not stat.S_ISREG(status.st_mode):
            raise PathError(f'"{self.relative(resolved)}" is not a regular file')
        self.check_size(status.st_size, self.relative(resolved))
        return resolved

    def check_size(self, size: int, what: str) -> None:
        """Refuse ``size`` bytes of ``what`` when they are more than ``max_file_bytes``."""
        if size > self.max_file_bytes:
            raise SizeLimitError(
                f'"{what}" has {size:,} bytes, the workspace allows {self.max_file_bytes:,}',
                hint="raise the workspace resource's `max_file_bytes`",
            )

    @contextlib.contextmanager
    def folder(self, path: Path, *, create: bool = False) -> Iterator[Folder]:
        """The folder ``path`` (already resolved), held open: no link put in its way later leads elsewhere.

        Raises:
            FileMissingError: It does not exist.
            PathError: It is no folder, or has become a link since it was resolved.
        """
        root = max((root for root in self.roots if below(path, root)), key=lambda root: len(root.parts), default=None)
        if root is None:
            raise PathError(f'"{path}" is not in the workspace')
        # Only the opening is guarded: what goes wrong in the block is the block's own.
        with contextlib.ExitStack() as stack:
            try:
                held = stack.enter_context(open_folder(root, path, create=create))
            except FileNotFoundError:
                raise FileMissingError(f'there is no folder "{self.relative(path)}"', hint=nearest_hint(path)) from None
            except OSError as error:
                raise self.refused(path, "be opened as a folder", error, writing=create) from error
            yield held

    @contextlib.contextmanager
    def reading(self, path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
        """An existing file, open for reading; what was checked is what is read (see :meth:`existing_file`)."""
        resolved = self.existing_file(path)
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(self.folder(resolved.parent))
            try:
                # Non-blocking, because opening a pipe that has taken the file's place would wait for a writer.
                descriptor = folder.open(
                    resolved.name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
                )
                handle = stack.enter_context(os.fdopen(descriptor, "rb"))
            except OSError as error:
                raise self.refused(resolved, "be read", error) from error
            status = os.fstat(handle.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise PathError(f'"{self.relative(resolved)}" is not a regular file')
            self.check_size(status.st_size, self.relative(resolved))
            yield handle

    def read_bytes(self, path: str | os.PathLike[str]) -> bytes:
        """The content of an existing file (see :meth:`existing_file` for what is raised)."""
        with self.reading(path) as handle:
            data = handle.read(self.max_file_bytes + 1)  # the file may have grown since its size was asked
        self.check_size(len(data), os.fspath(path))
        return data

    def existing_place(self, place: str) -> str:
        """The path of an existing file, relative to the root where it stands below it; a URL that is allowed as it is.

        Raises:
            PathError: As for :meth:`existing_file`, or the URL is not allowed.
        """
        local = local_path(place) if is_url(place) else place
        return allowed_url(place, self.urls) if local is None else self.relative(self.existing_file(local))

    def read_place(self, place: str) -> bytes:
        """The content of a file that is at a path, or at a URL that is allowed.

        Raises:
            PathError: As for :meth:`read_bytes`, or the URL is not allowed.
        """
        local = local_path(place) if is_url(place) else place
        if local is not None:
            return self.read_bytes(local)
        return read_url(allowed_url(place, self.urls), self.max_file_bytes)

    def read_text(self, path: str | os.PathLike[str], encoding: str = "utf-8") -> str:
        """The text of an existing file, to the character: line ends are not translated.

        Raises:
            PathError: Its bytes are not text in ``encoding``.
        """
        return decode_text(self.read_bytes(path), os.fspath(path), encoding)

    def write(
        self,
        path: str | os.PathLike[str],
        data: bytes | Iterable[bytes],
        *,
        within: Path | None = None,
        replace: bool = True,
    ) -> WrittenFile:
        """Write a file whole or not at all; folders are made as needed.

        Args:
            path: Where; an older file is replaced in one move and keeps its mode.
            data: The content, or its pieces in order.
            within: A folder it must stay in.
            replace: Whether an older file may be replaced.

        Raises:
            PathError: The path leaves the workspace, is a folder, or exists and may not be replaced.
            SizeLimitError: There is more data than ``max_file_bytes``.
        """
        target = self.resolve(path, within=within)
        with self.atomic(target, replace=replace) as handle:
            size, digest = self._copy([data] if isinstance(data, bytes) else data, handle, self.relative(target))
        return WrittenFile(target, size, digest)

    def append(self, path: str | os.PathLike[str], data: bytes) -> WrittenFile:
        """Add ``data`` at the end of a file (made when missing), whole or not at all.

        The longer file takes the place of the older one in one move, so a process that is killed leaves no half of
        ``data`` and no reader sees one; appends to one folder wait for each other, so none is lost. The price is a
        copy of the file for each append.

        Raises:
            PathError: As for :meth:`write`.
            SizeLimitError: The file would be larger than ``max_file_bytes``.
        """
        target = self.resolve(path)
        name = self.relative(target)
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(self.folder(target.parent, create=True))
            stack.enter_context(locked(folder, target.name))
            pieces: list[Iterable[bytes]] = [[data]]
            if folder.exists(target.name):
                older = stack.enter_context(self.reading(target))
                pieces.insert(0, iter(lambda: older.read(MEGABYTE), b""))
            handle = stack.enter_context(self.atomic(target))
            size, digest = self._copy((chunk for piece in pieces for chunk in piece), handle, name)
        return WrittenFile(target, size, digest)

    def _copy(self, chunks: Iterable[bytes], handle: IO[bytes], name: str) -> tuple[int, str]:
        digest, size = hashlib.sha256(), 0
        for chunk in chunks:
            size += len(chunk)
            self.check_size(size, name)
            digest.update(chunk)
            handle.write(chunk)
        return size, digest.hexdigest()

    @contextlib.contextmanager
    def atomic(self, target: Path, *, replace: bool = True) -> Iterator[IO[bytes]]:
        """A binary file that takes the place of ``target`` (already resolved) when the block ends without an error.

        Args:
            target: The final path. A file that is there keeps its mode; anything but a regular file is refused.
            replace: Whether a file that is there may be replaced.

        Raises:
            PathError: It is a folder or a device, exists and may not be replaced, or the system refuses to write.
        """
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(self.folder(target.parent, create=True))
            mode = self._replaceable(folder, target, replace)
            temporary = self.temporary_name(target)
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
                descriptor = folder.open(temporary, flags)
            except OSError as error:
                raise self.refused(target, "be written", error, writing=True) from error
            try:
                with os.fdopen(descriptor, "wb") as handle:
                    if mode is not None and hasattr(os, "fchmod"):
                        with contextlib.suppress(OSError):  # some file systems have no modes
                            os.fchmod(handle.fileno(), mode)
                    yield handle
                    if self.quota is not None:
                        self.quota.add(handle.tell(), self.relative(target))
                    with self._writing(target):
                        handle.flush()
                        os.fsync(handle.fileno())
                with self._writing(target):
                    folder.move(temporary, folder, target.name, replace=replace)
            except BaseException as error:
                with contextlib.suppress(OSError):
                    folder.unlink(temporary)
                if isinstance(error, FileExistsError) and not replace:
                    raise self._taken(target) from None
                if isinstance(error, OSError) and error.errno in _FULL:  # of the block, or of closing
                    raise self.refused(target, "be written", error, writing=True) from error
                raise

    @contextlib.contextmanager
    def _writing(self, target: Path) -> Iterator[None]:
        """Give what the system refuses as a :class:`PathError`; a name that is taken stays FileExistsError."""
        try:
            yield
        except FileExistsError:
            raise
        except OSError as error:
            raise self.refused(target, "be written", error, writing=True) from error

    def temporary_name(self, target: Path) -> str:
        """A new name, in the folder of ``target``, for the file that is to take its place."""
        return f".{target.name[:40]}.{writer_mark()}-{secrets.token_hex(6)}.tmp"

    def _replaceable(self, folder: Folder, target: Path, replace: bool) -> int | None:
        try:
            status = folder.status(target.name)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self.refused(target, "be written", error, writing=True) from error
        if stat.S_ISDIR(status.st_mode):
            raise PathError(f'"{self.relative(target)}" is a folder, a file was to be written there')
        if not stat.S_ISREG(status.st_mode):
            raise PathError(f'"{self.relative(target)}" is not a regular file, it cannot be written')
        if not replace:
            raise self._taken(target)
        return stat.S_IMODE(status.st_mode) & 0o777

    def _taken(self, target: Path) -> PathError:
        return PathError(
            f'"{self.relative(target)}" exists already', hint="choose another name, or allow it to be overwritten"
        )

    def remove(self, path: str | os.PathLike[str], *, recursive: bool = False) -> int:
        """Remove a file, a link (not its target) or an empty folder; with ``recursive`` a folder and what it holds.

        Returns:
            How many files, links and folders are gone.

        Raises:
            FileMissingError: There is nothing of that name.
            PathError: It is a root of the workspace, or a folder that is not empty.
        """
        entry = self.entry(path)
        self.check_not_root(entry, "removed")
        with self.folder(entry.parent) as folder:
            try:
                if not recursive and stat.S_ISDIR(folder.status(entry.name).st_mode):
                    with folder.child(entry.name) as inside:
                        held = len(inside.names())
                    if held:
                        raise PathError(
                            f'the folder "{self.relative(entry)}" is not empty ({held} entries)',
                            hint="set `recursive: true` to delete what it holds too",
                        )
                return folder.remove(entry.name)
            except FileNotFoundError:
                raise self.missing(entry) from None
            except OSError as error:
                raise self.refused(entry, "be removed", error) from error

    def move(self, path: str | os.PathLike[str], destination: str | os.PathLike[str], *, replace: bool = True) -> Path:
        """Move a file, a link or a folder; ``destination`` is its new path. Folders on the way are made.

        Raises:
            FileMissingError: There is nothing of that name.
            PathError: It is a root, the destination is taken, is a folder, or lies in what is moved.
        """
        source, target = self.entry(path), self.entry(destination)
        self.check_not_root(source, "moved")
        self.check_not_root(target, "replaced")
        if target.is_relative_to(source) and target != source:
            raise PathError(f'"{self.relative(source)}" cannot be moved into itself')
        with self.folder(source.parent) as folder:
            if not folder.exists(source.name):
                raise self.missing(source)
            with self.folder(target.parent, create=True) as other:
                if other.exists(target.name):
                    self._replaceable(other, target, replace)
                try:
                    folder.move(source.name, other, target.name, replace=replace)
                except FileExistsError:
                    raise self._taken(target) from None
                except OSError as error:
                    if error.errno != errno.EXDEV or not stat.S_ISREG(folder.status(source.name).st_mode):
                        raise self.refused(source, f'be moved to "{self.relative(target)}"', error) from error
                    self.copy(source, target, replace=replace)  # two roots on two file systems
                    folder.unlink(source.name)
        return target

    def copy(
        self, path: str | os.PathLike[str], destination: str | os.PathLike[str], *, replace: bool = True
    ) -> WrittenFile:
        """Copy one file, whole or not at all (raises as :meth:`reading` and :meth:`write` do)."""
        with self.reading(path) as handle:
            return self.write(destination, iter(lambda: handle.read(MEGABYTE), b""), replace=replace)

    def make_folder(self, path: str | os.PathLike[str]) -> bool:
        """Make a folder and those above it; False when it was there.

        Raises:
            PathError: It leaves the workspace, or a file has that name.
        """
        resolved = self.resolve(path)
        there = resolved.is_dir()
        with self.folder(resolved, create=True):
            return not there


def decode_text(data: bytes, name: str, encoding: str = "utf-8") -> str:
    """The text of a file's bytes, to the character; ``name`` is for the message.

    Raises:
        PathError: They are not text in ``encoding``, or there is no such encoding.
    """
    try:
        return data.decode(encoding)
    except UnicodeError as error:
        place = f" (byte {error.start})" if isinstance(error, UnicodeDecodeError) else ""
        raise PathError(
            f'"{name}" is not {encoding} text{place}',
            hint="name its `encoding`, or read it with a tool that knows its format",
        ) from error
    except LookupError:
        raise PathError(f'there is no encoding "{encoding}"', hint="use utf-8, latin-1, cp1252 …") from None
