"""Processes that this program has started, directly or not, so that they can be ended when their work is given up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

_LOOK = 0.02  # seconds between two looks at processes that were asked to end
_LAST = 5.0  # seconds that killed processes are waited for: one that waits for a dead disk is beyond anybody


def children_of(thread: int | None) -> list[int]:
    """Process ids of the direct children that a thread has started and that live.

    Linux tells which thread started a process; elsewhere none is found.

    Args:
        thread: The thread's ``native_id``, None for a thread that has not started.
    """
    try:
        return [int(one) for one in Path(f"/proc/self/task/{thread}/children").read_text().split()]
    except OSError:  # the thread has ended, or the system keeps no such list
        return []


def end_children(thread: int | None, *, kill: bool = False) -> None:
    """Ask the processes that a thread has started to end; with ``kill``, end them.

    A child that leads a process group of its own takes its group with it.
    """
    _send(children_of(thread), signal.SIGKILL if kill else signal.SIGTERM)


def descendants(process: int) -> list[int]:
    """Process ids of everything below a process that lives, parents before their children.

    A process whose parent has ended is found only where an ancestor adopts it (:func:`adopt_orphans`).
    """
    return [pid for pid, _ in _below(process)]


def end_below(process: int, grace: float) -> None:
    """End everything below a process: it is asked, given ``grace`` seconds, and killed. Returns when nothing lives.

    Args:
        process: Process id. It is not ended itself.
        grace: Seconds between the asking and the killing.
    """
    _end(lambda: _below(process), grace)


def end_trees(processes: list[int]) -> None:
    """Kill processes and everything below them. Returns when nothing lives."""
    starts = {pid: start for pid, (_, start) in _table().items() if pid in processes}
    _end(lambda: [*starts.items(), *(one for process in starts for one in _below(process))], 0.0)


def kill(process: int) -> None:
    """Kill a process, with its group when it leads one."""
    _send([process], signal.SIGKILL)


def _end(look: Callable[[], list[tuple[int, bytes]]], grace: float) -> None:
    known = dict.fromkeys(look())
    if grace:
        _send(_living(known), signal.SIGTERM)
    until = time.monotonic() + grace
    while time.monotonic() < until and _living(known):
        time.sleep(_LOOK)
    until = time.monotonic() + _LAST
    while True:
        # Looked up anew each time: what is dying may have started something meanwhile.
        known |= dict.fromkeys(look())
        living = _living(known)
        if not living or time.monotonic() > until:
            return
        _send(living, signal.SIGKILL)
        time.sleep(_LOOK)


def _below(process: int) -> list[tuple[int, bytes]]:
    """Process ids with the time of their start, which tells a process from a later one of the same id."""
    below: dict[int, list[tuple[int, bytes]]] = {}
    for pid, (parent, start) in _table().items():
        below.setdefault(parent, []).append((pid, start))
    found = list(below.get(process, ()))
    for pid, _ in found:  # grows while it is walked
        found += below.get(pid, ())
    return found


def _living(known: Iterable[tuple[int, bytes]]) -> list[int]:
    table = _table()
    return [pid for pid, start in known if pid in table and table[pid][1] == start]


def _send(processes: list[int], number: int) -> None:
    own = os.getpgrp()
    for process in processes:
        with suppress(ProcessLookupError, PermissionError):  # it has ended meanwhile, or is another user's by now
            if os.getpgid(process) == process != own:
                os.killpg(process, number)
            else:
                os.kill(process, number)


def _table() -> dict[int, tuple[int, bytes]]:
    """Process id -> its parent's and its start, for every process that lives: not for those that wait to be reaped."""
    if not Path("/proc/self/stat").exists():
        return _table_by_ps()
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError):  # it has ended since
                # The name stands in parentheses, and may hold any character. Fields: proc(5), from the third on.
                fields = Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()
                if fields[0] not in (b"Z", b"X"):
                    found[int(name)] = (int(fields[1]), fields[19])
    return found


def _table_by_ps() -> dict[int, tuple[int, bytes]]:
    command = ["ps", "-A", "-o", "pid=,ppid=,state=,lstart="]
    rows = (
        line.split(None, 3) for line in subprocess.run(command, capture_output=True, check=False).stdout.splitlines()
    )
    return {int(pid): (int(parent), start) for pid, parent, state, start in rows if not state.startswith(b"Z")}


def adopt_orphans() -> None:
    """Let this process become the parent of what its descendants leave behind, where the system can do that (Linux)."""
    _prctl(36, 1)  # PR_SET_CHILD_SUBREAPER, <linux/prctl.h>


def end_with_parent() -> None:
    """Have this process killed when the thread that started it ends, where the system can do that (Linux)."""
    _prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, <linux/prctl.h>


def _prctl(option: int, value: int) -> None:
    if sys.platform != "linux":
        return
    import ctypes

    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def started(process: int) -> str | None:
    """When a process that lives was started, in the system's own words; None for one that does not live.

    Together with its id it names one process: ids are given out again.
    """
    try:
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else fields[19].decode()
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
    found = _table_by_ps().get(process)
    return None if found is None else "-".join(found[1].decode().split())
