"""Compile a pipeline: check everything that can be checked without running, and put it in the order it will run in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator_dagster.compiler.assemble import assemble
from orchestrator_dagster.compiler.asset_inputs import check_asset_inputs
from orchestrator_dagster.compiler.auto import check_auto
from orchestrator_dagster.compiler.bodies import Body, read_bodies
from orchestrator_dagster.compiler.budgets import IsPriced, check_budgets
from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.compiler.edges import EdgeFinder
from orchestrator_dagster.compiler.executors import check_executor
from orchestrator_dagster.compiler.handled_errors import check_handled_errors
from orchestrator_dagster.compiler.header import check_header, check_personalities, compile_inputs
from orchestrator_dagster.compiler.includes import read_includes
from orchestrator_dagster.compiler.limits import check_limits
from orchestrator_dagster.compiler.model_names import ModelNameChecker, ModelNames
from orchestrator_dagster.compiler.models import check_unused_experts, model_of, note_older_settings
from orchestrator_dagster.compiler.offered_tools import ToolCallers, check_offered_tools
from orchestrator_dagster.compiler.plans import plan_bodies
from orchestrator_dagster.compiler.products import check_collisions, compile_products
from orchestrator_dagster.compiler.quality import check_quality
from orchestrator_dagster.compiler.results import check_results
from orchestrator_dagster.compiler.schemas import check_schemas
from orchestrator_dagster.compiler.subpipelines import CompiledFile, find_pipeline, levels_around
from orchestrator_dagster.compiler.timeouts import check_timeouts
from orchestrator_dagster.compiler.timing import check_timing
from orchestrator_dagster.compiler.tool_shapes import ToolShapes
from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.read import Reading, read_pipeline


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
        tool_callers: Tells why a model of this name cannot call tools, None when it can.
        is_priced: Whether the price of a model is known, by its name.
    """

    tools: ToolShapes
    models: ModelNames
    personalities: Callable[[str], object]
    root: Path | None = None
    tool_callers: ToolCallers = lambda name: None
    is_priced: IsPriced = lambda name: True


def compile_pipeline(reading: Reading, known: Known) -> Compilation:
    """Compile what was read.

    Args:
        reading: From :func:`~orchestrator_dagster.language.read.read_pipeline`.
        known: The tools, models and personalities there are.

    Returns:
        The compiled pipeline, when there is no error, and all diagnostics.
    """
    done = _Compiler(known).compile(reading, ())
    return Compilation(done.pipeline, done.problems)


class _Compiler:
    """Compiles one file, and with it those that its steps run, each once."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.compiled: dict[Path, CompiledFile] = {}

    def compile(self, reading: Reading, chain: tuple[Path, ...]) -> CompiledFile:
        """Compile what was read; ``chain`` are the files that lead here."""
        pipeline, problems, document = reading.pipeline, reading.problems, reading.document
        if pipeline is None:
            return CompiledFile(None, problems)
        check_header(pipeline, document, problems, self.known.root)
        check_asset_inputs(pipeline, document, problems)
        check_executor(pipeline, document, problems)
        check_limits(pipeline, self.known.models, document, problems)
        check_unused_experts(pipeline, self.known.tools.names(), document, problems)
        check_handled_errors(pipeline, document, problems)
        personalities = check_personalities(pipeline, self.known.personalities, document, problems)
        top = read_bodies(reading, self.known.tools)
        check_timeouts(reading, top, self.known.tools)
        inputs = compile_inputs(pipeline)
        edges = EdgeFinder(reading, top, inputs)
        edges.find()
        check_results(top, document, problems)
        includes = read_includes(edges.checker.includes, document, self.known.root, problems)
        check_schemas(pipeline, top, includes, document, problems)
        flows = plan_bodies(top, reading)
        _find_models(reading, top, self.known.models)
        check_offered_tools(reading, top, self.known.tools, self.known.tool_callers)
        check_auto(reading, top)
        check_budgets(reading, top, self.known.is_priced)
        _find_products(reading, top)
        check_quality(reading, top)
        check_timing(
            reading,
            inputs,
            [(draft.step, draft.place) for draft in top.walk()],
            [product for draft in top.walk() for product in draft.products],
        )
        files, deep = self.find_pipelines(reading, top, (*chain, *([document.path.resolve()] if document.path else [])))
        if problems.errors or any(flow.plan is None for flow in flows.values()):
            return CompiledFile(None, problems, files, deep)
        outputs = edges.header.ordered_outputs()
        made = assemble(reading, top, flows, inputs, outputs, edges.header.output_steps, includes, personalities)
        return CompiledFile(made, problems, files, deep)

    def find_pipelines(self, reading: Reading, top: Body, chain: tuple[Path, ...]) -> tuple[int, int]:
        """The pipelines that steps run; gives ``files`` and ``levels`` of :class:`CompiledFile`."""
        files, deep = 1, 0
        for draft in top.walk():
            deep = max(deep, levels_around(draft))
            if draft.work is not None and draft.work.kind == "pipeline":
                found = find_pipeline(draft, reading, self.known.root, chain, self.file)
                if found is not None:
                    draft.pipeline = found.pipeline
                    files = max(files, 1 + found.files)
                    deep = max(deep, levels_around(draft) + 1 + found.levels)
        return files, deep

    def file(self, path: Path, chain: tuple[Path, ...]) -> CompiledFile:
        """Compile a file that a step runs."""
        if path not in self.compiled:
            root = self.known.root.resolve() if self.known.root else None
            name = path.relative_to(root).as_posix() if root and path.is_relative_to(root) else str(path)
            self.compiled[path] = self.compile(read_pipeline(path, name), chain)
        return self.compiled[path]


def _find_models(reading: Reading, top: Body, names: ModelNames) -> None:
    """Which model each model step is to ask, and whether every model that is named exists."""
    assert reading.pipeline is not None
    checker = ModelNameChecker(names, reading.document, reading.problems)
    checker.check_pipeline(reading.pipeline)
    for draft in top.walk():
        if draft.work and draft.work.asks:
            note_older_settings(draft.step, draft.work, draft.place, reading.document, reading.problems)
            draft.models = model_of(reading, draft.step, draft.work, draft.place, checker)


def _find_products(reading: Reading, top: Body) -> None:
    """The products of all steps, and whether two of them are one."""
    assert reading.pipeline is not None
    found = []
    for draft in top.walk():
        draft.products = compile_products(reading, draft)
        found += [(product, draft.place) for product in draft.products]
    check_collisions(found, reading.document, reading.problems)
