"""The steps of a pipeline while it is being compiled: bodies within bodies, and what was found about each step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledProduct
from orchestrator_dagster.compiler.ids import IdChecker
from orchestrator_dagster.compiler.kinds import Place, Work, work_of
from orchestrator_dagster.compiler.loops import check_loop, is_loop
from orchestrator_dagster.compiler.models import ModelChoice
from orchestrator_dagster.compiler.parameters import check_parameters
from orchestrator_dagster.compiler.tool_shapes import ToolShapes
from orchestrator_dagster.language.read import Reading
from orchestrator_dagster.language.settings import FailureHandler
from orchestrator_dagster.language.step import Step


@dataclass
class Draft:
    """A step while it is being compiled: as written, where, what it does, and what was found about it.

    ``edges`` has every step of its body that it waits for, with the place that names it first. ``previous`` are steps
    whose last pass it reads, in a body that repeats. ``handlers`` are its own and those of the header that are for it.
    ``per_item`` are products and conditions of a loop around a single piece of work that name what only an item has.
    ``one_path`` has, for each product whose path is the same for all items of a loop around it, that loop.
    """

    step: Step
    place: Place
    work: Work | None
    home: Body = field(repr=False)
    body: Body | None = None
    edges: dict[str, Place] = field(default_factory=dict)
    previous: set[str] = field(default_factory=set)
    handlers: tuple[FailureHandler, ...] = ()
    inputs: set[str] = field(default_factory=set)
    constants: set[str] = field(default_factory=set)
    outputs: set[str] = field(default_factory=set)
    includes: set[str] = field(default_factory=set)
    models: ModelChoice | None = None
    products: tuple[CompiledProduct, ...] = ()
    per_item: set[str] = field(default_factory=set)
    one_path: dict[str, str] = field(default_factory=dict)
    pipeline: CompiledPipeline | None = None

    @property
    def repeats(self) -> bool:
        """Whether it is a loop."""
        return is_loop(self.step)

    def inputs_inside(self) -> set[str]:
        """The inputs that it, or what is inside it, reads."""
        return self.inputs.union(*(one.inputs_inside() for one in self.body.drafts.values()) if self.body else ())

    @property
    def condition_per_item(self) -> bool:
        """Whether its condition is asked for each item and not for the whole loop."""
        return "condition" in self.per_item


@dataclass
class Body:
    """The top level of a pipeline (``owner`` is None), or the steps of one loop."""

    place: Place
    owner: Draft | None = None
    drafts: dict[str, Draft] = field(default_factory=dict)

    def walk(self) -> Iterator[Draft]:
        """Every step, those inside loops behind their loop."""
        for draft in self.drafts.values():
            yield draft
            if draft.body:
                yield from draft.body.walk()

    def bodies(self) -> Iterator[Body]:
        """This body and those inside it."""
        yield self
        for draft in self.drafts.values():
            if draft.body:
                yield from draft.body.bodies()

    def around(self) -> Iterator[Draft]:
        """The loops that this body stands in, the nearest first."""
        owner = self.owner
        while owner is not None:
            yield owner
            owner = owner.home.owner

    @property
    def goes_back(self) -> bool:
        """Whether it is run again after itself, so that a pass can read the one before: in ``while`` and ``until``."""
        return self.owner is not None and self.owner.step.for_each is None

    @property
    def edges(self) -> dict[str, list[str]]:
        """For each step those of this body that it waits for."""
        return {name: [one for one in draft.edges if one in self.drafts] for name, draft in self.drafts.items()}


def read_bodies(reading: Reading, tools: ToolShapes) -> Body:
    """What each step does, and whether its id is its own; the problems are noted."""
    pipeline = reading.pipeline
    assert pipeline is not None
    ids = IdChecker(pipeline, pipeline.steps, reading.document, reading.problems)
    return _read(pipeline.steps, ("steps",), None, reading, tools, ids)


def _read(
    steps: Sequence[Step], place: Place, owner: Draft | None, reading: Reading, tools: ToolShapes, ids: IdChecker
) -> Body:
    body = Body(place, owner)
    for number, step in enumerate(steps):
        here = (*place, number)
        if step.id in reading.made_up_ids:
            continue
        ids.check(step, here)
        check_loop(step, here, reading)
        work = work_of(step, here, tools, reading)
        if work and work.shape is not None:
            check_parameters(step, work, here, reading.document, reading.problems)
        draft = Draft(step, here, work, body)
        if step.steps:
            inner = ids.inside(step, here)
            draft.body = _read(step.steps, (*here, "steps"), draft, reading, tools, inner)
        elif is_loop(step):
            ids.inside(step, here)
        body.drafts.setdefault(step.id, draft)
    return body
