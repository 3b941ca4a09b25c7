"""Which client reaches a model: the built-in one, or litellm."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator_dagster.models.client import ModelClient, ModelReference
from orchestrator_dagster.models.litellm_client import Endpoint, LiteLLMClient
from orchestrator_dagster.models.references import BUILTIN


class ModelClients:
    """Gives the client for a model; made once for a run and shared by its steps.

    Args:
        endpoints: Where a provider is reached and with which key, by provider; others as litellm does by itself.
    """

    def __init__(self, endpoints: Mapping[str, Endpoint] | None = None) -> None:
        self._hosted = LiteLLMClient(endpoints or {})

    def client(self, model: ModelReference) -> ModelClient:
        """The client that reaches ``model``."""
        if model.provider == BUILTIN:
            from orchestrator_dagster.models.extractive import ExtractiveModel

            return ExtractiveModel()
        return self._hosted
