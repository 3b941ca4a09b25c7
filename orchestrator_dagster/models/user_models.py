"""Models of a person's own, from ``models.yaml``: what is known of each, and where it is reached."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator_dagster.models.client import ModelReference

#: The provider in the reference of every model of one's own: ``own:qwen``. No provider of litellm is called so.
OWN = "own"


@dataclass(frozen=True)
class UserModel:
    """One model of ``models.yaml``.

    Args:
        name: Its name there; a pipeline file writes ``own:name``.
        provider: The provider as litellm calls it: who speaks this protocol (``openai``, ``ollama``, ``hosted_vllm``).
        model: The model's name at its server.
        base_url: Where the server is, None for the provider's own address.
        api_key_env: The environment variable with the key, None when the server asks for none.
        input_price: US dollars per token of the prompt, None when unknown.
        output_price: US dollars per token of the answer, None when unknown.
        context: Most tokens of a prompt, None when unknown.
        max_output: Most tokens of an answer, None when unknown.
        capabilities: What it can do, in the words of ``model_words.CAPABILITIES``; None when nothing is said.
        quality: Its quality on the scale of the catalogue (an Elo figure), None without one.
        size: Billions of parameters, None when unknown.
        expertise: What it is good at, in the words of ``model_words.EXPERTISE``.
        defined_at: ``file:line:column`` of its entry.
    """

    name: str
    provider: str
    model: str
    base_url: str | None = None
    api_key_env: str | None = None
    input_price: float | None = None
    output_price: float | None = None
    context: int | None = None
    max_output: int | None = None
    capabilities: frozenset[str] | None = None
    quality: float | None = None
    size: float | None = None
    expertise: frozenset[str] = field(default_factory=frozenset)
    defined_at: str = ""

    @property
    def reference(self) -> ModelReference:
        """How requests and pipeline files name it: ``own:name``."""
        return ModelReference(OWN, self.name)

    @property
    def litellm_model(self) -> str:
        """The name that litellm takes: ``provider/model``."""
        return f"{self.provider}/{self.model}"

    def api_key(self) -> str | None:
        """The key in the environment, None when there is none, or none is asked for."""
        value = os.environ.get(self.api_key_env, "").strip() if self.api_key_env else ""
        return value or None


#: Models of one's own, by name.
UserModels = Mapping[str, UserModel]
