"""The names that one body of a pipeline sees: inputs, steps with what they leave, items, and what is around it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator_dagster.compiler.loops import ITEM_NAMES, LOOP_NAMES, PASS_NAMES
from orchestrator_dagster.language.pipeline import BUILT_IN_NAMES
from orchestrator_dagster.language.types import TypeSpec, VariableSpec

_CONSTANTS = frozenset(("null", "true", "false", "none", "error"))


@dataclass
class StepNames:
    """What a step offers to templates: its variables, and the fields of its result where they are known."""

    id: str
    variables: Mapping[str, VariableSpec]
    result_fields: frozenset[str] | None = None
    is_text: bool = False
    result_shape: Any = None
    is_loop: bool = False


@dataclass(frozen=True)
class LoopScope:
    """The loop that a body belongs to: its id, the item's own name, whether the body is the loop's own single work."""

    id: str
    item: str | None = None
    single: bool = False
    goes_back: bool = False

    def has(self, name: str) -> bool:
        """Whether a pass, or an item, of this loop has a name."""
        return name == "loop" or name in self.fields or (not self.goes_back and name == self.item)

    @property
    def fields(self) -> frozenset[str]:
        """What is read from the loop's own id inside it."""
        return PASS_NAMES if self.goes_back else ITEM_NAMES


@dataclass
class Names:
    """Every name that one body sees: its own steps, and through ``outer`` those around it.

    Args:
        inputs: The pipeline's inputs.
        steps: The steps of the body.
        outputs: The pipeline's outputs.
        loose: Whether a step's id is unknown, so that unknown names are not reported.
        constants: The pipeline's constants.
        output_steps: For each output the steps it reads.
        outer: The names around the body.
        loop: The loop whose body it is.
        elsewhere: Names that exist inside a loop only, with the loop's id.
        handlers: Ids of steps that a failure leads to, which have ``error``.
        handler_unknown: Whether a failure leads to no step that there is, so that any may be meant.
        partitioned: Whether the pipeline has partitions, so that there is ``partition.key``.
    """

    inputs: Mapping[str, TypeSpec]
    steps: dict[str, StepNames]
    outputs: Collection[str] = ()
    loose: bool = False
    constants: Mapping[str, Any] = field(default_factory=dict)
    makers: dict[str, list[str]] = field(default_factory=dict)
    output_steps: dict[str, tuple[str, ...]] = field(default_factory=dict)
    outer: Names | None = None
    loop: LoopScope | None = None
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    handlers: Collection[str] = ()
    handler_unknown: bool = False
    partitioned: bool = True

    def __post_init__(self) -> None:
        for step in self.steps.values():
            for variable in step.variables:
                self.makers.setdefault(variable, []).append(step.id)
        self.dashed = {step.replace("-", "_"): step for step in self.steps if "-" in step}

    def inside(self, steps: dict[str, StepNames], loop: LoopScope, handlers: Collection[str] = ()) -> Names:
        """The names of a loop's body."""
        return replace(self, steps=steps, makers={}, outer=self, loop=loop, handlers=handlers)

    def around(self) -> Iterator[Names]:
        """These names, then those around them, the nearest first."""
        found: Names | None = self
        while found is not None:
            yield found
            found = found.outer

    def step(self, name: str) -> str | None:
        """The id of the step that a name in a template stands for (``-`` was made ``_`` for Jinja)."""
        for names in self.around():
            if name in names.steps:
                return name
            if name in names.dashed:
                return names.dashed[name]
        return None

    def offered(self, step: str) -> StepNames:
        """What a step that is seen here offers."""
        return next(names.steps[step] for names in self.around() if step in names.steps)

    def makers_of(self, variable: str) -> list[str]:
        """The steps that make a variable, of the nearest body that has one."""
        return next((names.makers[variable] for names in self.around() if variable in names.makers), [])

    def loop_of(self, name: str) -> LoopScope | None:
        """The loop around this body that a name stands for."""
        for names in self.around():
            if names.loop and name in (names.loop.id, names.loop.id.replace("-", "_")):
                return names.loop
        return None

    def item(self, name: str) -> LoopScope | None:
        """The loop whose item, or pass, has a name: the nearest one that does."""
        return next((names.loop for names in self.around() if names.loop and names.loop.has(name)), None)

    def handles(self, step: str) -> bool:
        """Whether a failure leads to a step, or to a loop that it stands in."""
        for names in self.around():
            if step in names.handlers:
                return True
            step = names.loop.id if names.loop else step
        return False

    def all_steps(self) -> list[str]:
        """Every step that is seen here."""
        return [step for names in self.around() for step in names.steps]

    def all(self) -> list[str]:
        """Every name that may stand first in a reference."""
        built_in = BUILT_IN_NAMES - LOOP_NAMES - _CONSTANTS
        found = [*self.inputs, *self.constants]
        for names in self.around():
            found += [*names.steps, *names.makers]
            if names.loop:
                found += [*names.loop.fields, "loop", *([names.loop.item] if names.loop.item else ())]
        return [*found, *built_in]


@dataclass
class Uses:
    """What one template reads: ids of steps, names of inputs, constants and outputs, included files.

    ``loops`` are the ids of the loops around of which it reads what only an item, or a pass, has; ``items`` of those of
    which it reads the item itself.
    """

    steps: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    includes: tuple[str, ...] = ()
    loops: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)

    def add(self, other: Uses) -> None:
        """Take over what another template of the same value reads."""
        self.steps.extend(one for one in other.steps if one not in self.steps)
        for mine, more in (
            (self.inputs, other.inputs),
            (self.constants, other.constants),
            (self.outputs, other.outputs),
            (self.loops, other.loops),
            (self.items, other.items),
        ):
            mine.extend(more)
        self.includes = (*self.includes, *other.includes)

    def item(self, loop: LoopScope, name: str) -> None:
        """Note that it reads a name of an item, or of a pass."""
        self.loops.append(loop.id)
        if name in ("item", loop.item):
            self.items.append(loop.id)
