"""Which model a step asks, decided just before the call; and the fallbacks, when the one that was chosen fails."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.compiler.needs import StepChoice
from orchestrator_dagster.errors import (
    ModelAnswerError,
    ModelError,
    ModelKeyError,
    NoModelError,
    UnknownModelError,
)
from orchestrator_dagster.models.client import ModelClient, ModelReference, ModelRequest, Usage
from orchestrator_dagster.models.known_models import KnownModels
from orchestrator_dagster.models.run_clients import cooling_of, timeout_of
from orchestrator_dagster.models.selection import (
    Considered,
    Decision,
    Needs,
    Rules,
    consider,
    next_step,
    refusals,
    select,
)
from orchestrator_dagster.models.structured import Asked
from orchestrator_dagster.runtime.outcome import CandidateInfo, DecisionInfo, UsageInfo
from orchestrator_dagster.runtime.question import Question
from orchestrator_dagster.runtime.services import Services

#: Stands in a request whose model is not decided yet.
UNDECIDED = ModelReference("", "undecided")
_CHARACTERS_PER_TOKEN = 4  # OpenAI's rule of thumb for English (help.openai.com, "What are tokens")
_WORTH_WAITING = 5.0  # seconds that a model may rest before a listed fallback is asked in its place
_MOST_SHOWN = 12  # candidates that a record keeps: a loop has one record for each item


@dataclass(frozen=True)
class Chosen:
    """The models to ask in turn, the chosen one first, and the decision behind it."""

    order: tuple[ModelReference, ...]
    decision: Decision
    reason: str
    timeout: float | None = None


@dataclass(frozen=True)
class Answered:
    """What a step was answered: the question, for its acceptance, and why this model."""

    asked: Asked
    usage: UsageInfo
    question: Question
    reason: str
    decision: DecisionInfo | None


def choose(
    step: CompiledStep,
    names: Sequence[str],
    needs: Needs,
    known: KnownModels,
    *,
    strict: bool = True,
    priced: bool = False,
) -> Chosen:
    """Decide which model a step asks.

    Args:
        step: The step.
        names: Its candidates, rendered; none for the catalogue.
        needs: What a model must bring; see :func:`needs_for`.
        known: The models there are.
        priced: Whether a budget needs the price to be known, because it bounds nothing else.
        strict: Whether a choice without a model is an error; else the decision says so.

    Raises:
        NoModelError: No model fits; the message names each candidate with its reason.
        UnknownModelError: A name is no model's.
    """
    choice = step.choice or StepChoice()
    schema = choice.selection
    named = not choice.catalogue and len(names) == 1
    # One that is named is refused by the budget itself, which says more.
    rules = Rules(schema.strategy, schema.max_cost_per_call, schema.allow_paid, priced and not named)
    if named:
        # Whether it can be reached shows when it is called; that error says more than a guess.
        reference = known.parse(names[0])
        one = consider(known.catalogue.card(reference), needs, rules, None, named=True)
        decision = Decision(rules.strategy, reference if one.fits else None, (one,), named=True)
    else:
        references = [known.parse(name) for name in names]
        candidates = [known.catalogue.card(one) for one in references] or known.catalogue.choices()
        decision = select(candidates, needs, rules, known.reach)
    order = [decision.taken] if decision.taken else []
    fallbacks = []
    for name in schema.fallback:
        reference = known.parse(name)
        if reference not in order:
            one = consider(known.catalogue.card(reference), needs, rules, None, named=True)
            fallbacks.append(one)
            order += [reference] if one.fits else []
    reason = _reason(step, decision, order)
    before = {one.model for one in decision.considered}
    more = [one for one in fallbacks if not one.fits and one.model not in before]
    decision = replace(decision, considered=(*decision.considered, *more), servers=known.reach.servers)
    if not order and strict:
        raise no_model(step, decision)
    timeout = float(schema.timeout) if isinstance(schema.timeout, (int, float)) else None
    return Chosen(tuple(order), decision, reason, timeout)


def _reason(step: CompiledStep, decision: Decision, order: Sequence[ModelReference]) -> str:
    if not order:
        return "no model fits"
    if decision.taken is None:
        return f"{step.model_reason}: none fits, the first listed fallback that does"
    return f"{step.model_reason}: {decision.reason}" if decision.reason else step.model_reason


def no_model(step: CompiledStep, decision: Decision) -> NoModelError:
    """The error for a step that no model fits."""
    if len(decision.considered) == 1:
        one = decision.considered[0]
        message = f'the model {one.model} does not fit step "{step.id}": {"; ".join(one.refused)}'
    else:
        count = len(decision.considered)
        message = f'none of {count} models fits step "{step.id}" ({step.model_reason}):\n{refusals(decision)}'
    hint = next_step(decision)
    if step.choice is not None and step.choice.catalogue:
        hint = f"{f'{hint}; ' if hint else ''}`orchestrator models` lists what can be reached, and what to set"
    return NoModelError(message, hint=hint)


def needs_for(step: CompiledStep, request: ModelRequest | None, max_tokens: int | None = None) -> Needs:
    """What the model of a step must bring.

    Args:
        step: The step.
        request: The request as far as it is known; None before anything is rendered.
        max_tokens: Most tokens of the answer, where there is no request.
    """
    needs = (step.choice or StepChoice()).needs
    output = request.max_tokens if request is not None else max_tokens
    pictures = request is not None and any(message.images for message in request.messages)
    return Needs(
        capabilities=frozenset((*needs.capabilities, "vision") if pictures else needs.capabilities),
        required=frozenset(needs.required),
        min_size=needs.min_size,
        expertise=frozenset(needs.expertise),
        input_tokens=None if request is None else tokens_of(request),
        output_tokens=output if isinstance(output, int) else None,
    )


def tokens_of(request: ModelRequest) -> int:
    """Tokens of a prompt, estimated at four characters a token."""
    length = sum(len(message.content) for message in request.messages)
    length += len(str(request.schema)) if request.schema is not None else 0
    length += sum(len(tool.description) + len(str(tool.parameters)) for tool in request.tools)
    return math.ceil(length / _CHARACTERS_PER_TOKEN)


def decide(step: CompiledStep, names: Any, request: ModelRequest, services: Services) -> Chosen:
    """Decide which model a rendered request goes to.

    Args:
        step: The step.
        names: Its candidates, rendered.
        request: The request, its model still to come.
        services: With the models there are.

    Raises:
        NoModelError: No model fits.
        UnknownModelError: A name is no model's.
    """
    # A template may have given a list of models.
    flat = [str(one) for name in names for one in (name if isinstance(name, (list, tuple)) else [name])]
    priced = any(one.cost is not None and one.tokens is None and one.calls is None for one in services.limits)
    return choose(step, flat, needs_for(step, request), services.known_models, priced=priced)


def ask_in_turn(
    chosen: Chosen,
    pipeline: CompiledPipeline,
    step: CompiledStep,
    request: ModelRequest,
    services: Services,
    ask: Callable[[ModelClient, ModelRequest], Asked],
) -> Answered:
    """Ask the chosen model; the listed fallbacks, in their order, when it cannot be reached or its provider fails.

    A refusal, a request that is refused as it is and an answer that does not fit are no reason to ask another model.

    Raises:
        ModelError: The last model that was asked failed; its ``usage`` is what all of them took.
    """
    chosen = _answered_first(chosen, pipeline, step, request, services)
    paid, failures = Usage(), list[str]()
    started, whole = time.monotonic(), step.timeout is not None  # then the time is that of all calls together
    for number, reference in enumerate(chosen.order):
        resting = cooling_of(services.models, reference)
        if resting > _WORTH_WAITING and number + 1 < len(chosen.order):
            failures.append(f"{reference} is left alone for {resting:.0f} s more")
            services.log(f"{failures[-1]}; the listed fallback {chosen.order[number + 1]} is asked")
            continue
        usual = request.timeout if request.watch.deadline is not None else timeout_of(services.models, reference)
        left = usual - (time.monotonic() - started) if whole else usual
        mine = replace(
            request,
            model=reference,
            timeout=min(left, chosen.timeout or left),
            abilities=services.known_models.catalogue.card(reference).capabilities,
        )
        reason = chosen.reason if not failures else f"fallback, because {failures[-1]}"
        question = Question(pipeline, step.model_copy(update={"model_reason": reason}), mine, services)
        try:
            asked, usage = question.ask(lambda client, mine=mine: ask(client, mine))  # type: ignore[misc]
        except ModelError as error:
            paid = paid + (error.usage or Usage())
            out_of_time = whole and time.monotonic() - started >= request.timeout
            if number + 1 == len(chosen.order) or out_of_time or not passes_on(error):
                error.usage = paid if error.usage is not None or paid.calls else None
                raise
            failures.append(error.message)
            services.log(f"{error.message}; the listed fallback {chosen.order[number + 1]} is asked")
            continue
        took = UsageInfo.of(paid, 0.0) + usage if paid.calls else usage
        return Answered(asked, took, question, reason, _record(chosen, step, reference, failures))
    raise AssertionError("there is always a model to ask")


def _answered_first(
    chosen: Chosen, pipeline: CompiledPipeline, step: CompiledStep, request: ModelRequest, services: Services
) -> Chosen:
    """With the model first that has answered in this run: what a fallback answered is not paid again in a retry."""
    if step.cache != "run" or len(chosen.order) < 2:
        return chosen
    for reference in chosen.order:
        if Question(pipeline, step, replace(request, model=reference), services).is_answered():
            others = tuple(one for one in chosen.order if one != reference)
            said = chosen.reason if reference == chosen.order[0] else f"it has answered in place of {others[0]}"
            return replace(chosen, order=(reference, *others), reason=said)
    return chosen


def passes_on(error: ModelError) -> bool:
    """Whether a failure is a reason to ask a listed fallback: the endpoint's fault, and not the request's."""
    if isinstance(error, (ModelKeyError, UnknownModelError)):
        return True
    # What is permanent is the request's fault, or a budget's; an answer that does not fit has been repaired already.
    return not error.permanent and not isinstance(error, ModelAnswerError)


def _record(chosen: Chosen, step: CompiledStep, used: ModelReference, failures: Sequence[str]) -> DecisionInfo | None:
    """The decision as it is stored; none where one model was named and asked, and nothing else is to be said."""
    decision = chosen.decision
    if decision.named and not failures and not decision.considered[0].notes:
        return None
    shown = decision.considered[:_MOST_SHOWN]
    return DecisionInfo(
        strategy=None if decision.named else decision.strategy,
        by=step.model_reason,
        taken=str(used),
        chosen=str(decision.taken) if decision.taken else None,
        candidates=tuple(candidate_info(one) for one in shown),
        left_out=len(decision.considered) - len(shown),
        fell_back=tuple(failures),
        servers=decision.servers,
    )


def candidate_info(one: Considered) -> CandidateInfo:
    """A candidate as it is stored."""
    return CandidateInfo(
        model=one.model,
        fits=one.fits,
        score=None if one.score is None else round(one.score, 3),
        quality=one.quality,
        price=None if one.price is None else round(one.price, 6),
        cost=None if one.cost is None else round(one.cost, 8),
        refused="; ".join(one.refused) or None,
        notes="; ".join(one.notes) or None,
    )
