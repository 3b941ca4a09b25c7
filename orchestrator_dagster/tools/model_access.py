"""How a tool asks a model: what the run lends it, whatever client stands behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Strategy = Literal["cost", "performance", "balanced"]


@dataclass(frozen=True)
class ModelReply:
    """What a model said to a tool.

    Args:
        text: The answer's text.
        value: The checked value, where a schema was given.
        model: Who answered, as ``provider:name``.
        tokens: Tokens in and out together, over all calls.
        cost: US dollars, None when a price is unknown.
        tools_used: The tools that it called, as ``tool.action``, in order.
    """

    text: str
    value: Any = None
    model: str = ""
    tokens: int = 0
    cost: float | None = 0.0
    tools_used: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelChoiceMade:
    """A choice among models.

    Args:
        model: The one that was taken, as ``provider:name``.
        reason: Why.
        candidates: Every candidate: ``model``, ``fits``, ``score``, ``quality``, ``price``, ``cost``, ``refused``.
    """

    model: str
    reason: str
    candidates: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class MediaReply:
    """Pictures, sound, words or vectors that a model made for a tool.

    Args:
        files: The pictures (PNG as a rule) or the speech, as bytes.
        text: The words of a recording.
        vectors: A vector for each text.
        model: Who made it, as ``provider:name``.
        tokens: Tokens in and out together.
        cost: US dollars, None when a price is unknown.
    """

    files: tuple[bytes, ...] = ()
    text: str = ""
    vectors: tuple[tuple[float, ...], ...] = ()
    model: str = ""
    tokens: int = 0
    cost: float | None = 0.0


class ModelAccess(Protocol):
    """A run's models, for tools. What is asked counts for the step: its usage, its budget, the store of answers."""

    def ask(
        self,
        prompt: str,
        *,
        system: str | None = None,
        model: str | None = None,
        schema: Mapping[str, Any] | None = None,
        images: Sequence[bytes] = (),
        tools: Sequence[str] = (),
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> ModelReply:
        """Ask once; an answer that does not fit the schema is repaired as in a model step.

        Args:
            prompt: What is asked.
            system: The system prompt.
            model: As ``provider:name``, default the one that the step or the pipeline names.
            schema: JSON Schema (an object) of the answer.
            tools: Tools that the model may call on the way, as a model step's `tools`.
            images: Pictures (PNG or JPEG bytes) that go with the prompt.
            temperature: 0 to 2.
            max_tokens: Most tokens of the answer.

        Raises:
            ModelError: What went wrong; ``permanent`` says whether a retry can help.
        """
        ...

    def choose(
        self,
        prompt: str,
        *,
        models: Sequence[str] = (),
        strategy: Strategy | None = None,
        capabilities: Sequence[str] = (),
        max_cost: float | None = None,
        max_tokens: int | None = None,
    ) -> ModelChoiceMade:
        """Choose a model for a prompt, and ask nothing.

        Args:
            prompt: What would be asked: its length counts for what fits and what it costs.
            models: The candidates, default those of the step, else the catalogue.
            strategy: How to choose, default as the step's or the pipeline's `selection_schema` says.
            capabilities: What the model must be able to do.
            max_cost: US dollars that one call may cost.
            max_tokens: Most tokens of the answer.

        Raises:
            NoModelError: No model fits; with the reason of each.
            UnknownModelError: A name is no model's.
        """
        ...

    def image(
        self, prompt: str, *, model: str | None = None, count: int = 1, settings: Mapping[str, Any] | None = None
    ) -> MediaReply:
        """Pictures from a text.

        Args:
            prompt: What is to be seen.
            model: As ``provider:name``, default the step's own ``model``.
            count: How many.
            settings: Further settings of the model (``size``, ``quality`` …).

        Raises:
            ModelError: What went wrong; ``permanent`` says whether a retry can help.
        """
        ...

    def transcribe(
        self, name: str, audio: bytes, *, model: str | None = None, settings: Mapping[str, Any] | None = None
    ) -> MediaReply:
        """The words of a recording.

        Args:
            name: Its file name: providers tell the format by the suffix.
            audio: The file.
            model: As ``provider:name``, default the step's own ``model``.
            settings: Further settings (``language``, ``prompt`` …).

        Raises:
            ModelError: As for :meth:`image`.
        """
        ...

    def speak(self, text: str, *, model: str | None = None, settings: Mapping[str, Any] | None = None) -> MediaReply:
        """A text as speech.

        Args:
            text: What is said.
            model: As ``provider:name``, default the step's own ``model``.
            settings: Further settings (``voice``, ``response_format``, ``speed`` …).

        Raises:
            ModelError: As for :meth:`image`.
        """
        ...

    def embed(
        self, texts: Sequence[str], *, model: str | None = None, settings: Mapping[str, Any] | None = None
    ) -> MediaReply:
        """A vector for each text, in their order.

        Args:
            texts: At least one.
            model: As ``provider:name``, default the step's own ``model``.
            settings: Further settings (``dimensions`` …).

        Raises:
            ModelError: As for :meth:`image`.
        """
        ...
