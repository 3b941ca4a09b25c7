"""A tool of this project: models may call it, and so may steps."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from orchestrator_dagster import tool


@tool(reads_only=True)
def shipping(
    pieces: Annotated[int, Field(ge=1, le=100, description="Pieces in the parcel.")],
    bulky: Annotated[bool, Field(description="Whether a piece is longer than 120 cm.")] = False,
) -> dict[str, float]:
    """Price of sending a parcel within the country, in EUR."""
    return {"eur": round(4.9 + 0.8 * (pieces - 1) + (12.0 if bulky else 0.0), 2)}
