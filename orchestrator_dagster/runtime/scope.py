"""Where a step runs: its pipeline, the inputs, what the steps around it have left, and the names of the place."""

from __future__ import annotations

import json
import os
import time
from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from orchestrator_dagster.compiler.compiled import AssetPath, CompiledPipeline, CompiledStep
from orchestrator_dagster.compiler.fingerprint import digest
from orchestrator_dagster.errors import StepInterruptedError, StepTimeoutError
from orchestrator_dagster.runtime.names import RunInfo, names_for
from orchestrator_dagster.runtime.outcome import Decision, Outcome, UsageInfo
from orchestrator_dagster.runtime.secrets import Redactor
from orchestrator_dagster.runtime.services import Services


@dataclass
class Decisions:
    """What was decided for a step at one place of a run, and what that took. ``names`` counts the decisions."""

    made: list[Decision] = field(default_factory=list)
    usage: UsageInfo = field(default_factory=UsageInfo)
    names: int = 0


@dataclass(frozen=True)
class Scope:
    """Where a step runs.

    Args:
        pipeline: The pipeline the step belongs to.
        inputs: Completed inputs, secrets as their values.
        run: The run.
        services: Tools, models and files.
        outcomes: What the steps that are seen from here have left, by id.
        steps: The steps that may be seen from here, by id.
        own: Names that only this place has: the item and its numbers.
        path: The loops and pipelines around the step, for example ``each[3]/``; empty at the top level.
        deadline: When the work around the step is over, on the clock of ``time.monotonic``; None for never.
        wanted: Keys of the products that are written, None for all.
        secrets: For each input that is a secret, the environment variable that has it.
        depth: How many pipelines run each other down to here, this one counted.
        basis: Stands for all that the work here can read from the steps before and around it. Empty without a journal.
        decisions: Takes what is decided here for ``<AUTO>`` values.
    """

    pipeline: CompiledPipeline
    inputs: Mapping[str, Any]
    run: RunInfo
    services: Services
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    steps: Mapping[str, CompiledStep] = field(default_factory=dict)
    own: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""
    deadline: float | None = None
    wanted: frozenset[AssetPath] | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    basis: str = ""
    depth: int = 1
    decisions: Decisions = field(default_factory=Decisions)

    @classmethod
    def of(
        cls,
        pipeline: CompiledPipeline,
        inputs: Mapping[str, Any],
        run: RunInfo,
        services: Services,
        outcomes: Mapping[str, Outcome] | None = None,
        path: str = "",
    ) -> Scope:
        """The top level of a pipeline; what its secrets are is known to nobody but its steps. Its budget holds in it.

        ``path`` is that of a pipeline which a step of another one runs.
        """
        secrets = {
            name: str(inputs[name])
            for name, spec in pipeline.inputs.items()
            if spec.kind == "secret" and name in inputs
        }
        values = {**inputs, **{name: os.environ.get(variable, "") for name, variable in secrets.items()}}
        if secrets:
            hidden = [*services.redactor.own, *(str(values[name]) for name in secrets)]
            services = replace(services, redactor=Redactor(hidden))
        services = services.within(pipeline.budget, path.rstrip("/"), f'the pipeline "{pipeline.id}"')
        return cls(pipeline, values, run, services, outcomes or {}, pipeline.by_id, path=path, secrets=secrets)

    def seeing(self, outcomes: Mapping[str, Outcome]) -> Scope:
        """This place when the steps beside it have ended so."""
        return replace(self, outcomes=outcomes)

    def inside(self, steps: Iterable[CompiledStep], own: Mapping[str, Any], path: str) -> Scope:
        """A place inside this one: an item of a loop, or a pass."""
        return replace(
            self,
            steps=ChainMap({step.id: step for step in steps}, cast("dict[str, CompiledStep]", self.steps)),
            own={**self.own, **own},
            path=f"{self.path}{path}/",
        )

    def resting_on(self, outcomes: Mapping[str, Outcome]) -> Scope:
        """This place when its work reads these outcomes, and the item or pass that it is in."""
        if self.services.journal is None:
            return self
        read = {
            name: [one.state.value, one.value, one.variables, one.error.message if one.error else None]
            for name, one in outcomes.items()
        }
        own = {name: self.own[name] for name in ("item", "index") if name in self.own}
        # In the order they stand in: keys of a value need not be comparable.
        return replace(self, basis=digest([self.basis, json.dumps([read, own], skipkeys=True, default=str)]))

    def at(self, step: CompiledStep) -> Scope:
        """This place as one of its steps has it: its own budget, decisions of its own.

        The budget of a loop around a single piece of work is that of the whole loop, not of each item.
        """
        place = self.occurrence(step)
        services = self.services
        if place == f"{self.path}{step.id}":
            services = services.within(step.spec.budget, place, f'the step "{place}"')
        return replace(self, services=services, decisions=Decisions())

    def with_own(self, own: Mapping[str, Any]) -> Scope:
        """This place with further names that only it has."""
        return replace(self, own={**self.own, **own})

    def until(self, seconds: float | None) -> Scope:
        """This place with at most so much time for what happens in it."""
        if seconds is None:
            return self
        end = time.monotonic() + seconds
        return replace(self, deadline=end if self.deadline is None else min(end, self.deadline))

    def names(self, error: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Every name that a template may use here.

        Args:
            error: What a step that a failure led to has as ``error``.
        """
        environment = self.services.workspace.environment
        own = self.own if error is None else {**self.own, "error": error}
        return names_for(self.pipeline, self.inputs, self.outcomes, self.run, environment, own, self.steps)

    def wants(self, product: AssetPath) -> bool:
        """Whether the product of that key is to be written."""
        return self.wanted is None or product in self.wanted

    def occurrence(self, step: CompiledStep) -> str:
        """The step's path in the run, for example ``each[3]/draft``; that of a loop's single work is ``each[3]``."""
        around = self.path[:-1]
        if around.rpartition("/")[2].rpartition("[")[0] == step.id:
            return around
        return f"{self.path}{step.id}"

    def remaining(self, own: float | None) -> float | None:
        """The seconds that a step has: its own, or what is left of those around it.

        Raises:
            StepTimeoutError: Nothing is left.
        """
        if self.deadline is None:
            return own
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise StepTimeoutError(f"the time of the loop {self.path.rstrip('/')} is over")
        return left if own is None else min(own, left)

    @property
    def is_over(self) -> bool:
        """Whether the time of what is around the work here is over."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def check_interrupted(self) -> None:
        """Stop here when the run is stopped.

        Raises:
            StepInterruptedError: It is.
        """
        if self.services.interrupted():
            raise StepInterruptedError("the run was stopped")
