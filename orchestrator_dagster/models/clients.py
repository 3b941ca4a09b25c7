"""Which client reaches a model: the built-in one, or litellm at the pace that its provider allows."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from orchestrator_dagster.errors import ModelError
from orchestrator_dagster.models.client import ModelAnswer, ModelClient, ModelReference, ModelRequest, Usage
from orchestrator_dagster.models.litellm_client import NO_KEY, STALL, STREAM_FROM, Endpoint, LiteLLMClient
from orchestrator_dagster.models.litellm_errors import missing_key
from orchestrator_dagster.models.media import MediaAnswer, MediaRequest
from orchestrator_dagster.models.patient import PatientClient
from orchestrator_dagster.models.provider_keys import public_url
from orchestrator_dagster.models.references import BUILTIN
from orchestrator_dagster.models.traffic import Patience, Rates, lane
from orchestrator_dagster.models.user_models import OWN, UserModel, UserModels

_T = TypeVar("_T")

#: Seconds that a call may take where neither the step nor the provider's endpoint says anything.
DEFAULT_TIMEOUT = 120.0


@dataclass(frozen=True)
class Calling:
    """How calls are made.

    Args:
        timeout: Seconds that a call may take.
        timeouts: The same for single providers.
        rates: Requests and tokens a minute, by provider.
        patience: What happens when a provider cannot serve a call now.
        stream_from: Answers that may have as many tokens come as a stream, None for never.
        stall: Seconds without anything new after which a stream is given up.
    """

    timeout: float = DEFAULT_TIMEOUT
    timeouts: Mapping[str, float] = field(default_factory=dict)
    rates: Mapping[str, Rates] = field(default_factory=dict)
    patience: Patience = field(default_factory=Patience)
    stream_from: int | None = STREAM_FROM
    stall: float = STALL


class ModelClients:
    """Gives the client for a model; made once for a run and shared by its steps.

    Args:
        endpoints: Where a provider is reached and with which key, by provider; others as litellm does by itself.
        calling: How calls are made.
        own: Models of one's own, by the name after ``own:``.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint] | None = None,
        calling: Calling | None = None,
        own: UserModels | None = None,
    ) -> None:
        self._endpoints = dict(endpoints or {})
        self._calling = calling or Calling()
        self._own = dict(own or {})
        self._hosted = self._litellm(self._endpoints)
        self._clients: dict[str, ModelClient] = {}
        self._lock = threading.Lock()

    def client(self, model: ModelReference) -> ModelClient:
        """The client that reaches ``model``."""
        if model.provider == BUILTIN:
            from orchestrator_dagster.models.extractive import ExtractiveModel

            return ExtractiveModel()
        own = self._own_model(model)
        name = str(model) if own else model.provider
        with self._lock:
            if name not in self._clients:
                self._clients[name] = self._patient(model, self._hosted) if own is None else self._own_client(own)
            return self._clients[name]

    def address(self, model: ModelReference) -> str | None:
        """The base URL at which ``model`` is reached (no user, password and query), None for its provider's own."""
        own = self._own_model(model)
        if own is not None and own.base_url:
            return public_url(own.base_url)
        provider = own.provider if own else model.provider
        endpoint = self._endpoints.get(provider)
        url = endpoint.base_url if endpoint else None
        for name in ("BASE_URL", "API_BASE"):  # as litellm looks for it, OPENAI_BASE_URL for example
            url = url or os.environ.get(f"{provider.upper()}_{name}")
        return public_url(url) if url else None

    def timeout(self, model: ModelReference) -> float:
        """Seconds that a call of ``model`` may take, where the step says nothing."""
        return self._calling.timeouts.get(self.provider(model), self._calling.timeout)

    def provider(self, model: ModelReference) -> str:
        """Who serves ``model``: for one of one's own the provider that stands behind it."""
        own = self._own_model(model)
        return own.provider if own else model.provider

    def cooling(self, model: ModelReference) -> float:
        """Seconds for which ``model`` is not asked, because it failed or its provider asked for it; 0 for none."""
        if model.provider == BUILTIN:
            return 0.0
        own = self._own_model(model)
        reached = ModelReference(own.provider, own.model) if own else model
        return lane(reached.provider, self.address(model)).cooling(reached)

    def _own_model(self, model: ModelReference) -> UserModel | None:
        return self._own.get(model.name) if model.provider == OWN else None

    def _litellm(self, endpoints: Mapping[str, Endpoint]) -> LiteLLMClient:
        return LiteLLMClient(endpoints, stream_from=self._calling.stream_from, stall=self._calling.stall)

    def _patient(self, model: ModelReference, inner: ModelClient) -> PatientClient:
        provider = self.provider(model)
        rates = self._calling.rates.get(provider, Rates())
        return PatientClient(inner, lane(provider, self.address(model)), rates, self._calling.patience)

    def _own_client(self, model: UserModel) -> ModelClient:
        usual = self._endpoints.get(model.provider, Endpoint())
        own = model.base_url is not None or model.api_key_env is not None
        key = model.api_key()
        if key is None and model.base_url is not None:
            key = NO_KEY  # the key of the provider whose protocol it speaks is nothing for this server
        endpoint = Endpoint(model.base_url or usual.base_url, key) if own else usual
        return _OwnClient(model, self._patient(model.reference, self._litellm({model.provider: endpoint})))


class _OwnClient:
    """A model of one's own: asked by its server's name, billed by its own prices, and named as its owner names it."""

    def __init__(self, model: UserModel, inner: PatientClient) -> None:
        self._model, self._inner = model, inner
        self._served = ModelReference(model.provider, model.model)

    def complete(self, request: ModelRequest) -> ModelAnswer:
        """Ask once.

        Raises:
            ModelKeyError: The variable that has the key is not set.
            ModelError: As the client of its provider does, with the name that its owner gave it.
        """
        answer = self._named(lambda: self._inner.complete(replace(request, model=self._served)))
        return replace(answer, model=self._model.reference, usage=self._billed(answer.usage))

    def make(self, request: MediaRequest) -> MediaAnswer:
        """The same for pictures, sound and vectors."""
        answer = self._named(lambda: self._inner.make(replace(request, model=self._served)))
        return replace(answer, model=self._model.reference, usage=self._billed(answer.usage))

    def _named(self, call: Callable[[], _T]) -> _T:
        """What a call gives; its errors name the model as the pipeline does."""
        variable = self._model.api_key_env
        if variable and self._model.api_key() is None:
            raise missing_key(self._model.reference, (variable,))
        try:
            return call()
        except ModelError as error:
            name = re.compile(rf"(?<![\w:/.-]){re.escape(str(self._served))}(?![\w/-])")
            error.message = name.sub(str(self._model.reference), error.message)
            error.args = (error.message,)
            raise

    def _billed(self, usage: Usage) -> Usage:
        """The usage at its own prices; without these a server of one's own has none that is known."""
        model = self._model
        if model.input_price is not None and model.output_price is not None:
            cost = usage.input_tokens * model.input_price + usage.output_tokens * model.output_price
            return replace(usage, cost=cost)
        return usage if model.base_url is None else replace(usage, cost=None)
