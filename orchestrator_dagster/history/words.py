"""How the report over runs writes rates and sums of money."""

from __future__ import annotations

from orchestrator_dagster.log.words import dollars


def rate(share: float | None) -> str:
    """A share as a percentage; never 100 % while something failed.

    >>> rate(1.0), rate(0.9996), rate(None)
    ('100 %', '99.9 %', '–')
    """
    if share is None:
        return "–"
    if share in (0.0, 1.0):
        return f"{share * 100:.0f} %"
    return f"{min(99.9, max(0.1, share * 100)):.3g} %"


def money(cost: float | None, known: float) -> str:
    """A sum in dollars; of one that is not wholly known the known part, and that there is more."""
    if cost is not None:
        return dollars(cost)
    return f"{dollars(known)} + unknown" if known else "unknown"
