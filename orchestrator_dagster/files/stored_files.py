"""Files that this package keeps for itself, in a local folder or behind any URL that fsspec knows."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import re
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union
from urllib.parse import urlsplit

from orchestrator_dagster.errors import StorageError

if TYPE_CHECKING:
    from upath import UPath

    AnyPath = Union[Path, UPath]

_WRITER = re.compile(r"\.(?P<machine>[0-9a-f]{6})(?P<process>\d+)-[0-9a-f]+\.tmp\Z")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+::?/?/")


def open_folder(place: str | os.PathLike[str], root: Path | None = None) -> AnyPath:
    """The folder at a path or URL; it need not be there yet. fsspec is imported for a URL only.

    Args:
        place: For example ``calls``, ``/var/calls``, ``s3://bucket/calls``.
        root: Where a relative path starts, default the current folder.

    Raises:
        StorageError: No file system is known for the URL, or what it takes is not installed.
    """
    text = os.fspath(place)
    if not _URL.match(text):
        return (root or Path()) / Path(text).expanduser()
    from upath import UPath

    try:
        found = UPath(text)
        if found.protocol in ("file", "local"):
            return Path(found.path)
        found.fs  # noqa: B018 - a file system that is not known, or not installed, is found out here
    except (ValueError, ImportError) as error:
        raise StorageError(
            f'"{shown(text)}" cannot be opened: {error}',
            hint="give a folder, or a URL of a file system whose fsspec package is installed",
        ) from None
    return found


def shown(place: object) -> str:
    """A path or URL for messages: without user, password and query, which may hold a key.

    >>> shown("s3://id:secret@bucket/calls?token=x"), shown("/var/calls")
    ('s3://bucket/calls', '/var/calls')
    """
    text = str(place)
    if not _URL.match(text):
        return text
    parts = urlsplit(text)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def write_whole(path: AnyPath, text: str) -> None:
    """Write a file so that it appears whole, in one move, also when another process writes it at the same time.

    Raises:
        OSError: It cannot be written; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        try:
            temporary.write_text(text, encoding="utf-8")
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(text, encoding="utf-8")
        temporary.rename(path)  # type: ignore[arg-type]  # both are of one class
    except BaseException:
        with contextlib.suppress(Exception):  # the first error is the one to tell
            temporary.unlink(missing_ok=True)
        raise


def writer_mark() -> str:
    """What names this process in the name of a file that it has not written whole yet: its machine and its number."""
    return f"{_machine()}{os.getpid()}"


def is_left_behind(name: str) -> bool:
    """Whether a file was being written, under a name with :func:`writer_mark`, by a process that is gone."""
    found = _WRITER.search(name)
    return found is not None and is_temporary(name) and is_gone(found["machine"] + found["process"])


def is_gone(mark: str) -> bool:
    """Whether the process of a :func:`writer_mark` is one of this machine that is gone. Of others nothing is known."""
    machine, process = mark[:6], mark[6:]
    if machine != _machine() or int(process) == os.getpid():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


@functools.lru_cache(maxsize=1)
def _machine() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]


def is_temporary(name: str) -> bool:
    """Whether a file of that name is one that :func:`write_whole`, or an outcome's writer, left when it was killed."""
    return name.startswith(".") and name.endswith(".tmp")


def modified(path: AnyPath) -> float | None:
    """When a file was written, in seconds since the epoch; None where its file system does not say."""
    if isinstance(path, Path):
        return path.stat().st_mtime
    for ask in (path.fs.modified, path.fs.created):
        with contextlib.suppress(NotImplementedError, KeyError):
            return float(ask(path.path).timestamp())
    return None


def files_below(folder: AnyPath) -> Iterator[Any]:
    """Every file below a folder, none when it is not there."""
    if folder.exists():
        for path in folder.rglob("*"):
            if path.is_file():
                yield path


def append_whole(path: Path, data: bytes) -> None:
    """Add to a file in one write, so that threads and processes that share it do not come between.

    Raises:
        OSError: It cannot be written; also where only a part went in, as the system does when a disk becomes full.
    """
    number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        if os.write(number, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(number)
