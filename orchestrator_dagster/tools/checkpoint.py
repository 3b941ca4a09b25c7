"""The tool ``checkpoint``: named state that later steps and later runs find again, in numbered versions.

Each version is a file of its own, ``<folder>/<name>/<version>.json``, written whole or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, Field

from orchestrator_dagster.errors import FileMissingError
from orchestrator_dagster.files.folder import Folder, locked
from orchestrator_dagster.text import nearest
from orchestrator_dagster.tools.stored_json import as_json, checked_name, read_document, text_of
from orchestrator_dagster.tools.tool import Tool, ToolContext

FOLDER = ".orchestrator/checkpoints"
_FORMAT = 1
_VERSION = re.compile(r"(\d{1,9})\.json\Z")

checkpoint = Tool("checkpoint", summary="Keeps named state between steps and runs, in versions.")

Name = Annotated[
    str,
    Field(description="Its name.", validation_alias=AliasChoices("name", "checkpoint_name", "checkpoint_id", "key")),
]
Where = Annotated[str, Field(description="Folder of the workspace that has the checkpoints.")]
Version = Annotated[int | None, Field(ge=1, description="Which version; default the latest.")]


class SaveResult(BaseModel):
    """The version that was written."""

    name: str
    version: int
    saved_at: str
    path: str
    size: int


class LoadResult(BaseModel):
    """What was kept; ``version`` and ``saved_at`` are null when there was nothing and `default` was given."""

    name: str
    found: bool
    data: Any
    version: int | None = None
    saved_at: str | None = None
    note: str | None = None


class VersionInfo(BaseModel):
    """One checkpoint, by its latest version."""

    name: str
    version: int
    versions: list[int]
    saved_at: str
    size: int
    note: str | None = None


class ListResult(BaseModel):
    """The checkpoints by name."""

    items: list[VersionInfo]
    count: int


class DeleteResult(BaseModel):
    """How many versions are gone."""

    name: str
    deleted: int


@checkpoint.action(aliases=("create", "store", "write"), default=True)
def save(
    context: ToolContext,
    name: Name,
    data: Annotated[Any, Field(description="Any JSON value.", validation_alias=AliasChoices("data", "state", "value"))],
    note: Annotated[str | None, Field(description="A word about it.")] = None,
    keep: Annotated[int, Field(ge=1, description="How many versions are kept; older ones go.")] = 10,
    folder: Where = FOLDER,
) -> SaveResult:
    """Keep a value under a name, as its next version."""
    workspace = context.workspace
    data = as_json(data, "the checkpoint")
    with _held(context, name, folder, create=True) as (place, held), locked(held, "checkpoint"):
        before = _versions(held)
        number = before[-1] + 1 if before else 1
        saved_at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        document = {"format": _FORMAT, "name": name, "version": number, "saved_at": saved_at, "note": note}
        written = workspace.write(place / _file(number), text_of({**document, "data": data}))
        for old in before[: len(before) + 1 - keep]:
            held.unlink(_file(old))
    return SaveResult(
        name=name, version=number, saved_at=saved_at, path=workspace.relative(written.path), size=written.bytes
    )


@checkpoint.action(aliases=("restore", "read", "get"))
def load(
    context: ToolContext,
    name: Name,
    version: Version = None,
    default: Annotated[Any, Field(description="What is given when there is no such checkpoint.")] = None,
    required: Annotated[
        bool | None,
        Field(description="Whether a missing checkpoint is an error; by default when there is no `default`."),
    ] = None,
    folder: Where = FOLDER,
) -> LoadResult:
    """Give back what was kept under a name."""
    try:
        with _held(context, name, folder) as (place, held):
            found = _versions(held)
            number = version if version is not None else found[-1] if found else 0
            if number not in found:
                raise _missing(context, name, folder, number if found else None, found)
            document = read_document(context.workspace, place / _file(number), _FORMAT, "checkpoint")
    except FileMissingError:
        if required or (required is None and default is None):
            raise
        return LoadResult(name=name, found=False, data=default)
    return LoadResult(
        name=name,
        found=True,
        data=document["data"],
        version=number,
        saved_at=document["saved_at"],
        note=document["note"],
    )


@checkpoint.action(name="list", aliases=("list_checkpoints", "ls"))
def list_(
    context: ToolContext,
    prefix: Annotated[str, Field(description="Only names that begin so.")] = "",
    folder: Where = FOLDER,
) -> ListResult:
    """List the checkpoints by name, each with its versions."""
    items = []
    for name in _names(context, folder):
        if not name.startswith(prefix):
            continue
        with _held(context, name, folder) as (place, held):
            versions = _versions(held)
            if not versions:
                continue
            path = place / _file(versions[-1])
            document = read_document(context.workspace, path, _FORMAT, "checkpoint")
            size = held.status(path.name).st_size
        items.append(
            VersionInfo(
                name=name,
                version=versions[-1],
                versions=versions,
                saved_at=document["saved_at"],
                size=size,
                note=document["note"],
            )
        )
    return ListResult(items=items, count=len(items))


@checkpoint.action(aliases=("remove", "clear"))
def delete(context: ToolContext, name: Name, version: Version = None, folder: Where = FOLDER) -> DeleteResult:
    """Delete a checkpoint, or one version of it."""
    with _held(context, name, folder) as (place, held):
        found = _versions(held)
        gone = found if version is None else [version]
        if not found or gone[0] not in found:
            raise _missing(context, name, folder, version if found else None, found)
        for number in gone:
            held.unlink(_file(number))
    if len(gone) == len(found):
        context.workspace.remove(place, recursive=True)
    return DeleteResult(name=name, deleted=len(gone))


@contextmanager
def _held(context: ToolContext, name: str, folder: str, *, create: bool = False) -> Iterator[tuple[Path, Folder]]:
    """The folder of one checkpoint, held open.

    Raises:
        FileMissingError: There is no such checkpoint.
    """
    workspace = context.workspace
    place = workspace.resolve(Path(folder) / checked_name(name, "a checkpoint"))
    if not create and not place.is_dir():
        raise _missing(context, name, folder, None, [])
    with workspace.folder(place, create=create) as held:
        yield place, held


def _missing(
    context: ToolContext, name: str, folder: str, version: int | None, versions: list[int]
) -> FileMissingError:
    if version is not None:
        return FileMissingError(
            f'the checkpoint "{name}" has no version {version}',
            hint=f"it has {', '.join(map(str, versions))}",
        )
    return FileMissingError(
        f'there is no checkpoint "{name}" in "{folder}"{nearest(name, _names(context, folder))}',
        hint="save it first, or give a `default`, or `required: false`",
    )


def _names(context: ToolContext, folder: str) -> list[str]:
    place = context.workspace.resolve(folder)
    if not place.is_dir():
        return []
    with context.workspace.folder(place) as held:
        names = sorted(held.names())
    return [name for name in names if (place / name).is_dir() and not name.startswith(".")]


def _versions(held: Folder) -> list[int]:
    return sorted(int(found[1]) for name in held.names() if (found := _VERSION.match(name)))


def _file(version: int) -> str:
    return f"{version:06}.json"
