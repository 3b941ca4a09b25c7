"""The process between a tool and its command: starts it within limits, watches it, and ends all that it has started.

It has one thread and loads little, so it can fork and set limits, which a program with threads cannot do safely. It
adopts what the command's processes leave behind, so a daemon does not escape. When its tool is gone (the other end of
``control`` closes), it ends everything.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from orchestrator_dagster.processes import adopt_orphans, descendants, end_below, end_with_parent

LOOK = 0.1
"""Seconds between two looks at what the processes take."""
GRACE = 0.3
"""Seconds that processes are given to clean up after they were asked to end."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


def main() -> NoReturn:
    """Do the one job that comes through the socket whose descriptor is the last argument."""
    control = socket.socket(fileno=int(sys.argv[-1]))
    code = 1
    try:
        with control.makefile("rb") as lines:
            job = json.loads(lines.readline())
        answer = _run(job, control)
        try:
            control.sendall(json.dumps(answer).encode())
        except OSError:  # nobody waits for it, and so nobody tidies up
            _remove(job["temporary"])
        code = 0
    finally:
        os._exit(code)


def _run(job: dict[str, Any], control: socket.socket) -> dict[str, Any]:
    """Run the command to its end, or to that of its limits or of its tool.

    Returns:
        ``error`` with what the system said when it cannot be started; else ``status`` as :mod:`os` gives it, None when
        it was ended, ``over`` with the limit that it broke, and ``left``, the number of processes that it left behind.
    """
    control.set_inheritable(False)  # everything else is closed when the command starts
    os.fchdir(job["folder"])
    os.close(job["folder"])
    adopt_orphans()
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if hasattr(os, "pipe2") else _pipe()
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    failed, fails = os.pipe()
    keeper = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            os.close(failed)
            _become(job, keeper, fails)
        finally:
            os._exit(127)
    os.close(fails)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # the command's, whose end the tool waits for
        os.dup2(nowhere, standard)
    with os.fdopen(failed, "rb") as why:
        said = why.read()
    if said:
        return {"error": int(said)}
    status, over = _watch(job, child, control, woken)
    left = len(descendants(keeper)) if status is not None else 0
    _end(child, 0.0 if over else GRACE)
    return {"status": status, "over": over, "left": left}


def _remove(folders: list[str]) -> None:
    import shutil

    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _pipe() -> tuple[int, int]:
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends


def _become(job: dict[str, Any], keeper: int, fails: int) -> NoReturn:
    """Be the command: a session of its own, the signals of a new process, its limits, no file that is not its own."""
    signal.set_wakeup_fd(-1)
    os.setsid()
    end_with_parent()
    if os.getppid() != keeper:
        os._exit(1)
    for number in (signal.SIGINT, signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    for which, value in (
        (resource.RLIMIT_AS, job["memory"]),
        (resource.RLIMIT_FSIZE, job["file_bytes"]),
        (getattr(resource, "RLIMIT_NPROC", None), _processes_of_user() + job["processes"]),
        (resource.RLIMIT_CORE, 0),
    ):
        if which is not None:
            _limit(which, value)
    try:
        os.execvpe(job["command"][0], job["command"], job["environment"])
    except OSError as error:
        os.write(fails, str(error.errno).encode())
        os._exit(127)


def _limit(which: int, value: int) -> None:
    _, most = resource.getrlimit(which)
    if most != resource.RLIM_INFINITY:
        value = min(value, most)
    with contextlib.suppress(ValueError, OSError):  # systems that refuse a limit: what is watched remains
        resource.setrlimit(which, (value, value))


def _processes_of_user() -> int:
    """Processes and threads that the user has, which the system counts together."""
    found, user = 0, os.getuid()
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if name.isdigit() and Path("/proc", name).stat().st_uid == user:
                    found += len(os.listdir(f"/proc/{name}/task"))
    return found


def _watch(job: dict[str, Any], child: int, control: socket.socket, woken: int) -> tuple[int | None, str | None]:
    """The command's status when it has ended, else None; and which limit it broke."""
    looked = time.monotonic()
    while True:
        ready, _, _ = select.select([control.fileno(), woken], [], [], LOOK)
        if woken in ready:
            os.read(woken, 1 << 12)
        if control.fileno() in ready:  # closed, or broken: its tool is gone
            return None, None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == child:
                return status, None
            if pid == 0:
                break
        if time.monotonic() - looked >= LOOK:
            over = _over(job)
            if over:
                return None, over
            looked = time.monotonic()


def _over(job: dict[str, Any]) -> str | None:
    """The limit that all processes together have passed: those of the system hold for one process, or not for root."""
    below = _below()
    if len(below) > job["processes"]:
        return "processes"
    return "memory" if sum(map(_resident, below)) > job["memory"] else None


def _below() -> list[int]:
    """Everything below this process. Linux lists the children of each thread, so this costs what is below, not what is
    on the machine.
    """
    found = [os.getpid()]
    for process in found:  # grows while it is walked
        try:
            for thread in os.listdir(f"/proc/{process}/task"):
                with open(f"/proc/{process}/task/{thread}/children", "rb") as file:  # noqa: PTH123 - called often
                    found += map(int, file.read().split())
        except OSError:
            if process == found[0]:  # the system keeps no such lists
                return descendants(process)
    return found[1:]


def _resident(process: int) -> int:
    """Bytes of memory that a process holds and shares with no file; 0 where the system does not tell."""
    try:
        with open(f"/proc/{process}/statm", "rb") as file:  # noqa: PTH123 - called often
            fields = file.read().split()
        return (int(fields[1]) - int(fields[2])) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


def _end(child: int, grace: float) -> None:
    """End the command's group, and everything below."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        # A group at once: what forks faster than it can be listed does not get away.
        os.killpg(child, signal.SIGTERM if grace else signal.SIGKILL)
    end_below(os.getpid(), grace)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
