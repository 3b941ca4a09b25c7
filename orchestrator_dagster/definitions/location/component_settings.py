"""The settings of the resources as a component's ``defs.yaml`` has them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Literal, Optional

import dagster as dg
from pydantic import Field

from orchestrator_dagster.definitions.executors.executor_choice import find_executor
from orchestrator_dagster.definitions.resources import (
    ModelEndpoint,
    ModelsResource,
    SearchConfig,
    ToolsResource,
    WorkspaceResource,
)
from orchestrator_dagster.models.litellm_client import STREAM_FROM


class WorkspaceSettings(dg.Model, dg.Resolvable):
    """Which files and environment variables pipelines may use; see :class:`WorkspaceResource`."""

    extra_roots: list[str] = Field(
        default=[],
        description="Further folders that absolute paths may point into, and URLs that products may be written below.",
    )
    environment: list[str] = Field(default=[], description="Environment variables that templates may read.")
    max_file_bytes: Optional[int] = Field(  # noqa: UP045 - Dagster reads the annotations on Python 3.10 too
        default=None, description="Largest file that is read or written, in bytes.", gt=0
    )
    max_run_bytes: Optional[int] = Field(  # noqa: UP045
        default=None, description="Bytes that one run may write below the roots in all.", gt=0
    )


class FromEnvironment(dg.Model, dg.Resolvable):
    """A value that stands in an environment variable, and nowhere else."""

    env: str = Field(description="Name of the environment variable.")


class EndpointSettings(dg.Model, dg.Resolvable):
    """Where a provider is reached, and with which key; see :class:`ModelEndpoint`."""

    provider: str = Field(description="Name of the provider, for example `openai`.")
    base_url: Optional[str] = Field(default=None, description="URL of its API, when it is not the usual one.")  # noqa: UP045
    api_key: Optional[FromEnvironment] = Field(  # noqa: UP045
        default=None, description="The environment variable that has its key: `{env: NAME}`."
    )
    timeout: Optional[float] = Field(default=None, gt=0, description="Seconds that a call may take.")  # noqa: UP045
    requests_per_minute: Optional[int] = Field(  # noqa: UP045
        default=None, ge=1, description="Calls that may begin in a minute, in one process."
    )
    tokens_per_minute: Optional[int] = Field(  # noqa: UP045
        default=None, ge=1, description="Tokens that the calls of a minute may take, in one process."
    )


class ModelsSettings(dg.Model, dg.Resolvable):
    """How models are reached; see :class:`ModelsResource`."""

    endpoints: list[EndpointSettings] = Field(default=[], description="Providers with an own URL or key.")
    call_store: Optional[str] = Field(  # noqa: UP045
        default=None, description="Folder, below the workspace root, or URL where accepted answers are kept."
    )
    timeout: Optional[float] = Field(default=None, gt=0, description="Seconds that a call may take.")  # noqa: UP045
    retries: Optional[int] = Field(  # noqa: UP045
        default=None, ge=0, description="Times that a call which the provider turned away is made again."
    )
    longest_wait: Optional[float] = Field(  # noqa: UP045
        default=None, ge=0, description="Seconds that a call waits at most for a provider."
    )
    cool_down_after: Optional[int] = Field(  # noqa: UP045
        default=None, ge=1, description="Failures in a row after which a provider is left alone."
    )
    cool_down: Optional[float] = Field(default=None, ge=0, description="Seconds that it is left alone.")  # noqa: UP045
    stream_from: Optional[int] = Field(  # noqa: UP045
        default=STREAM_FROM, description="Answers that may have as many tokens come as a stream; null for never."
    )
    stall: Optional[float] = Field(  # noqa: UP045
        default=None, gt=0, description="Seconds without a word after which a stream is given up."
    )


class SearchBackend(dg.Model, dg.Resolvable):
    """Where the tool ``web-search`` looks."""

    backend: Literal["folder", "searxng", "brave", "tavily"] = Field(description="What is asked.")
    folder: Optional[str] = Field(default=None, description="For `folder`: the folder of the workspace.")  # noqa: UP045
    url: Optional[str] = Field(default=None, description="Address of the service, when not the usual one.")  # noqa: UP045
    key: Optional[str] = Field(default=None, description="Name of the environment variable that has its key.")  # noqa: UP045


class ToolsSettings(dg.Model, dg.Resolvable):
    """Which tools steps may call; see :class:`ToolsResource`."""

    file: Optional[str] = Field(  # noqa: UP045
        default=None, description="A Python file whose tools are added; default `tools.py` of the workspace root."
    )
    allowed_hosts: list[str] = Field(
        default=[], description="Hosts that HTTP tools may reach whatever their addresses are."
    )
    allow_private_addresses: bool = Field(
        default=False, description="Whether HTTP tools may reach private, local and reserved addresses."
    )
    search: Optional[SearchBackend] = Field(default=None, description="Where the tool `web-search` looks.")  # noqa: UP045
    allow_for_models: list[str] = Field(
        default=[],
        description="Tools (or `tool.action`) that steps may offer to models although they run code or commands.",
    )


def resources_of(
    root: Path, workspace: WorkspaceSettings | None, models: ModelsSettings | None, tools: ToolsSettings | None
) -> dict[str, Any]:
    """The resources that a component sets. Equal settings give the same objects, so that components can be merged.

    Args:
        root: The workspace root.
        workspace: Settings of the workspace, None for the usual ones; likewise the others.
    """
    given = {"workspace": workspace, "models": models, "tools": tools}
    return {name: _resource(name, root, one.model_dump_json()) for name, one in given.items() if one is not None}


@functools.lru_cache(maxsize=64)
def _resource(name: str, root: Path, settings: str) -> Any:
    if name == "workspace":
        said = WorkspaceSettings.model_validate_json(settings)
        return WorkspaceResource(root=str(root), **said.model_dump(exclude_none=True))
    if name == "models":
        how = ModelsSettings.model_validate_json(settings)
        more = how.model_dump(exclude={"endpoints"})
        # None stands for the resource's own default, save where it means never.
        own = {name: value for name, value in more.items() if value is not None or name == "stream_from"}
        return ModelsResource(endpoints=[_endpoint(one) for one in how.endpoints], **own)
    which = ToolsSettings.model_validate_json(settings)
    search = SearchConfig(**which.search.model_dump()) if which.search is not None else None
    return ToolsResource(**which.model_dump(exclude={"search"}), search=search)


def _endpoint(said: EndpointSettings) -> ModelEndpoint:
    key: Any = dg.EnvVar(said.api_key.env) if said.api_key is not None else None
    return ModelEndpoint(**said.model_dump(exclude={"api_key"}), api_key=key)


@functools.lru_cache(maxsize=16)
def shared_executor(name: str, root: Path) -> dg.ExecutorDefinition:
    """The executor of a name, the same object each time.

    Raises:
        ExecutorError: It is not there.
    """
    return find_executor(name, root)
