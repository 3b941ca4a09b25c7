"""Which names a template may use, which step each of them comes from, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.pipeline import BUILT_IN_NAMES
from orchestrator_dagster.language.template_names import NameUse, read_template
from orchestrator_dagster.language.types import TypeSpec, VariableSpec
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
_CONSTANTS = frozenset(("null", "true", "false", "none", "error"))
_STEP_MAPS = ("steps", "results", "previous_results")
_LOOP_NAMES = frozenset(["item", "index", "is_first", "is_last", "length", "iteration", "loop"])

Place = tuple[str | int, ...]


@dataclass
class StepNames:
    """What a step offers to templates: its variables, and the fields of its result where they are known."""

    id: str
    variables: Mapping[str, VariableSpec]
    result_fields: frozenset[str] | None = None
    is_text: bool = False


@dataclass
class Names:
    """Every name of a pipeline. ``loose`` says that a step's id is unknown, so that unknown names are not reported."""

    inputs: Mapping[str, TypeSpec]
    steps: dict[str, StepNames]
    outputs: Collection[str] = ()
    loose: bool = False
    constants: Mapping[str, Any] = field(default_factory=dict)
    makers: dict[str, list[str]] = field(default_factory=dict)
    output_steps: dict[str, tuple[str, ...]] = field(default_factory=dict)
    partitioned: bool = True

    def __post_init__(self) -> None:
        for step in self.steps.values():
            for variable in step.variables:
                self.makers.setdefault(variable, []).append(step.id)
        self.dashed = {step.replace("-", "_"): step for step in self.steps if "-" in step}

    def step(self, name: str) -> str | None:
        """The id of the step that a name in a template stands for (``-`` was made ``_`` for Jinja)."""
        return name if name in self.steps else self.dashed.get(name)

    def all(self) -> list[str]:
        """Every name that may stand first in a reference."""
        built_in = BUILT_IN_NAMES - _LOOP_NAMES - _CONSTANTS
        return [*self.inputs, *self.constants, *self.steps, *self.makers, *built_in]


@dataclass
class Uses:
    """What one template reads: ids of steps, names of inputs and outputs, included files."""

    steps: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    includes: tuple[str, ...] = ()


@dataclass
class TemplateChecker:
    """Checks every template of one pipeline and finds the steps that it needs."""

    names: Names
    document: Document
    problems: Problems
    includes: dict[str, Place] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.dashed = frozenset(step for step in self.names.steps if "-" in step)

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
            target = self.resolve(use, place, step, uses)
            through: tuple[str, ...] = ()
            if use.root == "outputs":
                uses.outputs.extend(str(part) for part in use.path[1:2])
                through = self.names.output_steps.get(str(use.path[1]), ()) if use.path[1:] else ()
            uses.steps.extend(one for one in (target, *through) if one is not None and one not in uses.steps)
        return uses

    def resolve(self, use: NameUse, place: Place, step: str | None, uses: Uses) -> str | None:
        """The step that a name comes from, None for an input or a built-in; what is wrong is noted."""
        names, root = self.names, use.root
        if root in names.inputs:
            uses.inputs.append(root)
            return None
        if root in names.constants:
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
        if root in _STEP_MAPS:
            if len(use.path) == 1:
                self.unknown(use, place, step, f'"{root}" is read with a step: `{root}.some_step`', root, ())
                return None
            target = names.step(str(use.path[1]))
            if target is None:
                message = f'there is no step "{use.path[1]}"'
                self.unknown(use, place, step, message, str(use.path[1]), names.steps, "unknown-step")
                return None
            return self.fields(target, use.path[2:], use, place, step)
        target = names.step(root)
        if target is not None:
            return self.fields(target, use.path[1:], use, place, step)
        if root in names.makers:
            return self.variable(root, place, step)
        self.built_in(use, place, step)
        return None

    def variable(self, name: str, place: Place, step: str | None) -> str | None:
        """The step that makes a variable; a step that makes one of the same name reads the other one's."""
        makers = self.names.makers[name]
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
        elif root == "error":
            self.unknown(use, place, step, '"error" exists only in a step that `on_failure` goes to', root, ())
        elif root in _LOOP_NAMES:
            self.unknown(
                use, place, step, f'"{root}" exists only in a step with `for_each`, `while` or `until`', root, ()
            )
        else:
            self.unknown(use, place, step, f'there is no "{root}" here', root, names.all())

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
        offered = self.names.steps[target]
        through_value = bool(fields) and fields[0] in ("result", "value")
        if through_value:
            fields = fields[1:]
        if not fields or not isinstance(fields[0], str) or target == step:
            return target  # that a step refers to itself is said elsewhere
        name = fields[0]
        known = self.value_fields(offered) if through_value else self.known_fields(offered)
        if known is None or name in known or (not through_value and name in OUTCOME_NAMES) or self.names.loose:
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
        after = use.path[use.path.index(name) - 1] if name in use.path[1:] else ""
        span = self.document.place_in(place, name, str(after), use.line)
        if use.guarded:
            self.problems.add(
                "guarded-name",
                _at(step, f"{message}; only its default will ever be used"),
                span,
                severity="warning",
                step=step,
                suggestion=nearest_name(name, known),
            )
            return
        near = nearest_name(name, known)
        self.problems.add(
            code,
            _at(step, message),
            span,
            step=step,
            suggestion=near,
            hint=None if near else hint or self.hint(known),
        )

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
