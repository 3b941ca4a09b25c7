"""Names that hide each other: ids of steps, variables, inputs, and what the language has built in."""

from __future__ import annotations

from orchestrator_dagster.compiler.header import step_names
from orchestrator_dagster.compiler.kinds import Place
from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.pipeline import Pipeline
from orchestrator_dagster.language.step import Step


class IdChecker:
    """Checks that every name stands for one thing."""

    def __init__(self, pipeline: Pipeline, document: Document, problems: Problems) -> None:
        self.document = document
        self.problems = problems
        self.taken = step_names(pipeline)
        self.steps = {step.id.replace("-", "_"): step.id for step in pipeline.steps}
        self.first: dict[str, tuple[str, Place]] = {}

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
