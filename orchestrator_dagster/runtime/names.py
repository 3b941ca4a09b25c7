"""The names that a step's templates see, built from the inputs and the outcomes of the steps before it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.errors import TemplateError
from orchestrator_dagster.language.absent import Absent
from orchestrator_dagster.language.templates import render_tree
from orchestrator_dagster.runtime.outcome import Iteration, Outcome

_OUTCOME_NAMES = ("status", "success", "error", "skipped", "result", "value", "location")
_LOOP_FIELDS = ("results", "iterations", "failed", "count")


@dataclass(frozen=True)
class RunInfo:
    """The run that a step belongs to. ``id`` is Dagster's run id."""

    id: str
    started_at: datetime
    partition_key: str | None = None


class StepView(Mapping[str, Any]):
    """A step as templates see it: its outcome, its variables, the fields of its value; by itself it is its value."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def main_value(self) -> Any:
        """The step's value; absent, with the reason, when it was skipped or failed."""
        reason = self.outcome.absent_reason
        return self.outcome.value if reason is None else Absent(reason)

    def __getitem__(self, name: Any) -> Any:
        outcome = self.outcome
        if name in _OUTCOME_NAMES:
            return self._outcome_field(name)
        reason = outcome.absent_reason
        if outcome.iterations is not None and name in _LOOP_FIELDS:
            return _loop_field(outcome, name)
        if reason is not None:
            return Absent(reason)
        if name in outcome.variables:
            return outcome.variables[name]
        value = outcome.value
        if isinstance(value, Mapping) or (isinstance(value, (list, tuple, str)) and isinstance(name, int)):
            try:
                return value[name]
            except (KeyError, IndexError):
                pass  # said below, with what there is
        return Absent(f'the step "{outcome.step}" left no "{name}"; it left {self._left()}')

    def _left(self) -> str:
        fields = [*self.outcome.variables, *(self.outcome.value if isinstance(self.outcome.value, Mapping) else ())]
        return (
            ", ".join(dict.fromkeys(map(str, fields)))
            or f"a value without fields ({type(self.outcome.value).__name__})"
        )

    def _outcome_field(self, name: str) -> Any:
        outcome = self.outcome
        if name in ("result", "value"):
            return self.main_value()
        if name == "status":
            return outcome.status
        if name == "success":
            return outcome.status == "completed"
        if name == "skipped":
            return outcome.status == "skipped"
        if name == "error":
            return outcome.error.shown() if outcome.error else None
        return outcome.location if outcome.location else Absent(f'the step "{outcome.step}" wrote no product')

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self.outcome.variables, *_OUTCOME_NAMES]))

    def __len__(self) -> int:
        return len(list(iter(self)))


class IterationView(Mapping[str, Any]):
    """An item or a pass as templates see it: the steps of its body, and its own value."""

    def __init__(self, iteration: Iteration) -> None:
        self.iteration = iteration
        self.steps = {
            name: StepView(outcome)
            for step, outcome in iteration.steps.items()
            for name in dict.fromkeys((step, step.replace("-", "_")))
        }

    def main_value(self) -> Any:
        """The value of its last step."""
        return self.iteration.value

    def __getitem__(self, name: Any) -> Any:
        one = self.iteration
        if name in self.steps:
            return self.steps[name]
        if name in ("value", "result"):
            return one.value
        if name == "error":
            return one.error.shown() if one.error else None
        fields = {
            "index": one.index, "status": one.status, "success": one.status == "completed",
            "skipped": one.status == "skipped", "steps": self.steps,
        }  # fmt: skip
        if name in fields:
            return fields[name]
        if isinstance(one.value, Mapping) and name in one.value:
            return one.value[name]
        reasons = (outcome.absent_reason for outcome in one.steps.values())
        of_a_step = (
            next((reason for reason in reasons if reason is not None), None) if one.status != "completed" else None
        )
        return Absent(of_a_step or f'pass {one.index} has no "{name}"; it has {", ".join(self.steps)}')

    def __iter__(self) -> Iterator[str]:
        return iter((*self.steps, "index", "status", "value"))

    def __len__(self) -> int:
        return len(self.steps) + 3


class PassView(StepView):
    """A loop around a single piece of work, seen from inside: the numbers of this pass, and the outcome of the last."""

    def __init__(self, outcome: Outcome, numbers: Mapping[str, Any]) -> None:
        super().__init__(outcome)
        self.numbers = numbers

    def __getitem__(self, name: Any) -> Any:
        return self.numbers[name] if name in self.numbers else super().__getitem__(name)


def _loop_field(outcome: Outcome, name: str) -> Any:
    """What a loop leaves besides its value."""
    iterations = outcome.iterations or ()
    if name == "iterations":
        return [IterationView(one) for one in iterations]
    if name == "count":
        return len(iterations)
    if name == "failed":
        return [
            {"index": one.index, "error": one.error.shown() if one.error else None}
            for one in iterations
            if one.status == "failed"
        ]
    return [one.value for one in iterations]


class EnvironmentView(Mapping[str, Any]):
    """Environment variables, only those that the workspace allows."""

    def __init__(self, allowed: frozenset[str]) -> None:
        self.allowed = allowed

    def __getitem__(self, name: str) -> Any:
        if name not in self.allowed:
            return Absent(f'the environment variable "{name}" is not allowed: add it to the workspace\'s `environment`')
        value = os.environ.get(name)
        return value if value is not None else Absent(f'the environment variable "{name}" is not set')

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.allowed))

    def __len__(self) -> int:
        return len(self.allowed)


class OutputsView(Mapping[str, Any]):
    """The declared outputs, each rendered when it is read: ``outputs.x`` in a step, or in another output."""

    def __init__(self, pipeline: CompiledPipeline, names: Mapping[str, Any], outcomes: Mapping[str, Outcome]) -> None:
        self._pipeline = pipeline
        self._names = names
        self._outcomes = outcomes
        self._rendering: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        value = self._pipeline.outputs[name]
        absent: str | None = None
        for step in self._pipeline.output_steps.get(name, ()):
            outcome = self._outcomes.get(step)
            if outcome is None:
                return Absent(f'the output "{name}" needs the step "{step}", which has not run yet')
            absent = absent or outcome.absent_reason
        if name in self._rendering:
            return Absent(f'the output "{name}" refers to itself')
        self._rendering.add(name)
        try:
            return render_tree(value, self._names, dashed=self._pipeline.dashed)
        except TemplateError as error:
            absent = absent or self._absent_inside(name, error.missing)
            if absent is None:
                raise TemplateError(f'the output "{name}": {error.message}', hint=error.hint) from None
            return Absent(absent)  # unless `default()` or a test took care of it, it needs a value that is not there
        finally:
            self._rendering.discard(name)

    def _absent_inside(self, name: str, missing: Sequence[str]) -> str | None:
        """Why a step inside a loop has no value that the output needs, when that is one of what was not there."""
        outcomes = [self._outcomes[step] for step in self._pipeline.output_steps.get(name, ())]
        while outcomes:
            one = outcomes.pop()
            inside = [inner for passed in one.iterations or () for inner in passed.steps.values()]
            for inner in inside:
                if inner.absent_reason in missing:
                    return inner.absent_reason
            outcomes += inside
        return None

    def __iter__(self) -> Iterator[str]:
        return iter(self._pipeline.outputs)

    def __len__(self) -> int:
        return len(self._pipeline.outputs)


def names_for(
    pipeline: CompiledPipeline,
    inputs: Mapping[str, Any],
    outcomes: Mapping[str, Outcome],
    run: RunInfo,
    environment: frozenset[str] = frozenset(),
    own: Mapping[str, Any] | None = None,
    known: Mapping[str, CompiledStep] | None = None,
) -> dict[str, Any]:
    """Every name a template may use.

    Args:
        pipeline: The pipeline.
        inputs: Value of each input; an input that is not in it is absent.
        outcomes: Outcomes of the steps that are there, by id.
        run: The run.
        environment: Names of environment variables that may be read.
        own: Names that only one place has: those of an item, ``error``.
        known: The steps that the outcomes are of, default those of the top level.
    """
    known = pipeline.by_id if known is None else known
    given = {
        name: inputs[name] if name in inputs else Absent(f'the input "{name}" was not given and has no default')
        for name in pipeline.inputs
    }
    steps: dict[str, Any] = {}
    variables: dict[str, Any] = {}
    for name, outcome in outcomes.items():
        view = StepView(outcome)
        steps[name] = steps[name.replace("-", "_")] = view
        for variable in known[name].variables:
            variables[variable] = view[variable] if outcome.absent_reason is None else Absent(outcome.absent_reason)
    now = datetime.now(timezone.utc)
    names: dict[str, Any] = {
        "null": None,
        "timestamp": now.isoformat(timespec="seconds"),
        "current_timestamp": now.isoformat(timespec="seconds"),
        "current_date": now.date().isoformat(),
        "pipeline_id": pipeline.id,
        "execution": {
            "id": run.id,
            "timestamp": run.started_at.isoformat(timespec="seconds"),
            "started_at": run.started_at.isoformat(timespec="seconds"),
            "date": run.started_at.date().isoformat(),
            "time": run.started_at.strftime("%H:%M:%S"),
        },
        "partition": {"key": run.partition_key if run.partition_key else Absent("the run has no partition")},
        "env": EnvironmentView(environment),
        "steps": steps,
        "results": steps,
        "previous_results": steps,
        "_include": lambda path: pipeline.includes[path],
        **variables,
        **steps,
        **given,
        "inputs": given,
        "parameters": given,
    }
    for name, value in pipeline.constants.items():
        names[name] = render_tree(value, names, dashed=pipeline.dashed)
    names["outputs"] = OutputsView(pipeline, names, outcomes)
    names.update(own or {})
    return names
