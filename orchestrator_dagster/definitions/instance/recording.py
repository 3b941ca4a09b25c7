"""What is said when the instance cannot record a run: its disk is full, another process holds its database."""

from __future__ import annotations

import re
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from dagster import DagsterInstance

from orchestrator_dagster.errors import RecordingError

#: Free bytes below which SQLite's "disk I/O error" is taken as a full disk: a page of its journal and its index.
_LITTLE = 64 * 1024
_REASON = re.compile(r"\((?P<kind>[\w.]*(?:Error|Warning))\)\s*(?P<reason>[^\n]+)")


@contextmanager
def recording(instance: DagsterInstance, run_id: str | None = None) -> Iterator[None]:
    """Give what the instance's database refuses as one error that says where, why, and how to go on.

    Args:
        instance: The instance that records.
        run_id: The run that is recorded, None when there is none yet.

    Raises:
        RecordingError: The database, or the disk under it, has refused.
    """
    try:
        yield
    except _of_databases() as error:
        raise recording_error(instance, run_id, str(getattr(error, "orig", None) or error)) from error
    except OSError as error:
        place = _root(instance)
        if place is None or not error.filename or not Path(str(error.filename)).is_relative_to(place):
            raise  # not about the instance
        raise recording_error(instance, run_id, error.strerror or str(error)) from error


def _of_databases() -> tuple[type[Exception], ...]:
    """The errors of databases. SQLAlchemy takes 0.15 s to import: a process that has not, has none of its errors."""
    loaded = sys.modules.get("sqlalchemy.exc")
    return (sqlite3.Error, loaded.DBAPIError) if loaded else (sqlite3.Error,)


def recording_error(instance: DagsterInstance, run_id: str | None, reason: str) -> RecordingError:
    """The error for what the database has said."""
    place = _root(instance)
    what = f"the run {run_id}" if run_id else "the run"
    go_on = f"then go on with it: `orchestrator resume {run_id}`" if run_id else "then try again"
    if "locked" in reason or "busy" in reason:
        files = locked_files(place, run_id) if place else []
        reason += "".join(f'; another process holds "{file}"' for file in files)
        hint = f"end what holds it, or wait for it, {go_on}"
    elif "full" in reason or "No space" in reason or is_full(place):
        reason = f"no space left on the device ({reason})"
        hint = f"free space there, {go_on}"
    else:
        hint = f"look at the instance's database, {go_on}"
    return RecordingError(f'{what} cannot be recorded in "{place or "the instance"}": {reason}', hint=hint)


def short_reason(text: str) -> str:
    """What a database has said, without the statement and the values that SQLAlchemy adds.

    >>> short_reason("(sqlite3.OperationalError) database is locked [SQL: INSERT INTO event_logs …")
    'sqlite3.OperationalError: database is locked'
    """
    found = _REASON.match(text)
    if found is None:
        return text
    return f"{found['kind']}: {found['reason'].partition(' [SQL: ')[0].strip()}"


def locked_files(place: Path, run_id: str | None) -> list[str]:
    """The instance's SQLite files that nobody can write now, because another process holds them."""
    history = place / "history"
    files = [history / "runs.db", history / "runs" / "index.db"]
    if run_id:
        files.append(history / "runs" / f"{run_id}.db")
    found = []
    for file in files:
        if file.is_file():
            with suppress(sqlite3.Error), closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as connection:
                try:
                    connection.execute("BEGIN IMMEDIATE")
                    connection.execute("ROLLBACK")
                except sqlite3.OperationalError as error:
                    if "locked" in str(error):
                        found.append(str(file))
    return found


def _root(instance: DagsterInstance) -> Path | None:
    with suppress(Exception):  # an instance in memory has none
        return Path(instance.root_directory)
    return None


def is_full(place: Path | None) -> bool:
    """Whether hardly anything can be written there any more."""
    with suppress(OSError):
        return place is not None and shutil.disk_usage(place).free < _LITTLE
    return False
