"""The settings of the resources as a component's ``defs.yaml`` has them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Literal, Optional

import dagster as dg
from pydantic import Field

from orchestrator_dagster.definitions.executor_choice import find_executor
from orchestrator_dagster.definitions.resources import (
    ModelEndpoint,
    ModelsResource,
    SearchConfig,
    ToolsResource,
    WorkspaceResource,
)


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


class ModelsSettings(dg.Model, dg.Resolvable):
    """How models are reached; see :class:`ModelsResource`."""

    endpoints: list[EndpointSettings] = Field(default=[], description="Providers with an own URL or key.")
    call_store: Optional[str] = Field(  # noqa: UP045
        default=None, description="Folder, below the workspace root, or URL where accepted answers are kept."
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
        return ModelsResource(endpoints=[_endpoint(one) for one in how.endpoints], call_store=how.call_store)
    which = ToolsSettings.model_validate_json(settings)
    search = SearchConfig(**which.search.model_dump()) if which.search is not None else None
    return ToolsResource(**which.model_dump(exclude={"search"}), search=search)


def _endpoint(said: EndpointSettings) -> ModelEndpoint:
    key: Any = dg.EnvVar(said.api_key.env) if said.api_key is not None else None
    return ModelEndpoint(provider=said.provider, base_url=said.base_url, api_key=key)


@functools.lru_cache(maxsize=16)
def shared_executor(name: str, root: Path) -> dg.ExecutorDefinition:
    """The executor of a name, the same object each time.

    Raises:
        ExecutorError: It is not there.
    """
    return find_executor(name, root)
