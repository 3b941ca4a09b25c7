"""Compile a pipeline: check everything that can be checked without running, and put it in the order it will run in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator_dagster.compiler.assemble import Draft, assemble
from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.compiler.flow import find_cycle, levels
from orchestrator_dagster.compiler.header import check_header, check_personalities, compile_inputs, step_names
from orchestrator_dagster.compiler.kinds import Place, check_parameters, work_of
from orchestrator_dagster.compiler.models import ModelNames, model_of
from orchestrator_dagster.compiler.products import check_collisions, compile_products
from orchestrator_dagster.compiler.references import Names, StepNames, TemplateChecker
from orchestrator_dagster.compiler.support import check_support
from orchestrator_dagster.compiler.tool_shapes import ToolShapes, known_fields
from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.pipeline import Pipeline
from orchestrator_dagster.language.read import Reading, is_unnamed
from orchestrator_dagster.language.step import Step
from orchestrator_dagster.language.template_names import texts_of
from orchestrator_dagster.language.types import VariableSpec
from orchestrator_dagster.text import nearest_name

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
    problems, document = reading.problems, reading.document
    if reading.pipeline is None:
        return Compilation(None, problems)
    compiler = _Compiler(reading.pipeline, document, problems, known.tools, reading.unnamed_steps)
    check_support(reading.pipeline, document, problems)
    check_header(reading.pipeline, document, problems)
    check_personalities(reading.pipeline, known.personalities, document, problems)
    compiler.find_work()
    compiler.find_edges()
    includes = compiler.read_includes(known.root)
    order = compiler.order()
    compiler.find_models(known.models)
    compiler.find_products()
    if problems.errors or order is None:
        return Compilation(None, problems)
    return Compilation(assemble(reading, order, compiler.drafts, compiler.inputs, compiler.output_steps, includes), problems)


class _Compiler:
    def __init__(
        self, pipeline: Pipeline, document: Document, problems: Problems, tools: ToolShapes, loose: bool
    ) -> None:
        self.pipeline = pipeline
        self.document = document
        self.problems = problems
        self.tools = tools
        self.loose = loose
        self.inputs = compile_inputs(pipeline)
        self.drafts: dict[str, Draft] = {}
        self.output_steps: dict[str, tuple[str, ...]] = {}

    def find_work(self) -> None:
        """What each step does, and whether its id is its own."""
        ops: dict[str, str] = {}
        for number, step in enumerate(self.pipeline.steps):
            place: Place = ("steps", number)
            self.check_id(step, place, ops)
            if is_unnamed(step.id):
                continue
            work = work_of(step, place, self.tools, self.document, self.problems)
            if work and work.kind == "tool":
                check_parameters(step, work, place, self.document, self.problems)
            self.drafts.setdefault(step.id, Draft(step, place, work))

    def check_id(self, step: Step, place: Place, ops: dict[str, str]) -> None:
        """Ids are unique, also where Dagster reads ``-`` as ``_``, and hide no input and no built-in name."""
        span = self.document.span((*place, "id"))
        same = ops.setdefault(step.id.replace("-", "_").lower(), step.id)
        if step.id in self.drafts or same != step.id:
            first = self.document.span((*self.drafts[same].place, "id")).line
            self.problems.add(
                "duplicate-id",
                f'two steps are called "{step.id}"; first in line {first}'
                if same == step.id
                else f'the step ids "{same}" (line {first}) and "{step.id}" are one name in Dagster',
                span,
                step=step.id,
                hint="rename one of them",
            )
        for name, what in step_names(self.pipeline).items():
            if step.id.replace("-", "_") == name:
                self.problems.add(
                    "reserved-name", f'the step id "{step.id}" hides {what}', span, step=step.id, hint="rename the step"
                )
        for variable in step.vars:
            hidden = step_names(self.pipeline).get(variable)
            others = {one.id for one in self.pipeline.steps} - {step.id}
            if variable in others:
                hidden = f'the step "{variable}"'
            if hidden:
                self.problems.add(
                    "reserved-name",
                    f'step "{step.id}": the variable "{variable}" hides {hidden}',
                    self.document.key_span((*place, "vars", variable)),
                    step=step.id,
                    hint="rename the variable",
                )

    def offered(self, draft: Draft) -> StepNames:
        """What a step offers to templates."""
        work = draft.work
        variables = dict(draft.step.vars) or {name: VariableSpec() for name in draft.step.products}
        result_fields = known_fields(work.shape.result) if work and work.shape else None
        is_text = bool(work and work.kind == "model" and not draft.step.vars)
        return StepNames(draft.step.id, variables, result_fields, is_text)

    def find_edges(self) -> None:
        """Check every template and condition; what a step refers to comes before it."""
        names = Names(
            self.inputs,
            {draft.step.id: self.offered(draft) for draft in self.drafts.values()},
            self.pipeline.outputs,
            self.loose,
        )
        self.checker = TemplateChecker(names, self.document, self.problems)
        for name, value in self.pipeline.outputs.items():
            found: list[str] = []
            for path, text in texts_of(value):
                found += self.checker.check(text, ("outputs", name, *path), None)
            self.output_steps[name] = tuple(dict.fromkeys(found))
        names.output_steps = self.output_steps
        for name, spec in self.inputs.items():
            for path, text in texts_of(spec.default):
                if "{{" in text and name in self.pipeline.inputs:
                    self.checker.check(text, ("inputs", name, *path), None)
        for draft in self.drafts.values():
            self.declared(draft)
            before = len(self.checker.includes)
            for place, text, own in self.templates(draft):
                for target in self.checker.check(text, place, draft.step.id, own=own):
                    if target == draft.step.id:
                        self.self_reference(draft, place, target)
                    elif target not in draft.edges:
                        draft.edges.append(target)
            draft.includes.update(list(self.checker.includes)[before:])

    def templates(self, draft: Draft) -> list[tuple[Place, str, frozenset[str]]]:
        """Every text of a step that is rendered: its place, itself, the names only it has."""
        step, work, none = draft.step, draft.work, frozenset[str]()
        if work is None:
            return []
        found: list[tuple[Place, str, frozenset[str]]] = []
        if work.instruction is not None:
            found.append(((*draft.place, *work.instruction_place), work.instruction, none))
        for path, text in texts_of({**work.settings, **work.parameters}):
            found.append(((*draft.place, "parameters", *path), text, none))
        if step.personality:
            found.append(((*draft.place, "personality"), step.personality, none))
        for number, model in enumerate(step.model or ()):
            found.append(((*draft.place, "model", number), model, none))
        if isinstance(step.timeout, str):
            found.append(((*draft.place, "timeout"), step.timeout, none))
        for name, variable in step.vars.items():
            if isinstance(variable.schema_, str):
                self.checker.includes.setdefault(variable.schema_, (*draft.place, "vars", name, "schema"))
            if variable.value is not None:
                place = (*draft.place, "vars", name)
                found.append((place, variable.value, frozenset(("result",))))
                if variable.expression is None:
                    self.problems.add(
                        "wrong-value",
                        f'step "{step.id}": `value` must be one whole {{{{ expression }}}}',
                        self.document.span((*place, "value")),
                        step=step.id,
                    )
        own = frozenset((*step.vars, *step.products, "result"))
        for name, product in step.products.items():
            found.append(((*draft.place, "products", name, "path"), product.path, own))
            if product.template:
                self.checker.includes.setdefault(product.template, (*draft.place, "products", name, "template"))
        return found

    def self_reference(self, draft: Draft, place: Place, target: str) -> None:
        self.problems.add(
            "dependency-cycle",
            f'step "{target}" refers to itself',
            self.document.place_in(place, target),
            step=target,
            hint="a step can only use what earlier steps leave behind",
        )

    def declared(self, draft: Draft) -> None:
        """The edges that the step declares itself."""
        step = draft.step
        for number, name in enumerate(step.dependencies):
            place = (*draft.place, "dependencies")
            if self.document.key_span(place) == self.document.span(draft.place):
                place = (*draft.place, "depends_on")
            node, _ = self.document.locate(place)
            exact = self.document.span((*place, number)) if hasattr(node, "items") else self.document.place_in(place, name)
            if name == step.id:
                self.problems.add("dependency-cycle", f'step "{name}" depends on itself', exact, step=step.id, hint="remove it")
            elif name not in self.drafts:
                if not self.loose:
                    self.problems.add(
                        "unknown-step",
                        f'step "{step.id}" depends on "{name}", which is no step',
                        exact,
                        step=step.id,
                        suggestion=nearest_name(name, self.drafts),
                        hint=None if nearest_name(name, self.drafts) else f"the steps are {', '.join(self.drafts)}",
                    )
            elif name not in draft.edges:
                draft.edges.append(name)

    def read_includes(self, root: Path | None) -> dict[str, str]:
        """The texts of all files that templates include."""
        found: dict[str, str] = {}
        folders = [self.document.path.parent if self.document.path else Path(), *([root] if root else [])]
        for name, place in self.checker.includes.items():
            text = _include(name, folders)
            if text is None:
                self.problems.add(
                    "include-missing",
                    f'the file "{name}" is not there',
                    self.document.place_in(place, name),
                    hint=f"looked in {' and '.join(str(folder) for folder in folders)}",
                )
            else:
                found[name] = text
        return found

    def order(self) -> tuple[tuple[str, ...], ...] | None:
        """The levels of the steps; a cycle is noted with its path."""
        edges = {name: [one for one in draft.edges if one in self.drafts] for name, draft in self.drafts.items()}
        found = levels(edges)
        stuck = [name for name in edges if name not in {one for level in found for one in level}]
        if stuck:
            cycle = find_cycle(edges, stuck)
            self.problems.add(
                "dependency-cycle",
                f"these steps wait for each other: {' → '.join(reversed(cycle))}",
                self.document.span((*self.drafts[cycle[0]].place, "id")),
                step=cycle[0],
                hint="remove one of the dependencies or references",
            )
            return None
        return found

    def find_models(self, names: ModelNames) -> None:
        """Which model each model step is to ask."""
        for draft in self.drafts.values():
            if draft.work and draft.work.kind == "model":
                draft.models = model_of(self.pipeline, draft.step, draft.work, draft.place, names, self.document, self.problems)

    def find_products(self) -> None:
        """The products of all steps, and whether two of them are one."""
        found = []
        for draft in self.drafts.values():
            draft.products = compile_products(self.pipeline, draft.step, draft.place, self.document, self.problems)
            found += [(product, draft.place) for product in draft.products]
        check_collisions(found, self.document, self.problems)


def _include(name: str, folders: list[Path]) -> str | None:
    """The text of an included file, from the first folder that has it."""
    for folder in folders:
        path = folder / name
        if path.is_file():
            return path.read_text(encoding="utf-8")
    return None
