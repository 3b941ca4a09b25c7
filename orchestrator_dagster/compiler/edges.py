"""Which steps come before a step: those it declares, and those that its templates read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator_dagster.compiler.assemble import Draft
from orchestrator_dagster.compiler.conditions import check_condition, known_types
from orchestrator_dagster.compiler.flow import levels
from orchestrator_dagster.compiler.kinds import Place
from orchestrator_dagster.compiler.references import Names, StepNames, TemplateChecker, Uses
from orchestrator_dagster.compiler.tool_shapes import known_fields
from orchestrator_dagster.language.document import SequenceNode
from orchestrator_dagster.language.read import Reading
from orchestrator_dagster.language.template_names import texts_of
from orchestrator_dagster.language.template_text import has_template
from orchestrator_dagster.language.types import InputSpec, VariableSpec
from orchestrator_dagster.text import nearest_name

_NONE = frozenset[str]()


class EdgeFinder:
    """Checks every template of a pipeline. ``output_steps`` has, for each output, the steps it reads."""

    def __init__(self, reading: Reading, drafts: Mapping[str, Draft], inputs: Mapping[str, InputSpec]) -> None:
        assert reading.pipeline is not None
        self.reading = reading
        self.pipeline = reading.pipeline
        self.document = reading.document
        self.problems = reading.problems
        self.drafts = drafts
        self.inputs = inputs
        self.output_steps: dict[str, tuple[str, ...]] = {}
        self.output_edges: dict[str, list[str]] = {}
        steps = {draft.step.id: _offered(draft) for draft in drafts.values()}
        names = Names(
            inputs,
            steps,
            self.pipeline.outputs,
            reading.loose,
            self.pipeline.constants,
            output_steps=self.output_steps,
            partitioned=self.pipeline.partitions is not None or reading.lost(("partitions",)),
        )
        self.checker = TemplateChecker(names, self.document, self.problems)

    def find(self) -> None:
        """Fill in the edges of every step and the steps of every output."""
        self.find_outputs()
        self.check_defaults()
        types = known_types(self.inputs, self.drafts)
        for draft in self.drafts.values():
            self.declared(draft)
            for place, text, own in self.templates(draft):
                self.note(draft, place, self.checker.check(text, place, draft.step.id, own=own))
            if draft.step.condition is not None:
                place = (*draft.place, "condition")
                self.note(
                    draft, place, check_condition(draft.step.condition, place, draft.step.id, self.checker, types)
                )

    def note(self, draft: Draft, place: Place, uses: Uses) -> None:
        """What a template or condition of a step reads: inputs, files, and steps that come before."""
        draft.inputs.update(uses.inputs)
        draft.includes.update(uses.includes)
        for target in uses.steps:
            if target == draft.step.id:
                self.self_reference(place, target)
            elif target not in draft.edges:
                draft.edges[target] = None

    def find_outputs(self) -> None:
        """The steps of every output, also through other outputs."""
        direct: dict[str, dict[str, None]] = {}
        for name, value in self.pipeline.outputs.items():
            direct[name] = {}
            self.output_edges[name] = []
            for path, text in texts_of(value):
                uses = self.checker.check(text, ("outputs", name, *path), None)
                direct[name].update(dict.fromkeys(uses.steps))
                self.output_edges[name] += [one for one in uses.outputs if one in self.pipeline.outputs]
        ordered = [name for level in levels(self.output_edges) for name in level]
        for name in ordered:
            for other in self.output_edges[name]:
                direct[name].update(dict.fromkeys(self.output_steps[other]))
            self.output_steps[name] = tuple(direct[name])
        for name in self.pipeline.outputs:
            if name not in self.output_steps:
                self.problems.add(
                    "dependency-cycle",
                    f'the output "{name}" refers to itself',
                    self.document.key_span(("outputs", name)),
                    hint="an output reads steps, or outputs that do not read it",
                )

    def check_defaults(self) -> None:
        """Defaults and constants are rendered before any step runs."""
        for name, value in self.pipeline.constants.items():
            for path, text in texts_of(value):
                at: Place = ("constants", name, *path)
                for step in self.checker.check(text, at, None).steps:
                    self.problems.add(
                        "unknown-name",
                        f'the constant "{name}" cannot read the step "{step}": it is known before any step runs',
                        self.document.span(at),
                        hint="use inputs, or make it an output",
                    )
        for name, spec in self.inputs.items():
            place: Place = ("inputs", name) if name in self.pipeline.inputs else ("output_dir",)
            for path, text in texts_of(spec.default):
                if not has_template(text):
                    continue
                uses = self.checker.check(text, (*place, "default", *path), None)
                used = [f'the step "{step}"' for step in uses.steps] + [f'the input "{name}"'] * (name in uses.inputs)
                if used:
                    self.problems.add(
                        "unknown-name",
                        f'the default of the input "{name}" cannot read {used[0]}: it is known before any step runs',
                        self.document.span((*place, "default", *path)),
                        hint="use other inputs, or give a plain default",
                    )

    def templates(self, draft: Draft) -> list[tuple[Place, str, frozenset[str]]]:
        """Every text of a step that is rendered: its place, itself, the names only it has."""
        step, work, place = draft.step, draft.work, draft.place
        found: list[tuple[Place, str, frozenset[str]]] = []
        if work is None:  # what the step does is not understood: what it says can still be checked
            parameters: dict[str, Any] = dict(step.parameters)
            found += [((*place, "prompt"), step.prompt, _NONE)] if step.prompt else []
        else:
            parameters = {**work.settings, **work.parameters}
            if work.instruction is not None:
                found.append(((*place, *work.instruction_place), work.instruction, _NONE))
        found += [((*place, "parameters", *path), text, _NONE) for path, text in texts_of(parameters)]
        if step.personality:
            found.append(((*place, "personality"), step.personality, _NONE))
        found += [((*place, "model", number), model, _NONE) for number, model in enumerate(step.model or ())]
        if isinstance(step.timeout, str):
            found.append(((*place, "timeout"), step.timeout, _NONE))
        return found + self.variables(draft) + self.products(draft)

    def variables(self, draft: Draft) -> list[tuple[Place, str, frozenset[str]]]:
        """The expressions and schema files of a step's variables."""
        step, found = draft.step, []
        for name, variable in step.vars.items():
            place = (*draft.place, "vars", name)
            if isinstance(variable.schema_, str):
                self.include(draft, variable.schema_, (*place, "schema"))
            if variable.value is None:
                continue
            found.append((place, variable.value, frozenset(("result",))))
            if variable.expression is None:
                self.problems.add(
                    "wrong-value",
                    f'step "{step.id}": `value` must be one whole {{{{ expression }}}}',
                    self.document.span((*place, "value")),
                    step=step.id,
                )
        return found

    def products(self, draft: Draft) -> list[tuple[Place, str, frozenset[str]]]:
        """The paths of a step's products, which may name its own variables, and their template files."""
        step, found = draft.step, []
        own = frozenset((*step.vars, *step.products, "result"))
        for name, product in step.products.items():
            place = (*draft.place, "products", name)
            found.append(((*place, "path"), product.path, own))
            if product.template:
                self.include(draft, product.template, (*place, "template"))
        return found

    def include(self, draft: Draft, name: str, place: Place) -> None:
        """Note a file that a step needs."""
        self.checker.includes.setdefault(name, place)
        draft.includes.add(name)

    def self_reference(self, place: Place, target: str) -> None:
        """Note a step that reads what it makes itself."""
        whole = self.document.span(place)
        places = [self.document.place_in(place, name) for name in (target, *self.drafts[target].step.vars)]
        self.problems.add(
            "dependency-cycle",
            f'step "{target}" refers to itself',
            next((one for one in places if one != whole), whole),
            step=target,
            hint="a step can only use what earlier steps leave behind",
        )

    def declared(self, draft: Draft) -> None:
        """The edges that the step declares itself."""
        step = draft.step
        for number, name in enumerate(step.dependencies):
            if name != step.id and name in self.drafts:
                draft.edges.setdefault(name)
                continue
            place = (*draft.place, "dependencies")
            node, span = self.document.locate(place)
            exact = self.document.span((*place, number)) if isinstance(node, SequenceNode) else None
            exact = exact or (self.document.place_in(place, name) if node else span)
            if name == step.id:
                self.problems.add(
                    "dependency-cycle", f'step "{name}" depends on itself', exact, step=step.id, hint="remove it"
                )
            elif not self.reading.loose:
                near = nearest_name(name, self.drafts)
                self.problems.add(
                    "unknown-step",
                    f'step "{step.id}" depends on "{name}", which is no step',
                    exact,
                    step=step.id,
                    suggestion=near,
                    hint=None if near else f"the steps are {', '.join(list(self.drafts)[:20])}",
                )


def _offered(draft: Draft) -> StepNames:
    """What a step offers to templates."""
    work = draft.work
    variables = dict(draft.step.vars) or {name: VariableSpec() for name in draft.step.products}
    result_fields = known_fields(work.shape.result) if work and work.shape else None
    is_text = bool(work and work.kind == "model" and not draft.step.vars)
    return StepNames(draft.step.id, variables, result_fields, is_text)


def order_outputs(outputs: Mapping[str, Any], edges: Mapping[str, list[str]]) -> dict[str, Any]:
    """The outputs in the file's order, except that one which another reads stands before it."""
    ordered: dict[str, Any] = {}

    def put(name: str) -> None:
        if name not in ordered:
            for other in edges.get(name, ()):
                put(other)
            ordered[name] = outputs[name]

    for name in outputs:
        put(name)
    return ordered
