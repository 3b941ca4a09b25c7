"""The clients of models as one run has them: held to so many calls of a provider at once, here and in other runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Protocol

from orchestrator_dagster.models.client import ModelAnswer, ModelClient, ModelReference, ModelRequest, Watch
from orchestrator_dagster.models.media import MediaAnswer, MediaRequest, maker
from orchestrator_dagster.models.references import BUILTIN
from orchestrator_dagster.models.traffic import lane

_TIMEOUT = 120.0


class Clients(Protocol):
    """Anything that gives the client for a model."""

    def client(self, model: ModelReference) -> ModelClient:
        """The client that reaches ``model``."""
        ...

    def address(self, model: ModelReference) -> str | None:
        """Where ``model`` is reached, None for its provider's usual place."""
        ...


class CallSlots(Protocol):
    """Places for calls of a provider that several processes share."""

    def hold(self, provider: str, watch: Watch) -> AbstractContextManager[None]:
        """Hold a place while a call goes on; wait for one before it.

        Raises:
            ModelTurnError: The deadline came first.
            StepInterruptedError: The run wants its steps to stop.
        """
        ...


@dataclass(frozen=True)
class RunClients:
    """The clients of a run.

    Args:
        inner: Who reaches the models.
        limits: Calls at once, by provider. They hold for all runs of the process that have such a limit.
        slots: Places that other processes share; None for none.
        interrupted: Whether the run wants its steps to stop.
        progress: Called with a line about calls that wait or take long.
    """

    inner: Clients
    limits: Mapping[str, int] = field(default_factory=dict)
    slots: CallSlots | None = None
    interrupted: Callable[[], bool] | None = None
    progress: Callable[[str], None] | None = None

    def client(self, model: ModelReference) -> ModelClient:
        """The client that reaches ``model``."""
        client = self.inner.client(model)
        return client if model.provider == BUILTIN else _RunClient(client, self, self.provider(model))

    def address(self, model: ModelReference) -> str | None:
        """Where ``model`` is reached, None for its provider's usual place."""
        return self.inner.address(model)

    def timeout(self, model: ModelReference) -> float:
        """Seconds that a call may take where the step says nothing."""
        return timeout_of(self.inner, model)

    def provider(self, model: ModelReference) -> str:
        """Who serves ``model``."""
        found = getattr(self.inner, "provider", None)
        return str(found(model)) if found is not None else model.provider

    def cooling(self, model: ModelReference) -> float:
        """Seconds for which ``model`` is not asked, 0 for none."""
        return cooling_of(self.inner, model)

    def limited(self, limits: Mapping[str, int]) -> RunClients:
        """The same with the limits of a pipeline inside the run; the narrower one counts."""
        both = {name: min(one, self.limits.get(name, one)) for name, one in limits.items()}
        return replace(self, limits={**self.limits, **both})


@dataclass(frozen=True)
class _RunClient:
    inner: ModelClient
    run: RunClients
    provider: str

    def complete(self, request: ModelRequest) -> ModelAnswer:
        """Ask once, when there is a place."""
        watch = self._watch(request.watch)
        with self._place(watch):
            return self.inner.complete(replace(request, watch=watch))

    def make(self, request: MediaRequest) -> MediaAnswer:
        """The same for pictures, sound and vectors."""
        inner, watch = maker(self.inner, request.model), self._watch(request.watch)
        with self._place(watch):
            return inner.make(replace(request, watch=watch))

    def _watch(self, watch: Watch) -> Watch:
        run = self.run
        return Watch(watch.deadline, watch.interrupted or run.interrupted, watch.progress or run.progress)

    @contextmanager
    def _place(self, watch: Watch) -> Iterator[None]:
        run, provider = self.run, self.provider
        shared = nullcontext() if run.slots is None else run.slots.hold(provider, watch)
        with lane(provider, "at once").one_of(run.limits.get(provider), watch), shared:
            yield


def timeout_of(clients: Clients, model: ModelReference) -> float:
    """Seconds that a call of ``model`` may take where the step says nothing."""
    found = getattr(clients, "timeout", None)
    return float(found(model)) if found is not None else _TIMEOUT


def cooling_of(clients: Clients, model: ModelReference) -> float:
    """Seconds for which ``model`` is not asked, 0 for none."""
    found = getattr(clients, "cooling", None)
    return float(found(model)) if found is not None else 0.0


def limited(clients: Clients, limits: Mapping[str, int]) -> Clients:
    """Clients held to the limits of a pipeline."""
    if not limits:
        return clients
    return clients.limited(limits) if isinstance(clients, RunClients) else RunClients(clients, dict(limits))
