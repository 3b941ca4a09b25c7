"""The helper process of a run's process: forks a keeper for each call, which forks the worker and watches over it.

It has one thread, so forking it is safe, and has the tools loaded, so that a call starts in milliseconds.
"""

from __future__ import annotations

import json
import os
import pickle
import select
import signal
import socket
import sys
import threading
import time
import traceback
import warnings
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

from orchestrator_dagster.processes import adopt_orphans, end_below, end_with_parent
from orchestrator_dagster.runtime.killable import wire, worker
from orchestrator_dagster.tools.registry import ToolRegistry

#: Seconds between two looks at whether the process that it serves still lives; its end of a socket tells it at once,
#: unless another process has inherited that.
LOOK = 1.0
#: Seconds without a call after which the server ends.
IDLE = 30.0
#: Seconds that a tool and its processes are given to clean up before they are killed.
GRACE = 0.5
#: What the run says to a keeper whose worker has given its result.
DONE = b"."
#: Files that are passed with a call: the worker's channel, the keeper's, standard output, standard error.
PASSED = 4


def main(descriptor: int) -> NoReturn:
    """Serve the process at the other end of a socket until it is gone, or has asked for nothing for long.

    Args:
        descriptor: Of the socket. Its first frame has the tools' files, or an empty map to load none.
    """
    control = socket.socket(fileno=descriptor)
    control.set_inheritable(False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the run's process decides when this one ends
    code = 0
    try:
        _, content = wire.receive(control)
        loaded = _load(pickle.loads(content))  # noqa: S301 - from the run itself
        _send(control, wire.STARTED, threading.active_count())
        _serve(control, loaded)
    except (EOFError, ConnectionError):
        pass
    except BaseException:
        code = 1
        with suppress(OSError):
            _send(control, wire.FAILED, traceback.format_exc(limit=-3))
    os._exit(code)


def _send(channel: socket.socket, kind: bytes, value: object) -> None:
    for piece in wire.frame(kind, value):
        channel.sendall(piece)


def _load(files: dict[str, bytes]) -> dict[str, ToolRegistry]:
    if not files:
        return {worker.fingerprint({}): ToolRegistry()}
    try:
        return {worker.fingerprint(files): worker.load(files)}
    except BaseException:  # a call loads it again, and tells what is wrong
        return {}


def _serve(control: socket.socket, loaded: dict[str, ToolRegistry]) -> None:
    parent, last = os.getppid(), time.monotonic()
    keepers: set[int] = set()
    while os.getppid() == parent:
        ready, _, _ = select.select([control], [], [], LOOK)
        for keeper in list(keepers):
            if os.waitpid(keeper, os.WNOHANG)[0]:
                keepers.discard(keeper)
                last = time.monotonic()
        if not ready:
            if not keepers and time.monotonic() - last > IDLE:
                return
            continue
        said, passed, _, _ = socket.recv_fds(control, 1 << 16, PASSED)
        if not said:
            return
        for name in json.loads(said):
            with suppress(Exception):  # the call says what is wrong
                import_module(name)
        keepers.add(_fork(control, passed, loaded))
        for descriptor in passed:
            os.close(descriptor)
        control.sendall(DONE)


def _fork(control: socket.socket, passed: list[int], loaded: dict[str, ToolRegistry]) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # libraries such as numpy have threads of their own, and know of forks
        pid = os.fork()
    if pid:
        return pid
    try:
        control.close()
        _keep(passed, loaded)
    finally:
        os._exit(1)


def _keep(passed: list[int], loaded: dict[str, ToolRegistry]) -> NoReturn:
    """Fork the worker, tell how it ended, and end what is left when the run says so or is gone."""
    data, own, output, errors = passed
    run = socket.socket(fileno=own)
    server = os.getppid()
    os.setsid()
    adopt_orphans()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    keeper = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            run.close()
            _become_worker(keeper, output, errors)
            worker.work(socket.socket(fileno=data), loaded)
        finally:
            os._exit(1)
    for descriptor in (data, output, errors):
        os.close(descriptor)
    with suppress(OSError):
        _send(run, wire.STARTED, (keeper, child))
    said, ended = b"", False
    while not said and os.getppid() == server:
        ready, _, _ = select.select([run.fileno(), woken], [], [], LOOK)
        if woken in ready:
            os.read(woken, 1 << 12)
            while True:
                try:
                    pid, status = os.waitpid(-1, os.WNOHANG)
                except ChildProcessError:
                    break
                if pid == 0:
                    break
                if pid == child and not ended:
                    ended = True
                    with suppress(OSError):
                        _send(run, wire.RESULT, status)
        if run.fileno() in ready:
            with suppress(OSError):
                said = run.recv(1)
            if not said:
                break
    if said != DONE:
        end_below(keeper, GRACE)
    os._exit(0)


def _become_worker(keeper: int, output: int, errors: int) -> None:
    """A session of its own, the signals of a new process, and the run's output as its own."""
    signal.set_wakeup_fd(-1)
    os.setsid()
    end_with_parent()
    if os.getppid() != keeper:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    for descriptor, standard in ((output, 1), (errors, 2)):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, write_through=True)  # type: ignore[union-attr]
