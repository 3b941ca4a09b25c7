"""What a model can do, as far as litellm's price map says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from orchestrator_dagster.models.client import ModelReference
from orchestrator_dagster.models.references import BUILTIN, price_map

#: How a model is made to answer in a structure: held to a JSON Schema by its provider, by the arguments of a function
#: that it has to call, or by a schema in the prompt.
Way = Literal["schema", "tool", "prompt"]
_ASKED_IN_WORDS = ("chat", "responses")
_PROVIDERS = {"ollama_chat": "ollama"}


def price_entry(model: ModelReference) -> Mapping[str, Any]:
    """What the price map has about a model; empty when it does not know it, or only another provider's of that name."""
    provider = _PROVIDERS.get(model.provider, model.provider)
    entry = price_map().get(f"{provider}/{model.name}")
    if entry is None:
        entry = price_map().get(model.name, {})
        if not str(entry.get("litellm_provider", "")).startswith(provider):
            return {}
    return entry


def ways_of(model: ModelReference) -> tuple[Way, ...]:
    """How a model can be made to answer in a structure, the surest way first.

    A model that the price map does not know is given the schema in the prompt.
    """
    if model.provider == BUILTIN:
        return ("schema",)
    entry = price_entry(model)
    ways: list[Way] = []
    if entry.get("supports_response_schema"):
        ways.append("schema")
    if entry.get("supports_function_calling") and entry.get("supports_tool_choice") is not False:
        ways.append("tool")
    return (*ways, "prompt")


def why_no_tools(model: ModelReference) -> str | None:
    """Why a model cannot call tools; None when it can, or when nothing is known about it."""
    if model.provider == BUILTIN:
        return "it is no language model and only answers from the text that it is given"
    entry = price_entry(model)
    mode = entry.get("mode")
    if mode is not None and mode not in _ASKED_IN_WORDS:
        return f"it is a model for {str(mode).replace('_', ' ')}"
    if entry.get("supports_function_calling") is False:
        return "litellm's list of models says so"
    return None
