"""How far a loop is, while it runs: for the log of the run, and for those who look on in the run's own process.

The items of a loop are no events of Dagster: ten thousand of them would be ten thousand commits to its database.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

#: Seconds between two lines of the log about one loop.
LOG_SECONDS = 10.0
#: Seconds between two calls of those who look on.
SHOWN_SECONDS = 0.2

#: Called with the step's id, the items that are done, and how many there are (None where nobody knows).
OnItems = Callable[[str, int, "int | None"], None]


@dataclass
class _Loop:
    logged: float
    done: set[int] = field(default_factory=set)
    shown: float = 0.0


_lock = threading.Lock()
_loops: dict[tuple[str, str], _Loop] = {}
_watchers: dict[str, OnItems] = {}


def watch_items(run_id: str, on_items: OnItems) -> None:
    """Have ``on_items`` called, from the threads of the run's steps, until :func:`forget_items`."""
    with _lock:
        _watchers[run_id] = on_items


def forget_items(run_id: str) -> None:
    """The run has ended."""
    with _lock:
        _watchers.pop(run_id, None)
        for key in [key for key in _loops if key[0] == run_id]:
            del _loops[key]


def note_item(run_id: str, step: str, index: int, total: int | None, log: Callable[[str], None]) -> None:
    """An item or a pass of a loop of the top level is done. One that is done again counts once."""
    now = time.monotonic()
    with _lock:
        loop = _loops.setdefault((run_id, step), _Loop(logged=now))
        loop.done.add(index)
        done, watcher = len(loop.done), _watchers.get(run_id)
        says = now - loop.logged >= LOG_SECONDS
        shows = watcher is not None and (now - loop.shown >= SHOWN_SECONDS or done == total)
        if says:
            loop.logged = now
        if shows:
            loop.shown = now
    if says:
        log(f"{done:,} of {total:,} items are done" if total is not None else f"{done:,} passes are done")
    if shows and watcher is not None:
        watcher(step, done, total)
