"""The actions of the tool ``mcp``, and one tool for each server of the project."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, create_model

from orchestrator_dagster.errors import UnknownToolError
from orchestrator_dagster.tools.coroutines import run_coroutine
from orchestrator_dagster.tools.mcp.config import FILE, ServerConfig, read_servers
from orchestrator_dagster.tools.mcp.session import open_session
from orchestrator_dagster.tools.tool import Action, Tool, ToolContext, tool_name

mcp = Tool("mcp", summary="Calls tools of the Model Context Protocol servers in mcp.yaml.", model_may_call=False)

Server = Annotated[
    str, Field(description="A server of mcp.yaml.", validation_alias=AliasChoices("server", "server_name"))
]


class CallResult(BaseModel):
    """What a server's tool answered: all texts, the structured value, and the parts as they came."""

    server: str
    tool: str
    text: str
    data: Any
    content: list[dict[str, Any]]


class SeveralResult(BaseModel):
    """The answers in the order of the calls."""

    results: list[CallResult]


class ToolInfo(BaseModel):
    """One tool of a server."""

    name: str
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None


class ToolsResult(BaseModel):
    """The tools of a server."""

    server: str
    tools: list[ToolInfo]
    count: int


class ServerInfo(BaseModel):
    """One server of the project, as configured. Whether it answers is not known."""

    name: str
    kind: Literal["stdio", "http"]
    address: str
    description: str


class ServersResult(BaseModel):
    """The servers of the project."""

    servers: list[ServerInfo]
    count: int


class ResourceInfo(BaseModel):
    """One resource of a server."""

    uri: str
    name: str
    description: str
    mime_type: str | None


class ResourcesResult(BaseModel):
    """The resources of a server."""

    server: str
    resources: list[ResourceInfo]
    count: int


class ResourceResult(BaseModel):
    """A resource: its texts together, and its parts (base64 where they are no text)."""

    server: str
    uri: str
    text: str
    content: list[dict[str, Any]]


class Call(BaseModel):
    """One of several calls."""

    tool: str
    arguments: dict[str, Any] = {}


@mcp.action(aliases=("call_tool", "execute_tool"), default=True)
async def call(
    context: ToolContext,
    server: Server,
    tool: Annotated[str, Field(description="One of its tools.", validation_alias=AliasChoices("tool", "tool_name"))],
    arguments: Annotated[
        dict[str, Any],
        Field(description="Its arguments.", validation_alias=AliasChoices("arguments", "tool_params", "params")),
    ] = {},  # noqa: B006 - it is never changed
) -> CallResult:
    """Call a tool of a server; arguments that do not fit its schema are refused before the call."""
    async with open_session(context, server) as session:
        return CallResult(**await session.call(tool, arguments, await session.tools()))


@mcp.action(aliases=("call_tools",))
async def call_several(
    context: ToolContext,
    server: Server,
    calls: Annotated[list[Call], Field(description="The calls: maps with `tool` and `arguments`.", min_length=1)],
) -> SeveralResult:
    """Call tools of one server one after the other in one session, for servers that keep something between calls."""
    async with open_session(context, server) as session:
        known = await session.tools()
        return SeveralResult(results=[CallResult(**await session.call(c.tool, c.arguments, known)) for c in calls])


@mcp.action()
async def list_tools(context: ToolContext, server: Server) -> ToolsResult:
    """Ask a server for its tools, with the JSON Schemas of their arguments."""
    async with open_session(context, server) as session:
        found = await session.tools()
    tools = [
        ToolInfo(
            name=one.name,
            description=one.description or "",
            input_schema=dict(one.input_schema),
            output_schema=dict(one.output_schema) if one.output_schema else None,
        )
        for one in found.values()
    ]
    return ToolsResult(server=server, tools=tools, count=len(tools))


@mcp.action()
async def list_servers(context: ToolContext) -> ServersResult:
    """List the servers of mcp.yaml; none of them is started."""
    servers = [
        ServerInfo(
            name=name,
            kind="http" if one.url else "stdio",
            address=one.url or " ".join((one.command or "", *one.args)),
            description=one.description,
        )
        for name, one in read_servers(context.workspace.root).items()
    ]
    return ServersResult(servers=servers, count=len(servers))


@mcp.action()
async def list_resources(context: ToolContext, server: Server) -> ResourcesResult:
    """Ask a server for its resources."""
    async with open_session(context, server) as session:
        page = await session.client.list_resources()
    found = [
        ResourceInfo(uri=str(one.uri), name=one.name, description=one.description or "", mime_type=one.mime_type)
        for one in page.resources
    ]
    return ResourcesResult(server=server, resources=found, count=len(found))


@mcp.action()
async def read_resource(
    context: ToolContext, server: Server, uri: Annotated[str, Field(description="Its address, as the server has it.")]
) -> ResourceResult:
    """Read a resource of a server."""
    async with open_session(context, server) as session:
        answer = await session.client.read_resource(uri)
    content = [one.model_dump(mode="json", by_alias=False, exclude_none=True) for one in answer.contents]
    text = "\n".join(str(one["text"]) for one in content if "text" in one)
    return ResourceResult(server=server, uri=uri, text=text, content=content)


class ServerTool(Tool):
    """A server as a tool: its actions are the server's tools.

    Their names and arguments are only known to the server, so any name is taken when a file is compiled, and compared
    when the step runs.
    """

    def __init__(self, server: str, config: ServerConfig) -> None:
        said = config.description or f"Calls tools of the server {server} of {FILE}."
        super().__init__(f"mcp_{server}", summary=said, model_may_call=False)
        self._server = server

    def find(self, name: str | None) -> Action:
        """The action of that name: the server has it or not, which the call finds out."""
        if not name:
            raise UnknownToolError(
                f'the tool "{self.name}" needs an `action`: the name of a tool of the server',
                hint=f"`tool: mcp`, `action: list_tools`, `server: {self._server}` lists them",
            )
        return self.actions.get(name) or self._action(name, f"Call {name} of the server {self._server}.", None)

    def prepare(self, context: ToolContext) -> None:
        """Ask the server for its tools: what is offered to a model has their descriptions and schemas."""

        async def ask() -> dict[str, Any]:
            async with open_session(context, self._server) as session:
                return await session.tools()

        found = run_coroutine(self.name, ask(), context.timeout, context.interrupted)
        self.actions = {
            name: self._action(name, one.description or name, dict(one.input_schema)) for name, one in found.items()
        }

    def _action(self, name: str, said: str, schema: dict[str, Any] | None) -> Action:
        server = self._server

        async def run(context: ToolContext, **arguments: Any) -> CallResult:
            async with open_session(context, server) as session:
                return CallResult(**await session.call(name, arguments, await session.tools()))

        run.__doc__ = said
        return Action(self.name, name, run) if schema is None else _ServerAction(self.name, name, run, schema=schema)


@dataclass(frozen=True)
class _ServerAction(Action):
    """An action whose parameters are as the server says."""

    schema: dict[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def parameters(self) -> type[BaseModel]:
        """A model that takes anything, with the server's schema; the server's own check comes with the call."""
        config = ConfigDict(extra="allow", json_schema_extra=lambda made: (made.clear(), made.update(self.schema))[0])
        return create_model(f"{self.tool}_{self.name}_parameters", __config__=config)


def server_tools(root: Path) -> Iterable[ServerTool]:
    """A tool for each server of a project. None of them is started.

    Raises:
        ToolError: ``mcp.yaml`` is wrong.
    """
    return [ServerTool(tool_name(name), config) for name, config in read_servers(root).items()]
