"""The tool ``python-executor``: runs Python code in a process of its own, within limits.

The code is a file that the same interpreter runs in isolated mode. It is no sandbox: it may open what the user may
open, and the network. Limits, a clean environment and a private folder keep accidents small, not attackers out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, Field

from orchestrator_dagster.errors import ParametersError, SizeLimitError, ToolError
from orchestrator_dagster.files.workspace import MEGABYTE
from orchestrator_dagster.tools.commands.running import run_command, variables
from orchestrator_dagster.tools.commands.terminal import (
    Check,
    Environment,
    Memory,
    Output,
    Processes,
    Timeout,
    WorkingFolder,
    failed,
    limits_of,
)
from orchestrator_dagster.tools.private_folder import private_folder
from orchestrator_dagster.tools.tool import Tool, ToolContext

python_executor = Tool("python-executor", summary="Runs Python code in a process with limits.", model_may_call=False)

_HARNESS = str(Path(__file__).resolve().with_name("harness.py"))


class PythonResult(BaseModel):
    """Code that has run. ``output`` and ``stdout`` are what it printed; ``result`` is its variable of that name.

    ``success`` says that its exit code was allowed; ``duration`` is in seconds.
    """

    output: str
    stdout: str
    stderr: str
    result: Any
    success: bool
    return_code: int
    duration: float


@python_executor.action(aliases=("execute", "execute_code", "run_code", "python"), default=True)
async def run(
    context: ToolContext,
    code: Annotated[
        str | None,
        Field(
            description="The code. What it leaves in `result` is the result.",
            validation_alias=AliasChoices("code", "script"),
        ),
    ] = None,
    file: Annotated[str | None, Field(description="A file of the workspace that has the code, instead.")] = None,
    inputs: Annotated[
        dict[str, Any] | None,
        Field(
            description="Values for it, each under its name, and all in `inputs`.",
            validation_alias=AliasChoices("inputs", "variables", "context"),
        ),
    ] = None,
    working_dir: WorkingFolder = ".",
    env: Environment = None,
    timeout: Timeout = None,
    check: Check = True,
    memory_mb: Memory = 2048,
    max_processes: Processes = 128,
    max_output: Output = 10 * MEGABYTE,
) -> PythonResult:
    """Run Python code and take its ``result``."""
    if (code is None) == (file is None):
        raise ParametersError("python_executor.run takes either `code` or `file`")
    text, name = (code, "code.py") if code is not None else (context.workspace.read_text(str(file)), str(file))
    given = _as_json(inputs or {})
    folder = context.workspace.resolve(working_dir)
    limits = limits_of(context, timeout, memory_mb, max_processes, max_output)
    with private_folder() as home, private_folder() as own:
        (own / "code.py").write_bytes(str(text).encode("utf-8", "surrogatepass"))
        (own / "inputs.json").write_text(given, encoding="utf-8")
        ran = await run_command(
            "python_executor.run",
            context,
            [sys.executable, "-I", "-X", "utf8", _HARNESS, str(own), name],
            folder,
            variables(context, env, home),
            limits,
            temporary=[home, own],
        )
        if ran.return_code != 0 and check:
            raise failed("python_executor.run", "the code", ran, memory_mb)
        result = _result(own, context) if ran.return_code == 0 else None
    return PythonResult(
        output=ran.stdout,
        stdout=ran.stdout,
        stderr=ran.stderr,
        result=result,
        success=True,
        return_code=ran.return_code,
        duration=round(ran.seconds, 3),
    )


def _as_json(inputs: dict[str, Any]) -> str:
    wrong = [name for name in inputs if not name.isidentifier()]
    if wrong:
        raise ParametersError(f'python_executor.run: "{wrong[0]}" is no name of a variable', hint="rename the input")
    try:
        from pydantic_core import to_jsonable_python

        return json.dumps(to_jsonable_python(inputs), allow_nan=True)
    except (TypeError, ValueError) as error:
        raise ParametersError(f"python_executor.run: the inputs cannot be passed as JSON: {error}") from None


def _result(folder: Path, context: ToolContext) -> Any:
    problem, result = folder / "problem.txt", folder / "result.json"
    if problem.exists():
        raise ToolError(
            f"python_executor.run: `result` cannot be given back: {problem.read_text(encoding='utf-8')}",
            hint="leave texts, numbers, lists and maps in it",
            permanent=True,
        )
    if not result.is_file():  # os._exit(0)
        raise ToolError("python_executor.run: the code ended its process before its end", permanent=True)
    size = result.stat().st_size
    most = 50 * MEGABYTE
    if size > most:
        raise SizeLimitError(
            f"python_executor.run: `result` has {size:,} bytes as JSON, at most {most:,} are passed on",
            hint="write it to a file, and give back its path",
        )
    return json.loads(result.read_text(encoding="utf-8"))
