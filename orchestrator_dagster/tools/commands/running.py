"""Runs a command within limits of time, memory, processes, files and output, in a clean environment."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator_dagster.errors import ParametersError, SizeLimitError, StepTimeoutError, ToolError
from orchestrator_dagster.files.workspace import MEGABYTE
from orchestrator_dagster.tools.coroutines import timed_out
from orchestrator_dagster.tools.tool import ToolContext

DEFAULT_SECONDS = 300.0
"""How long a command may take when neither it nor its step says so."""
KEPT = ("LANG", "LC_ALL", "LC_CTYPE", "TZ")
"""Variables of the environment that every command gets, beside a PATH, a HOME and a TMPDIR of its own."""
_PACKAGE = str(Path(__file__).resolve().parents[3])
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); from orchestrator_dagster.tools.commands.keeper import main; main()"
)
_CHUNK = 1 << 16
_LAST = 5.0  # seconds that a keeper may take to end everything; it needs a part of one


@dataclass(frozen=True)
class Limits:
    """What a command may take.

    Args:
        seconds: Time, None without limit.
        memory: Bytes of address space of one process, and of memory of all together.
        processes: Processes at once.
        output: Bytes of standard output, and as many of standard error.
        file_bytes: Size of a file that it writes.
    """

    seconds: float | None = DEFAULT_SECONDS
    memory: int = 2048 * MEGABYTE
    processes: int = 128
    output: int = 10 * MEGABYTE
    file_bytes: int = 256 * MEGABYTE


@dataclass(frozen=True)
class Ran:
    """A command that has ended by itself: its exit code (negative: the signal that killed it) and what it said.

    ``left`` is how many processes it has left behind; they were ended.
    """

    return_code: int
    stdout: str
    stderr: str
    seconds: float
    left: int


def variables(
    context: ToolContext, wanted: Sequence[str] | Mapping[str, str | int | float] | None, home: Path
) -> dict[str, str]:
    """The environment of a command: nothing of the run's but the language and the time zone, and what is asked for.

    Args:
        context: Says which variables of the run may be handed on.
        wanted: Names of variables to hand on, or values by name.
        home: The folder for HOME and TMPDIR.

    Raises:
        ParametersError: A variable may not be handed on, or is not set.
    """
    python = os.path.dirname(sys.executable)
    made = {name: os.environ[name] for name in KEPT if name in os.environ}
    made.setdefault("LANG", "C.UTF-8")
    made |= {
        "PATH": os.pathsep.join(dict.fromkeys([python, *os.environ.get("PATH", os.defpath).split(os.pathsep)])),
        "HOME": str(home),
        "TMPDIR": str(home),
        "PYTHONIOENCODING": "utf-8",
    }
    if isinstance(wanted, Mapping):
        return made | {name: str(value) for name, value in wanted.items()}
    for name in wanted or ():
        if name not in context.workspace.environment:
            raise ParametersError(
                f'the environment variable "{name}" may not be handed to a command',
                hint="add it to the workspace resource's `environment`",
            )
        if name not in os.environ:
            raise ParametersError(f'the environment variable "{name}" is not set')
        made[name] = os.environ[name]
    return made


async def run_command(
    name: str,
    context: ToolContext,
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    limits: Limits,
    *,
    said: str | None = None,
    on_line: Callable[[str], None] | None = None,
    temporary: Sequence[Path] = (),
) -> Ran:
    """Run a command to its end. Whatever happens, nothing that it has started lives on.

    Args:
        name: The tool and its action, for messages.
        context: Where its folder must be.
        command: The program and its arguments.
        folder: Its working folder, resolved.
        environment: Its whole environment.
        limits: What it may take.
        said: Text on its standard input, which is empty otherwise.
        on_line: Called with each line that it says, instead of keeping them.
        temporary: Folders that are to be removed also when this process is killed and cannot do it.

    Raises:
        StepTimeoutError: It took longer than its limit.
        SizeLimitError: It said more than its limit.
        ToolError: It cannot be started, or took more memory or processes than its limit.
        PathError: The folder does not exist, or has become a link.
    """
    if os.name != "posix":
        raise ToolError(f"{name} needs Linux or macOS: limits and process groups are theirs", permanent=True)
    _check_strings(name, command, environment)
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        held = stack.enter_context(context.workspace.folder(folder))
        descriptor = held.descriptor if held.descriptor is not None else os.open(folder, os.O_RDONLY)
        ours, theirs = socket.socketpair()
        stack.callback(ours.close)
        stack.callback(theirs.close)
        ours.setblocking(False)
        given: int | object = asyncio.subprocess.DEVNULL
        if said is not None:
            file = stack.enter_context(tempfile.TemporaryFile())
            file.write(said.encode("utf-8", "surrogatepass"))
            file.seek(0)
            given = file.fileno()
        keeper = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", "-c", _BOOT, _PACKAGE, str(theirs.fileno()),
            stdin=given,  # type: ignore[arg-type]
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=(theirs.fileno(), descriptor),
            env=dict(environment),
            start_new_session=True,
        )  # fmt: skip
        theirs.close()
        try:
            job = {
                "command": list(command),
                "environment": dict(environment),
                "folder": descriptor,
                "memory": limits.memory,
                "processes": limits.processes,
                "file_bytes": limits.file_bytes,
                "temporary": [str(one) for one in temporary],
            }
            work = _work(name, keeper, ours, job, limits.output, on_line)
            try:
                answer, output, errors = await asyncio.wait_for(work, limits.seconds)
            except asyncio.TimeoutError:
                assert limits.seconds is not None
                raise timed_out(name, limits.seconds) from None
        finally:
            ours.close()  # the keeper ends everything when it sees that
            await _ended(keeper)
    return _ran(name, command, limits, answer, output, errors, time.monotonic() - began)


def _check_strings(name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
    if not command or not command[0]:
        raise ParametersError(f"{name}: the command is empty", hint="name a program")
    for text in (*command, *environment, *environment.values()):
        if "\0" in text:
            raise ParametersError(f"{name}: a command and its environment cannot hold NUL characters")
    for variable in environment:
        if not variable or "=" in variable:
            raise ParametersError(f'{name}: "{variable}" is no name of an environment variable')


async def _work(
    name: str,
    keeper: asyncio.subprocess.Process,
    control: socket.socket,
    job: Mapping[str, object],
    most: int,
    on_line: Callable[[str], None] | None,
) -> tuple[dict[str, object], bytes, bytes]:
    """The keeper's answer, standard output and standard error."""
    loop = asyncio.get_running_loop()
    assert keeper.stdout is not None
    assert keeper.stderr is not None
    await loop.sock_sendall(control, json.dumps(job).encode() + b"\n")
    reading = [
        asyncio.ensure_future(_read(name, what, stream, most, on_line))
        for what, stream in (("standard output", keeper.stdout), ("standard error", keeper.stderr))
    ]
    try:
        output, errors = await asyncio.gather(*reading)
    finally:
        for one in reading:
            one.cancel()
    told = b""
    while chunk := await loop.sock_recv(control, _CHUNK):
        told += chunk
    if not told:
        raise ToolError(f"{name}: the process that watches the command was killed", hint="look at the machine's memory")
    answer: dict[str, object] = json.loads(told)
    return answer, output, errors


async def _read(
    name: str, what: str, stream: asyncio.StreamReader, most: int, on_line: Callable[[str], None] | None
) -> bytes:
    kept, seen, rest = bytearray(), 0, b""
    while chunk := await stream.read(_CHUNK):
        seen += len(chunk)
        if seen > most:
            raise SizeLimitError(
                f"{name}: the command wrote more than {most:,} bytes to its {what} and was stopped",
                hint="let it write to a file, or raise `max_output`",
            )
        if on_line is None:
            kept += chunk
            continue
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            on_line(line.decode("utf-8", "replace"))
    if on_line is not None and rest:
        on_line(rest.decode("utf-8", "replace"))
    return bytes(kept)


async def _ended(keeper: asyncio.subprocess.Process) -> None:
    """Wait until the keeper has ended everything; what was still to be read is not kept."""
    waiting = asyncio.ensure_future(_drain(keeper))
    done, _ = await asyncio.wait({waiting}, timeout=_LAST)
    if not done:
        waiting.cancel()
        with contextlib.suppress(ProcessLookupError):
            keeper.kill()


async def _drain(keeper: asyncio.subprocess.Process) -> None:
    for stream in (keeper.stdout, keeper.stderr):
        while stream is not None and await stream.read(_CHUNK):
            pass
    await keeper.wait()
    await asyncio.sleep(0)  # its pipes are closed in the loop's next round


def _ran(
    name: str,
    command: Sequence[str],
    limits: Limits,
    answer: Mapping[str, object],
    output: bytes,
    errors: bytes,
    seconds: float,
) -> Ran:
    if "error" in answer:
        number = int(str(answer["error"]))
        raise ToolError(
            f'{name}: "{command[0]}" cannot be started: {os.strerror(number)}',
            hint=None if shutil.which(command[0]) else "name a program that is installed, or its path",
            permanent=True,
        )
    if answer["over"] == "memory":
        raise ToolError(
            f"{name}: the command took more than {limits.memory // MEGABYTE:,} MB of memory and was killed",
            hint="raise `memory_mb`, or give it less to do",
            permanent=True,
        )
    if answer["over"] == "processes":
        raise ToolError(
            f"{name}: the command had more than {limits.processes} processes at once and was killed",
            hint="raise `max_processes`, or let it do less at once",
            permanent=True,
        )
    if answer["status"] is None:
        raise StepTimeoutError(f"{name}: the command was stopped")
    code = os.waitstatus_to_exitcode(int(str(answer["status"])))
    return Ran(
        code, output.decode("utf-8", "replace"), errors.decode("utf-8", "replace"), seconds, int(str(answer["left"]))
    )
