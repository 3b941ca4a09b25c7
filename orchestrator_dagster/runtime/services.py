"""What a step needs from around it. Dagster's resources, or a plain script, put it together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator_dagster.errors import StepInterruptedError
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.language.settings import Budget
from orchestrator_dagster.models.budget import Limit
from orchestrator_dagster.models.call_store import CallStore
from orchestrator_dagster.models.known_models import KnownModels
from orchestrator_dagster.models.ledger import Ledger
from orchestrator_dagster.models.personalities import home_folder
from orchestrator_dagster.models.run_clients import Clients
from orchestrator_dagster.runtime.journal import Journal
from orchestrator_dagster.runtime.secrets import Redactor
from orchestrator_dagster.tools.registry import ToolRegistry

if TYPE_CHECKING:
    from orchestrator_dagster.runtime.people import People


@dataclass(frozen=True)
class Services:
    """The tools, models and files of a run.

    Args:
        workspace: The files it may touch.
        tools: The tools its steps may call.
        models: The clients of its models.
        redactor: Keeps secrets out of what is written.
        log: Called with one line for the run's log.
        interrupted: Whether the run wants its steps to stop. Work that takes long looks at it.
        calls: Has the answers that need not be paid again; None for asking every time.
        occurrence: The step's path in the run, for example ``each[3]/draft`` in a loop; empty for the step's id.
        people: Whom its steps may ask; None where there is no place for questions.
        item_done: Called with the step's id, an item's number and how many there are (None for passes), for the loops
            of the top level.
        known_models: What is known of models, and which can be reached: what a choice is made from.
        journal: Has what steps inside loops and other pipelines have left; None for running them every time.
        audit: Called with the entry of every call of a model or a tool, without secrets, as JSON values.
        ledger: The run's book of what its calls take, for all of its processes. Without one, of these services alone.
        limits: The budgets that hold here, the widest first.
    """

    workspace: Workspace
    tools: ToolRegistry
    models: Clients
    redactor: Redactor = field(default_factory=Redactor)
    log: Callable[[str], None] = lambda line: None
    interrupted: Callable[[], bool] = lambda: False
    calls: CallStore | None = None
    occurrence: str = ""
    item_done: Callable[[str, int, int | None], None] = lambda step, index, total: None
    journal: Journal | None = None
    people: People | None = None
    known_models: KnownModels = field(default_factory=KnownModels)
    audit: Callable[[Mapping[str, Any]], None] = lambda entry: None
    ledger: Ledger = field(default_factory=Ledger)
    limits: tuple[Limit, ...] = ()

    def within(self, budget: Budget | None, place: str, what: str) -> Services:
        """These services with a budget that holds from a place on; once, however often it is said."""
        if budget is None:
            return self
        limit = Limit(place, what, budget.cost, budget.tokens, budget.calls)
        return self if limit in self.limits else replace(self, limits=(*self.limits, limit))

    def check_interrupted(self) -> None:
        """Stop here when the run is stopped.

        Raises:
            StepInterruptedError: It is.
        """
        if self.interrupted():
            raise StepInterruptedError("the run was stopped")

    @property
    def personality_folders(self) -> tuple[Path, ...]:
        """Where personalities are looked up before the built-in ones."""
        return (self.workspace.root / "personalities", home_folder())
