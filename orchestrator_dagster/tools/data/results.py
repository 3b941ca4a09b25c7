"""What the actions answer: the fields that templates may read."""

from __future__ import annotations

from typing import Any

from typing_extensions import NotRequired, TypedDict


class TableResult(TypedDict):
    """A table: its rows, column names and number of rows.

    ``path`` is the file where one was asked for; a table too large for a value has ``preview`` instead of ``data``.
    """

    data: NotRequired[list[dict[str, Any]]]
    columns: list[str]
    row_count: int
    path: NotRequired[str]
    preview: NotRequired[list[dict[str, Any]]]


class PartResult(TableResult):
    """Some rows of a table, which had ``rows_before``."""

    rows_before: int


class DistinctResult(TableResult):
    """A table of which ``removed`` rows are gone."""

    removed: int


class MergeResult(TableResult):
    """A join: rows of the left and right tables without a partner, and what may not be meant."""

    unmatched_left: int
    unmatched_right: int
    warnings: list[str]


class SaveResult(TypedDict):
    """A table that is in a file; ``bytes`` is its size."""

    path: str
    format: str
    bytes: int
    sha256: str
    columns: list[str]
    row_count: int


class ConvertResult(TypedDict):
    """A table in another format: its text in ``content``, or its file as :class:`SaveResult` has it."""

    content: NotRequired[str]
    format: str
    columns: list[str]
    row_count: int
    path: NotRequired[str]
    bytes: NotRequired[int]
    sha256: NotRequired[str]


class ProfileResult(TypedDict):
    """A description: one object a column in ``data``, the size of the table, and correlations where asked for."""

    data: list[dict[str, Any]]
    columns: list[str]
    row_count: int
    column_count: int
    duplicate_rows: int
    correlation: NotRequired[dict[str, dict[str, float | None]]]
