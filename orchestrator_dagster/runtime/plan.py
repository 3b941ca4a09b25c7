"""What a run would do: steps in order, the model each would ask and why, what that may cost. Nothing is called.

A cost is an estimate. The prompt counts at four characters a token, as far as it is known before the run; each value
that only the run knows (an earlier step's, an item of a loop) counts as 1,000 tokens. An answer counts as
``max_tokens``, else 1,000 tokens. Retries, repairs, tool calls and a model's own thinking are not in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.compiler.packages import missing_packages
from orchestrator_dagster.errors import InputsError, ModelError, StepError, TemplateError
from orchestrator_dagster.language.base import has_template
from orchestrator_dagster.language.settings import Budget
from orchestrator_dagster.language.template_text import code_regions
from orchestrator_dagster.language.templates import render_tree
from orchestrator_dagster.models.client import ModelReference
from orchestrator_dagster.models.known_models import KnownModels
from orchestrator_dagster.models.personalities import find_personality
from orchestrator_dagster.models.selection import ASSUMED_OUTPUT, Considered
from orchestrator_dagster.runtime.inputs import complete_inputs
from orchestrator_dagster.runtime.model_choice import Chosen, choose, needs_for, no_model
from orchestrator_dagster.runtime.names import RunInfo, names_for

#: Tokens that a value counts as which only the run knows.
UNKNOWN_VALUE = 1_000
_CHARACTERS_PER_TOKEN = 4
_MAX_ITERATIONS = 10  # passes of a loop that does not limit them


@dataclass(frozen=True)
class PlannedStep:
    """A step of a plan.

    Args:
        id: Its id, behind those of the loops and pipelines around it: ``each/draft``.
        depth: How many of those there are.
        kind: ``tool``, ``model``, ``builtin``, ``pipeline`` or ``loop``.
        does: What it does, in a few words.
        times: How often it runs, None when only the run knows; ``at_most`` when it may be less often.
        model: The model that would be asked, None when none fits or only the run knows.
        reason: Why this one, or why none.
        fallbacks: Models that are asked when it fails.
        candidates: Everyone that was considered.
        input_tokens: Tokens of the prompt, estimated.
        output_tokens: Tokens of the answer, estimated.
        cost: US dollars of one call, estimated; None when a price is not known, and for steps that ask no model.
        problem: Why it could not run; with what to set.
    """

    id: str
    depth: int
    kind: str
    does: str
    times: int | None = 1
    at_most: bool = False
    condition: str | None = None
    model: str | None = None
    reason: str = ""
    fallbacks: tuple[str, ...] = ()
    candidates: tuple[Considered, ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    problem: str | None = None
    products: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    ``missing`` are the required inputs that were not given; ``servers`` the local servers that were asked whether they
    answer; ``packages`` says what would be needed and is not installed. ``cost`` is the estimate for the run in US
    dollars, of what is known of it: ``complete`` says whether that is all.
    """

    pipeline: str
    steps: tuple[PlannedStep, ...]
    missing: tuple[str, ...] = ()
    servers: Mapping[str, bool] = field(default_factory=dict)
    offline: bool = False
    packages: tuple[str, ...] = ()

    @property
    def asking(self) -> tuple[PlannedStep, ...]:
        """The steps that ask a model."""
        return tuple(step for step in self.steps if step.kind == "model")

    @property
    def cost(self) -> float:
        """US dollars, of the calls whose price and number are known."""
        return sum((one.cost or 0.0) * (one.times or 0) for one in self.asking)

    @property
    def complete(self) -> bool:
        """Whether the price and the number of all calls are known."""
        return all(one.cost is not None and one.times is not None for one in self.asking)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it could not run as planned."""
        return (*(one.problem for one in self.steps if one.problem), *self.packages)


def plan_of(pipeline: CompiledPipeline, given: Mapping[str, Any], known: KnownModels, folders: Any = ()) -> Plan:
    """Plan a run.

    Args:
        pipeline: The pipeline.
        given: Its inputs, as far as they are known; required ones may be missing.
        known: The models there are.
        folders: Where personalities are looked up.

    Raises:
        InputsError: An input that was given is wrong.
    """
    values, missing = _inputs(pipeline, given)
    planner = _Planner(known, folders)
    steps = tuple(planner.steps(pipeline, values, "", 1, False))
    packages = missing_packages(pipeline)
    return Plan(pipeline.id, steps, missing, known.reach.servers, known.reach.offline, packages)


def _inputs(pipeline: CompiledPipeline, given: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    missing = tuple(name for name, spec in pipeline.inputs.items() if spec.is_required and given.get(name) is None)
    rest = {name: spec for name, spec in pipeline.inputs.items() if name not in missing}
    unknown = {name for name in given if name not in pipeline.inputs}
    if unknown:
        complete_inputs(pipeline, given, _run())  # which says what is wrong
    usable = {name: value for name, value in given.items() if name in rest}
    # A default that needs what is missing is not known yet, and a secret need not be set for a plan.
    for name, spec in list(rest.items()):
        if name not in usable and (spec.kind == "secret" or (missing and has_template(spec.default))):
            del rest[name]
    try:
        return complete_inputs(pipeline.model_copy(update={"inputs": rest}), usable, _run()), missing
    except InputsError as error:
        secret = [line for line in error.problems if " is a secret" in line]
        if len(secret) == len(error.problems):
            return complete_inputs(
                pipeline.model_copy(update={"inputs": {n: s for n, s in rest.items() if s.kind != "secret"}}),
                {name: value for name, value in usable.items() if rest[name].kind != "secret"},
                _run(),
            ), missing
        raise


def _run() -> RunInfo:
    return RunInfo("plan", datetime.now(timezone.utc))


class _Planner:
    """Plans the steps of a pipeline, and those inside them."""

    def __init__(self, known: KnownModels, folders: Any) -> None:
        self.known = known
        self.folders = folders

    def steps(
        self, pipeline: CompiledPipeline, inputs: Mapping[str, Any], before: str, times: int | None, at_most: bool
    ) -> Iterator[PlannedStep]:
        """The steps of a pipeline."""
        names = names_for(pipeline, dict(inputs), {}, _run())
        for step in pipeline.steps:
            yield from self.step(pipeline, step, names, before, times, at_most)

    def step(
        self,
        pipeline: CompiledPipeline,
        step: CompiledStep,
        names: Mapping[str, Any],
        before: str,
        times: int | None,
        at_most: bool,
    ) -> Iterator[PlannedStep]:
        """A step, and below it those inside it."""
        name = f"{before}{step.id}"
        may = at_most or step.condition is not None
        base = PlannedStep(
            name,
            before.count("/"),
            step.kind,
            _does(step),
            times,
            may,
            None if step.condition is None else str(step.condition),
            products=tuple(product.path for product in step.products),
        )
        if step.loop is not None:
            count, fewer = _passes(pipeline, step, names)
            inner = None if count is None or times is None else count * times
            if step.loop.single:
                (one,) = step.body
                made = self.work(
                    pipeline,
                    one,
                    names,
                    replace(base, kind=one.kind, does=_does(one), times=inner, at_most=may or fewer),
                )
                yield replace(made, products=(*base.products, *(product.path for product in one.products)))
                return
            yield base
            for one in step.body:
                yield from self.step(pipeline, one, names, f"{name}/", inner, may or fewer)
            return
        yield self.work(pipeline, step, names, base)
        if step.pipeline is not None:
            given = {key: value for key, value in step.spec.inputs.items() if not has_template(value)}
            with_defaults, _ = _inputs(step.pipeline, {k: v for k, v in given.items() if k in step.pipeline.inputs})
            yield from self.steps(step.pipeline, with_defaults, f"{name}/", times, may)

    def work(
        self, pipeline: CompiledPipeline, step: CompiledStep, names: Mapping[str, Any], base: PlannedStep
    ) -> PlannedStep:
        """A step's work: for one that asks a model, which and at what price."""
        if step.kind != "model":
            return base
        tokens = self.prompt_tokens(pipeline, step, names)
        limit = step.settings.get("max_tokens")
        needs = replace(needs_for(step, None, limit if isinstance(limit, int) else None), input_tokens=tokens)
        try:
            rendered = [_rendered(one, pipeline, names) for one in step.models]
            flat = [str(one) for name in rendered for one in (name if isinstance(name, (list, tuple)) else [name])]
        except StepError:
            return replace(base, reason="only the run knows: a template names it", input_tokens=tokens)
        try:
            priced = any(map(_only_cost, (pipeline.budget, step.spec.budget)))
            chosen = choose(step, flat, needs, self.known, strict=False, priced=priced)
        except ModelError as wrong:
            return replace(base, reason=wrong.message, problem=f"{base.id}: {wrong}")
        made = chosen.decision
        if not chosen.order:
            none = no_model(step, made)
            said = f"{base.id}: {none.message.splitlines()[0].removesuffix(':')}; next: {none.hint}"
            return replace(base, reason="no model fits", candidates=made.considered, problem=said)
        first, reason, problem = self.first_reached(chosen, base)
        card = self.known.catalogue.card(first)
        output = needs.output_tokens or min(ASSUMED_OUTPUT, card.max_output or ASSUMED_OUTPUT)
        return replace(
            base,
            model=str(first),
            reason=reason,
            fallbacks=tuple(map(str, chosen.order[chosen.order.index(first) + 1 :])),
            candidates=made.considered,
            input_tokens=tokens,
            output_tokens=output,
            cost=card.cost(tokens, output),
            problem=problem,
        )

    def first_reached(self, chosen: Chosen, base: PlannedStep) -> tuple[ModelReference, str, str | None]:
        """The model that would answer, why it is that, and what is wrong when none can be reached.

        A name is not tried before a run: when it cannot be reached now, a listed fallback would answer.
        """
        if chosen.decision.taken is not None and not chosen.decision.named:
            return chosen.order[0], chosen.reason, None
        found = [(one, self.known.reach(one)) for one in chosen.order]
        first = next((one for one, reach in found if reach.ok), None)
        model, reach = found[0]
        if first is None:
            problem = f"{base.id}: {model} cannot be reached: {reach.said}; next: {reach.fix}"
            return model, chosen.reason, problem
        if first != model:
            return first, f"a listed fallback of {chosen.reason}, {model}, which cannot be reached: {reach.said}", None
        return first, chosen.reason, None

    def prompt_tokens(self, pipeline: CompiledPipeline, step: CompiledStep, names: Mapping[str, Any]) -> int:
        """Tokens of a step's prompt, with its system prompt and its data."""
        try:
            system = find_personality(step.personality, self.folders).system_prompt
        except StepError:
            system = ""
        total = len(system) / _CHARACTERS_PER_TOKEN
        for value in (step.instruction or "", *step.parameters.values()):
            total += _tokens(value, pipeline, names)
        return math.ceil(total)


def _only_cost(budget: Budget | None) -> bool:
    return budget is not None and budget.cost is not None and budget.tokens is None and budget.calls is None


def _rendered(value: Any, pipeline: CompiledPipeline, names: Mapping[str, Any]) -> Any:
    """A value with its templates rendered from the inputs.

    Raises:
        TemplateError: It needs what only the run knows.
    """
    return render_tree(value, names, dashed=pipeline.dashed) if _has_templates(value) else value


def _has_templates(value: Any) -> bool:
    if isinstance(value, str):
        return has_template(value)
    if isinstance(value, Mapping):
        return any(map(_has_templates, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_has_templates, value))


def _tokens(value: Any, pipeline: CompiledPipeline, names: Mapping[str, Any]) -> float:
    """Tokens of a value: rendered from the inputs where that can be, else its text and 1,000 for each unknown part."""
    try:
        return len(str(_rendered(value, pipeline, names))) / _CHARACTERS_PER_TOKEN
    except (TemplateError, StepError):
        pass
    if isinstance(value, Mapping):
        return sum(_tokens(item, pipeline, names) for item in value.values())
    if isinstance(value, (list, tuple)):
        return sum(_tokens(item, pipeline, names) for item in value)
    text = str(value)
    regions = [one for one in code_regions(text) if one.opening == "{{"]
    literal = len(text) - sum(one.end - one.start for one in code_regions(text))
    return literal / _CHARACTERS_PER_TOKEN + UNKNOWN_VALUE * max(len(regions), 1)


def _passes(pipeline: CompiledPipeline, step: CompiledStep, names: Mapping[str, Any]) -> tuple[int | None, bool]:
    """How often a loop goes round, None when only the run knows; and whether that is the most."""
    loop = step.loop
    assert loop is not None
    most = loop.max_iterations if isinstance(loop.max_iterations, int) else None
    if loop.kind != "for_each":
        return (most or _MAX_ITERATIONS) if not isinstance(loop.max_iterations, str) else None, True
    try:
        items = _rendered(loop.over, pipeline, names)
    except StepError:
        return most, True
    if isinstance(items, (list, tuple)):
        return (min(len(items), most) if most else len(items)), False
    return most, True


def _does(step: CompiledStep) -> str:
    if step.loop is not None:
        return "for each item" if step.loop.kind == "for_each" else "repeat"
    if step.kind == "model":
        return " ".join((step.instruction or "").split())
    if step.pipeline is not None:
        return f"run {step.pipeline.id}"
    if step.tool:
        return f"{step.tool}.{step.action}" if step.action else step.tool
    return step.action or step.kind
