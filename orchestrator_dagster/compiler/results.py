"""What a step's variables and products take from its tool's result, where the fields of that are known."""

from __future__ import annotations

from collections.abc import Collection

from orchestrator_dagster.compiler.bodies import Body, Draft
from orchestrator_dagster.compiler.kinds import Place
from orchestrator_dagster.compiler.tool_shapes import known_fields
from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.template_names import read_template
from orchestrator_dagster.text import nearest_name


def check_results(top: Body, document: Document, problems: Problems) -> None:
    """Note every field that is taken from a tool's result and that the tool does not give."""
    dashed = frozenset(draft.step.id for draft in top.walk() if "-" in draft.step.id)
    for draft in top.walk():
        fields = known_fields(draft.work.shape.result) if draft.work and draft.work.shape else None
        if fields is None:
            continue
        checker = _ResultChecker(draft, fields, dashed, document, problems)
        for name, variable in draft.step.vars.items():
            place = (*draft.place, "vars", name)
            if variable.value is not None:
                checker.template(variable.value, (*place, "value") if document.has((*place, "value")) else place)
            elif len(draft.step.vars) > 1 and name not in fields:  # one by itself is the whole result
                checker.by_name(name, place)
        for name, product in draft.step.products.items():
            checker.template(product.path, (*draft.place, "products", name, "path"))


class _ResultChecker:
    def __init__(
        self, draft: Draft, fields: Collection[str], dashed: frozenset[str], document: Document, problems: Problems
    ) -> None:
        assert draft.work is not None
        self.step = draft.step.id
        self.fields = fields
        self.dashed = dashed
        self.document = document
        self.problems = problems
        self.said = f'step "{self.step}": the result of {draft.work.tool}.{draft.work.action} has no'
        self.hint = f"it has {', '.join(sorted(fields))}"

    def by_name(self, name: str, place: Place) -> None:
        """A variable that is the result's field of its name."""
        near = nearest_name(name, self.fields)
        self.problems.add(
            "unknown-field",
            f'{self.said} "{name}", which the variable of this name is taken from',
            self.document.key_span(place),
            step=self.step,
            suggestion=near,
            hint=f'rename it, or say where it comes from: `{name}: "{{{{ result.{near or min(self.fields)} }}}}"`'
            if self.fields
            else None,
        )

    def template(self, text: str, place: Place) -> None:
        """A template in which ``result`` is the tool's result."""
        for use in read_template(text, self.dashed).names:
            if use.root != "result" or not use.path[1:]:
                continue
            name = use.path[1]
            if not isinstance(name, str) or name in self.fields:
                continue
            near = nearest_name(name, self.fields)
            self.problems.add(
                "guarded-name" if use.guarded else "unknown-field",
                f'{self.said} "{name}"' + ("; only its default will ever be used" if use.guarded else ""),
                self.document.place_in(place, name, "result", use.line),
                severity="warning" if use.guarded else "error",
                step=self.step,
                suggestion=near,
                hint=None if near else self.hint,
            )
