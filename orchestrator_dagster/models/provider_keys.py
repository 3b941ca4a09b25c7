"""Which environment variables hold a provider's key, and how keys are kept out of texts. Loads nothing heavy."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlsplit

# Provider → variables, any one of which is enough, the usual one first. As litellm 1.106 reads them
# (litellm.validate_environment, litellm/main.py); a test compares the two.
_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
    "cerebras": ("CEREBRAS_API_KEY",),
    "cohere": ("COHERE_API_KEY", "CO_API_KEY"),
    "deepinfra": ("DEEPINFRA_API_KEY",),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "fireworks_ai": ("FIREWORKS_AI_API_KEY", "FIREWORKS_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "groq": ("GROQ_API_KEY",),
    "huggingface": ("HUGGINGFACE_API_KEY", "HF_TOKEN"),
    "mistral": ("MISTRAL_API_KEY",),
    "moonshot": ("MOONSHOT_API_KEY",),
    "nvidia_nim": ("NVIDIA_NIM_API_KEY",),
    "openai": ("OPENAI_API_KEY",),
    "openrouter": ("OPENROUTER_API_KEY", "OR_API_KEY"),
    "perplexity": ("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"),
    "replicate": ("REPLICATE_API_KEY", "REPLICATE_API_TOKEN"),
    "sambanova": ("SAMBANOVA_API_KEY",),
    "together_ai": ("TOGETHERAI_API_KEY", "TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHER_AI_TOKEN"),
    "xai": ("XAI_API_KEY",),
    "zai": ("ZAI_API_KEY",),
}
# These take no key, or find credentials also in files, roles and sign-ins that only their own libraries can look for.
# fmt: off
_NOT_CHECKED = frozenset({
    "azure", "azure_ai", "bedrock", "chatgpt", "databricks", "docker_model_runner", "github_copilot", "hosted_vllm",
    "llamafile", "lm_studio", "ollama", "ollama_chat", "oobabooga", "petals", "sagemaker", "sagemaker_chat",
    "snowflake", "triton", "vertex_ai", "vertex_ai_beta", "vllm", "watsonx", "watsonx_text", "xinference",
})
# fmt: on
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
_SHORTEST = 8  # a shorter value of such a variable is a switch or a number, and would blot out ordinary words
_SHAPES = re.compile(r"\b(?:sk|gsk|hf|xai)[-_][\w-]{12,}|(?<=[Bb]earer )[^\s'\",]+")
_HIDDEN = "***"


def key_variables(provider: str) -> tuple[str, ...] | None:
    """The environment variables of which one must hold the provider's key, the usual one first.

    Empty for a provider that needs no key or finds its credentials elsewhere; None for a provider not known here.
    """
    return () if provider in _NOT_CHECKED else _VARIABLES.get(provider)


def has_key(provider: str) -> bool:
    """Whether the environment holds a key for ``provider``, or it needs none as far as is known here."""
    variables = key_variables(provider)
    return not variables or any(os.environ.get(name, "").strip() for name in variables)


def without_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` with every key in it replaced by ``***``.

    A key is one of ``secrets``, the value of an environment variable whose name says so, or what looks like one.
    """
    kept = {value for value in secrets if len(value) > 3}
    kept |= {value for name, value in os.environ.items() if len(value) >= _SHORTEST and _SECRET_NAME.search(name)}
    for value in sorted(kept, key=len, reverse=True):
        for form in (value, quote(value, safe="")):
            text = text.replace(form, _HIDDEN)
    return _SHAPES.sub(_HIDDEN, text)


def public_url(url: str) -> str:
    """``url`` without user, password, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
