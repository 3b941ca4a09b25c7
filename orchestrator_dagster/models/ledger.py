"""What a run's model calls have taken and what calls under way may still take: one book for all threads and processes.

A call is entered with its estimate before it is made, and with its bill when it has ended. Sums are kept for the place
of a call and for everything around it: a call at ``each[3]/draft`` counts for ``each[3]``, ``each`` and the whole run
(the place ``""``).

A book in a local folder is one file that is only added to, under a lock: what is checked and entered is one action, for
all processes of the machine. Behind a URL there is no lock: each process writes a file of its own and reads those of
the others before each call, so two processes may at the same moment both take what is left.
"""

from __future__ import annotations

import contextlib
import functools
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from orchestrator_dagster.errors import StorageError
from orchestrator_dagster.files.stored_files import append_whole, is_gone, shown, write_whole, writer_mark

if TYPE_CHECKING:
    from upath import UPath

    AnyPath = Union[Path, UPath]

_LOOK = 0.2  # seconds between two looks at what other processes have entered
_LOCK_SECONDS = 60.0
_FILE = "spent.jsonl"


@dataclass(frozen=True)
class Spent:
    """What calls took: counts, tokens in and out together, US dollars. ``unpriced`` calls have no known price."""

    calls: int = 0
    tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.calls + other.calls,
            self.tokens + other.tokens,
            self.cost + other.cost,
            self.unpriced + other.unpriced,
        )


@dataclass(frozen=True)
class Entry:
    """A call under way: where it is made, what it may take, when it has surely ended (seconds since the epoch)."""

    path: str
    estimate: Spent
    until: float
    by: str

    @property
    def is_open(self) -> bool:
        """Whether it may still end. What the call of a process that is gone took, nobody knows."""
        return time.time() < self.until and not is_gone(self.by)


@dataclass(frozen=True)
class Sums:
    """Of one place: what has ended (lost calls with their estimates), and the estimates of what is under way."""

    spent: Spent = field(default_factory=Spent)
    open: Spent = field(default_factory=Spent)


#: Whether a call may be made, when the sums of a place are these: None for yes, True for "later", or raises.
Verdict = Callable[[Callable[[str], Sums]], "bool | None"]


class Ledger:
    """A book in memory, for the threads of one process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._changed = threading.Condition(threading.Lock())
        self._open: dict[str, Entry] = {}
        self._spent: dict[str, Spent] = {}

    def reserve(
        self, path: str, estimate: Spent, seconds: float, judge: Verdict, interrupted: Callable[[], None]
    ) -> str:
        """Enter a call before it is made; wait where only calls under way stand against it.

        Args:
            path: Where it is made.
            estimate: What it may take.
            seconds: When it has surely ended, from now.
            judge: Says whether it may be made.
            interrupted: Called while waiting; raises when the run is stopped.

        Returns:
            The entry's id, for :meth:`settle`.

        Raises:
            StorageError: The book cannot be read or written. And what ``judge`` raises.
        """
        while True:
            with self._exclusive():
                if not judge(self.sums):
                    entry = Entry(path, estimate, time.time() + seconds, writer_mark())
                    key = uuid.uuid4().hex
                    self._write({"id": key, **asdict(entry)})
                    return key
            with self._changed:
                self._changed.wait(_LOOK)
            interrupted()

    def settle(self, key: str, bill: Spent, places: Sequence[str] = ()) -> list[Spent]:
        """Enter what a call took.

        Returns:
            What is spent of each of these places, with the bill.

        Raises:
            StorageError: The book cannot be written; the estimate counts then.
        """
        with self._exclusive():
            self._write({"id": key, "bill": asdict(bill)})
            found = [self.sums(place).spent for place in places]
        with self._changed:
            self._changed.notify_all()
        return found

    def look(self, place: str) -> Sums:
        """The sums of a place as they are now, everything below it included."""
        with self._exclusive():
            return self.sums(place)

    def sums(self, place: str) -> Sums:
        """The sums of a place as they were last read."""
        spent, open_ = self._spent.get(place, Spent()), Spent()
        for entry in self._open.values():
            if place in places_of(entry.path):
                if entry.is_open:
                    open_ += entry.estimate
                else:
                    spent += entry.estimate
        return Sums(spent, open_)

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        with self._lock:
            yield

    def _write(self, line: dict[str, Any]) -> None:
        self._take(line)

    def _take(self, line: dict[str, Any]) -> None:
        """Take over one line of the book."""
        if "bill" not in line:
            self._open[line["id"]] = Entry(line["path"], _spent(line["estimate"]), line["until"], line["by"])
            return
        entry = self._open.pop(line["id"], None)
        if entry is not None:
            bill = _spent(line["bill"])
            for place in places_of(entry.path):
                self._spent[place] = self._spent.get(place, Spent()) + bill


class FileLedger(Ledger):
    """A book in a local folder, for all processes of one machine."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._path = folder / _FILE
        self._position = 0
        self._half = b""

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        from filelock import FileLock, Timeout

        with self._lock:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                held = FileLock(self._path.with_suffix(".lock"), timeout=_LOCK_SECONDS, poll_interval=0.01)
                held.acquire()
            except (OSError, Timeout) as error:
                raise _unusable(self._path, error) from None
            try:
                self._read()
                yield
            finally:
                held.release()

    def _read(self) -> None:
        """Take over what was added since the last time."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._position)
                new = file.read()
        except FileNotFoundError:
            return
        except OSError as error:
            raise _unusable(self._path, error) from None
        self._position += len(new)
        *lines, self._half = (self._half + new).split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError, KeyError, TypeError):  # half a line of a process that was killed
                self._take(json.loads(line))

    def _write(self, line: dict[str, Any]) -> None:
        data = json.dumps(line).encode() + b"\n"
        try:
            append_whole(self._path, b"\n" + data if self._half else data)
        except OSError as error:
            raise _unusable(self._path, error) from None
        self._read()


class RemoteLedger(Ledger):
    """A book behind a URL: a file for each process."""

    def __init__(self, folder: UPath) -> None:
        super().__init__()
        self._folder = folder
        self._own = folder / f"spent-{writer_mark()}-{uuid.uuid4().hex[:8]}.jsonl"
        self._lines: list[str] = []
        self._seen: dict[str, tuple[str, int]] = {}

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        with self._lock:
            try:
                self._read()
            except Exception as error:  # each file system has errors of its own
                raise _unusable(self._folder, error) from None
            yield

    def _read(self) -> None:
        fs = self._folder.fs
        fs.invalidate_cache()
        if not fs.exists(self._folder.path):
            return
        for found in fs.ls(self._folder.path, detail=True):
            name, state = str(found["name"]).rpartition("/")[2], repr(sorted(found.items(), key=str))
            known, lines = self._seen.get(name, ("", 0))
            if name == self._own.name or not name.startswith("spent-") or known == state:
                continue
            text = (self._folder / name).read_text(encoding="utf-8").splitlines()
            for line in text[lines:]:
                self._take(json.loads(line))
            self._seen[name] = (state, len(text))

    def _write(self, line: dict[str, Any]) -> None:
        self._lines.append(json.dumps(line))
        try:
            write_whole(self._own, "\n".join(self._lines) + "\n")
        except Exception as error:  # each file system has errors of its own
            self._lines.pop()
            raise _unusable(self._folder, error) from None
        self._take(line)


@functools.lru_cache(maxsize=64)
def ledger_in(folder: AnyPath) -> Ledger:
    """The book in a folder; one for all threads of this process, so that it is not read anew for every call."""
    return FileLedger(folder) if isinstance(folder, Path) else RemoteLedger(folder)


def places_of(path: str) -> Sequence[str]:
    """The places that a call counts for: its own and those around it.

    >>> places_of("each[3]/draft")
    ('', 'each', 'each[3]', 'each[3]/draft')
    """
    found = [""]
    for number, sign in enumerate(path):
        if sign in "/[" and path[:number] != found[-1]:
            found.append(path[:number])
    return tuple([*found, path] if path else found)


def _spent(values: dict[str, Any]) -> Spent:
    return Spent(**{one.name: values[one.name] for one in fields(Spent)})


def _unusable(place: object, error: Exception) -> StorageError:
    reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
    return StorageError(
        f'what the run has spent cannot be kept in "{shown(place)}": {reason}',
        hint="make the folder usable: without it a budget cannot be held",
    )
