"""Which model is taken: a pure function of the candidates, what the step needs, the schema, and what can be reached.

The price ``p`` of a model is in US dollars per million tokens, of three tokens of prompt to one of answer. Of the
models that fit, the one with the best score is taken:

- ``cost``: score ``-p``.
- ``performance``: score is the quality ``q``, an Elo figure.
- ``balanced``: score ``q - 100 * log10(max(p, 0.10))``: ten times the price must be worth 100 points, with which the
  better model wins 64 % of the votes. A price below 0.10 counts as 0.10: a machine of one's own is not free either.

A model without the figure that a score needs comes after all that have it. Equal scores: the higher quality, then the
lower price, then the name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from orchestrator_dagster.model_words import size_text
from orchestrator_dagster.models.catalogue import ModelCard
from orchestrator_dagster.models.client import ModelReference
from orchestrator_dagster.models.reach import Reach

Strategy = Literal["cost", "performance", "balanced"]

POINTS_PER_TENFOLD = 100
LEAST_PRICE = 0.10
#: Tokens of an answer that an estimate counts with when the step does not limit them.
ASSUMED_OUTPUT = 1_000
#: Tokens of a prompt that a model is taken to hold when its context is not known: what Ollama holds by default.
UNKNOWN_CONTEXT = 4_096


@dataclass(frozen=True)
class Needs:
    """What a model must bring.

    Args:
        capabilities: What it must be able to do, because of what the step does.
        required: What the step itself says that it must be able to do.
        min_size: Fewest parameters, in billions.
        expertise: What it must be good at.
        input_tokens: Tokens of the prompt, as far as they are known; None when they are not.
        output_tokens: Most tokens of the answer, None when nothing limits them.
    """

    capabilities: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    min_size: float | None = None
    expertise: frozenset[str] = frozenset()
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True)
class Rules:
    """What the selection schema says: the strategy, and which models are not to be taken.

    ``priced``: a budget bounds nothing but the cost, so a model whose price is not known cannot be asked.
    """

    strategy: Strategy = "balanced"
    max_cost_per_call: float | None = None
    allow_paid: bool = True
    priced: bool = False


@dataclass(frozen=True)
class Considered:
    """A candidate: whether it fits, its score, why it was refused and what would change that.

    ``cost`` is the estimate of one call in US dollars, ``price`` is in US dollars per million tokens, ``notes`` is what
    is not known of it. ``unreached``: it would fit, and cannot be reached.
    """

    model: str
    fits: bool
    score: float | None = None
    quality: float | None = None
    quality_source: str | None = None
    price: float | None = None
    cost: float | None = None
    refused: tuple[str, ...] = ()
    fix: str = ""
    notes: tuple[str, ...] = ()
    unreached: bool = False


@dataclass(frozen=True)
class Decision:
    """Which model was taken (None when none fits) and every candidate: those that fit by rank, the others by name."""

    strategy: Strategy
    taken: ModelReference | None
    considered: tuple[Considered, ...]
    named: bool = False
    servers: dict[str, bool] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Why the one was taken, in a few words."""
        fitting = sum(one.fits for one in self.considered)
        if self.named or not fitting:
            return ""
        of = f"of {len(self.considered)} candidates" + (
            f", {fitting} of which fit" if fitting < len(self.considered) else ""
        )
        return f"{WORDS[self.strategy]} {of}"


WORDS = {"cost": "the cheapest", "performance": "the best", "balanced": "the best for its price"}


def select(
    candidates: Sequence[ModelCard],
    needs: Needs,
    rules: Rules,
    reach: Callable[[ModelReference], Reach],
) -> Decision:
    """Choose among several models. The order of the candidates changes nothing.

    Args:
        candidates: The models.
        needs: What one must bring.
        rules: What the schema says.
        reach: Whether one can be reached; asked only for those that fit otherwise.
    """
    cards = {str(card.reference): card for card in candidates}
    fitting: list[tuple[ModelCard, Considered]] = []
    refused: list[Considered] = []
    for name in sorted(cards):
        one = consider(cards[name], needs, rules, reach)
        if one.fits:
            fitting.append((cards[name], one))
        else:
            refused.append(one)
    fitting.sort(key=lambda pair: _rank(pair[1]))
    taken = fitting[0][0].reference if fitting else None
    return Decision(rules.strategy, taken, (*(one for _, one in fitting), *refused))


def consider(
    card: ModelCard,
    needs: Needs,
    rules: Rules,
    reach: Callable[[ModelReference], Reach] | None,
    *,
    named: bool = False,
) -> Considered:
    """One candidate.

    Args:
        card: What is known of it.
        needs: What it must bring.
        rules: What the schema says.
        reach: Whether it can be reached; None to leave that to the call.
        named: It is the one model that is named. What only its price list does not know is then no reason against it.
    """
    refused, fix, notes = _needs(card, needs, named)
    said = _limits(card, needs, rules)
    refused += [reason for reason, _ in said]
    fix = fix or (said[0][1] if said else "")
    unreached = False
    if not refused and reach is not None:
        found = reach(card.reference)
        if not found.ok:
            refused.append(found.said)
            fix, unreached = found.fix, True
    return Considered(
        str(card.reference),
        not refused,
        score(card, rules.strategy),
        card.quality,
        card.quality_source,
        card.price,
        _estimate(card, needs),
        tuple(refused),
        fix,
        tuple(notes),
        unreached,
    )


def score(card: ModelCard, strategy: Strategy) -> float | None:
    """The score of a model, more is better; None when it has not the figures for it."""
    if strategy == "cost":
        return None if card.price is None else -card.price
    if card.quality is None or strategy == "performance":
        return card.quality
    if card.price is None:
        return None
    return card.quality - POINTS_PER_TENFOLD * math.log10(max(card.price, LEAST_PRICE))


def _rank(one: Considered) -> tuple[object, ...]:
    """Sorts the best first. Scores are compared as they are shown, so that a hair does not decide."""
    missing = one.score is None
    value = 0.0 if one.score is None else -round(one.score, 6)
    quality = (one.quality is None, -(one.quality or 0.0))
    price = (one.price is None, one.price or 0.0)
    return (missing, value, *quality, *price, one.model)


def _needs(card: ModelCard, needs: Needs, named: bool) -> tuple[list[str], str, list[str]]:
    """What speaks against a model for the step, what would change it, and what is not known of it."""
    refused: list[str] = []
    notes: list[str] = []
    fix = ""
    known = card.capabilities
    for word in sorted(needs.capabilities | needs.required):
        if known is not None and word in known:
            continue
        # That the price list does not say it is no proof; for a model that was named, the call will show it.
        text = f"no {word}" if known is not None else f"it is not known whether it has {word}"
        if named and (known is None or word not in needs.required):
            notes.append(text)
        else:
            refused.append(text)
            fix = fix or f"take a model with {word}, or say in models.yaml that this one has it"
    if needs.min_size is not None:
        if card.size is None:
            notes.append("its size is not published")
        elif card.size < needs.min_size:
            refused.append(f"{size_text(card.size)}, at least {size_text(needs.min_size)} are needed")
            fix = fix or "take a larger model, or lower `min_size`"
    missing = sorted(needs.expertise - card.expertise - {"general"})
    if missing and not (named and not card.expertise):
        refused.append(f"not said to be good at {', '.join(missing)}")
        fix = fix or "take another model, or ask for less in `expertise`"
    elif missing:
        notes.append("what it is good at is not known")
    context = card.context if card.context is not None else UNKNOWN_CONTEXT
    if needs.input_tokens is not None and needs.input_tokens > context:
        known_limit = "" if card.context is not None else ", as far as is known"
        text = f"the prompt has about {needs.input_tokens:,} tokens, it holds {context:,}{known_limit}"
        if named:
            notes.append(text)
        else:
            refused.append(text)
            fix = fix or "shorten the prompt, or take a model with a longer context"
    if needs.output_tokens and card.max_output and needs.output_tokens > card.max_output:
        text = f"`max_tokens` is {needs.output_tokens:,}, it gives at most {card.max_output:,}"
        if named:
            notes.append(text)
        else:
            refused.append(text)
            fix = fix or "lower `max_tokens`"
    return refused, fix, notes


def _limits(card: ModelCard, needs: Needs, rules: Rules) -> list[tuple[str, str]]:
    """What the schema's limits say against a model, each with what would change it."""
    found: list[tuple[str, str]] = []
    if not rules.allow_paid and (card.price is None or card.price > 0):
        text = "its price is not known" if card.price is None else "it costs money"
        fix = "give its price in models.yaml" if card.price is None else "remove `allow_paid: false`"
        found.append((f"{text}, and `allow_paid` is false", fix))
    if rules.priced and card.price is None:
        fix = "bound the budget by `tokens` or `calls` as well, or give its price in models.yaml"
        found.append(("its price is not known, and the budget bounds nothing but the cost", fix))
    if rules.max_cost_per_call is not None:
        cost = _estimate(card, needs)
        most = f"`max_cost_per_call` is ${rules.max_cost_per_call:g}"
        if cost is None:
            found.append((f"its price is not known, and {most}", "give its price in models.yaml"))
        elif cost > rules.max_cost_per_call:
            found.append(
                (f"a call is estimated at ${cost:.4f}, {most}", "raise `max_cost_per_call`, or set `max_tokens`")
            )
    return found


def _estimate(card: ModelCard, needs: Needs) -> float | None:
    """US dollars of one call: the prompt's tokens, and ``max_tokens`` (else 1,000) of answer."""
    output = needs.output_tokens or ASSUMED_OUTPUT
    return card.cost(needs.input_tokens or 0, min(output, card.max_output or output))


def refusals(decision: Decision) -> str:
    """Every candidate that was refused, those with one reason together, a line for each reason."""
    grouped: dict[str, list[str]] = {}
    for one in decision.considered:
        if not one.fits:
            grouped.setdefault("; ".join(one.refused), []).append(one.model)
    return "\n".join(f"  - {', '.join(models)}: {reason}" for reason, models in grouped.items())


def next_step(decision: Decision) -> str | None:
    """What to set so that the best of the refused candidates fits; those that only cannot be reached come first."""
    fixes = [
        (not one.unreached, len(one.refused), one.score is None, -(one.score or 0.0), one.model, one.fix)
        for one in decision.considered
        if one.fix and not one.fits
    ]
    return min(fixes)[-1] if fixes else None
