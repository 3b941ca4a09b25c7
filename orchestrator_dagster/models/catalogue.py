"""What is known of models: litellm's price map, a small catalogue of our own, and the models of ``models.yaml``.

litellm's map says prices, context and capabilities; ``catalogue.yaml`` says quality, size and expertise, and which
models a selection schema picks from when no candidates are named. Nothing here needs a network or litellm itself.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import yaml

from orchestrator_dagster.model_words import billions
from orchestrator_dagster.models.client import ModelReference
from orchestrator_dagster.models.references import EXTRACTIVE, parse_reference, price_map
from orchestrator_dagster.models.user_models import OWN, UserModel, UserModels

#: Providers that are a server of one's own: nobody sends a bill, and the server has to be running.
LOCAL_PROVIDERS = frozenset(("ollama", "ollama_chat", "hosted_vllm", "vllm", "lm_studio", "llamafile"))
# litellm's keys of capabilities, and the words for them.
_LITELLM_WORDS = {
    "supports_function_calling": "tools",
    "supports_response_schema": "json_schema",
    "supports_vision": "vision",
    "supports_audio_input": "audio",
    "supports_video_input": "video",
    "supports_pdf_input": "pdf",
    "supports_reasoning": "reasoning",
    "supports_web_search": "web_search",
    "supports_prompt_caching": "prompt_caching",
    "supports_parallel_function_calling": "parallel_tools",
}
_LITELLM_NAMES = {"ollama_chat": "ollama", "cohere": "cohere_chat"}
_CHAT = ("chat", "responses", None)


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model. None is "not known" everywhere, and never zero.

    Args:
        reference: The model.
        input_price: US dollars per token of the prompt.
        output_price: US dollars per token of the answer.
        context: Most tokens of a prompt.
        max_output: Most tokens of an answer.
        capabilities: In the words of ``model_words.CAPABILITIES``; None when nothing is known of the model.
        quality: An Elo figure.
        quality_source: Who says so, and when.
        size: Billions of parameters.
        expertise: In the words of ``model_words.EXPERTISE``.
        withdrawn: The date, in ISO form, from which its provider does not serve it.
        own: Its entry in ``models.yaml``.
    """

    reference: ModelReference
    input_price: float | None = None
    output_price: float | None = None
    context: int | None = None
    max_output: int | None = None
    capabilities: frozenset[str] | None = None
    quality: float | None = None
    quality_source: str | None = None
    size: float | None = None
    expertise: frozenset[str] = field(default_factory=frozenset)
    withdrawn: str | None = None
    own: UserModel | None = None

    @property
    def price(self) -> float | None:
        """US dollars per million tokens, of three tokens of prompt to one of answer; None when a price is unknown."""
        if self.input_price is None or self.output_price is None:
            return None
        return (3 * self.input_price + self.output_price) / 4 * 1_000_000

    def cost(self, input_tokens: int, output_tokens: int) -> float | None:
        """US dollars of a call with so many tokens, None when a price is unknown."""
        if self.input_price is None or self.output_price is None:
            return None
        return self.input_price * input_tokens + self.output_price * output_tokens


class Catalogue:
    """All that is known of models.

    Args:
        own: The models of ``models.yaml``.
        cards: Other models to pick from than those of ``catalogue.yaml``; what they say wins over litellm's map.
    """

    def __init__(self, own: UserModels = MappingProxyType({}), cards: Iterable[ModelCard] | None = None) -> None:
        self.own = dict(own)
        self._cards = None if cards is None else {card.reference: card for card in cards}

    def card(self, reference: ModelReference) -> ModelCard:
        """What is known of a model; a card with nothing on it when nothing is."""
        if self._cards and reference in self._cards:
            return self._cards[reference]
        if reference.provider == OWN and reference.name in self.own:
            return _own_card(self.own[reference.name])
        return _card(reference)

    def choices(self) -> tuple[ModelCard, ...]:
        """The models that are picked from where no candidates are named: those of the catalogue, and one's own."""
        if self._cards is not None:
            listed = list(self._cards.values())
        else:
            listed = [self.card(reference) for reference, entry in _ours().items() if not entry.get("only_named")]
        return (*listed, *(_own_card(model) for model in self.own.values()))

    def everything(self) -> tuple[ModelCard, ...]:
        """Every model that answers in text and has a name of its own, by name: litellm's whole map too."""
        found = {reference: self.card(reference) for reference in _ours()}
        found.update((card.reference, card) for card in map(_own_card, self.own.values()))
        for name, entry in price_map().items():
            if entry.get("mode") in _CHAT:
                reference = _reference_in_map(name, entry)
                found.setdefault(reference, _card(reference))
        return tuple(found[one] for one in sorted(found, key=str))


@functools.lru_cache(maxsize=1)
def catalogue_date() -> str:
    """The day of the quality figures, in ISO form."""
    return str(_file()["date"])


@functools.lru_cache(maxsize=1)
def _file() -> Mapping[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = files("orchestrator_dagster.models").joinpath("catalogue.yaml").read_text(encoding="utf-8")
    found: Mapping[str, Any] = yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader, in C where there is one
    return found


@functools.lru_cache(maxsize=1)
def _ours() -> Mapping[ModelReference, Mapping[str, Any]]:
    """The entries of ``catalogue.yaml``."""
    return {parse_reference(entry["model"]): entry for entry in _file()["models"]}


@functools.lru_cache(maxsize=8192)
def _card(reference: ModelReference) -> ModelCard:
    """What litellm's map and our catalogue say of a model."""
    if reference == EXTRACTIVE:
        return ModelCard(reference, 0.0, 0.0, capabilities=frozenset({"json_schema"}))
    entry, ours = _entry_in_map(reference), _ours().get(reference, {})
    capabilities = ours.get("capabilities")
    if capabilities is None and entry:
        capabilities = [word for key, word in _LITELLM_WORDS.items() if entry.get(key)]
    row = ours.get("row")
    input_price, output_price = _prices(reference, entry)
    return ModelCard(
        reference,
        input_price,
        output_price,
        context=_count(entry, "max_input_tokens", "max_tokens"),
        max_output=_count(entry, "max_output_tokens"),
        capabilities=None if capabilities is None else frozenset(capabilities),
        quality=ours.get("quality"),
        quality_source=f"{_file()['source']}, {catalogue_date()}, {row}" if row else None,
        size=billions(str(ours["size"])) if "size" in ours else None,
        expertise=frozenset(ours.get("expertise", ())),
        withdrawn=entry.get("deprecation_date") or None,
    )


def _own_card(model: UserModel) -> ModelCard:
    """A model of one's own: what its entry says, and where it says nothing, what is known of the model it names."""
    known = _card(ModelReference(model.provider, model.model))
    # Another server has prices and limits of its own.
    here = known if model.base_url is None else ModelCard(model.reference)
    return ModelCard(
        model.reference,
        here.input_price if model.input_price is None else model.input_price,
        here.output_price if model.output_price is None else model.output_price,
        context=model.context or here.context,
        max_output=model.max_output or here.max_output,
        capabilities=here.capabilities if model.capabilities is None else model.capabilities,
        quality=known.quality if model.quality is None else model.quality,
        quality_source=known.quality_source if model.quality is None else model.defined_at,
        size=model.size or known.size,
        expertise=model.expertise or known.expertise,
        own=model,
    )


def _reference_in_map(name: str, entry: Mapping[str, Any]) -> ModelReference:
    provider = str(entry["litellm_provider"])
    provider = "vertex_ai" if provider.startswith("vertex_ai") else provider.removeprefix("text-completion-")
    return ModelReference(provider, name.removeprefix(f"{provider}/"))


def _entry_in_map(reference: ModelReference) -> Mapping[str, Any]:
    """The entry of litellm's map for a model, an empty one when there is none."""
    prices = price_map()
    provider = _LITELLM_NAMES.get(reference.provider, reference.provider)
    for name in (f"{reference.provider}/{reference.name}", f"{provider}/{reference.name}", reference.name):
        entry = prices.get(name)
        # A bare name may be another provider's model.
        if entry is not None and ("/" in name or str(entry["litellm_provider"]).startswith(reference.provider)):
            return entry
    return {}


def _prices(reference: ModelReference, entry: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """US dollars per token. A server of one's own sends no bill; Ollama's cloud models are not on one's own server."""
    if not entry and reference.provider in LOCAL_PROVIDERS and not reference.name.endswith("cloud"):
        return 0.0, 0.0
    if reference.name.endswith("cloud") and reference.provider in LOCAL_PROVIDERS:
        return None, None  # litellm's map has them as free
    found = [entry.get(f"{side}_cost_per_token") for side in ("input", "output")]
    first, second = (float(one) if isinstance(one, (int, float)) else None for one in found)
    return first, second


def _count(entry: Mapping[str, Any], *keys: str) -> int | None:
    for key in keys:
        value = entry.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
            return int(value)
    return None
