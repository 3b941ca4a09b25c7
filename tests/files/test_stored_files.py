"""Files that the package keeps for itself, on a disk that is full."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator_dagster.definitions.steps.audit import AuditFile, calls_on_record
from orchestrator_dagster.errors import StorageError
from orchestrator_dagster.files.stored_files import append_whole
from orchestrator_dagster.models.ledger import FileLedger


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Files may have so many bytes: what goes beyond is cut, as the system does it on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_line_that_goes_in_by_half_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    append_whole(path, b"12345\n")
    with room_for(9), pytest.raises(OSError, match="No space left"):
        append_whole(path, b"67890\n")


def test_a_call_that_cannot_be_recorded_does_not_spoil_the_next_one(tmp_path: Path) -> None:
    record, said = AuditFile(tmp_path / "run"), list[str]()
    record.add({"at": "1", "step": "a"}, said.append)
    with room_for(40):
        record.add({"at": "2", "step": "b", "arguments": "x" * 100}, said.append)
    assert len(said) == 1
    assert "No space left" in said[0]
    record.add({"at": "3", "step": "c \u2028 \x85 d"}, said.append)  # both end a line for Python, not in JSON
    assert [(one["at"], one["step"]) for one in calls_on_record(tmp_path / "run")] == [
        ("1", "a"),
        ("3", "c \u2028 \x85 d"),
    ]


def test_a_budget_is_not_held_by_half_a_line(tmp_path: Path) -> None:
    ledger = FileLedger(tmp_path)
    with room_for(20), pytest.raises(StorageError, match="No space left"), ledger._exclusive():
        ledger._write({"kind": "x", "place": "a", "filler": "y" * 50})
