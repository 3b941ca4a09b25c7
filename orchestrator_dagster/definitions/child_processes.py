"""Processes that a thread of this process has started, so that they can be ended when the thread is given up."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path


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
    number = signal.SIGKILL if kill else signal.SIGTERM
    for child in children_of(thread):
        with suppress(ProcessLookupError, PermissionError):  # it has ended meanwhile, or is another user's by now
            if os.getpgid(child) == child:
                os.killpg(child, number)
            else:
                os.kill(child, number)
