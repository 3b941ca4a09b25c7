"""The tool ``embeddings``: texts as vectors, and the texts that are nearest to a question."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, Field

from orchestrator_dagster.errors import ToolError
from orchestrator_dagster.tools.model_access import MediaReply, ModelAccess
from orchestrator_dagster.tools.tool import Tool, ToolContext

embeddings = Tool(
    "embeddings", summary="Has a model turn texts into vectors, and finds similar ones.", uses_models=True
)

_BATCH = 256  # texts in one call; OpenAI takes 2,048, others fewer

Texts = Annotated[list[str], Field(min_length=1, max_length=100_000, description="The texts.")]


class Vectors(BaseModel):
    """A vector for each text, in their order. ``cost`` is in US dollars, null when the price is unknown."""

    vectors: list[list[float]]
    count: int
    dimensions: int
    model: str
    tokens: int
    cost: float | None


class Match(BaseModel):
    """A text, its place among the texts from 0, and its cosine similarity to the question."""

    text: str
    index: int
    similarity: float


class Matches(BaseModel):
    """The texts that are nearest to a question, the nearest first."""

    items: list[Match]
    count: int
    model: str
    tokens: int
    cost: float | None


@embeddings.action(aliases=("create", "vectors"), default=True)
def embed(
    context: ToolContext,
    texts: Texts,
    dimensions: Annotated[
        int | None, Field(ge=1, description="Length of the vectors, for models that offer it.")
    ] = None,
) -> Vectors:
    """Turn texts into vectors."""
    replies = _embedded(context, texts, dimensions)
    vectors = [list(vector) for reply in replies for vector in reply.vectors]
    return Vectors(vectors=vectors, count=len(vectors), dimensions=len(vectors[0]), **_took(replies))


@embeddings.action(aliases=("similarity", "nearest"))
def search(
    context: ToolContext,
    query: Annotated[str, Field(min_length=1, description="What is looked for.")],
    texts: Texts,
    top_k: Annotated[int, Field(ge=1, description="How many texts.")] = 5,
) -> Matches:
    """Find the texts that are nearest to a question by meaning."""
    replies = _embedded(context, [query, *texts], None)
    wanted, *vectors = [vector for reply in replies for vector in reply.vectors]
    scores = [(_cosine(wanted, vector), -n) for n, vector in enumerate(vectors)]
    best = sorted(scores, reverse=True)[:top_k]
    items = [Match(text=texts[-n], index=-n, similarity=round(score, 6)) for score, n in best]
    return Matches(items=items, count=len(items), **_took(replies))


def _embedded(context: ToolContext, texts: Sequence[str], dimensions: int | None) -> list[MediaReply]:
    models: ModelAccess | None = context.models
    if models is None:
        raise ToolError("there are no models here", hint="call this tool from a step of a pipeline", permanent=True)
    settings = {} if dimensions is None else {"dimensions": dimensions}
    batches = [texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH)]
    return [models.embed(batch, settings=settings) for batch in batches]


def _took(replies: Sequence[MediaReply]) -> dict[str, object]:
    costs = [reply.cost for reply in replies]
    known = [cost for cost in costs if cost is not None]
    return {
        "model": replies[0].model,
        "tokens": sum(reply.tokens for reply in replies),
        "cost": sum(known) if len(known) == len(costs) else None,
    }


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    lengths = math.sqrt(sum(x * x for x in one)) * math.sqrt(sum(y * y for y in other))
    return sum(x * y for x, y in zip(one, other, strict=True)) / lengths if lengths else 0.0
