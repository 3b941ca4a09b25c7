"""What a run and the worker of one call tell each other: frames of a kind, a length and pickled plain values.

Both ends are processes of one user that run the same tools, so nothing is unpickled that could not be called anyway.
"""

from __future__ import annotations

import pickle
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator_dagster.files.workspace import Workspace

HEADER = struct.Struct("<cQ")

JOB = b"J"
"""To the worker: a :class:`Job`."""
STARTED = b"S"
"""From the worker: the tool is loaded, its work begins."""
LOG = b"L"
"""A line for the run's log."""
TEMPORARY = b"T"
"""The path of a file that is being written, and renamed when it is whole."""
LOADED = b"M"
"""Names of modules that the next call should find loaded."""
RESULT = b"R"
"""The pickled result."""
FAILED = b"F"
"""A :class:`Failure`."""


@dataclass(frozen=True)
class Job:
    """One call of a tool.

    Args:
        tool: The tool's name.
        action: The action's name.
        parameters: Pickled, because they may have classes of the tools' files.
        files: Files that tools come from, path -> content.
        workspace: The files it may touch.
        timeout: Seconds it may take.
        folders: Where included files are looked up.
        settings: What the project allows its tools; pickled, because a function of the tools' files may be in them.
        environment: The environment's variables.
        current: The current folder.
        path: Where modules are imported from.
    """

    tool: str
    action: str
    parameters: bytes
    files: Mapping[str, bytes]
    workspace: Workspace
    timeout: float
    folders: tuple[str, ...]
    settings: bytes
    environment: Mapping[str, str]
    current: str
    path: tuple[str, ...]


@dataclass(frozen=True)
class Failure:
    """Why a call failed: the pickled error, None where it cannot be pickled, and what every error has."""

    error: bytes | None
    kind: str
    message: str
    hint: str | None
    permanent: bool


def frame(kind: bytes, value: Any) -> list[memoryview]:
    """A frame to be sent: its header and its content, without a copy of a large content."""
    content = value if isinstance(value, bytes) else pickle.dumps(value, protocol=5)
    return [memoryview(HEADER.pack(kind, len(content))), memoryview(content)]


def receive(channel: socket.socket) -> tuple[bytes, bytearray]:
    """The next frame's kind and content; waits for it.

    Raises:
        EOFError: The other side is gone.
    """
    kind, size = HEADER.unpack(_exactly(channel, HEADER.size))
    return kind, _exactly(channel, size)


def _exactly(channel: socket.socket, size: int) -> bytearray:
    content = bytearray(size)
    view = memoryview(content)
    while view:
        count = channel.recv_into(view)
        if count == 0:
            raise EOFError
        view = view[count:]
    return content


class Frames:
    """Frames that arrive in pieces, on a channel that does not block."""

    def __init__(self) -> None:
        self._content = bytearray(HEADER.size)
        self._filled = 0
        self._kind: bytes | None = None

    def arrived(self, channel: socket.socket) -> tuple[list[tuple[bytes, bytearray]], bool]:
        """The frames that are complete by now, and whether the other side has closed the channel."""
        found: list[tuple[bytes, bytearray]] = []
        while True:
            while self._filled == len(self._content):
                if self._kind is None:
                    self._kind, size = HEADER.unpack(self._content)
                    self._content = bytearray(size)
                else:
                    found.append((self._kind, self._content))
                    self._kind, self._content = None, bytearray(HEADER.size)
                self._filled = 0
            try:
                count = channel.recv_into(memoryview(self._content)[self._filled :])
            except BlockingIOError:
                return found, False
            except ConnectionError:
                return found, True
            if count == 0:
                return found, True
            self._filled += count
