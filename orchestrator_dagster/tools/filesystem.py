"""The tool ``filesystem``: read, write and manage the files of the workspace.

Every path goes through :class:`~orchestrator_dagster.files.workspace.Workspace`. Paths in results are relative to the
workspace root where they stand below it, so that a later step can use them as they are.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import mimetypes
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from orchestrator_dagster.errors import FileMissingError, ParametersError, PathError, SizeLimitError
from orchestrator_dagster.files.folder import Entry
from orchestrator_dagster.files.glob_pattern import GlobPattern
from orchestrator_dagster.files.workspace import MEGABYTE, Workspace, decode_text
from orchestrator_dagster.text import nearest
from orchestrator_dagster.tools.filesystem_results import (
    DeleteResult,
    EntryType,
    ExistsResult,
    GlobResult,
    InfoResult,
    ListItem,
    ListResult,
    MakeFolderResult,
    ReadItem,
    ReadManyResult,
    ReadResult,
    TransferResult,
    WriteResult,
)
from orchestrator_dagster.tools.tool import Tool, ToolContext
from orchestrator_dagster.tools.written_text import as_json, as_table

MAX_ITEMS = 100_000
"""Most entries that one listing gives."""

filesystem = Tool("filesystem", summary="Reads, writes, lists, copies, moves and deletes files of the workspace.")

FilePath = Annotated[str, Field(description="Path relative to the workspace root, or absolute inside it.")]
Encoding = Annotated[
    str, Field(description="Text encoding such as utf-8 or latin-1; base64 for files that are not text.")
]
Overwrite = Annotated[bool, Field(description="Whether a file that exists may be replaced.")]


@filesystem.action(aliases=("read_file", "load", "r"), default=True, reads_only=True)
def read(context: ToolContext, path: FilePath, encoding: Encoding = "utf-8") -> ReadResult:
    """Read one text file (or any file as base64)."""
    content, size = _read(context.workspace, path, encoding)
    return ReadResult(path=_shown(context.workspace, path), content=content, size=size, encoding=encoding)


@filesystem.action(aliases=("read_files", "read_all"), reads_only=True)
def read_many(
    context: ToolContext,
    paths: Annotated[list[str] | None, Field(description="The files, in this order.")] = None,
    path: Annotated[str, Field(description="Folder to search, when `pattern` is given.")] = ".",
    pattern: Annotated[str | None, Field(description="Glob below `path`: *.md, **/*.txt.")] = None,
    encoding: Encoding = "utf-8",
) -> ReadManyResult:
    """Read several files: a list of paths, or all that match a pattern."""
    workspace = context.workspace
    if (paths is None) == (pattern is None):
        raise ParametersError("filesystem.read_many takes either `paths` or `pattern` (with the folder in `path`)")
    found = paths if paths is not None else list(_matching_files(workspace, path, str(pattern), hidden=False))
    items: list[ReadItem] = []
    total = 0
    for each in found:
        content, size = _read(workspace, each, encoding)
        total += size
        workspace.check_size(total, f"{len(items) + 1} of {len(found)} files together")
        items.append(ReadItem(path=_shown(workspace, each), name=Path(each).name, content=content, size=size))
    return ReadManyResult(items=items, count=len(items))


@filesystem.action(aliases=("write_file", "save", "w"))
def write(
    context: ToolContext,
    path: FilePath,
    content: Annotated[Any, Field(description="Text; a list or a map where the suffix is .json or .jsonl.")],
    mode: Annotated[
        Literal["write", "append", "create", "w", "a", "x"],
        Field(description="write replaces, append adds at the end, create fails when the file exists."),
    ] = "write",
    overwrite: Overwrite = True,
    encoding: Encoding = "utf-8",
) -> WriteResult:
    """Write a file, whole or not at all; its folders are made."""
    if mode in ("append", "a"):
        return append(context, path, content, encoding)
    data = _encode(content, path, encoding)
    written = context.workspace.write(path, data, replace=overwrite and mode not in ("create", "x"))
    return WriteResult(path=context.workspace.relative(written.path), size=written.bytes, sha256=written.sha256)


@filesystem.action(aliases=("append_file", "a"))
def append(
    context: ToolContext,
    path: FilePath,
    content: Annotated[Any, Field(description="Text; a list or a map where the suffix is .jsonl.")],
    encoding: Encoding = "utf-8",
) -> WriteResult:
    """Add to the end of a file, whole or not at all; the file is made when it is missing."""
    if _is_structured(content) and Path(path).suffix.lower() == ".json":
        raise ParametersError(f'"{path}" is one JSON value, nothing can be appended to it', hint="use a .jsonl file")
    written = context.workspace.append(path, _encode(content, path, encoding))
    return WriteResult(path=context.workspace.relative(written.path), size=written.bytes, sha256=written.sha256)


@filesystem.action("list", aliases=("list_files", "list_directory", "ls", "dir"), reads_only=True)
def list_entries(
    context: ToolContext,
    path: Annotated[str, Field(description="The folder.")] = ".",
    pattern: Annotated[str | None, Field(description="Glob for the names, or for paths below it.")] = None,
    recursive: Annotated[bool, Field(description="Whether to list what folders hold too.")] = False,
    files: Annotated[bool, Field(description="Whether to list files and links.")] = True,
    folders: Annotated[bool, Field(description="Whether to list folders.")] = True,
    hidden: Annotated[bool, Field(description="Whether to list names that start with a dot.")] = False,
) -> ListResult:
    """List a folder, sorted by path."""
    workspace = context.workspace
    folder = workspace.resolve(path)
    deep = "/" in pattern if pattern else False
    wanted = GlobPattern(f"**/{pattern}" if recursive and not deep else pattern, hidden=hidden) if pattern else None
    depth = None if recursive else (wanted.depth if wanted else 1)
    items = [
        _item(folder.joinpath(*names), status, workspace)
        for names, status in _walk(workspace, folder, depth, hidden or bool(wanted and wanted.hidden))
        if (folders if stat.S_ISDIR(status.st_mode) else files) and (wanted is None or wanted.matches(names))
    ]
    items.sort(key=lambda item: item.path)
    return ListResult(path=workspace.relative(folder), items=items, count=len(items))


@filesystem.action(aliases=("find", "search"), reads_only=True)
def glob(
    context: ToolContext,
    pattern: Annotated[str, Field(description="For example *.md or docs/**/*.txt.")],
    path: Annotated[str, Field(description="Folder to search.")] = ".",
    hidden: Annotated[bool, Field(description="Whether names that start with a dot count.")] = False,
) -> GlobResult:
    """Find files by a pattern."""
    items = list(_matching_files(context.workspace, path, pattern, hidden=hidden))
    return GlobResult(items=items, count=len(items))


@filesystem.action(aliases=("copy_file", "cp"))
def copy(
    context: ToolContext,
    path: FilePath,
    destination: Annotated[str, Field(description="New path; a folder that exists, or ends in /, gets it inside.")],
    overwrite: Overwrite = True,
    recursive: Annotated[bool, Field(description="Whether a folder may be copied with what it holds.")] = False,
) -> TransferResult:
    """Copy a file, or a folder with what it holds (its links are left out)."""
    workspace = context.workspace
    source = _existing(workspace, path)
    target = _destination(workspace, source, destination)
    if not source.is_dir():
        written = workspace.copy(source, target, replace=overwrite)
        return _transferred(workspace, source, written.path, 1, written.bytes)
    if not recursive:
        raise PathError(f'"{workspace.relative(source)}" is a folder', hint="set `recursive: true` to copy it")
    if target.is_relative_to(source):
        raise PathError(f'"{workspace.relative(source)}" cannot be copied into itself')
    workspace.make_folder(target)
    count = size = 0
    for names, status in list(_walk(workspace, source, None, True)):
        if stat.S_ISDIR(status.st_mode):
            workspace.make_folder(target.joinpath(*names))
        elif stat.S_ISREG(status.st_mode):
            written = workspace.copy(source.joinpath(*names), target.joinpath(*names), replace=overwrite)
            count, size = count + 1, size + written.bytes
    return _transferred(workspace, source, target, count, size)


@filesystem.action(aliases=("move_file", "rename", "mv"))
def move(
    context: ToolContext,
    path: FilePath,
    destination: Annotated[str, Field(description="New path; a folder that exists, or ends in /, gets it inside.")],
    overwrite: Overwrite = True,
) -> TransferResult:
    """Move or rename a file or a folder."""
    workspace = context.workspace
    source = workspace.entry(path)
    target = workspace.move(source, _destination(workspace, source, destination), replace=overwrite)
    if not target.is_dir() or target.is_symlink():
        return _transferred(workspace, source, target, 1, target.lstat().st_size)
    sizes = [status.st_size for _, status in _walk(workspace, target, None, True) if not stat.S_ISDIR(status.st_mode)]
    return _transferred(workspace, source, target, len(sizes), sum(sizes))


@filesystem.action(aliases=("delete_file", "remove", "rm"))
def delete(
    context: ToolContext,
    path: FilePath,
    recursive: Annotated[bool, Field(description="Whether a folder is deleted with what it holds.")] = False,
    missing_ok: Annotated[bool, Field(description="Whether it is fine when there is nothing.")] = False,
) -> DeleteResult:
    """Delete a file, a link (not its target) or an empty folder; a full folder only with `recursive`."""
    workspace = context.workspace
    entry = workspace.entry(path)
    try:
        count = workspace.remove(entry, recursive=recursive)
    except FileMissingError:
        if not missing_ok:
            raise
        count = 0
    return DeleteResult(path=workspace.relative(entry), deleted=count > 0, count=count)


@filesystem.action(aliases=("make_folder", "create_directory", "create_folder"))
def mkdir(context: ToolContext, path: FilePath) -> MakeFolderResult:
    """Make a folder, and those above it."""
    created = context.workspace.make_folder(path)
    return MakeFolderResult(path=_shown(context.workspace, path), created=created)


@filesystem.action(aliases=("file_exists",), reads_only=True)
def exists(context: ToolContext, path: FilePath) -> ExistsResult:
    """Tell whether there is a file or folder, and which."""
    workspace = context.workspace
    try:
        item = _item(*_status(workspace, path), workspace)
    except FileMissingError:
        return ExistsResult(path=_shown(workspace, path), exists=False, type=None, size=None)
    return ExistsResult(path=item.path, exists=True, type=item.type, size=item.size)


@filesystem.action(aliases=("file_info", "stat"), reads_only=True)
def info(
    context: ToolContext,
    path: FilePath,
    checksum: Annotated[bool, Field(description="Whether to compute the SHA-256 of a file.")] = False,
) -> InfoResult:
    """Size, type and times of a file or folder."""
    workspace = context.workspace
    resolved, status = _status(workspace, path)
    item = _item(resolved, status, workspace)
    digest = None
    if checksum and item.type == "file":
        with workspace.reading(resolved) as handle:
            sha256 = hashlib.sha256()
            for chunk in iter(lambda: handle.read(MEGABYTE), b""):
                sha256.update(chunk)
        digest = sha256.hexdigest()
    mime = mimetypes.guess_type(resolved.name)[0] if item.type == "file" else None
    return InfoResult(**item.model_dump(), suffix=resolved.suffix, mime=mime, sha256=digest)


def _shown(workspace: Workspace, path: str) -> str:
    return workspace.relative(workspace.resolve(path))


def _read(workspace: Workspace, path: str, encoding: str) -> tuple[str, int]:
    data = workspace.read_bytes(path)
    if encoding.lower() == "base64":
        return base64.b64encode(data).decode("ascii"), len(data)
    return decode_text(data, path, encoding), len(data)


def _is_structured(content: Any) -> bool:
    return content is None or isinstance(content, dict | list | tuple | bool | BaseModel)


def _encode(content: Any, path: str, encoding: str) -> bytes:
    """The bytes to write: text and bytes as they are, structured values as the suffix says."""
    if isinstance(content, bytes):
        return content
    suffix = Path(path).suffix.lower()
    if _is_structured(content) or (suffix in (".json", ".jsonl") and not isinstance(content, str)):
        made = as_table(content, suffix)
        content = as_json(content, path, suffix) if made is None else made
    elif not isinstance(content, str | int | float):
        raise ParametersError(f"`content` is of the type {type(content).__name__}, text or JSON values were expected")
    text = str(content)
    try:
        return base64.b64decode(text, validate=True) if encoding.lower() == "base64" else text.encode(encoding)
    except UnicodeEncodeError as error:
        raise ParametersError(
            f"`content` has the character {text[error.start]!r}, which {encoding} does not have", hint="use utf-8"
        ) from None
    except UnicodeError as error:
        raise ParametersError(f"`content` cannot be written as {encoding}: {error}", hint="use utf-8") from None
    except LookupError:
        known = ("utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252", "ascii", "base64")
        raise ParametersError(f'there is no encoding "{encoding}"{nearest(encoding, known)}') from None
    except ValueError as error:
        raise ParametersError(f"`content` is not base64: {error}") from None


def _walk(workspace: Workspace, folder: Path, depth: int | None, hidden: bool) -> Iterator[Entry]:
    with workspace.folder(folder) as held:
        try:
            for count, entry in enumerate(held.walk(depth, hidden=hidden)):
                if count == MAX_ITEMS:
                    raise SizeLimitError(
                        f'"{workspace.relative(folder)}" holds more than {MAX_ITEMS:,} entries',
                        hint="list a folder further down",
                    )
                yield entry
        except OSError as error:
            raise workspace.refused(folder, "be listed", error) from error


def _matching_files(workspace: Workspace, path: str, pattern: str, *, hidden: bool) -> Iterator[str]:
    wanted = GlobPattern(pattern, hidden=hidden)
    folder = workspace.resolve(path)
    found = []
    for names, status in _walk(workspace, folder, wanted.depth, wanted.hidden):
        full = folder.joinpath(*names)
        if wanted.matches(names) and _type(full, status, workspace) == "file":
            found.append(workspace.relative(full))
    yield from sorted(found)


def _type(path: Path, status: os.stat_result, workspace: Workspace) -> EntryType:
    """What an entry is; a link is what it leads to, when that is a file in the workspace."""
    if stat.S_ISLNK(status.st_mode):
        try:
            return "file" if stat.S_ISREG(workspace.resolve(path).stat().st_mode) else "link"
        except (PathError, OSError):  # it leaves the workspace, or leads nowhere
            return "link"
    if stat.S_ISDIR(status.st_mode):
        return "folder"
    return "file" if stat.S_ISREG(status.st_mode) else "other"


def _item(path: Path, status: os.stat_result, workspace: Workspace) -> ListItem:
    kind = _type(path, status, workspace)
    if kind == "file" and stat.S_ISLNK(status.st_mode):
        status = workspace.resolve(path).stat()
    modified = datetime.datetime.fromtimestamp(status.st_mtime, datetime.timezone.utc)
    return ListItem(
        path=workspace.relative(path),
        name=path.name,
        type=kind,
        size=status.st_size if kind == "file" else 0,
        modified=modified.isoformat(timespec="seconds"),
    )


def _existing(workspace: Workspace, path: str) -> Path:
    return _status(workspace, path)[0]


def _status(workspace: Workspace, path: str) -> tuple[Path, os.stat_result]:
    """The resolved path of something that exists, and its status."""
    resolved = workspace.resolve(path)
    try:
        return resolved, resolved.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise workspace.missing(resolved) from None
    except OSError as error:
        raise workspace.refused(resolved, "be looked at", error) from error


def _destination(workspace: Workspace, source: Path, destination: str) -> Path:
    target = workspace.resolve(destination)
    into = destination.endswith(("/", os.sep)) or (target.is_dir() and target != source)
    return target / source.name if into else target


def _transferred(workspace: Workspace, source: Path, target: Path, files: int, size: int) -> TransferResult:
    return TransferResult(source=workspace.relative(source), path=workspace.relative(target), files=files, size=size)
