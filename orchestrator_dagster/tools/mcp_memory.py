"""The tool ``mcp-memory``: values under keys in namespaces, kept in the workspace, forgotten after a time when wanted.

It needs no server. A namespace is one file, ``<folder>/<namespace>.json``; changes to it wait for each other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, Field

from orchestrator_dagster.errors import FileMissingError
from orchestrator_dagster.files.folder import locked
from orchestrator_dagster.language.base import Duration
from orchestrator_dagster.text import nearest
from orchestrator_dagster.tools.stored_json import as_json, checked_name, read_document, text_of
from orchestrator_dagster.tools.tool import Tool, ToolContext

FOLDER = ".orchestrator/memory"
_FORMAT = 1

mcp_memory = Tool("mcp-memory", summary="Remembers values by key and namespace, with a time to live.")

Key = Annotated[str, Field(min_length=1, max_length=500, description="The key.")]
Namespace = Annotated[str, Field(description="Keys of one namespace know nothing of another's.")]
Where = Annotated[str, Field(description="Folder of the workspace that has the memory.")]


class Entry(BaseModel):
    """One remembered value. Times are ISO 8601 in UTC."""

    key: str
    value: Any
    tags: list[str] = []
    stored_at: str
    expires_at: str | None = None


class StoreResult(BaseModel):
    """What was stored; ``replaced`` says that the key was there before."""

    key: str
    namespace: str
    replaced: bool
    expires_at: str | None


class RetrieveResult(BaseModel):
    """The value; ``found`` is false where the default stands in for it."""

    key: str
    namespace: str
    found: bool
    value: Any
    tags: list[str] = []
    stored_at: str | None = None
    expires_at: str | None = None


class ListResult(BaseModel):
    """The entries by key."""

    namespace: str
    items: list[Entry]
    count: int


class SearchResult(BaseModel):
    """The entries that fit best, the best first."""

    namespace: str
    query: str
    items: list[Entry]
    count: int


class DeleteResult(BaseModel):
    """How many entries are gone."""

    namespace: str
    deleted: int


@mcp_memory.action(aliases=("set", "save", "remember", "put"), default=True)
def store(
    context: ToolContext,
    key: Key,
    value: Annotated[Any, Field(description="Any JSON value.", validation_alias=AliasChoices("value", "data"))],
    namespace: Namespace = "default",
    ttl: Annotated[
        Duration | None, Field(description="How long it is remembered: 30, 10m, 2d; default for ever.")
    ] = None,
    tags: Annotated[list[str], Field(description="Words to find it by.")] = [],  # noqa: B006 - it is never changed
    folder: Where = FOLDER,
) -> StoreResult:
    """Remember a value under a key; an older value of the key is replaced."""
    now = datetime.now(timezone.utc)
    expires = None if ttl is None else _iso(now + timedelta(seconds=float(ttl)))
    entry = Entry(
        key=key, value=as_json(value, f'the value of "{key}"'), tags=tags, stored_at=_iso(now), expires_at=expires
    )
    with _changing(context, namespace, folder) as entries:
        replaced = key in entries
        entries[key] = entry
    return StoreResult(key=key, namespace=namespace, replaced=replaced, expires_at=expires)


@mcp_memory.action(aliases=("get", "load", "recall", "read"))
def retrieve(
    context: ToolContext,
    key: Key,
    namespace: Namespace = "default",
    default: Annotated[Any, Field(description="What is given for a key that is not there.")] = None,
    required: Annotated[
        bool | None, Field(description="Whether a missing key is an error; by default when there is no `default`.")
    ] = None,
    folder: Where = FOLDER,
) -> RetrieveResult:
    """Give back the value of a key."""
    entries = _entries(context, namespace, folder)
    if key in entries:
        return RetrieveResult(namespace=namespace, found=True, **entries[key].model_dump())
    if required or (required is None and default is None):
        raise FileMissingError(
            f'the namespace "{namespace}" has no key "{key}"{nearest(key, entries)}',
            hint="store it first, or give a `default`, or `required: false`",
        )
    return RetrieveResult(key=key, namespace=namespace, found=False, value=default)


@mcp_memory.action(name="list", aliases=("list_keys", "keys"))
def list_(
    context: ToolContext,
    namespace: Namespace = "default",
    prefix: Annotated[str, Field(description="Only keys that begin so.")] = "",
    folder: Where = FOLDER,
) -> ListResult:
    """List what a namespace has, by key."""
    entries = _entries(context, namespace, folder)
    items = [entries[key] for key in sorted(entries) if key.startswith(prefix)]
    return ListResult(namespace=namespace, items=items, count=len(items))


@mcp_memory.action(aliases=("find", "query"))
def search(
    context: ToolContext,
    query: Annotated[str, Field(min_length=1, description="Words; entries with more of them come first.")],
    namespace: Namespace = "default",
    limit: Annotated[int, Field(ge=1, description="The most entries.")] = 10,
    folder: Where = FOLDER,
) -> SearchResult:
    """Find entries by words of their keys, tags and values."""
    words = set(_words(query))
    ranked = []
    for key, entry in sorted(_entries(context, namespace, folder).items()):
        names = set(_words(" ".join((key, *entry.tags))))
        values = set(_words(json.dumps(entry.value, ensure_ascii=False)))
        score = sum(3 * (word in names) + (word in values) for word in words)
        if score:
            ranked.append((-score, key, entry))
    items = [entry for _, _, entry in sorted(ranked, key=lambda one: one[:2])[:limit]]
    return SearchResult(namespace=namespace, query=query, items=items, count=len(items))


@mcp_memory.action(aliases=("remove", "forget"))
def delete(context: ToolContext, key: Key, namespace: Namespace = "default", folder: Where = FOLDER) -> DeleteResult:
    """Forget a key; one that is not there is no error."""
    with _changing(context, namespace, folder) as entries:
        gone = entries.pop(key, None) is not None
    return DeleteResult(namespace=namespace, deleted=int(gone))


@mcp_memory.action(aliases=("clear_namespace",))
def clear(context: ToolContext, namespace: Namespace = "default", folder: Where = FOLDER) -> DeleteResult:
    """Forget everything of a namespace."""
    with _changing(context, namespace, folder) as entries:
        count = len(entries)
        entries.clear()
    return DeleteResult(namespace=namespace, deleted=count)


def _path(context: ToolContext, namespace: str, folder: str) -> Path:
    return context.workspace.resolve(Path(folder) / f"{checked_name(namespace, 'a namespace')}.json")


def _entries(context: ToolContext, namespace: str, folder: str) -> dict[str, Entry]:
    """What is remembered still."""
    path = _path(context, namespace, folder)
    if not path.exists():
        return {}
    now = _iso(datetime.now(timezone.utc))
    found = read_document(context.workspace, path, _FORMAT, "memory")["entries"]
    entries = {one["key"]: Entry.model_validate(one) for one in found}
    return {key: one for key, one in entries.items() if one.expires_at is None or one.expires_at > now}


@contextmanager
def _changing(context: ToolContext, namespace: str, folder: str) -> Iterator[dict[str, Entry]]:
    """The entries, written back when the block ends; nobody else changes them meanwhile."""
    path = _path(context, namespace, folder)
    with context.workspace.folder(path.parent, create=True) as held, locked(held, path.name):
        entries = _entries(context, namespace, folder)
        yield entries
        document = {"format": _FORMAT, "entries": [one.model_dump(mode="json") for one in entries.values()]}
        context.workspace.write(path, text_of(document))


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
