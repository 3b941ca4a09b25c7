"""Runs the coroutine of a tool until it is done, its time is over, or the run is stopped."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from orchestrator_dagster.errors import StepInterruptedError, StepTimeoutError
from orchestrator_dagster.processes import children_of, end_trees

_LOOK = 0.1  # seconds between two looks at whether the run is stopped
_GRACE = 1.0  # seconds that a cancelled coroutine is given to clean up


def timed_out(name: str, timeout: float) -> StepTimeoutError:
    """The error for a tool's action that was stopped after ``timeout`` seconds."""
    return StepTimeoutError(
        f"{name} took longer than its timeout of {timeout:g} seconds and was stopped",
        hint="raise the step's `timeout`, or give it less to do",
    )


def interrupted(name: str) -> StepInterruptedError:
    """The error for a tool's action that was stopped with its run."""
    return StepInterruptedError(f"the run was stopped while {name} was working, which was stopped too")


def run_coroutine(name: str, work: Awaitable[Any], timeout: float | None, stop: Callable[[], bool]) -> Any:
    """The result of ``work``, in an event loop of its own in this thread.

    A coroutine that is stopped is cancelled where it awaits, and given a second to clean up; then its loop is closed,
    so that it never runs again. The processes that it has started are killed.

    Args:
        name: The tool and its action, for messages.
        work: What is awaited.
        timeout: Seconds, None without limit.
        stop: Whether the run wants it to stop.

    Raises:
        StepTimeoutError: It took longer than ``timeout``.
        StepInterruptedError: ``stop`` said so.
    """
    thread = threading.get_native_id()
    before = set(children_of(thread))
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    gentle = False
    try:
        done, value = loop.run_until_complete(_await(name, work, timeout, stop))
        gentle = done
    except Exception:  # its own: what it left behind is waited for, as after a result
        gentle = True
        raise
    finally:
        _close(loop, gentle, lambda: end_trees([one for one in children_of(thread) if one not in before]))
    if not done:
        raise value
    return value


async def _await(name: str, work: Awaitable[Any], timeout: float | None, stop: Callable[[], bool]) -> tuple[bool, Any]:
    """True and the result, or False and the error that says why it was stopped."""
    task = asyncio.ensure_future(work)
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        left = _LOOK if end is None else min(_LOOK, end - time.monotonic())
        done, _ = await asyncio.wait({task}, timeout=max(0.0, left))
        if done:
            return True, task.result()
        if stop():
            return False, interrupted(name)
        if end is not None and timeout is not None and time.monotonic() >= end:
            return False, timed_out(name, timeout)


def _close(loop: asyncio.AbstractEventLoop, gentle: bool, end_processes: Callable[[], None]) -> None:
    """As ``asyncio.run`` closes its loop; what was stopped is not waited for without end, and loses its processes."""
    try:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks, timeout=None if gentle else _GRACE))
        if gentle:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        else:
            end_processes()
            # The loop hears of their end from another thread. A transport that has not would complain when collected.
            loop.run_until_complete(asyncio.sleep(_LOOK))
    finally:
        asyncio.set_event_loop(None)
        with suppress(RuntimeError):
            loop.close()
