"""The one small interface through which every model is reached: a request goes in, an answer with its usage comes out.

Two implementations stand behind it: ``litellm_client`` for every provider that litellm knows, and ``extractive``, the
built-in model that needs neither a key nor a network. Structure, tool use and budgets stand above this interface.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True)
class ModelReference:
    """A model by name, for example provider ``openai`` and name ``gpt-5``; written ``openai:gpt-5``."""

    provider: str
    name: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.name}"


@dataclass(frozen=True)
class ToolCall:
    """A call that a model asks for. ``arguments`` is the JSON text as the model wrote it, not yet checked."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Message:
    """One turn of a conversation. ``tool_calls`` only from the assistant; ``tool_call_id`` only with role ``tool``.

    ``images`` are pictures (PNG, JPEG, GIF or WebP bytes) that go with the text of a user.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    images: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Watch:
    """How a call is looked after while it waits for its turn and while it goes on. It changes nothing about the answer.

    Args:
        deadline: When waiting and calling must be over, in seconds of ``time.monotonic()``; None for never.
        interrupted: Whether the run wants its steps to stop.
        progress: Called with a line about a long answer that is still coming, some times in all.
    """

    deadline: float | None = None
    interrupted: Callable[[], bool] | None = None
    progress: Callable[[str], None] | None = None


UNWATCHED = Watch()


@dataclass(frozen=True)
class ToolOffer:
    """A function that the model may call: ``parameters`` is the JSON Schema of its arguments.

    ``strict`` says that the schema is of the kind that providers hold a model to; see ``strict_schema``.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    strict: bool = False


@dataclass(frozen=True)
class Usage:
    """What calls took. Tokens are counts; ``cost`` is in US dollars, None when a price is unknown (never zero then)."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost: float | None = 0.0

    @property
    def tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        known = self.cost is not None and other.cost is not None
        return Usage(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            (self.cost or 0.0) + (other.cost or 0.0) if known else None,
        )


@dataclass(frozen=True)
class ModelRequest:
    """What is asked of a model.

    Args:
        model: Which one.
        messages: The conversation so far; the first may be the system prompt.
        schema: JSON Schema (an object) that the answer's text must fit, None for free text.
        tools: Functions the model may call.
        temperature: 0 to 2, None for the provider's default.
        max_tokens: Most tokens of the answer, None for the provider's default.
        timeout: Seconds until the call is given up.
        settings: Further settings of the provider, passed on as they are (``top_p``, ``stop``, ``seed`` …).
        strict: Whether ``schema`` is of the kind that providers hold a model to; see ``strict_schema``.
        tool_choice: None leaves it to the model, ``none`` forbids every call, a function's name demands a call of it.
        abilities: What the model can do, in the words of ``model_words.CAPABILITIES``, where litellm's price map does
            not know it; None when nothing is known.
        watch: How the call is looked after.
    """

    model: ModelReference
    messages: tuple[Message, ...]
    schema: Mapping[str, Any] | None = None
    tools: tuple[ToolOffer, ...] = ()
    temperature: float | None = None
    max_tokens: int | None = None
    timeout: float = 120.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False
    tool_choice: str | None = None
    abilities: frozenset[str] | None = None
    watch: Watch = field(default=UNWATCHED, repr=False, compare=False)


@dataclass(frozen=True)
class ModelAnswer:
    """What a model answered. ``text`` is JSON text when a schema was asked for; ``model`` is what really answered."""

    text: str
    model: ModelReference
    finish_reason: FinishReason = "stop"
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = field(default_factory=Usage)
    latency: float = 0.0


class ModelClient(Protocol):
    """Anything that can be asked. Implementations are thread-safe: steps run in parallel."""

    def complete(self, request: ModelRequest) -> ModelAnswer:
        """Ask once.

        Raises:
            ModelError: Or the subclass that says what happened; ``permanent`` says whether a retry may help.
        """
        ...
