"""The tool ``multi-model-routing``: which model a prompt goes to, by a strategy, with the reasons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, Field

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.tools.asking.common import (
    Candidate,
    Capabilities,
    Choosing,
    MaxCost,
    MaxTokens,
    Models,
    models_of,
    sum_of,
)
from orchestrator_dagster.tools.model_access import ModelChoiceMade
from orchestrator_dagster.tools.tool import Tool, ToolContext

multi_model_routing = Tool(
    "multi-model-routing",
    summary="Chooses models for prompts by cost, quality or both, and asks them.",
    model_may_call=False,
    uses_models=True,
)

Prompts = Annotated[
    str | list[str],
    Field(
        description="One prompt or several.",
        validation_alias=AliasChoices("prompts", "prompt", "request", "requests", "task"),
    ),
]
AtOnce = Annotated[int, Field(ge=1, le=64, description="How many are asked at the same time.")]


class Route(BaseModel):
    """Where a prompt goes, and why."""

    prompt: str
    model: str
    reason: str
    estimated_cost: float | None
    candidates: list[Candidate]


class RouteResult(BaseModel):
    """The routes in the order of the prompts; ``model`` and ``reason`` are those of the first."""

    routes: list[Route]
    count: int
    model: str
    reason: str
    estimated_cost: float | None


class Answer(BaseModel):
    """What a model said to a prompt."""

    prompt: str
    model: str
    reason: str
    response: str
    tokens: int
    cost: float | None


class AnswersResult(BaseModel):
    """The answers in order; ``response`` and ``model`` are those of the first."""

    results: list[Answer]
    count: int
    response: str
    model: str
    tokens: int
    cost: float | None


@multi_model_routing.action(aliases=("select", "choose", "select_model"), default=True)
def route(
    context: ToolContext,
    prompts: Prompts,
    models: Models = [],  # noqa: B006 - it is never changed
    strategy: Choosing = None,
    capabilities: Capabilities = [],  # noqa: B006 - it is never changed
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
) -> RouteResult:
    """Choose a model for each prompt; no model is asked."""
    routes = []
    for prompt in _listed(prompts):
        found = _chosen(context, prompt, models, strategy, capabilities, max_cost, max_tokens)
        candidates = [Candidate(**one) for one in found.candidates]
        cost = next((one.cost for one in candidates if one.model == found.model), None)
        routes.append(
            Route(prompt=prompt, model=found.model, reason=found.reason, estimated_cost=cost, candidates=candidates)
        )
    return RouteResult(
        routes=routes,
        count=len(routes),
        model=routes[0].model,
        reason=routes[0].reason,
        estimated_cost=sum_of(one.estimated_cost for one in routes),
    )


@multi_model_routing.action(aliases=("generate", "route_and_ask"))
def ask(
    context: ToolContext,
    prompts: Prompts,
    models: Models = [],  # noqa: B006 - it is never changed
    strategy: Choosing = None,
    capabilities: Capabilities = [],  # noqa: B006 - it is never changed
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    max_parallel: AtOnce = 5,
) -> AnswersResult:
    """Choose a model for each prompt and ask it."""

    def one(prompt: str) -> Answer:
        found = _chosen(context, prompt, models, strategy, capabilities, max_cost, max_tokens)
        return _asked(context, prompt, found.model, found.reason, max_tokens)

    return _all(one, _listed(prompts), max_parallel)


@multi_model_routing.action()
def compare(
    context: ToolContext,
    prompt: Annotated[str, Field(min_length=1, description="The prompt.")],
    models: Annotated[
        list[str], Field(min_length=1, description="The models, as provider:name: all of them are asked.")
    ],
    max_tokens: MaxTokens = None,
    max_parallel: AtOnce = 5,
) -> AnswersResult:
    """Ask several models the same."""

    def one(model: str) -> Answer:
        return _asked(context, prompt, model, "named", max_tokens)

    return _all(one, models, max_parallel)


def _chosen(
    context: ToolContext,
    prompt: str,
    models: Sequence[str],
    strategy: Any,
    capabilities: Sequence[str],
    max_cost: float | None,
    max_tokens: int | None,
) -> ModelChoiceMade:
    return models_of(context).choose(
        prompt,
        models=models,
        strategy=strategy,
        capabilities=capabilities,
        max_cost=max_cost,
        max_tokens=max_tokens,
    )


def _asked(context: ToolContext, prompt: str, model: str, reason: str, max_tokens: int | None) -> Answer:
    reply = models_of(context).ask(prompt, model=model, max_tokens=max_tokens)
    return Answer(
        prompt=prompt, model=reply.model, reason=reason, response=reply.text, tokens=reply.tokens, cost=reply.cost
    )


def _all(one: Callable[[str], Answer], items: Sequence[str], workers: int) -> AnswersResult:
    """Every answer; when one fails, those that have not begun are not asked."""
    with ThreadPoolExecutor(min(workers, len(items)), thread_name_prefix="routing ") as pool:
        running = [pool.submit(one, item) for item in items]
        try:
            found = [future.result() for future in running]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return AnswersResult(
        results=found,
        count=len(found),
        response=found[0].response,
        model=found[0].model,
        tokens=sum(answer.tokens for answer in found),
        cost=sum_of(answer.cost for answer in found),
    )


def _listed(prompts: str | list[str]) -> list[str]:
    found = [prompts] if isinstance(prompts, str) else prompts
    if not found or not all(one.strip() for one in found):
        raise ParametersError("multi-model-routing: a prompt is empty" if found else "multi-model-routing: no prompt")
    return found
