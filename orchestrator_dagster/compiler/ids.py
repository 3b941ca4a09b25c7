"""Names that hide each other: ids of steps, variables, items of loops, inputs, and what the language has built in."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from functools import cached_property

from orchestrator_dagster.compiler.header import step_names
from orchestrator_dagster.compiler.kinds import Place
from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.pipeline import Pipeline
from orchestrator_dagster.language.step import Step


class IdChecker:
    """Checks that every name of one body stands for one thing.

    Args:
        pipeline: The pipeline, for the names of its header.
        steps: The steps of the body.
        document: The file.
        problems: Where what is wrong is noted.
        taken: Names that may not be used here, with what they would hide; default those of the header.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        steps: Sequence[Step],
        document: Document,
        problems: Problems,
        taken: Mapping[str, str] | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.document = document
        self.problems = problems
        self.taken = step_names(pipeline) if taken is None else taken
        self.steps = {step.id.replace("-", "_"): step.id for step in steps}
        self.first: dict[str, tuple[str, Place]] = {}

    def inside(self, loop: Step, place: Place) -> IdChecker:
        """The checker for a loop's body, where the names around it are taken; checks the name of the item."""
        taken = self.all_taken
        if loop.as_ is not None and loop.as_ != "item":
            if loop.as_ in taken:
                self.problems.add(
                    "reserved-name",
                    f'step "{loop.id}": the item\'s name "{loop.as_}" hides {taken[loop.as_]}',
                    self.document.span((*place, "as")),
                    step=loop.id,
                    hint="call the item otherwise",
                )
            else:
                taken = ChainMap({loop.as_: f'the item of the loop "{loop.id}"'}, *taken.maps)
        return IdChecker(self.pipeline, loop.steps or (), self.document, self.problems, taken)

    @cached_property
    def all_taken(self) -> ChainMap[str, str]:
        """The names that are taken, those of this body's steps among them."""
        return ChainMap(
            {name: f'the step "{step}"' for name, step in self.steps.items()},
            *getattr(self.taken, "maps", [self.taken]),
        )

    def check(self, step: Step, place: Place) -> None:
        """Ids are unique, also where Dagster reads ``-`` as ``_``, and hide no input and no built-in name."""
        span = self.document.span((*place, "id"))
        first, first_place = self.first.setdefault(step.id.replace("-", "_").lower(), (step.id, place))
        if first_place != place:
            line = self.document.span((*first_place, "id")).line
            self.problems.add(
                "duplicate-id",
                f'two steps are called "{step.id}"; first in line {line}'
                if first == step.id
                else f'the step ids "{first}" (line {line}) and "{step.id}" are one name in Dagster',
                span,
                step=step.id,
                hint="rename one of them",
            )
        hidden = self.taken.get(step.id.replace("-", "_"))
        if hidden:
            self.problems.add(
                "reserved-name", f'the step id "{step.id}" hides {hidden}', span, step=step.id, hint="rename the step"
            )
        for variable in dict.fromkeys((*step.vars, *(() if step.vars else step.products))):
            self.check_variable(step, variable, place)

    def check_variable(self, step: Step, variable: str, place: Place) -> None:
        """A variable hides no input, no built-in name and no other step."""
        hidden = self.taken.get(variable)
        other = self.steps.get(variable)
        if other and other != step.id:
            hidden = f'the step "{other}"'
        if hidden:
            self.problems.add(
                "reserved-name",
                f'step "{step.id}": the variable "{variable}" hides {hidden}',
                self.document.key_span((*place, "vars" if variable in step.vars else "products", variable)),
                step=step.id,
                hint="rename the variable",
            )
