"""The tool ``terminal``: runs a command of the system in a folder of the workspace, within limits.

Without a shell nothing in a text is read as an operator, so a value that a template puts into it can at worst be a
wrong argument. A text that looks as if it were written for a shell is refused, unless the step says ``shell: true``.
"""

from __future__ import annotations

import re
import shlex
from typing import Annotated

from pydantic import AliasChoices, BaseModel, Field

from orchestrator_dagster.errors import ParametersError, ToolError
from orchestrator_dagster.files.workspace import MEGABYTE
from orchestrator_dagster.shell_text import shell_operator
from orchestrator_dagster.tools.commands.running import (
    DEFAULT_SECONDS,
    Limits,
    Ran,
    run_command,
    variables,
)
from orchestrator_dagster.tools.private_folder import private_folder
from orchestrator_dagster.tools.tool import Tool, ToolContext

terminal = Tool("terminal", summary="Runs a command of the system within limits.", model_may_call=False)

# Of an error's text, the end: that is where programs say what is wrong.
_TOLD = 600
_NO_MEMORY = re.compile(r"MemoryError|[Cc]annot allocate memory|[Oo]ut of memory|bad_alloc")

Environment = Annotated[
    list[str] | dict[str, str | int | float] | None,
    Field(
        description="Names of the run's variables to hand on, of those that the workspace allows; or {NAME: value}.",
        validation_alias=AliasChoices("env", "environment"),
    ),
]
WorkingFolder = Annotated[
    str,
    Field(
        description="Folder that it works in.",
        validation_alias=AliasChoices("working_dir", "cwd", "working_directory"),
    ),
]
Timeout = Annotated[
    float | None,
    Field(gt=0, description=f"Seconds it may take; default the step's `timeout`, else {DEFAULT_SECONDS:g}."),
]
Check = Annotated[bool, Field(description="Whether an exit code other than 0 fails the step.")]
Memory = Annotated[int, Field(ge=16, description="Memory that it may take, in MB.")]
Processes = Annotated[int, Field(ge=1, description="Processes that it may have at once.")]
Output = Annotated[int, Field(ge=1, description="Bytes that it may write to standard output, and to standard error.")]


class CommandResult(BaseModel):
    """A command that has ended. ``success`` says that its exit code was allowed; ``duration`` is in seconds.

    ``left`` is the number of processes that were still running when it ended; they were ended too.
    """

    command: str
    stdout: str
    stderr: str
    return_code: int
    success: bool
    duration: float
    left: int


@terminal.action(
    aliases=("execute", "execute_command", "run_command", "command", "shell", "bash", "exec"), default=True
)
async def run(
    context: ToolContext,
    command: Annotated[
        list[str | int | float] | str,
        Field(description="A list [program, argument, …], or a text that is split as a shell would, without one."),
    ],
    args: Annotated[
        list[str | int | float] | None, Field(description='Further arguments; with `shell: true` they are "$1", "$2" …')
    ] = None,
    shell: Annotated[bool, Field(description="Whether /bin/sh reads the text, with its operators.")] = False,
    working_dir: WorkingFolder = ".",
    input: Annotated[
        str | None, Field(description="Text for its standard input.", validation_alias=AliasChoices("input", "stdin"))
    ] = None,
    env: Environment = None,
    timeout: Timeout = None,
    check: Check = True,
    capture_output: Annotated[
        bool, Field(description="False: what it says goes to the run's log, not the result.")
    ] = True,
    memory_mb: Memory = 2048,
    max_processes: Processes = 128,
    max_output: Output = 10 * MEGABYTE,
) -> CommandResult:
    """Run a command to its end."""
    further = [str(one) for one in args or ()]
    words = _words(command if isinstance(command, str) else [str(one) for one in command], further, shell)
    folder = context.workspace.resolve(working_dir)
    limits = limits_of(context, timeout, memory_mb, max_processes, max_output)
    with private_folder() as home:
        ran = await run_command(
            "terminal.run",
            context,
            words,
            folder,
            variables(context, env, home),
            limits,
            said=input,
            on_line=None if capture_output else context.log,
            temporary=[home],
        )
    shown = shlex.join(words) if not isinstance(command, str) else command
    if isinstance(command, str) and further and not shell:
        shown = f"{shown} {shlex.join(further)}"
    if check and ran.return_code != 0:
        raise failed("terminal.run", f"`{_short(shown)}`", ran, memory_mb)
    return CommandResult(
        command=shown,
        stdout=ran.stdout,
        stderr=ran.stderr,
        return_code=ran.return_code,
        success=True,
        duration=round(ran.seconds, 3),
        left=ran.left,
    )


def limits_of(
    context: ToolContext, timeout: float | None, memory_mb: int, max_processes: int, max_output: int
) -> Limits:
    """The limits of a call. A step with a timeout is stopped by that."""
    seconds = timeout if timeout is not None or context.timeout is not None else DEFAULT_SECONDS
    return Limits(seconds, memory_mb * MEGABYTE, max_processes, max_output, context.workspace.max_file_bytes)


def failed(name: str, what: str, ran: Ran, memory_mb: int) -> ToolError:
    """The error for an exit code that is not allowed."""
    import signal

    said = (ran.stderr.strip() or ran.stdout.strip())[-_TOLD:].strip()
    how = f"ended with the exit code {ran.return_code}"
    if ran.return_code < 0:
        try:
            how = f"was killed by {signal.Signals(-ran.return_code).name}"
        except ValueError:
            how = f"was killed by the signal {-ran.return_code}"
    hint = "`check: false` lets the step succeed whatever the exit code is"
    if _NO_MEMORY.search(said):
        hint = f"it may have reached its limit of memory ({memory_mb:,} MB): raise `memory_mb`"
    elif ran.return_code < 0 and -ran.return_code == getattr(signal, "SIGXFSZ", 0):
        hint = "it wrote a file larger than the workspace resource's `max_file_bytes`"
    return ToolError(f"{name}: {what} {how}{f': {said}' if said else ' and said nothing'}", hint=hint)


def _words(command: list[str] | str, args: list[str], shell: bool) -> list[str]:
    if shell:
        if not isinstance(command, str):
            raise ParametersError("terminal.run: with `shell: true` the command is a text, not a list")
        return ["/bin/sh", "-c", command, "sh", *args]
    if not isinstance(command, str):
        return [*command, *args]
    found = shell_operator(command)
    if found:
        shown = "a line end" if found == "\n" else f"`{found}`"
        raise ParametersError(
            f"terminal.run: the command has {shown}, which only a shell reads",
            hint="say `shell: true` and give values as `args`, or write the command as a list: [program, argument]",
        )
    try:
        return [*shlex.split(command), *args]
    except ValueError as error:
        raise ParametersError(
            f"terminal.run: the command cannot be split: {error}", hint="write it as a list: [program, argument, …]"
        ) from None


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"
