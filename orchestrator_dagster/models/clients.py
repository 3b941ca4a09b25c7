"""Which client reaches a model: the built-in one, or litellm."""

from __future__ import annotations

import os
from collections.abc import Mapping

from orchestrator_dagster.models.client import ModelClient, ModelReference
from orchestrator_dagster.models.litellm_client import Endpoint, LiteLLMClient
from orchestrator_dagster.models.provider_keys import public_url
from orchestrator_dagster.models.references import BUILTIN


class ModelClients:
    """Gives the client for a model; made once for a run and shared by its steps.

    Args:
        endpoints: Where a provider is reached and with which key, by provider; others as litellm does by itself.
    """

    def __init__(self, endpoints: Mapping[str, Endpoint] | None = None) -> None:
        self._endpoints = dict(endpoints or {})
        self._hosted = LiteLLMClient(self._endpoints)

    def client(self, model: ModelReference) -> ModelClient:
        """The client that reaches ``model``."""
        if model.provider == BUILTIN:
            from orchestrator_dagster.models.extractive import ExtractiveModel

            return ExtractiveModel()
        return self._hosted

    def address(self, model: ModelReference) -> str | None:
        """The base URL at which ``model`` is reached (no user, password and query), None for its provider's own."""
        endpoint = self._endpoints.get(model.provider)
        url = endpoint.base_url if endpoint else None
        for name in ("BASE_URL", "API_BASE"):  # as litellm looks for it, OPENAI_BASE_URL for example
            url = url or os.environ.get(f"{model.provider.upper()}_{name}")
        return public_url(url) if url else None
