"""Which steps come before a step: those it declares, and those that its templates read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator_dagster.compiler.bodies import Body, Draft
from orchestrator_dagster.compiler.builtin_actions import EVALUATE
from orchestrator_dagster.compiler.conditions import KnownTypes, check_condition, known_types
from orchestrator_dagster.compiler.header_texts import HeaderTexts
from orchestrator_dagster.compiler.kinds import Place
from orchestrator_dagster.compiler.loops import check_item_type
from orchestrator_dagster.compiler.references import TemplateChecker
from orchestrator_dagster.compiler.scopes import LoopScope, Names, StepNames, Uses
from orchestrator_dagster.compiler.tool_shapes import known_fields
from orchestrator_dagster.language.document import SequenceNode
from orchestrator_dagster.language.read import Reading
from orchestrator_dagster.language.settings import FailureHandler
from orchestrator_dagster.language.step import FAILURE_POLICIES, Step
from orchestrator_dagster.language.template_names import read_template, texts_of
from orchestrator_dagster.language.types import InputSpec, VariableSpec
from orchestrator_dagster.text import nearest_name

_NONE = frozenset[str]()


class EdgeFinder:
    """Checks every template of a pipeline."""

    def __init__(self, reading: Reading, top: Body, inputs: Mapping[str, InputSpec]) -> None:
        assert reading.pipeline is not None
        self.reading = reading
        self.pipeline = reading.pipeline
        self.document = reading.document
        self.problems = reading.problems
        self.top = top
        self.drafts = top.drafts
        self.inputs = inputs
        self.header = HeaderTexts(self.pipeline, inputs)
        names = Names(
            inputs,
            _steps_of(top),
            self.pipeline.outputs,
            reading.loose,
            self.pipeline.constants,
            output_steps=self.header.output_steps,
            elsewhere=_inside_loops(top),
            handlers=_handlers(top, self.pipeline.failure_handlers),
            # A route that names no step may mean any: then `error` is no second problem.
            handler_unknown=any(
                draft.step.on_failure not in (None, *FAILURE_POLICIES)
                and draft.step.on_failure not in draft.home.drafts
                for draft in top.walk()
            ),
            partitioned=self.pipeline.partitions is not None or reading.lost(("partitions",)),
        )
        dashed = frozenset(draft.step.id for draft in top.walk() if "-" in draft.step.id)
        self.checker = TemplateChecker(names, self.document, self.problems, dashed=dashed)

    def find(self) -> None:
        """Fill in the edges of every step and the steps of every output."""
        self.header.find(self.checker)
        self.find_body(self.top, self.checker, None)

    def find_body(self, body: Body, checker: TemplateChecker, around: KnownTypes | None) -> None:
        """Fill in the edges of the steps of one body, and of those inside it.

        Args:
            body: The body.
            checker: Knows the names that it sees.
            around: What is known of the values around it.
        """
        types = known_types(self.inputs if around is None else {}, body.drafts, around)
        for draft in body.drafts.values():
            self.declared(draft)
            inner, scope = self.inner(draft, checker)
            for place, text in self.loop_texts(draft):
                self.note(draft, place, checker.check(text, place, draft.step.id))
            for place, text, own in self.templates(draft):
                uses = scope.check(text, place, draft.step.id, own=own)
                self.note(draft, place, uses)
                if len(place) > 3 and place[-3] == "products" and place[-1] == "path":
                    if draft.step.id in uses.loops:
                        draft.per_item.add(str(place[-2]))
                    self.paths_of_items(draft, str(place[-2]), text, uses, own)
            self.conditions(draft, checker, scope, inner, types)
            if draft.step.for_each is not None:
                check_item_type(draft.step, draft.place, types.kinds, self.reading)
            if draft.body is not None:
                self.find_body(draft.body, inner, types)

    def inner(self, draft: Draft, checker: TemplateChecker) -> tuple[TemplateChecker, TemplateChecker]:
        """The checker of what is inside a loop, and the one of a step's own work: in a loop around it, inside."""
        if not draft.repeats:
            return checker, checker
        step, names = draft.step, checker.names
        goes_back = step.for_each is None
        loop = LoopScope(step.id, step.as_, draft.body is None, goes_back)
        if draft.body is not None:
            handlers = _handlers(draft.body, self.pipeline.failure_handlers)
            inside = checker.inside(names.inside(_steps_of(draft.body), loop, handlers))
            return inside, inside if draft.work is None else checker  # with `steps` and other work, who knows
        own = {step.id: _offered(draft, inside=True)} if goes_back else {}
        inside = checker.inside(names.inside(own, loop))
        return inside, inside

    def conditions(
        self,
        draft: Draft,
        checker: TemplateChecker,
        scope: TemplateChecker,
        inner: TemplateChecker,
        types: KnownTypes,
    ) -> None:
        """Check a step's conditions: its own, and those by which it repeats."""
        step = draft.step
        if step.condition is not None:
            place = (*draft.place, "condition")
            # Asked for each item where it names one; of a loop by condition, once before it.
            asks = scope if step.for_each is not None else checker
            uses = check_condition(step.condition, place, step.id, asks, types)
            if draft.step.id in uses.loops:
                draft.per_item.add("condition")
            self.note(draft, place, uses)
        if draft.work is not None and draft.work.action == EVALUATE:
            for name, condition in draft.work.parameters.items():
                place = (*draft.place, "parameters", name)
                self.note(draft, place, check_condition(condition, place, step.id, scope, types))
        if step.while_ is None and step.until is None:
            return
        # What stands in the body is seen from inside here, also a loop around a single piece of work.
        drafts = draft.body.drafts if draft.body else {step.id: draft}
        inside = known_types({}, drafts, types, inside=draft.body is None)
        for key, condition in (("while", step.while_), ("until", step.until)):
            if condition is not None:
                place = (*draft.place, key)
                self.note(draft, place, check_condition(condition, place, step.id, inner, inside))

    def paths_of_items(self, draft: Draft, product: str, text: str, uses: Uses, own: frozenset[str]) -> None:
        """Note a product whose path is surely the same for all items of a loop around it.

        What a step of the loop's body leaves may be another for each item, and so may an item of a loop inside it.
        """
        reading = read_template(text, self.checker.dashed)
        same: list[Draft] = []
        for home, loop in _homes(draft):
            if any(use.root in own for use in reading.names) or any(one in home.drafts for one in uses.steps):
                break
            if loop.step.for_each is not None and loop.step.id not in uses.loops:
                same.append(loop)
            if loop.step.id in uses.items:
                break
        if draft.step.id not in uses.items and same and not reading.problems and not self.reading.loose:
            draft.one_path[product] = same[0].step.id

    def note(self, draft: Draft, place: Place, uses: Uses) -> None:
        """What a template or condition of a step reads: inputs, files, and steps that come before."""
        self.header.note(uses, draft.inputs, draft.constants, draft.outputs)
        draft.includes.update(uses.includes)
        for target in uses.steps:
            through = [one for one in uses.outputs if target in self.header.output_steps.get(one, ())]
            self.edge(draft, target, place, through[0] if through else None)

    def edge(self, draft: Draft, target: str, place: Place, output: str | None) -> None:
        """Note that a step reads another: an edge in its own body, or of the loop around it that stands beside it."""
        if target == draft.step.id:
            if draft.home.goes_back or (draft.repeats and draft.body is None and draft.step.for_each is None):
                draft.previous.add(target)
            else:
                self.self_reference(draft, place, output)
        elif target in draft.home.drafts:
            draft.edges.setdefault(target, place)
        elif draft.body is None or target not in draft.body.drafts:
            owner = next((one for one in draft.home.around() if target in one.home.drafts), None)
            if owner is not None and owner.step.id != target:
                owner.edges.setdefault(target, place)

    def templates(self, draft: Draft) -> list[tuple[Place, str, frozenset[str]]]:
        """Every text of a step that is rendered: its place, itself, the names only it has."""
        step, work, place = draft.step, draft.work, draft.place
        found: list[tuple[Place, str, frozenset[str]]] = []
        given: Place = (*place, "inputs" if work and work.kind == "pipeline" else "parameters")
        if work is None:  # what the step does is not understood: what it says can still be checked
            parameters: dict[str, Any] = dict(step.parameters)
            found += [((*place, "prompt"), step.prompt, _NONE)] if step.prompt else []
        else:
            parameters = {} if work.action == EVALUATE else {**work.settings, **work.parameters}
            if work.instruction is not None:
                found.append(((*place, *work.instruction_place), work.instruction, _NONE))
        found += [((*given, *path), text, _NONE) for path, text in texts_of(parameters)]
        for key in ("temperature", "max_tokens"):
            if isinstance(value := getattr(step, key), str):
                found.append(((*place, key), value, _NONE))
        if step.personality:
            found.append(((*place, "personality"), step.personality, _NONE))
        found += [((*place, "model", number), model, _NONE) for number, model in enumerate(step.model or ())]
        found += [
            ((*place, "failure_handlers", number, *path), text, _NONE)
            for number, handler in enumerate(step.failure_handlers)
            for path, text in texts_of({"fallback": handler.fallback, "message": handler.message})
        ]
        if isinstance(step.timeout, str):
            found.append(((*place, "timeout"), step.timeout, _NONE))
        return found + self.variables(draft) + self.products(draft)

    def loop_texts(self, draft: Draft) -> list[tuple[Place, str]]:
        """The texts of a loop that are rendered before its first pass."""
        step, found = draft.step, []
        for key, value in (
            ("for_each", step.for_each), ("max_parallel", step.max_parallel), ("max_iterations", step.max_iterations)
        ):  # fmt: skip
            found += [((*draft.place, key, *path), text) for path, text in texts_of(value)]
        return found

    def variables(self, draft: Draft) -> list[tuple[Place, str, frozenset[str]]]:
        """The expressions and schema files of a step's variables."""
        step, found = draft.step, []
        for name, variable in step.vars.items():
            place = (*draft.place, "vars", name)
            if isinstance(variable.schema_, str):
                self.include(draft, variable.schema_, (*place, "schema"))
            if variable.value is None:
                if draft.body is not None and len(step.vars) > 1:
                    self.no_source(draft, name)
                continue
            found.append((place, variable.value, frozenset(("result",))))
            if draft.work is not None and draft.work.kind == "model" and not _is_the_answer(step, variable):
                self.problems.add(
                    "wrong-value",
                    f'step "{step.id}" asks a model, which answers with the variables themselves: nothing takes '
                    f'"{name}" from a result',
                    self.document.span((*place, "value") if self.document.has((*place, "value")) else place),
                    step=step.id,
                    hint=f"describe what is asked for, for example `{name}: {{type: string, description: …}}`",
                )
            if variable.expression is None:
                self.problems.add(
                    "wrong-value",
                    f'step "{step.id}": `value` must be one whole {{{{ expression }}}}',
                    self.document.span((*place, "value")),
                    step=step.id,
                )
        return found

    def no_source(self, draft: Draft, name: str) -> None:
        """Note a variable of a loop around steps that nothing gives a value: its result is a list."""
        self.problems.add(
            "wrong-value",
            f'step "{draft.step.id}": nothing says what the variable "{name}" is: what the loop leaves is the list of '
            "its items' values",
            self.document.key_span((*draft.place, "vars", name)),
            step=draft.step.id,
            hint=f'write an expression, `{name}: "{{{{ result[0].{name} }}}}"`, or declare it at a step inside',
        )

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

    def self_reference(self, draft: Draft, place: Place, output: str | None = None) -> None:
        """Note a step that reads what it makes itself, maybe through an output."""
        whole, step = self.document.span(place), draft.step
        words = ("outputs",) if output else (step.id, *step.vars)
        places = [self.document.place_in(place, word) for word in words]
        through = f' through the output "{output}"' if output else ""
        self.problems.add(
            "dependency-cycle",
            f'step "{step.id}" refers to itself{through}',
            next((one for one in places if one != whole), whole),
            step=step.id,
            hint="a step can only use what earlier steps leave behind",
        )

    def declared(self, draft: Draft) -> None:
        """The edges that the step declares itself."""
        step = draft.step
        for number, name in enumerate(step.dependencies):
            if name != step.id and name in draft.home.drafts:
                draft.edges.setdefault(name, (*draft.place, "dependencies"))
                continue
            outer = next((one for one in draft.home.around() if name in one.home.drafts), None)
            if outer is not None and outer.step.id != name and name != step.id:
                outer.edges.setdefault(name, (*draft.place, "dependencies"))
                continue
            place = (*draft.place, "dependencies")
            node, span = self.document.locate(place)
            exact = self.document.span((*place, number)) if isinstance(node, SequenceNode) else None
            exact = exact or (self.document.place_in(place, name) if node else span)
            if name == step.id:
                self.problems.add(
                    "dependency-cycle", f'step "{name}" depends on itself', exact, step=step.id, hint="remove it"
                )
            elif outer is not None:
                message = f'step "{step.id}" depends on the loop "{name}" that it stands in'
                self.problems.add("dependency-cycle", message, exact, step=step.id, hint="remove it")
            elif not self.reading.loose:
                loop = self.checker.names.elsewhere.get(name)
                known = draft.home.drafts
                near = None if loop else nearest_name(name, known)
                hint = f"depend on the loop: `{loop}`" if loop else f"the steps are {', '.join(list(known)[:20])}"
                what = f'exists only inside the loop "{loop}"' if loop else "is no step"
                self.problems.add(
                    "unknown-step",
                    f'step "{step.id}" depends on "{name}", which {what}',
                    exact,
                    step=step.id,
                    suggestion=near,
                    hint=None if near else hint,
                )


def _homes(draft: Draft) -> Iterator[tuple[Body, Draft]]:
    """The bodies that a step stands in with their loops, the nearest first."""
    home = draft.home
    while home.owner is not None:
        yield home, home.owner
        home = home.owner.home


def _steps_of(body: Body) -> dict[str, StepNames]:
    return {draft.step.id: _offered(draft) for draft in body.drafts.values()}


def _offered(draft: Draft, inside: bool = False) -> StepNames:
    """What a step offers to templates; ``inside`` a loop around it, a pass of it."""
    work = draft.work
    variables = dict(draft.step.vars) or {name: VariableSpec() for name in draft.step.products}
    if draft.repeats and not inside:
        each = draft.step.for_each is not None and draft.body is None
        specs = {name: VariableSpec(type="array") if each else spec for name, spec in variables.items()}
        return StepNames(draft.step.id, specs, is_loop=True)
    shape = work.shape.result if work and work.shape else None
    is_text = bool(work and work.kind == "model" and not draft.step.vars)
    return StepNames(draft.step.id, variables, known_fields(shape) if shape else None, is_text, shape)


def _handlers(body: Body, of_all: Sequence[FailureHandler]) -> frozenset[str]:
    """The steps of a body that a failure leads to."""
    found = {draft.step.on_failure for draft in body.drafts.values()}
    found |= {one.goto for draft in body.drafts.values() for one in (*draft.step.failure_handlers, *of_all)}
    return frozenset(one for one in found if one is not None and one in body.drafts)


def _inside_loops(top: Body) -> dict[str, str]:
    """Every name that only exists inside a loop, with the loop's id."""
    found: dict[str, str] = {}
    for body in top.bodies():
        for draft in body.drafts.values():
            if draft.repeats and draft.step.as_:
                found.setdefault(draft.step.as_, draft.step.id)
            if body.owner is not None:
                for name in (draft.step.id, draft.step.id.replace("-", "_"), *draft.step.vars):
                    found.setdefault(name, body.owner.step.id)
    return found


def _is_the_answer(step: Step, variable: VariableSpec) -> bool:
    """Whether a variable is the whole answer of a model, which a single text is anyhow."""
    return len(step.vars) == 1 and not variable.says_shape and (variable.expression or "").strip() == "result"
