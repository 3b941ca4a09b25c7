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
#: Servers that constrain what a model may write, whichever it is: by "Structured Outputs" in the documentation of each.
_HOLD_ANY_MODEL = frozenset(("ollama", "ollama_chat", "hosted_vllm", "lm_studio"))
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


def ways_of(model: ModelReference, abilities: frozenset[str] | None = None) -> tuple[Way, ...]:
    """How a model can be made to answer in a structure, the surest way first.

    Servers that hold any model to a schema are asked to. Of others, a model of which nothing is known is given the
    schema in the prompt.

    Args:
        model: The model.
        abilities: What it can do, where the price map does not know it; see :class:`ModelRequest`.
    """
    if model.provider == BUILTIN:
        return ("schema",)
    entry = price_entry(model)
    if not entry and abilities:
        entry = {
            "supports_response_schema": "json_schema" in abilities,
            "supports_function_calling": "tools" in abilities,
        }
    ways: list[Way] = []
    if entry.get("supports_response_schema") or model.provider in _HOLD_ANY_MODEL:
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
