"""The resources of a code location: the workspace, the tools and the models."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import dagster as dg
from pydantic import Field, PrivateAttr, ValidationError

from orchestrator_dagster.definitions.instance.call_slots import PoolSlots
from orchestrator_dagster.errors import ModelRequestError, PipelineError, ToolError
from orchestrator_dagster.files.remote_files import is_url, local_path, plain_url
from orchestrator_dagster.files.run_quota import RunQuota
from orchestrator_dagster.files.workspace import MEGABYTE, Workspace
from orchestrator_dagster.models.call_store import CallStore
from orchestrator_dagster.models.clients import DEFAULT_TIMEOUT, Calling, ModelClients
from orchestrator_dagster.models.known_models import KnownModels
from orchestrator_dagster.models.litellm_client import STALL, STREAM_FROM, Endpoint
from orchestrator_dagster.models.run_clients import Clients, RunClients
from orchestrator_dagster.models.traffic import Patience, Rates
from orchestrator_dagster.project.models_file import own_models
from orchestrator_dagster.runtime.direct_models import DirectModels
from orchestrator_dagster.tools.model_access import ModelReply
from orchestrator_dagster.tools.registry import ToolRegistry
from orchestrator_dagster.tools.settings import SearchSettings, ToolSettings

#: Says where relative paths start when the resource does not; the command sets it for the runs that it starts.
ROOT_VARIABLE = "ORCHESTRATOR_ROOT"
#: Further roots, folders and URLs with blanks between them, beside those of the resource.
EXTRA_ROOTS_VARIABLE = "ORCHESTRATOR_EXTRA_ROOTS"
_ONCE = threading.RLock()


class WorkspaceResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Which files pipelines may touch.

    Example:
        >>> WorkspaceResource(root=".", environment=["CITY"]).workspace().environment
        frozenset({'CITY'})
    """

    root: Optional[str] = Field(  # noqa: UP045 - Dagster reads the annotation on Python 3.10 too
        default=None, description="Folder where relative paths start; default the project's folder."
    )
    extra_roots: list[str] = Field(
        default=[],
        description="Further folders that absolute paths may point into, and URLs that products may be written below.",
    )
    max_file_bytes: int = Field(default=256 * MEGABYTE, description="Largest file that is read or written, in bytes.")
    max_run_bytes: int = Field(
        default=10 * 1024 * MEGABYTE, description="Bytes that one run may write below the roots in all."
    )
    environment: list[str] = Field(default=[], description="Environment variables that templates may read.")

    def workspace(self, book: Path | None = None) -> Workspace:
        """The workspace with these settings.

        Args:
            book: The file in which what a run writes is counted; without it nothing is.
        """
        root = self.root or os.environ.get(ROOT_VARIABLE) or "."
        more = [*self.extra_roots, *os.environ.get(EXTRA_ROOTS_VARIABLE, "").split()]
        local = [local_path(one) if is_url(one) else one for one in more]
        return Workspace(
            Path(root).resolve(),
            tuple(Path(one) for one in local if one is not None),
            self.max_file_bytes,
            frozenset(self.environment),
            tuple(plain_url(one) for one in more if is_url(one) and local_path(one) is None),
            RunQuota(book, self.max_run_bytes) if book is not None else None,
        )


class SearchConfig(dg.Config):
    """Where the tool ``web-search`` looks; a function of one's own stands in the project's ``tools.py``."""

    backend: str = Field(description="`folder`, `searxng`, `brave` or `tavily`.")
    folder: Optional[str] = Field(default=None, description="For `folder`: the folder of the workspace.")  # noqa: UP045
    url: Optional[str] = Field(default=None, description="Address of the service, when not the usual one.")  # noqa: UP045
    key: Optional[str] = Field(default=None, description="Name of the environment variable that has its key.")  # noqa: UP045


class ToolsResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Which tools steps may call: the built-in ones, those of installed packages, those of the project's file."""

    file: Optional[str] = Field(  # noqa: UP045
        default=None,
        description="A Python file whose Tool objects are added; default `tools.py` of the workspace root.",
    )
    allowed_hosts: list[str] = Field(
        default=[],
        description="Hosts (`name`, `name:port`, `*.domain`) that HTTP tools may reach whatever their addresses are.",
    )
    allow_private_addresses: bool = Field(
        default=False, description="Whether HTTP tools may reach private, local and reserved addresses."
    )
    search: Optional[SearchConfig] = Field(  # noqa: UP045
        default=None, description="Where the tool `web-search` looks, when its step does not say it."
    )
    allow_for_models: list[str] = Field(
        default=[],
        description="Tools (or `tool.action`) that steps may offer to models although they run code or commands.",
    )
    _registry: Optional[ToolRegistry] = PrivateAttr(default=None)  # noqa: UP045

    def registry(self, root: Path) -> ToolRegistry:
        """The registry with the project's tools.

        Args:
            root: The workspace root.

        Raises:
            ToolError: The file cannot be loaded.
            UnknownToolError: A tool of ``allow_for_models`` is none.
        """
        with _ONCE:  # steps run in threads, and a project's file is to be run once
            if self._registry is None:
                registry = project_tools(root, self.file)
                registry.settings = self._settings(registry.settings)
                registry.allow_for_models(self.allow_for_models)
                self._registry = registry
            return self._registry

    def _settings(self, of_file: ToolSettings) -> ToolSettings:
        """What the file says, and what is said here in its place."""
        said: dict[str, object] = {}
        if self.allowed_hosts:
            said["allowed_hosts"] = tuple(self.allowed_hosts)
        if self.allow_private_addresses:
            said["allow_private_addresses"] = True
        try:
            if self.search is not None:
                said["search"] = SearchSettings.model_validate(
                    {name: getattr(self.search, name) for name in ("backend", "folder", "url", "key")}
                )
            return ToolSettings.model_validate({**dict(of_file), **said})
        except ValidationError as error:
            wrong = "; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors())
            raise ToolError(f"the resource `tools` is wrong: {wrong}", permanent=True) from None


def project_tools(root: Path, file: str | None = None) -> ToolRegistry:
    """The built-in tools and those of the project's ``tools.py``."""
    registry = ToolRegistry()
    path = root / (file or "tools.py")
    if file or path.is_file():
        registry.load_file(path)
    registry.load_servers(root)
    return registry


class ModelEndpoint(dg.Config):
    """Where a provider is reached, with which key, and what it lets one have."""

    provider: str = Field(description="Name of the provider, for example `openai`.")
    base_url: Optional[str] = Field(default=None, description="URL of its API, when it is not the usual one.")  # noqa: UP045
    api_key: Optional[str] = Field(default=None, description="Its key; give an EnvVar, never the key itself.")  # noqa: UP045
    timeout: Optional[float] = Field(  # noqa: UP045
        default=None, gt=0, description="Seconds that a call may take where the step says nothing."
    )
    requests_per_minute: Optional[int] = Field(  # noqa: UP045
        default=None, ge=1, description="Calls that may begin in a minute, in one process; the others wait."
    )
    tokens_per_minute: Optional[int] = Field(  # noqa: UP045
        default=None, ge=1, description="Tokens, in and out, that the calls of a minute may take, in one process."
    )


class ModelsResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """How models are reached. Providers that are not listed are reached as litellm does by itself, by environment.

    To reach them in another way, in tests for example, subclass it and override :meth:`clients`. In an asset of your
    own, :meth:`ask` asks a model, and :meth:`access` gives pictures, speech, transcripts and vectors too.

    Example:
        >>> local = ModelsResource(endpoints=[ModelEndpoint(provider="openai", base_url="http://127.0.0.1:8000/v1")])
        >>> local.endpoints[0].provider
        'openai'
    """

    endpoints: list[ModelEndpoint] = Field(default=[], description="Providers with an own URL or key.")
    call_store: Optional[str] = Field(  # noqa: UP045
        default=None,
        description="Folder (a relative one below the workspace root) or URL where accepted answers are kept; default"
        " `calls` in the instance's storage folder.",
    )
    timeout: float = Field(default=DEFAULT_TIMEOUT, gt=0, description="Seconds that a call may take.")
    retries: int = Field(
        default=Patience.retries,
        ge=0,
        description="Times that a call which the provider turned away (429, or another status with Retry-After) is made"
        " again before it fails. The retries of the step come on top.",
    )
    longest_wait: float = Field(
        default=Patience.longest_wait,
        ge=0,
        description="Seconds that a call waits at most for a provider that asked to wait, or that is left alone.",
    )
    cool_down_after: int = Field(
        default=Patience.cool_down_after,
        ge=1,
        description="Failures in a row (no connection, a server error, no answer in time) after which a provider is"
        " left alone.",
    )
    cool_down: float = Field(
        default=Patience.cool_down,
        ge=0,
        description="Seconds that it is left alone; twice as long each time that it fails again at once.",
    )
    stream_from: Optional[int] = Field(  # noqa: UP045
        default=STREAM_FROM,
        description="Answers that may have as many tokens (`max_tokens`) come as a stream; null for never.",
    )
    stall: float = Field(default=STALL, gt=0, description="Seconds without a word after which a stream is given up.")
    _clients: Optional[ModelClients] = PrivateAttr(default=None)  # noqa: UP045
    _known: Optional[KnownModels] = PrivateAttr(default=None)  # noqa: UP045

    def clients(self) -> Clients:
        """The clients with these settings, made once.

        Raises:
            PipelineError: The project's ``models.yaml`` has errors.
        """
        with _ONCE:
            if self._clients is None:
                self._clients = ModelClients(
                    self._places(),
                    Calling(
                        timeout=self.timeout,
                        timeouts={one.provider: one.timeout for one in self.endpoints if one.timeout},
                        rates={
                            one.provider: Rates(one.requests_per_minute, one.tokens_per_minute)
                            for one in self.endpoints
                        },
                        patience=Patience(self.retries, self.longest_wait, self.cool_down_after, self.cool_down),
                        stream_from=self.stream_from,
                        stall=self.stall,
                    ),
                    self.known(Path(os.environ.get(ROOT_VARIABLE) or ".").resolve()).own,
                )
            return self._clients

    def known(self, root: Path) -> KnownModels:
        """What is known of models, those of `models.yaml` among them, and which can be reached; made once.

        Args:
            root: The workspace root.

        Raises:
            StepError: `models.yaml` has errors.
        """
        with _ONCE:
            if self._known is None:
                try:
                    self._known = KnownModels(own_models(root), self._places())
                except PipelineError as error:
                    raise ModelRequestError(error.message) from None
            return self._known

    def access(self) -> DirectModels:
        """The models for code of your own: answers in text or in a structure, pictures, speech, transcripts, vectors.

        In an asset or op its calls hold the slots of the pools ``provider:NAME`` like those of pipelines.
        """
        context = self.get_resource_context() if self._has_context() else None
        run = context.run if context is not None else None
        slots = PoolSlots(context.instance, run.run_id) if context is not None and context.instance and run else None
        clients = RunClients(self.clients(), slots=slots)
        return DirectModels(clients, self._known.own if self._known is not None else {})

    def ask(
        self,
        prompt: str,
        *,
        model: str,
        system: str | None = None,
        schema: Mapping[str, Any] | None = None,
        images: Sequence[bytes] = (),
        temperature: float | None = None,
        max_tokens: int | None = None,
        timeout: float | None = None,
    ) -> ModelReply:
        """Ask a model from an asset or op of your own.

        Args:
            prompt: What is asked.
            model: As ``provider:name``.
            system: The system prompt.
            schema: JSON Schema (an object) of the answer, which is then in ``value``.
            images: Pictures (PNG, JPEG, GIF or WebP bytes) that go with the prompt.
            temperature: 0 to 2.
            max_tokens: Most tokens of the answer.
            timeout: Seconds for all of it, default as the resource says for each call.

        Raises:
            ModelError: What went wrong; ``permanent`` says whether a retry can help.

        Example::

            @dg.asset
            def headline(models: orc.ModelsResource) -> str:
                return models.ask("One headline about water.", model="openai:gpt-5").text
        """
        return self.access().ask(
            prompt,
            model=model,
            system=system,
            schema=schema,
            images=images,
            temperature=temperature,
            max_tokens=max_tokens,
            timeout=timeout,
        )

    def _has_context(self) -> bool:
        try:
            self.get_resource_context()
        except Exception:  # Dagster raises its own errors where a resource is used outside of a run
            return False
        return True

    def _places(self) -> dict[str, Endpoint]:
        return {one.provider: Endpoint(base_url=one.base_url, api_key=one.api_key) for one in self.endpoints}

    def calls(self, storage: str, root: Path, run: str) -> CallStore:
        """The store of accepted answers, as it counts for a run.

        Args:
            storage: The instance's storage folder.
            root: The workspace root.
            run: The root run's id.

        Raises:
            StorageError: The URL cannot be opened.
        """
        return CallStore(self.call_store or Path(storage) / "calls", run, root)
