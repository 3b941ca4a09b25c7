"""A run's models as one step uses them: within the budgets around it, counted by model, and on the record."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator_dagster.errors import ModelError, StepError
from orchestrator_dagster.models.budget import BudgetedClient
from orchestrator_dagster.models.client import ModelAnswer, ModelClient, ModelReference, ModelRequest, Usage
from orchestrator_dagster.models.media import MediaAnswer, MediaRequest, maker
from orchestrator_dagster.models.prices import Price
from orchestrator_dagster.runtime.audit import AuditedClient
from orchestrator_dagster.runtime.outcome import ModelUsage, UsageInfo

if TYPE_CHECKING:
    from orchestrator_dagster.runtime.services import Services


class Meter:
    """The clients of a run for one occurrence of one step, and what its calls have taken by model.

    Args:
        services: Of the step; its ``models`` are the run's.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._budgeted: list[BudgetedClient] = []
        self.models: dict[str, ModelUsage] = {}

    def client(self, model: ModelReference) -> ModelClient:
        """The client that reaches ``model``."""
        services = self._services
        client: ModelClient = AuditedClient(_CountedClient(services.models.client(model), self), services)
        if services.limits:
            client = BudgetedClient(
                client,
                services.limits,
                services.ledger,
                services.occurrence,
                services.known_models.price,
                services.check_interrupted,
            )
            with self._lock:
                self._budgeted.append(client)
        return client

    def address(self, model: ModelReference) -> str | None:
        """Where ``model`` is reached, None for its provider's usual place."""
        return self._services.models.address(model)

    def __getattr__(self, name: str) -> Any:
        # What else the run's clients can do is not the business of a meter.
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._services.models, name)

    def price(self, model: ModelReference) -> Price | None:
        """The price of a model, None when it is unknown."""
        return self._services.known_models.price(model)

    def count(self, model: ModelReference, usage: Usage, seconds: float) -> None:
        """Note what one call took."""
        with self._lock:
            name = str(model)
            known = self.models.get(name, ModelUsage())
            self.models[name] = known + ModelUsage.of(usage, seconds)

    def check(self) -> None:
        """Fail when a bill has gone over a budget.

        Raises:
            BudgetError: One has.
        """
        for client in self._budgeted:
            client.check()

    def counted(self, usage: UsageInfo) -> UsageInfo:
        """A usage with what was counted by model."""
        with self._lock:
            return usage.by(self.models) if self.models else usage

    @contextmanager
    def at_failure(self) -> Iterator[None]:
        """Note in a failure what was counted by model."""
        from orchestrator_dagster.runtime.failure import usage_of

        try:
            yield
        except StepError as error:
            if self.models:
                error.paid = self.counted(usage_of(error))
            raise


class _CountedClient:
    def __init__(self, client: ModelClient, meter: Meter) -> None:
        self._client, self._meter = client, meter

    def complete(self, request: ModelRequest) -> ModelAnswer:
        started = time.monotonic()
        try:
            answer = self._client.complete(request)
        except ModelError as error:
            self._meter.count(request.model, error.usage or Usage(calls=1), time.monotonic() - started)
            raise
        if answer.usage.cost is None:
            answer = self._priced(request, answer)
        self._meter.count(request.model, answer.usage, time.monotonic() - started)
        return answer

    def make(self, request: MediaRequest) -> MediaAnswer:
        started = time.monotonic()
        try:
            answer = maker(self._client, request.model).make(request)
        except ModelError as error:
            self._meter.count(request.model, error.usage or Usage(calls=1), time.monotonic() - started)
            raise
        self._meter.count(request.model, answer.usage, time.monotonic() - started)
        return answer

    def _priced(self, request: ModelRequest, answer: ModelAnswer) -> ModelAnswer:
        """An answer whose cost litellm does not know, at the price that `models.yaml` says."""
        price, usage = self._meter.price(request.model), answer.usage
        if price is None:
            return answer
        return replace(answer, usage=replace(usage, cost=price.of(usage.input_tokens, usage.output_tokens)))
