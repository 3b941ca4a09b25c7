"""Names of models as people write them: ``openai:gpt-5``, ``anthropic/claude-sonnet-4-5``, ``gpt-4o``."""

from __future__ import annotations

import functools
import importlib.util
import json
import re
from pathlib import Path
from types import MappingProxyType
from typing import Any

from orchestrator_dagster.errors import UnknownModelError
from orchestrator_dagster.models.client import ModelReference
from orchestrator_dagster.models.user_models import OWN, UserModels
from orchestrator_dagster.text import nearest, nearest_name

BUILTIN = "builtin"
EXTRACTIVE = ModelReference(BUILTIN, "extractive")

#: Providers that are known without reading litellm's price map (which takes some 30 ms).
COMMON_PROVIDERS = frozenset(
    [
        "builtin",
        OWN,
        "openai",
        "anthropic",
        "gemini",
        "ollama",
        "ollama_chat",
        "huggingface",
        "azure",
        "bedrock",
        "vertex_ai",
        "mistral",
        "groq",
        "cohere",
        "deepseek",
        "openrouter",
        "together_ai",
        "fireworks_ai",
        "xai",
        "perplexity",
        "hosted_vllm",
        "lm_studio",
        "nvidia_nim",
        "replicate",
        "watsonx",
        "databricks",
        "sagemaker",
    ]
)
_DATED = re.compile(r"(?P<name>[a-z][\w.]*(?:-[\w.]+)*?)-(?:20\d{6}|20\d\d-\d\d-\d\d|\d{4}|latest)")
_OTHER_NAMES = {"google": "gemini", "vllm": "hosted_vllm", "together": "together_ai", "hf": "huggingface"}


def parse_reference(text: str, own: UserModels = MappingProxyType({})) -> ModelReference:
    """The model that a name stands for: split at the first ``:`` or ``/``, but only after a known provider.

    Args:
        text: The name.
        own: The models of ``models.yaml``: ``own:name`` is one of them.

    Raises:
        UnknownModelError: No provider is named, and litellm's price map has no model of this name.

    >>> parse_reference("ollama:llama3.2:1b").name
    'llama3.2:1b'
    """
    name = text.strip()
    for separator in sorted(":/", key=lambda sign: name.find(sign) if sign in name else len(name)):
        head, found, rest = name.partition(separator)
        provider = _OTHER_NAMES.get(head.lower(), head.lower())
        if found and (provider in COMMON_PROVIDERS or provider in _providers()):
            if not rest:
                raise UnknownModelError(
                    f'the model "{text}" names no model of {provider}', hint=f"write {provider}:name"
                )
            if provider == BUILTIN and rest != EXTRACTIVE.name:
                raise UnknownModelError(
                    f'there is no built-in model "{rest}"', hint="the built-in one is builtin:extractive"
                )
            if provider == OWN and rest not in own:
                raise _no_own(rest, own)
            return ModelReference(provider, rest)
        if found:
            break
    if name in own:
        raise UnknownModelError(
            f'the model "{text}" names no provider', hint=f"write own:{name} for the model of models.yaml"
        )
    entry = price_map().get(name)
    if entry:
        return ModelReference(_family(str(entry["litellm_provider"])), name)
    provider_of_dated = _dated(name)
    if provider_of_dated:
        return ModelReference(provider_of_dated, name)
    if name == EXTRACTIVE.name:
        raise UnknownModelError(f'the model "{text}" names no provider', hint="write builtin:extractive")
    head = name.partition(":")[0].partition("/")[0]
    if head != name:
        suggestion = nearest_provider(head)
        raise UnknownModelError(
            f'the model "{text}" names no known provider{nearest(head, COMMON_PROVIDERS)}',
            hint=f"write {suggestion or 'provider'}:{name[len(head) + 1 :]}",
        )
    raise UnknownModelError(
        f'the model "{text}" names no provider, and litellm knows no model of this name{nearest(name, price_map())}',
        hint="write provider:name, for example openai:gpt-5 or ollama:llama3.2",
    )


def _no_own(name: str, own: UserModels) -> UnknownModelError:
    known = f"it has {', '.join(sorted(own))}" if own else "there is no models.yaml, or it names none"
    return UnknownModelError(
        f'models.yaml has no model "{name}"{nearest(name, own)}', hint=f"add it below `models`; {known}"
    )


def _dated(name: str) -> str | None:
    """The provider of a model's version with a date that the price map does not have (any more).

    It is that of most of the models whose names begin alike: ``claude-3-5-sonnet-20241022`` is of the
    provider of ``claude-…``.

    >>> _dated("gpt-4-0125-preview-x") is None
    True
    """
    found = _DATED.fullmatch(name)
    if not found:
        return None
    head = f"{found['name'].partition('-')[0]}-"
    alike = [_family(str(entry["litellm_provider"])) for known, entry in price_map().items() if known.startswith(head)]
    most = max(set(alike), key=alike.count, default=None)
    return most if most is not None and alike.count(most) > len(alike) / 2 else None


def _family(provider: str) -> str:
    """Provider names of the price map that are variants of one provider."""
    return "vertex_ai" if provider.startswith("vertex_ai") else provider.removeprefix("text-completion-")


def provider_of(name: str) -> str | None:
    """The provider that a name or one of its other names stands for, None for none that is known.

    >>> provider_of("google")
    'gemini'
    """
    provider = _OTHER_NAMES.get(name.lower(), name.lower())
    return provider if provider in COMMON_PROVIDERS or provider in _providers() else None


@functools.lru_cache(maxsize=1)
def price_map() -> dict[str, dict[str, Any]]:
    """litellm's price map: for each model its provider, prices per token in US dollars, context and capabilities.

    It is the JSON file in the installed litellm package, read without importing litellm.
    """
    entries: dict[str, dict[str, Any]] = json.loads(_of_litellm("model_prices_and_context_window_backup.json") or "{}")
    return {name: entry for name, entry in entries.items() if entry.get("litellm_provider") and name != "sample_spec"}


@functools.lru_cache(maxsize=1)
def _providers() -> frozenset[str]:
    """Every provider of litellm: those of its price map and of its enumeration, read without importing it."""
    priced = {_family(str(entry["litellm_provider"])) for entry in price_map().values()}
    enumeration = _of_litellm("types/utils.py").partition("\nclass LlmProviders(")[2]
    members = re.split(r"\n(?=\S)", enumeration, maxsplit=1)[0]
    return frozenset(priced | set(re.findall(r'^    [A-Z]\w* = "([^"]+)"', members, re.MULTILINE)))


def _of_litellm(name: str) -> str:
    """A text file of the installed litellm package, empty when there is none."""
    spec = importlib.util.find_spec("litellm")
    path = Path(spec.origin).parent / name if spec is not None and spec.origin else None
    return path.read_text(encoding="utf-8") if path is not None and path.is_file() else ""


def nearest_provider(name: str) -> str | None:
    """The usual provider whose name is most like this one, None when none is."""
    return nearest_name(name, COMMON_PROVIDERS)
