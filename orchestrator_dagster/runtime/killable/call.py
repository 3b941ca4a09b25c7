"""Calls a tool's action in a process of its own, and stops it when its time is over or the run is stopped."""

from __future__ import annotations

import os
import pickle
import selectors
import signal
import socket
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from orchestrator_dagster.errors import StepError, ToolError
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.processes import end_trees, kill
from orchestrator_dagster.runtime.killable import wire
from orchestrator_dagster.runtime.killable.server import DONE
from orchestrator_dagster.runtime.killable.servers import begin, remember
from orchestrator_dagster.tools.coroutines import interrupted, timed_out
from orchestrator_dagster.tools.registry import ToolRegistry
from orchestrator_dagster.tools.tool import Action, ToolContext

_LOOK = 0.1  # seconds between two looks at whether the run is stopped
_LOAD = 120.0  # seconds that a process may take to load the tool, which are not counted as its work
_STOP = 5.0  # seconds that a keeper may take to stop its worker; it needs about one at most


def call_killable(tools: ToolRegistry, action: Action, context: ToolContext, parameters: dict[str, Any]) -> Any:
    """The result of ``action.call(context, parameters)``, made in another process.

    Args:
        tools: The registry that the action comes from.
        action: The action.
        context: With a ``timeout``, in seconds of the tool's own work.
        parameters: Plain values.

    Raises:
        StepTimeoutError: It took longer. It and every process that it has started have ended.
        StepInterruptedError: The run was stopped; likewise.
        ToolError: The tool cannot be made again in another process, or its process ended without a result.
        StepError: What the tool raised.
    """
    assert context.timeout is not None
    name = f"{action.tool}.{action.name}"
    if tools.only_in_memory(action.tool):
        raise ToolError(
            f'the tool "{action.tool}" exists only in this program\'s memory: with a `timeout` it is called in a '
            "process of its own, which cannot make it again",
            hint="put it into the project's `tools.py`, or make its function `async`",
            permanent=True,
        )
    action.check(parameters)
    files = tools.files()
    job = wire.Job(
        tool=action.tool,
        action=action.name,
        parameters=_pickled(name, parameters),
        files=files,
        workspace=context.workspace,
        timeout=context.timeout,
        folders=context.folders,
        settings=_pickled(name, context.settings),
        environment=dict(os.environ),
        current=_current_folder(),
        path=tuple(sys.path),
    )
    with _Call(name, context) as call:
        call.start(job)
        result = call.result()
    remember(files, call.modules)
    return result


def _pickled(name: str, parameters: Any) -> bytes:
    try:
        return pickle.dumps(parameters, protocol=5)
    except MemoryError:
        raise
    except Exception as error:  # __reduce__ of anything
        raise ToolError(
            f"the parameters of {name} cannot be passed to the process in which a tool with a `timeout` works: "
            f"{type(error).__name__}: {error}",
            hint="give it plain values: texts, numbers, lists, maps",
            permanent=True,
        ) from None


def _current_folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # it was removed
        return os.sep


class _Call:
    """One call: the channel to its worker and the one to its keeper. Leaving the block without a result stops it."""

    def __init__(self, name: str, context: ToolContext) -> None:
        self._name, self._context = name, context
        self._temporaries: list[str] = []
        self._status: int | None = None
        self._keeper = self._worker = 0
        self._keeper_lost = False
        self._unsent: list[memoryview] = []
        self._from_worker, self._from_keeper = wire.Frames(), wire.Frames()
        self._ended: tuple[bytes, bytearray] | None = None
        self._until = time.monotonic() + _LOAD
        self._started = False
        self.modules: list[str] = []

    def __enter__(self) -> _Call:
        self._stack = ExitStack()
        self._data, their_data = self._pair()
        self._keep, their_keep = self._pair()
        self._theirs = (their_data, their_keep)
        return self

    def _pair(self) -> tuple[socket.socket, socket.socket]:
        ours, theirs = socket.socketpair()
        self._stack.callback(theirs.close)
        self._stack.callback(ours.close)
        ours.setblocking(False)
        return ours, theirs

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._stack:
            for one in self._theirs:
                one.close()
            if self._ended is not None:
                with suppress(OSError):
                    self._keep.send(DONE)
            else:
                self._stop()
            if kind is not None:
                self._remove_temporaries()

    def start(self, job: wire.Job) -> None:
        """Have the processes forked, and the job sent as far as it goes at once."""
        output = [_standard(number, self._stack) for number in (1, 2)]
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # closed, or None
                stream.flush()  # what was said before comes before
        begin(job.files, [one.fileno() for one in self._theirs] + output)
        for one in self._theirs:
            one.close()
        self._unsent = wire.frame(wire.JOB, pickle.dumps(job, protocol=5))

    def result(self) -> Any:
        """Wait for the end.

        Raises:
            StepError: The tool's own error, or why it was stopped.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self._data, selectors.EVENT_READ | selectors.EVENT_WRITE)
            selector.register(self._keep, selectors.EVENT_READ)
            while self._ended is None:
                for key, events in selector.select(max(0.0, min(_LOOK, self._until - time.monotonic()))):
                    if key.fileobj is self._data and events & selectors.EVENT_WRITE:
                        self._send()
                    if key.fileobj is self._keep and events & selectors.EVENT_READ:
                        self._hear_keeper()
                gone = self._hear_worker()
                if self._data in selector.get_map():
                    if gone:  # closed by the tool, or on its way to its end, of which the keeper tells
                        selector.unregister(self._data)
                    elif not self._unsent:
                        selector.modify(self._data, selectors.EVENT_READ)
                if self._ended is None:
                    self._check()
        kind, content = self._ended
        try:
            value = pickle.loads(content)  # noqa: S301 - from our own process
        except Exception as error:  # a class that is not here
            raise ToolError(
                f"the result of {self._name} cannot be read: {type(error).__name__}: {error}",
                hint="give back plain values: texts, numbers, lists, maps",
                permanent=True,
            ) from None
        if kind == wire.RESULT:
            return value
        raise _error(value)

    def _check(self) -> None:
        if self._context.interrupted():
            raise interrupted(self._name)
        if self._status is not None:
            raise _died(self._name, self._status)
        if time.monotonic() >= self._until:
            if not self._started:
                raise ToolError(f"{self._name} could not be loaded within {_LOAD:g} s in a process of its own")
            raise timed_out(self._name, self._context.timeout or 0.0)

    def _send(self) -> None:
        with suppress(BlockingIOError, ConnectionError):  # a worker that is gone is told by its keeper
            while self._unsent:
                sent = self._data.send(self._unsent[0])
                self._unsent[0] = self._unsent[0][sent:]
                if not self._unsent[0]:
                    del self._unsent[0]

    def _hear_worker(self) -> bool:
        """Whether the worker has closed its channel."""
        frames, gone = self._from_worker.arrived(self._data)
        for kind, content in frames:
            if kind in (wire.RESULT, wire.FAILED):
                self._ended = (kind, content)
                return gone
            value = pickle.loads(content)  # noqa: S301 - from our own process
            if kind == wire.STARTED and self._context.timeout is not None:
                self._started = True
                self._until = time.monotonic() + self._context.timeout
            elif kind == wire.LOG:
                self._context.log(value)
            elif kind == wire.TEMPORARY:
                self._temporaries.append(value)
            elif kind == wire.LOADED:
                self.modules = value
        return gone

    def _hear_keeper(self) -> bool:
        """Whether the keeper is gone."""
        frames, gone = self._from_keeper.arrived(self._keep)
        for kind, content in frames:
            value = pickle.loads(content)  # noqa: S301 - from our own process
            if kind == wire.STARTED:
                self._keeper, self._worker = value
            else:
                self._status = value
        if gone and self._status is None:
            self._status, self._keeper_lost = signal.SIGKILL, True
        return gone

    def _stop(self) -> None:
        """Let the keeper end everything, and wait until it has."""
        lost = self._keeper_lost  # before it was asked to end
        with suppress(OSError):
            self._keep.shutdown(socket.SHUT_WR)
        until = time.monotonic() + _STOP
        with selectors.DefaultSelector() as selector:
            selector.register(self._keep, selectors.EVENT_READ)
            gone = False
            while not gone and time.monotonic() < until:
                selector.select(_LOOK)
                gone = self._hear_keeper()
        if not gone and self._keeper:
            end_trees([self._keeper])
        elif self._worker and lost:
            kill(self._worker)  # the keeper was killed, and where the system does not see to it the worker lives

    def _remove_temporaries(self) -> None:
        with suppress(Exception):  # of a log line that was cut
            self._hear_worker()
        # A plain one: the worker's names what is being written.
        workspace: Workspace = self._context.workspace
        for path in map(Path, self._temporaries):
            with suppress(OSError, StepError), workspace.folder(path.parent) as folder:
                folder.unlink(path.name)


def _standard(number: int, stack: ExitStack) -> int:
    """Standard output or error of this process as a descriptor to pass on, or one that leads nowhere."""
    try:
        os.fstat(number)
        return number
    except OSError:  # it was closed
        nowhere = os.open(os.devnull, os.O_WRONLY)
        stack.callback(os.close, nowhere)
        return nowhere


def _error(failure: wire.Failure) -> StepError:
    if failure.error is not None:
        with suppress(Exception):  # its class is not here
            found = pickle.loads(failure.error)  # noqa: S301 - from our own process
            if isinstance(found, StepError):
                return found
    return ToolError(f"{failure.kind}: {failure.message}", hint=failure.hint, permanent=failure.permanent)


def _died(name: str, status: int) -> ToolError:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        how = f"was killed by {signal.Signals(number).name}"
        hint = "it may have had too little memory" if number == signal.SIGKILL else None
    else:
        how, hint = f"ended with the exit code {os.waitstatus_to_exitcode(status)}", None
    return ToolError(f"the process of {name} {how} before there was a result", hint=hint)
