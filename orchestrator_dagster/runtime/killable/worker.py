"""The process of one call: loads the tool, calls it, and sends what came of it."""

from __future__ import annotations

import hashlib
import os
import pickle
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from orchestrator_dagster.errors import StepError, ToolError
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.runtime.killable import wire
from orchestrator_dagster.tools.registry import ToolRegistry
from orchestrator_dagster.tools.tool import ToolContext

#: What takes long to import and is safe to have loaded before a fork: once a tool has needed it, later calls have it.
_WORTH_LOADING = ("numpy", "pandas", "openpyxl")
_OWN = "orchestrator_dagster."


class Stopped(BaseException):
    """This process was asked to end: the tool is left as by an interrupt, so that it can clean up."""


def fingerprint(files: Mapping[str, bytes]) -> str:
    """One text for the tools' files and what is in them."""
    parts = (f"{path}\0{hashlib.sha256(files[path]).hexdigest()}\0" for path in sorted(files))
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def load(files: Mapping[str, bytes]) -> ToolRegistry:
    """A registry with the tools of files as they were.

    Raises:
        ToolError: One of them cannot be loaded.
    """
    registry = ToolRegistry()
    for path, content in files.items():
        registry.load_file(path, content)
    return registry


def work(channel: socket.socket, loaded: Mapping[str, ToolRegistry]) -> NoReturn:
    """Do the one job that comes through the channel, and end the process.

    Args:
        channel: Where the job comes from and the result goes to.
        loaded: Registries that are there already, by fingerprint.
    """
    code = 1
    try:
        signal.signal(signal.SIGTERM, _stop)
        _, content = wire.receive(channel)
        before = frozenset(sys.modules)
        told = _Told(channel)
        try:
            result = _result(pickle.loads(content), told, loaded)  # noqa: S301 - from the run itself
        except BaseException as error:
            told.send(wire.FAILED, _failure(error))
        else:
            new = [name for name in sys.modules if name not in before]
            told.send(wire.LOADED, [name for name in new if name in _WORTH_LOADING or name.startswith(_OWN)])
            told.send(wire.RESULT, result)
        code = 0
    except (Stopped, OSError, EOFError):  # nobody waits for it
        pass
    finally:
        os._exit(code)


def _stop(number: int, frame: Any) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # once: the cleaning up is not to be disturbed
    raise Stopped


class _Told:
    """What goes to the run, from whatever thread of the tool."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel, self._lock = channel, threading.Lock()

    def send(self, kind: bytes, value: Any) -> None:
        pieces = wire.frame(kind, value)
        with self._lock:
            for piece in pieces:
                self._channel.sendall(piece)


class _TellingWorkspace(Workspace):
    """A workspace that names each file it begins to write, so that what a killed process leaves half can be removed."""

    def temporary_name(self, target: Path) -> str:
        name = super().temporary_name(target)
        _tell.send(wire.TEMPORARY, str(target.parent / name))
        return name


_tell: _Told  # of this process, which has one call


def _result(job: wire.Job, told: _Told, loaded: Mapping[str, ToolRegistry]) -> bytes:
    global _tell
    _tell = told
    os.environ.clear()
    os.environ.update(job.environment)
    sys.path[:] = job.path
    with suppress(OSError):  # the folder is gone: as for the run itself
        os.chdir(job.current)
    _new_randomness()
    registry = loaded.get(fingerprint(job.files)) or load(job.files)
    action = registry.find(job.tool).find(job.action)
    parameters = pickle.loads(job.parameters)  # noqa: S301 - from the run itself
    settings = {one.name: getattr(job.workspace, one.name) for one in fields(Workspace)}
    context = ToolContext(
        workspace=_TellingWorkspace(**settings),
        timeout=job.timeout,
        folders=job.folders,
        log=lambda line: told.send(wire.LOG, str(line)),
        settings=pickle.loads(job.settings),  # noqa: S301 - from the run itself
    )
    told.send(wire.STARTED, None)
    result = action.call(context, parameters)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    try:
        return pickle.dumps(result, protocol=5)
    except MemoryError:
        raise
    except Exception as error:  # __reduce__ of anything
        raise ToolError(
            f"the result of {job.tool}.{job.action} cannot be passed from the process in which a tool with a "
            f"`timeout` works: {type(error).__name__}: {error}",
            hint="give back plain values: texts, numbers, lists, maps",
            permanent=True,
        ) from None


def _new_randomness() -> None:
    """Python's own generator is seeded after a fork, numpy's is not: two calls would draw the same numbers."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def _failure(error: BaseException) -> wire.Failure:
    if isinstance(error, Stopped):
        raise error
    if not isinstance(error, StepError):
        error = ToolError(f"the tool ended its process: {type(error).__name__}: {error}")
    pickled = None
    with suppress(Exception):  # what a tool's own error holds may not be picklable
        pickled = pickle.dumps(error, protocol=5)
        pickle.loads(pickled)  # noqa: S301 - just made
    return wire.Failure(pickled, type(error).__name__, error.message, error.hint, error.permanent)
