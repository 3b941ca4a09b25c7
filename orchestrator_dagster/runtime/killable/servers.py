"""The helper processes of this process: one for each set of tools' files, started when it is first needed.

A helper ends with this process, however that ends, and when nothing was asked of it for a while.
"""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence

from orchestrator_dagster.errors import ToolError
from orchestrator_dagster.runtime.killable import wire
from orchestrator_dagster.runtime.killable.worker import fingerprint

#: Seconds that a helper may take to load the tools, and to fork: more than that, and something holds it up.
_START = 60.0
_ANSWER = 20.0

_lock = threading.Lock()
_servers: dict[str, _Server] = {}
_not_shared: set[str] = set()  # files that start threads when they are loaded: each call loads them for itself
_watched = False


def begin(files: Mapping[str, bytes], passed: Sequence[int]) -> None:
    """Have a keeper forked by the helper for these files.

    Args:
        files: The tools' files, path -> content.
        passed: Descriptors for the keeper, as :data:`~orchestrator_dagster.runtime.killable.server.PASSED` says.

    Raises:
        ToolError: No helper could be started.
    """
    key = fingerprint(files)
    with _lock:
        for fresh in (False, True):  # the one there is may have ended, from want of work
            server = _servers.get(key)
            if server is None or fresh:
                server = _servers[key] = _start(key, files)
            try:
                server.fork(passed)
                return
            except OSError:
                server.end()
                del _servers[key]
            except BaseException:  # an interrupt: what the helper answers would be taken for the next one's answer
                server.end()
                del _servers[key]
                raise
    raise ToolError("the helper process for tools with a `timeout` does not answer", hint="run it again")


def remember(files: Mapping[str, bytes], modules: Iterable[str]) -> None:
    """Let later calls find modules loaded that a call has needed."""
    with _lock:
        server = _servers.get(fingerprint(files))
        if server is not None:
            server.modules |= set(modules) - server.loaded


class _Server:
    """A helper process that is ready."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self._process, self.control = process, control
        self.modules: set[str] = set()
        self.loaded: set[str] = set()

    def fork(self, passed: Sequence[int]) -> None:
        """Have a keeper forked; OSError when the helper is gone or hangs."""
        wanted, self.modules = self.modules, set()
        self.loaded |= wanted
        socket.send_fds(self.control, [json.dumps(sorted(wanted)).encode()], list(passed))
        if not self.control.recv(1):
            raise ConnectionResetError

    def end(self) -> None:
        """End the helper; keepers that it has forked notice, and end their work."""
        self.control.close()
        self._process.kill()
        self._process.wait()


def _start(key: str, files: Mapping[str, bytes]) -> _Server:
    server, threads = _started({} if key in _not_shared else files)
    if threads > 1:
        # A fork would have the threads' locks and not the threads.
        server.end()
        _not_shared.add(key)
        server, _ = _started({})
    return server


def _started(files: Mapping[str, bytes]) -> tuple[_Server, int]:
    """A helper that has loaded files, and how many threads it has then."""
    global _watched
    if not _watched:
        os.register_at_fork(after_in_child=_forget)
        _watched = True
    ours, theirs = socket.socketpair()
    # Its own import path comes first of all: a file in the current folder may have the name of any module.
    code = (
        f"import sys; sys.path[:] = {[str(one) for one in sys.path]!r}; sys.argv = {list(sys.argv)!r}\n"
        "from orchestrator_dagster.runtime.killable.server import main\n"
        f"main({theirs.fileno()})"
    )
    made: list[subprocess.Popen[bytes] | OSError] = []

    def start() -> None:
        try:
            made.append(
                subprocess.Popen(
                    [sys.executable, "-c", code],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            )
        except OSError as error:
            made.append(error)

    # In a thread of its own, because the system keeps which thread started a process: the processes of a step's thread
    # are ended with the step, and this one is for all steps.
    thread = threading.Thread(target=start, name="start-tool-helper")
    thread.start()
    thread.join()
    theirs.close()
    (process,) = made
    if isinstance(process, OSError):
        ours.close()
        raise ToolError(f"the helper process for tools with a `timeout` cannot be started: {process}")
    server = _Server(process, ours)
    ours.settimeout(_START)
    try:
        for piece in wire.frame(wire.JOB, dict(files)):
            ours.sendall(piece)
        kind, content = wire.receive(ours)
    except (EOFError, OSError) as error:
        server.end()
        raise ToolError(
            f"the helper process for tools with a `timeout` did not start: {type(error).__name__} {error}".rstrip()
        ) from None
    said = pickle.loads(content)  # noqa: S301 - from our own process
    if kind == wire.FAILED:
        server.end()
        raise ToolError(f"the helper process for tools with a `timeout` did not start: {said}")
    ours.settimeout(_ANSWER)
    return server, said


def _forget() -> None:
    """In a process that was forked from this one: the helpers are not its own, and end with this one."""
    global _lock
    _lock = threading.Lock()  # the other thread that held it is not here
    for server in _servers.values():
        server.control.close()
    _servers.clear()
