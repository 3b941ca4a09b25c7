"""Which names a template may use, which step each of them comes from, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator_dagster.compiler.loops import JINJA_ITEM, JINJA_PASS, LOOP_FIELDS, LOOP_NAMES, PASS_NAMES
from orchestrator_dagster.compiler.scopes import LoopScope, Names, StepNames, Uses
from orchestrator_dagster.compiler.tool_shapes import known_fields
from orchestrator_dagster.language.diagnostics import Problems, Span
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.pipeline import BUILT_IN_NAMES
from orchestrator_dagster.language.template_names import NameUse, read_template
from orchestrator_dagster.language.wording import path_text
from orchestrator_dagster.text import nearest_name

#: Names that every outcome has; they win over a result's fields of the same name.
OUTCOME_NAMES = frozenset(["status", "success", "error", "skipped", "result", "value", "location"])
_RUN_FIELDS: Mapping[str, frozenset[str]] = {
    "execution": frozenset(("id", "timestamp", "started_at", "date", "time")),
    "partition": frozenset(("key",)),
}
_RUN_NAMES = frozenset((
    "timestamp", "current_timestamp", "current_date", "pipeline_id", "null", "true", "false", "none", "env",
))  # fmt: skip
#: Maps of all steps by their ids.
STEP_MAPS = ("steps", "results", "previous_results")
_ERROR_FIELDS = ("type", "message", "step")

Place = tuple[str | int, ...]


@dataclass
class TemplateChecker:
    """Checks the templates of one body and finds the steps that they need."""

    names: Names
    document: Document
    problems: Problems
    includes: dict[str, Place] = field(default_factory=dict)
    dashed: frozenset[str] = frozenset()

    def inside(self, names: Names) -> TemplateChecker:
        """The checker of another body of the same file."""
        return replace(self, names=names)

    def check(self, text: str, place: Place, step: str | None, *, own: frozenset[str] = frozenset()) -> Uses:
        """Check one template.

        Args:
            text: The template.
            place: Where it stands in the document.
            step: Id of the step it belongs to, None in the header.
            own: Names that only this template has (``result`` in a variable's expression).
        """
        reading = read_template(text, self.dashed)
        for problem in reading.problems:
            span = self.document.span(place)
            if problem.needle:
                span = self.document.place_in(place, problem.needle, line=problem.line)
            elif problem.region is not None:
                span = self.document.region_in(place, problem.region)
            self.problems.add(
                problem.code,
                _at(step, problem.message),
                span,
                step=step,
                suggestion=problem.suggestion,
                hint=problem.hint,
            )
        uses = Uses(includes=reading.includes)
        for path in reading.includes:
            self.includes.setdefault(path, place)
        for use in reading.names:
            if use.root in own:
                continue
            self.use(use, place, step, uses)
        return uses

    def use(self, use: NameUse, place: Place, step: str | None, uses: Uses) -> None:
        """Check one name and note what it stands for: a step, or an output with the steps that it reads."""
        target = self.resolve(use, place, step, uses)
        through: tuple[str, ...] = ()
        if use.root == "outputs":
            uses.outputs.extend(str(part) for part in use.path[1:2])
            through = self.names.output_steps.get(str(use.path[1]), ()) if use.path[1:] else ()
        uses.steps.extend(one for one in (target, *through) if one is not None and one not in uses.steps)

    def resolve(self, use: NameUse, place: Place, step: str | None, uses: Uses) -> str | None:
        """The step that a name comes from, None for an input or a built-in; what is wrong is noted."""
        names, root = self.names, use.root
        if root in names.inputs:
            uses.inputs.append(root)
            return None
        if root in names.constants:
            uses.constants.append(root)
            self.constant(names.constants[root], use, place, step)
            return None
        if root in ("inputs", "parameters"):
            if len(use.path) == 1:
                uses.inputs.extend(names.inputs)
            elif use.path[1] in names.inputs:
                uses.inputs.append(str(use.path[1]))
            else:
                self.unknown(use, place, step, f'there is no input "{use.path[1]}"', str(use.path[1]), names.inputs)
            return None
        if root in STEP_MAPS:
            if len(use.path) == 1:
                self.unknown(use, place, step, f'"{root}" is read with a step: `{root}.some_step`', root, ())
                return None
            return self.step(str(use.path[1]), use.path[2:], use, place, step, uses, "unknown-step")
        of = names.item(root)
        if of is not None:
            uses.item(of, root)
            self.item(use, of, place, step)
            return None
        if names.makers_of(root) and names.step(root) is None and names.loop_of(root) is None:
            return self.variable(root, place, step)
        return self.step(root, use.path[1:], use, place, step, uses)

    def step(
        self,
        name: str,
        fields: tuple[str | int, ...],
        use: NameUse,
        place: Place,
        step: str | None,
        uses: Uses,
        code: str = "",
    ) -> str | None:
        """The step that a name stands for, or None where it is the loop around, or nothing."""
        names = self.names
        loop = names.loop_of(name)
        if loop is not None:
            if fields and fields[0] in loop.fields:
                uses.item(loop, str(fields[0]))
                return None
            if loop.single and loop.goes_back:
                return self.fields(loop.id, fields, use, place, None)
            last = ", and the steps of the last pass have their own names" if loop.goes_back else ""
            self.problems.add(
                "dependency-cycle",
                f'step "{step or loop.id}" reads the loop "{loop.id}" that it stands in',
                self.document.place_in(place, name, "", use.line),
                step=step or loop.id,
                hint=f"inside it there is {', '.join(f'`{loop.id}.{one}`' for one in sorted(loop.fields))}{last}",
            )
            return None
        target = names.step(name)
        if target is not None:
            return self.fields(target, fields, use, place, step)
        if code:
            known = names.all_steps()
            self.unknown(use, place, step, self.no_such(name, f'there is no step "{name}"'), name, known, code)
        else:
            self.built_in(use, place, step)
        return None

    def no_such(self, name: str, otherwise: str) -> str:
        """What is said of a name that is not seen here; of one inside a loop, where it is."""
        loop = self.names.elsewhere.get(name)
        return f'"{name}" exists only inside the loop "{loop}": outside read `{loop}.results`' if loop else otherwise

    def item(self, use: NameUse, loop: LoopScope, place: Place, step: str | None) -> None:
        """Check what is read from the names of an item: ``loop`` has Jinja's fields, the numbers have none."""
        field_ = use.path[1] if len(use.path) > 1 else None
        known = JINJA_PASS if loop.goes_back else JINJA_ITEM
        if use.root == "loop" and isinstance(field_, str) and field_ not in known:
            message = f'"loop" has no field "{field_}"'
            if field_ in JINJA_ITEM:
                message += f': how often "{loop.id}" repeats is not known before it has ended'
            self.unknown(use, place, step, message, field_, known, "unknown-field")

    def variable(self, name: str, place: Place, step: str | None) -> str | None:
        """The step that makes a variable; a step that makes one of the same name reads the other one's."""
        makers = self.names.makers_of(name)
        others = [maker for maker in makers if maker != step] or makers
        if len(others) > 1:
            self.problems.add(
                "ambiguous-variable",
                _at(step, f'"{name}" is made by the steps {", ".join(others)}'),
                self.document.place_in(place, name),
                step=step,
                hint=f"say which: `{others[0]}.{name}`",
            )
            return None
        return others[0]

    def built_in(self, use: NameUse, place: Place, step: str | None) -> None:
        """Check a name that is no input, step or variable."""
        names, root = self.names, use.root
        if root in _RUN_FIELDS:
            if len(use.path) > 1 and use.path[1] not in _RUN_FIELDS[root]:
                message = f'"{root}" has no field "{use.path[1]}"'
                self.unknown(use, place, step, message, str(use.path[1]), _RUN_FIELDS[root], "unknown-field")
            elif root == "partition" and not names.partitioned:
                message = f'"{use}" exists only in a pipeline with `partitions`'
                hint = "declare them in the header, for example `partitions: {daily: 2026-01-01}`"
                self.unknown(use, place, step, message, root, (), hint=hint)
        elif root in _RUN_NAMES:
            pass
        elif root == "outputs":
            if len(use.path) == 1:
                self.unknown(use, place, step, '"outputs" is read with an output: `outputs.some_output`', root, ())
            elif use.path[1] not in names.outputs:
                message = f'there is no output "{use.path[1]}"'
                self.unknown(use, place, step, message, str(use.path[1]), names.outputs)
        elif root == "error" and names.handler_unknown:
            pass
        elif root == "error":
            if step is None or not names.handles(step):
                self.unknown(use, place, step, '"error" exists only in a step that `on_failure` goes to', root, ())
            elif len(use.path) > 1 and use.path[1] not in _ERROR_FIELDS:
                message = f'"error" has no field "{use.path[1]}"'
                self.unknown(use, place, step, message, str(use.path[1]), _ERROR_FIELDS, "unknown-field")
        elif root in LOOP_NAMES:
            loops = "`for_each`, `while` or `until`" if root in PASS_NAMES or root == "loop" else "`for_each`"
            message = f'"{root}" exists only in a step with {loops}'
            if step in names.steps and names.offered(step).is_loop:
                message = f'"{root}" exists only inside the loop, and this is read before it begins'
            self.unknown(use, place, step, message, root, ())
        else:
            loop = names.elsewhere.get(root)
            known = () if loop else names.all()
            self.unknown(use, place, step, self.no_such(root, f'there is no "{root}" here'), root, known)

    def constant(self, value: Any, use: NameUse, place: Place, step: str | None) -> None:
        """Check the fields read from a constant, as far as they are literal."""
        for part in use.path[1:]:
            if not isinstance(value, Mapping) or not isinstance(part, str):
                return
            if part not in value:
                self.unknown(use, place, step, f'"{use.root}" has no field "{part}"', part, value)
                return
            value = value[part]

    def fields(self, target: str, fields: tuple[str | int, ...], use: NameUse, place: Place, step: str | None) -> str:
        """Check the first field read from a step, or from its value; gives the step's id."""
        offered = self.names.offered(target)
        if offered.is_loop and self.loop_fields(offered, fields, use, place, step):
            return target
        through_value = bool(fields) and fields[0] in ("result", "value")
        if through_value:
            fields = fields[1:]
        if not fields or not isinstance(fields[0], str) or target == step:
            return target  # that a step refers to itself is said elsewhere
        name = fields[0]
        known = self.value_fields(offered) if through_value else self.known_fields(offered)
        if known is None or name in known or (not through_value and name in OUTCOME_NAMES) or self.names.loose:
            if offered.result_shape is not None and not offered.variables and not self.names.loose:
                self.deeper(offered.result_shape, fields, use, place, step)
            return target
        message = _at(
            step,
            f'the value of the step "{target}" has no "{name}"'
            if through_value
            else f'the step "{target}" leaves no "{name}"',
        )
        position = len(use.path) - len(fields)
        after = use.path[position - 1] if position else ""
        span = self.document.place_in(place, name, after if isinstance(after, str) else "", use.line)
        near = nearest_name(name, known)
        if use.guarded:
            message += "; only its default will ever be used"
            self.problems.add("guarded-name", message, span, severity="warning", step=step, suggestion=near)
            return target
        hint = (
            f"it has {', '.join(sorted(known))}"
            if known
            else f"its value has no fields: read it as `{target.replace('-', '_')}`"
        )
        self.problems.add("unknown-field", message, span, step=step, suggestion=near, hint=None if near else hint)
        return target

    def deeper(self, shape: Any, fields: tuple[str | int, ...], use: NameUse, place: Place, step: str | None) -> None:
        """Check the fields behind the first one, as far as the tool's result has a known shape."""
        for number, name in enumerate(fields[1:], 1):
            known = known_fields(shape, fields[:number])
            if known is None or not isinstance(name, str) or name in known:
                continue
            before = next((one for one in reversed(fields[:number]) if isinstance(one, str)), "")
            message = _at(step, f'"{path_text(fields[:number])}" has no "{name}"')
            span = self.document.place_in(place, name, before, use.line)
            near = nearest_name(name, known)
            if use.guarded:
                message += "; only its default will ever be used"
                self.problems.add("guarded-name", message, span, severity="warning", step=step, suggestion=near)
            else:
                hint = None if near else f"it has {', '.join(sorted(known))}"
                self.problems.add("unknown-field", message, span, step=step, suggestion=near, hint=hint)
            return

    def loop_fields(
        self, offered: StepNames, fields: tuple[str | int, ...], use: NameUse, place: Place, step: str | None
    ) -> bool:
        """Check what is read from a loop; gives whether nothing more is to be looked at."""
        name = fields[0] if fields else None
        if not isinstance(name, str) or name in LOOP_FIELDS or name in OUTCOME_NAMES or name in offered.variables:
            return True
        known = [*sorted(LOOP_FIELDS), *offered.variables]
        message = _at(step, f'the loop "{offered.id}" leaves no "{name}"')
        if not self.names.loose:
            after = use.path[use.path.index(name) - 1] if name in use.path[1:] else ""
            span = self.document.place_in(place, name, str(after), use.line)
            near = nearest_name(name, known)
            hint = None if near else f"it has {', '.join(known)}; its value is the list of its items' values"
            if use.guarded:
                message += "; only its default will ever be used"
                self.problems.add("guarded-name", message, span, severity="warning", step=step, suggestion=near)
            else:
                self.problems.add("unknown-field", message, span, step=step, suggestion=near, hint=hint)
        return True

    def known_fields(self, offered: StepNames) -> frozenset[str] | None:
        """What can be read from a step besides its outcome; None when that is not known before the run."""
        inner = self.value_fields(offered)
        return None if inner is None else inner | offered.variables.keys()

    def value_fields(self, offered: StepNames) -> frozenset[str] | None:
        """The fields of a step's main value; None when they are not known before the run."""
        if len(offered.variables) > 1:
            return frozenset(offered.variables)
        if offered.variables:
            (spec,) = offered.variables.values()
            if spec.properties:
                return frozenset(spec.properties)
            return frozenset() if spec.type in ("string", "integer", "number", "boolean") else None
        return frozenset() if offered.is_text else offered.result_fields

    def unknown(
        self,
        use: NameUse,
        place: Place,
        step: str | None,
        message: str,
        name: str,
        known: Iterable[str],
        code: str = "unknown-name",
        hint: str | None = None,
    ) -> None:
        """Note a name that does not exist: an error, or a warning when its absence is allowed for."""
        if self.names.loose:
            return
        known = list(known)
        dashed = self.dashed_name(name, place, known) if use.path[0] == name else None
        if dashed is not None:
            written, span, near = dashed
            message = f'there is no "{written}" here'
            hint = "between two names a dash is a minus, unless it is in the id of a step"
        else:
            after = use.path[use.path.index(name) - 1] if name in use.path[1:] else ""
            span = self.document.place_in(place, name, str(after), use.line)
            near = nearest_name(name, known)
            hint = None if near else "; ".join(filter(None, (use.hint, hint or self.hint(known)))) or None
        if use.guarded:
            message, hint = f"{message}; only its default will ever be used", None
        self.problems.add(
            "guarded-name" if use.guarded else code,
            _at(step, message),
            span,
            severity="warning" if use.guarded else "error",
            step=step,
            suggestion=near,
            hint=hint,
        )

    def dashed_name(self, name: str, place: Place, known: list[str]) -> tuple[str, Span, str | None] | None:
        """The name with dashes that was meant where ``name`` is only a part of it: itself, its place, what is like it.

        None where a subtraction may be meant: its first part is a name, and what the whole is like has no dash.
        """
        found = self.document.dashed_in(place, name)
        near = nearest_name(found[0], known) if found else None
        if found is None or near is None:
            return None
        written, span = found
        same = near.replace("-", "_") == written.replace("-", "_")
        return (written, span, near) if same or "-" in near or written.partition("-")[0] not in known else None

    def hint(self, known: Iterable[str]) -> str | None:
        """What there is instead of a name that is like none."""
        known = list(known)
        if not known:
            return None
        some = [name for name in known if name not in BUILT_IN_NAMES]
        if 0 < len(some) <= 20:
            return f"there is {', '.join(some)}"
        return "names are inputs, steps, their variables, and the built-in ones of the reference"


def _at(step: str | None, message: str) -> str:
    return f'step "{step}": {message}' if step else message
