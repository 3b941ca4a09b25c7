"""Checks of the header's `limits`: calls at once by provider."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestrator_dagster.errors import UnknownModelError
from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.pipeline import Pipeline
from orchestrator_dagster.text import nearest_name

_COMMON = ("openai", "anthropic", "gemini", "ollama", "huggingface", "azure", "bedrock", "vertex_ai", "mistral", "groq")


def check_limits(pipeline: Pipeline, model: Callable[[str], Any], document: Document, problems: Problems) -> None:
    """Note every provider of `limits` that is none, and every number that lets no call through.

    Args:
        pipeline: The pipeline.
        model: The reference that a model's name stands for; raises UnknownModelError for none.
        document: Its file.
        problems: Takes what is wrong.
    """
    for name, number in pipeline.limits.items():
        try:
            provider = model(f"{name}:any").provider
        except UnknownModelError:
            provider = None
        if provider != name:
            near = provider or nearest_name(name, _COMMON)
            problems.add(
                "wrong-value",
                f'`limits`: "{name}" is no provider whose calls can be limited',
                document.key_span(("limits", name)),
                suggestion=near,
                hint="write the provider of your models' names, for example openai: 4",
            )
        if number < 1:
            problems.add(
                "wrong-value",
                f'`limits`: "{name}": at least 1 call at once is needed, found {number}',
                document.span(("limits", name)),
                hint="write 1 or more, or remove it for no limit",
            )
