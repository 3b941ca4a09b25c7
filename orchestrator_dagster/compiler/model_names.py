"""Whether every model that a pipeline names exists: of steps and experts, used or not, and every one of a list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator_dagster.compiler.kinds import Place
from orchestrator_dagster.errors import UnknownModelError
from orchestrator_dagster.language.base import has_template
from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.pipeline import Pipeline
from orchestrator_dagster.language.settings import Expert, SelectionSchema
from orchestrator_dagster.language.step import Step
from orchestrator_dagster.text import without_question

#: Stands in a value that is decided when it is used; for a model, by the selection schema.
AUTO = "<AUTO"
#: Reads a model's name; raises UnknownModelError for what names none.
ModelNames = Callable[[str], object]


@dataclass
class ModelNameChecker:
    """Notes names that are no model's, each at every place where it stands.

    Args:
        read: Reads a name.
        document: The file.
        problems: Takes what is wrong.
    """

    read: ModelNames
    document: Document
    problems: Problems
    _errors: dict[str, UnknownModelError | None] = field(default_factory=dict)

    def check_pipeline(self, pipeline: Pipeline) -> None:
        """Check what the header and all steps name, the steps of loops included."""
        if pipeline.orchestrator is not None:
            self.check(pipeline.orchestrator, ("orchestrator",))
        self._check_all(pipeline.default_model, ("default_model",))
        for name, expert in pipeline.experts.items():
            self._check_expert(expert, ("experts", name))
        self._check_fallback(pipeline.selection_schema, ("selection_schema",))
        self._check_steps(pipeline.steps, ())

    def check(self, name: str, place: Place, step: str | None = None) -> bool:
        """Whether a name may be a model's; when not, that is noted."""
        error = self.error(name)
        if error is None:
            return True
        message, near = without_question(error.message)
        span = self.document.span(place)
        self.problems.add("unknown-model", message, span, step=step, suggestion=near, hint=error.hint)
        return False

    def error(self, name: str) -> UnknownModelError | None:
        """What is wrong with a name; None where it is a model's, or is known only when the step runs."""
        if has_template(name) or AUTO in name:
            return None
        if name not in self._errors:
            try:
                self.read(name)
                self._errors[name] = None
            except UnknownModelError as error:
                self._errors[name] = error
        return self._errors[name]

    def _check_all(self, names: tuple[str, ...] | None, place: Place, step: str | None = None) -> None:
        for number, name in enumerate(names or ()):
            self.check(name, (*place, number), step)

    def _check_expert(self, expert: Expert, place: Place) -> None:
        provider = (*place, "provider")
        if expert.provider and self.error(f"{expert.provider}:any") is not None:
            self.check(f"{expert.provider}:{expert.model[0]}", provider)
            return
        for number, name in enumerate(expert.model):
            self._check_provider(expert, name, place, number)
        long_form = (*place, "model")
        self._check_all(names_of(expert), long_form if self.document.has(long_form) else place)

    def _check_provider(self, expert: Expert, name: str, place: Place, number: int) -> None:
        """Note a model that names one provider while its expert names another."""
        head, found, rest = name.partition(":")
        if not (found and rest and expert.provider) or name.startswith(f"{expert.provider}:"):
            return
        if self.error(name) is None and self.error(f"{head}:any") is None:  # `llama3.2:1b` names no provider
            at = (*place, "model", number)
            self.problems.add(
                "unknown-model",
                f'the model "{name}" is one of {head}, and `provider` says {expert.provider}',
                self.document.span(at if self.document.has(at) else (*place, "model")),
                hint=f"keep one of the two: `model: {name}` without `provider`, or `model: {rest}`",
            )

    def _check_fallback(self, schema: SelectionSchema | None, place: Place, step: str | None = None) -> None:
        if schema is not None:
            self._check_all(schema.fallback, (*place, "fallback"), step)

    def _check_steps(self, steps: tuple[Step, ...], place: Place) -> None:
        for number, step in enumerate(steps):
            here = (*place, "steps", number)
            self._check_all(step.model, (*here, "model"), step.id)
            self._check_fallback(step.selection_schema, (*here, "selection_schema"), step.id)
            self._check_steps(step.steps or (), here)


def names_of(expert: Expert) -> tuple[str, ...]:
    """The models of an expert, with its provider before each."""
    prefix = f"{expert.provider}:" if expert.provider else ""
    return tuple(name if name.startswith(prefix) else prefix + name for name in expert.model)
