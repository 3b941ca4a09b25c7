"""Files behind URLs: which of them may be touched, and how one is written whole.

A URL is allowed when it stands below one that the workspace allows. Like paths, URLs are compared part by part after
they have been brought into one spelling; ``..``, what is encoded, passwords and queries are refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import posixpath
import re
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from orchestrator_dagster.errors import FileMissingError, PathError, SizeLimitError, StorageError
from orchestrator_dagster.files.stored_files import open_folder, shown

if TYPE_CHECKING:
    from upath import UPath

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(:|//)")
_WRONG = re.compile(r"[\x00-\x20\x7f\\]|%2e|%2f|%5c", re.IGNORECASE)
#: Stores in which a file appears when all of it has arrived, so that writing it is one step. Elsewhere it is written
#: under another name and renamed, which is one step where the server's rename is.
_WHOLE = frozenset(
    ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "r2", "tos", "obs", "cos", "memory")
)


def is_url(place: str) -> bool:
    """Whether a text is the URL of a file system, and no path.

    >>> is_url("s3://bucket/reports"), is_url("outputs/report"), is_url("C:/data")
    (True, False, False)
    """
    return _URL.match(place) is not None


def local_path(url: str) -> str | None:
    """The path behind the URL of a local file, None for any other URL.

    >>> local_path("file:///srv/reports"), local_path("s3://bucket/reports")
    ('/srv/reports', None)
    """
    if urlsplit(url).scheme.lower() not in ("file", "local"):
        return None
    return urlsplit(plain_url(url)).path


def plain_url(url: str) -> str:
    """The URL in one spelling.

    >>> plain_url("S3://bucket//reports/./june/")
    's3://bucket/reports/june'

    Raises:
        PathError: It has a part that leads up, a password, a query, or several file systems in one.
    """
    wrong = None
    parts = urlsplit(url)
    segments = [part for part in parts.path.split("/") if part not in ("", ".")]
    if "::" in url:
        wrong = "names several file systems in one"
    elif _WRONG.search(url):
        wrong = "has a blank, a control character, a backslash or an encoded dot or slash"
    elif any(not part.strip(". ") for part in segments):
        wrong = "has a part that leads up"
    elif "@" in parts.netloc and ":" in parts.netloc.rpartition("@")[0]:
        wrong = "has a password; give it to the file system by its own environment variables or files"
    elif parts.query or parts.fragment:
        wrong = "has a query"
    if wrong:
        raise PathError(f'the URL "{shown(url)}" {wrong}', hint="write it as `s3://bucket/folder`")
    return f"{parts.scheme.lower()}://{'/'.join([parts.netloc, *segments] if parts.netloc else ['', *segments])}"


def allowed_url(url: str, roots: Iterable[str]) -> str:
    """The URL in one spelling, when it is one of ``roots`` or stands below one.

    Raises:
        PathError: It does not; with the way to allow it.
    """
    plain = plain_url(url)
    allowed = [plain_url(root) for root in roots]
    if not any(_below(plain, root) for root in allowed):
        places = f"; it allows {', '.join(allowed)}" if allowed else ""
        raise PathError(
            f'the URL "{plain}" is not in the workspace{places}',
            hint="add it, or one above it, to the workspace resource's `extra_roots`, or to ORCHESTRATOR_EXTRA_ROOTS",
        )
    return plain


def joined_url(folder: str, relative: str) -> str:
    """The URL of a file below a folder.

    Raises:
        PathError: The relative path leads out of it.
    """
    url = plain_url(f"{folder}/{relative}")
    if not _below(url, folder) or url == folder:
        raise PathError(f'the path "{relative}" leaves the folder "{folder}"')
    return url


def _below(url: str, folder: str) -> bool:
    return url == folder or url.startswith(folder if folder.endswith("/") else f"{folder}/")


def write_url(url: str, data: bytes) -> tuple[int, str]:
    """Write a file so that it appears whole, as far as its store can do that; gives its size and SHA-256.

    Raises:
        PathError: It cannot be written; nothing is left behind.
        StorageError: No file system is known for the URL.
    """
    place: Any = open_folder(url)
    try:
        if place.protocol in _WHOLE:
            place.fs.pipe_file(place.path, data)
        else:
            _write_and_move(place, data)
    except Exception as error:  # each store has errors of its own
        raise PathError(
            f'"{shown(url)}" cannot be written: {type(error).__name__}: {error}',
            hint="look at the credentials and rights of its file system",
        ) from None
    return len(data), hashlib.sha256(data).hexdigest()


def _write_and_move(place: UPath, data: bytes) -> None:
    folder, name = posixpath.split(place.path)
    temporary = posixpath.join(folder, f".{name[:40]}.{uuid.uuid4().hex}.tmp")
    try:
        place.fs.makedirs(folder, exist_ok=True)
        place.fs.pipe_file(temporary, data)
        place.fs.mv(temporary, place.path)
    except BaseException:
        with contextlib.suppress(Exception):  # the first error is the one to tell
            place.fs.rm_file(temporary)
        raise


def read_url(url: str, most: int | None = None) -> bytes:
    """The content of a file.

    Args:
        url: Where it is.
        most: The most bytes that are read, None for any number.

    Raises:
        FileMissingError: It is not there.
        SizeLimitError: It is larger than ``most``.
        PathError: It cannot be read.
        StorageError: No file system is known for the URL.
    """
    place: Any = open_folder(url)
    try:
        size = place.fs.size(place.path) if most is not None else None
        if size is not None and most is not None and size > most:
            raise SizeLimitError(
                f'"{shown(url)}" has {size:,} bytes, the workspace allows {most:,}',
                hint="raise the workspace resource's `max_file_bytes`",
            )
        return bytes(place.fs.cat_file(place.path))
    except (FileNotFoundError, IsADirectoryError):
        raise FileMissingError(f'there is no file "{shown(url)}"') from None
    except (SizeLimitError, StorageError):
        raise
    except Exception as error:  # each store has errors of its own
        raise PathError(f'"{shown(url)}" cannot be read: {type(error).__name__}: {error}') from None
