"""What a model's tokens cost, from litellm's price map as a file: litellm is not imported for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator_dagster.models.client import ModelReference
from orchestrator_dagster.models.references import BUILTIN, price_map

_ABOVE = re.compile(r"put_cost_per_token_above_(\d+)k_tokens\Z")


@dataclass(frozen=True)
class Price:
    """US dollars for one token, in and out. ``steps`` are other prices, each from a number of input tokens on."""

    input: float
    output: float
    steps: tuple[tuple[int, float, float], ...] = ()

    def of(self, input_tokens: int, output_tokens: int) -> float:
        """US dollars for one call.

        >>> Price(2e-6, 8e-6, ((100_000, 4e-6, 12e-6),)).of(1000, 500)
        0.006
        """
        fitting = [one for one in self.steps if input_tokens > one[0]]
        _, input_price, output_price = max(fitting, default=(0, self.input, self.output))
        return input_tokens * input_price + output_tokens * output_price


FREE = Price(0.0, 0.0)


def price_of(model: ModelReference) -> Price | None:
    """The price of a model, None when it is unknown. Unknown is not free.

    >>> price_of(ModelReference("openai", "gpt-4o-mini"))
    Price(input=1.5e-07, output=6e-07, steps=())
    """
    if model.provider == BUILTIN:
        return FREE
    entry = price_map().get(f"{model.provider}/{model.name}")
    if entry is None:
        entry = price_map().get(model.name)
        if entry is None or not str(entry["litellm_provider"]).startswith(model.provider):
            return None  # none, or another provider's model of the same name
    tiers = entry.get("tiered_pricing")
    if isinstance(tiers, list):
        return _dearest(tiers)
    input_price, output_price = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
    if not isinstance(input_price, (int, float)) or not isinstance(output_price, (int, float)):
        return None
    return Price(float(input_price), float(output_price), _steps(entry, float(input_price), float(output_price)))


def _steps(entry: Mapping[str, Any], input_price: float, output_price: float) -> tuple[tuple[int, float, float], ...]:
    """The prices that long prompts have."""
    sizes = {int(found[1]) for name in entry if (found := _ABOVE.search(name))}
    return tuple(
        (
            size * 1000,
            float(entry.get(f"input_cost_per_token_above_{size}k_tokens") or input_price),
            float(entry.get(f"output_cost_per_token_above_{size}k_tokens") or output_price),
        )
        for size in sorted(sizes)
    )


def _dearest(tiers: list[Any]) -> Price | None:
    """The highest of prices in steps: an estimate errs on the safe side."""
    known = [one for one in tiers if isinstance(one, Mapping)]
    prices = [
        max((float(one[name]) for one in known if isinstance(one.get(name), (int, float))), default=None)
        for name in ("input_cost_per_token", "output_cost_per_token")
    ]
    return None if prices[0] is None or prices[1] is None else Price(prices[0], prices[1])
