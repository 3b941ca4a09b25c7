"""Compile a pipeline: check everything that can be checked without running, and put it in the order it will run in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator_dagster.compiler.assemble import Draft, assemble
from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.compiler.edges import EdgeFinder, order_outputs
from orchestrator_dagster.compiler.executors import check_executor
from orchestrator_dagster.compiler.flow import find_cycle, levels
from orchestrator_dagster.compiler.header import check_header, check_personalities, compile_inputs
from orchestrator_dagster.compiler.ids import IdChecker
from orchestrator_dagster.compiler.includes import read_includes
from orchestrator_dagster.compiler.kinds import Place, check_parameters, work_of
from orchestrator_dagster.compiler.models import ModelNames, model_of
from orchestrator_dagster.compiler.products import check_collisions, compile_products
from orchestrator_dagster.compiler.routing import FlowStep, RoutePlan, plan_routes
from orchestrator_dagster.compiler.schemas import check_schemas
from orchestrator_dagster.compiler.support import check_support
from orchestrator_dagster.compiler.tool_shapes import ToolShapes
from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.read import Reading


@dataclass
class Compilation:
    """A pipeline that was compiled (None when it has errors) and every problem found, in file order."""

    pipeline: CompiledPipeline | None
    problems: Problems


@dataclass(frozen=True)
class Known:
    """What exists outside the pipeline file.

    Args:
        tools: The tools that steps may name.
        models: Reads a model's name, raises UnknownModelError for what names none.
        personalities: Finds a personality for a name or prompt, raises PersonalityError for a name that is nowhere.
        root: The workspace root; included files are looked up beside the pipeline file, then here.
    """

    tools: ToolShapes
    models: ModelNames
    personalities: Callable[[str], object]
    root: Path | None = None


def compile_pipeline(reading: Reading, known: Known) -> Compilation:
    """Compile what was read.

    Args:
        reading: From :func:`~orchestrator_dagster.language.read.read_pipeline`.
        known: The tools, models and personalities there are.

    Returns:
        The compiled pipeline, when there is no error, and all diagnostics.
    """
    pipeline, problems, document = reading.pipeline, reading.problems, reading.document
    if pipeline is None:
        return Compilation(None, problems)
    check_support(pipeline, document, problems)
    check_header(pipeline, document, problems)
    check_executor(pipeline, document, problems)
    personalities = check_personalities(pipeline, known.personalities, document, problems)
    drafts = _drafts(reading, known.tools)
    inputs = compile_inputs(pipeline)
    edges = EdgeFinder(reading, drafts, inputs)
    edges.find()
    includes = read_includes(edges.checker.includes, document, known.root, problems)
    check_schemas(pipeline, drafts, includes, document, problems)
    order = _order(reading, drafts)
    plan = _plan(reading, drafts)
    _find_models(reading, drafts, known.models)
    _find_products(reading, drafts)
    if problems.errors or plan is None:
        return Compilation(None, problems)
    outputs = order_outputs(pipeline.outputs, edges.output_edges)
    made = assemble(reading, order, plan, drafts, inputs, outputs, edges.output_steps, includes, personalities)
    return Compilation(made, problems)


def _drafts(reading: Reading, tools: ToolShapes) -> dict[str, Draft]:
    """What each step does, and whether its id is its own."""
    pipeline, document, problems = reading.pipeline, reading.document, reading.problems
    assert pipeline is not None
    drafts: dict[str, Draft] = {}
    ids = IdChecker(pipeline, document, problems)
    for number, step in enumerate(pipeline.steps):
        place: Place = ("steps", number)
        if step.id in reading.made_up_ids:
            continue
        ids.check(step, place)
        work = work_of(step, place, tools, reading)
        if work and work.kind == "tool":
            check_parameters(step, work, place, document, problems)
        drafts.setdefault(step.id, Draft(step, place, work))
    return drafts


def _order(reading: Reading, drafts: dict[str, Draft]) -> tuple[tuple[str, ...], ...]:
    """The levels of the steps; each cycle is noted with its path."""
    edges = {name: [one for one in draft.edges if one in drafts] for name, draft in drafts.items()}
    found = levels(edges)
    placed = {name for level in found for name in level}
    stuck = [name for name in edges if name not in placed]
    while stuck:
        cycle = find_cycle(edges, stuck)
        reading.problems.add(
            "dependency-cycle",
            f"these steps wait for each other: {' → '.join(reversed(cycle))}",
            reading.document.span((*drafts[cycle[0]].place, "id")),
            step=cycle[0],
            hint="remove one of the dependencies or references",
        )
        broken = set(cycle)
        edges = {name: [one for one in before if one not in broken] for name, before in edges.items() if name in stuck}
        edges = {name: before for name, before in edges.items() if name not in broken}
        placed = {name for level in levels(edges) for name in level} | broken
        stuck = [name for name in edges if name not in placed]
    return found


#: What is wrong with a route, by the diagnostics that people know from other places.
_ROUTE_CODES = {
    "unknown-step": "unknown-step",
    "route-to-itself": "dependency-cycle",
    "route-backward": "dependency-cycle",
    "missing-condition": "unused-key",
}


def _plan(reading: Reading, drafts: dict[str, Draft]) -> RoutePlan | None:
    """The routes between the steps, worked out once; what is wrong with them is noted."""
    steps = {
        name: FlowStep(
            tuple(one for one in draft.edges if one in drafts),
            draft.step.condition is not None,
            draft.step.on_success,
            draft.step.on_false,
            draft.step.on_failure,
        )
        for name, draft in drafts.items()
    }
    plan, found = plan_routes(steps)
    for one in found:
        if one.code == "unknown-step" and reading.loose:
            continue
        place = (*drafts[one.step].place, one.key)
        span = reading.document.key_span(place) if one.code == "missing-condition" else reading.document.span(place)
        reading.problems.add(
            _ROUTE_CODES[one.code], one.message, span, step=one.step, suggestion=one.suggestion, hint=one.hint
        )
    return plan


def _find_models(reading: Reading, drafts: dict[str, Draft], names: ModelNames) -> None:
    """Which model each model step is to ask."""
    for draft in drafts.values():
        if draft.work and draft.work.kind == "model":
            draft.models = model_of(reading, draft.step, draft.work, draft.place, names)


def _find_products(reading: Reading, drafts: dict[str, Draft]) -> None:
    """The products of all steps, and whether two of them are one."""
    assert reading.pipeline is not None
    found = []
    for draft in drafts.values():
        draft.products = compile_products(reading, draft.step, draft.place)
        found += [(product, draft.place) for product in draft.products]
    check_collisions(found, reading.document, reading.problems)
