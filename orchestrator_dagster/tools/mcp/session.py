"""A session with one server, for one call of a step: when it ends, the server's process and connections end with it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TextIO, cast

from orchestrator_dagster.errors import ParametersError, StepError, StepInterruptedError, ToolError, UnknownToolError
from orchestrator_dagster.language.json_schema import schema_problems
from orchestrator_dagster.text import nearest
from orchestrator_dagster.tools.mcp.config import ServerConfig, environment_value, find_server
from orchestrator_dagster.tools.tool import ToolContext, require

_CONNECT = 30.0  # seconds for a server to answer the first time, and to list what it has
_LONGEST = 86400.0  # seconds that a call of a step without a timeout may take
_SAID = 2000  # characters of a server's standard error that a message quotes
_MOST_PAGES = 100


class Session:
    """An open session. ``name`` is that of the server, ``longest`` the seconds that a call may take."""

    def __init__(self, name: str, client: Any, longest: float) -> None:
        self.name, self.client, self.longest = name, client, longest

    async def tools(self) -> dict[str, Any]:
        """The server's tools by name, with ``description``, ``input_schema`` and ``output_schema``."""
        found: dict[str, Any] = {}
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = await self.client.list_tools(cursor=cursor)
            found |= {one.name: one for one in page.tools}
            cursor = page.next_cursor
            if not cursor:
                break
        return found

    async def call(self, tool: str, arguments: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
        """What a tool answers, as plain values.

        Raises:
            UnknownToolError: The server has no such tool.
            ParametersError: The arguments do not fit its schema.
            ToolError: It failed.
        """
        if tool not in known:
            raise UnknownToolError(
                f'the server "{self.name}" has no tool "{tool}"{nearest(tool, known)}',
                hint=f"it has {', '.join(sorted(known)[:20]) or 'none'}",
            )
        if problems := schema_problems(known[tool].input_schema, dict(arguments)):
            raise ParametersError(f"{self.name}.{tool}: {'; '.join(problems)}", hint="see the tool's `input_schema`")
        answer = await self.client.call_tool(tool, dict(arguments), read_timeout_seconds=self.longest)
        content = [_block(one) for one in answer.content]
        text = "\n".join(one["text"] for one in content if one.get("type") == "text")
        if answer.is_error:
            raise ToolError(
                f"{self.name}.{tool} failed: {text or 'it gave no reason'}",
                hint="what the server's tool says must be mended there, or in what the step gives it",
            )
        data = answer.structured_content
        return {"server": self.name, "tool": tool, "text": text, "data": data, "content": content}


@asynccontextmanager
async def open_session(context: ToolContext, name: str) -> AsyncIterator[Session]:
    """A session with a server of the project.

    Raises:
        MissingExtraError: The SDK is not installed.
        ToolError: The server cannot be started or reached, or the connection breaks.
    """
    require("mcp", "mcp", "mcp")
    from mcp.client import Client

    config = find_server(context.workspace.root, name)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as file:
        said = cast("TextIO", file)
        stack = AsyncExitStack()
        try:
            async with stack:
                transport = await _transport(context, name, config, said, stack)
                client = Client(transport, read_timeout_seconds=min(_CONNECT, context.timeout or _CONNECT))
                await stack.enter_async_context(client)
                yield Session(name, client, context.timeout or _LONGEST)
        except BaseException as error:
            if context.interrupted() and isinstance(error, Exception):
                raise StepInterruptedError("the run was stopped") from None
            raise _translated(error, name, config, said) from None


async def _transport(context: ToolContext, name: str, config: ServerConfig, said: TextIO, stack: AsyncExitStack) -> Any:
    if config.url is not None:
        import httpx2
        from mcp.client.streamable_http import streamable_http_client

        headers = {one: environment_value(variable, name) for one, variable in config.headers.items()}
        if config.bearer:
            headers["Authorization"] = f"Bearer {environment_value(config.bearer, name)}"
        timeout = httpx2.Timeout(_CONNECT, read=context.timeout or 300.0)
        client = await stack.enter_async_context(httpx2.AsyncClient(headers=headers, timeout=timeout))
        return streamable_http_client(config.url, http_client=client)
    from mcp.client.stdio import StdioServerParameters, stdio_client

    assert config.command is not None
    workspace = context.workspace
    parameters = StdioServerParameters(
        command=sys.executable if config.command in ("python", "python3") else config.command,
        args=list(config.args),
        env={one: environment_value(one, name) for one in config.env},
        cwd=str(workspace.resolve(config.cwd) if config.cwd else workspace.root),
    )
    return stdio_client(parameters, errlog=said)


def _translated(error: BaseException, name: str, config: ServerConfig, said: TextIO) -> BaseException:
    """The one error in the groups that task groups make of it, as the tool's; what stops the step stays as it is."""
    found = _innermost(error)
    if isinstance(found, StepError) or not isinstance(found, Exception):
        return found
    where = config.url or config.command
    said.seek(0, os.SEEK_END)
    said.seek(max(0, said.tell() - _SAID))
    heard = " ".join(said.read().split())
    if isinstance(found, FileNotFoundError):
        why, hint = f'there is no command "{config.command}"', "give its path, or install it"
        return ToolError(f'the server "{name}" cannot be started: {why}', hint=hint, permanent=True)
    what = "did not answer in time" if isinstance(found, TimeoutError) else str(found) or type(found).__name__
    return ToolError(
        f'the server "{name}" ({where}): {what}{f"; it said: {heard}" if heard else ""}',
        hint="look at `mcp.yaml`, and whether the server runs by itself",
    )


def _innermost(error: BaseException) -> BaseException:
    """Of a group the first error that says something."""
    while inner := getattr(error, "exceptions", None):
        steps = [one for one in inner if isinstance(_innermost(one), StepError)]
        error = steps[0] if steps else inner[0]
    return error


def _block(block: Any) -> dict[str, Any]:
    """One part of an answer as plain values."""
    made: dict[str, Any] = block.model_dump(mode="json", by_alias=False, exclude_none=True)
    made.pop("meta", None)
    return made
