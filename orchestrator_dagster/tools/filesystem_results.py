"""What the actions of the tool ``filesystem`` answer. Sizes are in bytes."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

EntryType = Literal["file", "folder", "link", "other"]
"""A link that leads to a file of the workspace is a file."""


class ReadResult(BaseModel):
    """A file's text, its size in bytes and the encoding it was read with."""

    path: str
    content: str
    size: int
    encoding: str


class ReadItem(BaseModel):
    """One of several files."""

    path: str
    name: str
    content: str
    size: int


class ReadManyResult(BaseModel):
    """Files in the order asked for, or by path when they were found by a pattern."""

    items: list[ReadItem]
    count: int


class WriteResult(BaseModel):
    """A file that is in place: its size in bytes and the hex SHA-256 of its whole content."""

    path: str
    size: int
    sha256: str


class ListItem(BaseModel):
    """An entry of a folder. ``size`` is in bytes (0 for folders), ``modified`` an ISO time in UTC."""

    path: str
    name: str
    type: EntryType
    size: int
    modified: str


class ListResult(BaseModel):
    """Entries, sorted by path."""

    path: str
    items: list[ListItem]
    count: int


class GlobResult(BaseModel):
    """Paths of files, sorted."""

    items: list[str]
    count: int


class TransferResult(BaseModel):
    """What was copied or moved where; ``files`` counts the files, ``size`` their bytes."""

    source: str
    path: str
    files: int
    size: int


class DeleteResult(BaseModel):
    """``deleted`` tells whether there was something; ``count`` how many files and folders are gone."""

    path: str
    deleted: bool
    count: int


class MakeFolderResult(BaseModel):
    """``created`` is false when the folder was there."""

    path: str
    created: bool


class ExistsResult(BaseModel):
    """``type`` and ``size`` are null when there is nothing."""

    path: str
    exists: bool
    type: EntryType | None
    size: int | None


class InfoResult(ListItem):
    """One entry; ``sha256`` of a file only when it was asked for, ``mime`` guessed from the suffix."""

    suffix: str
    mime: str | None
    sha256: str | None
