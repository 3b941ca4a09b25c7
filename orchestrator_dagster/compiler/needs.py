"""What a step needs of a model, and how its model is chosen: data that a compiled step carries."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from orchestrator_dagster.language.settings import SelectionSchema
from orchestrator_dagster.language.step import Step
from orchestrator_dagster.model_words import billions


class StepNeeds(BaseModel):
    """What a model must bring for a step. What the prompt needs is known when it is rendered.

    Args:
        capabilities: What it must be able to do because of what the step does: to call tools.
        required: What the step's `requires_model` says that it must be able to do.
        min_size: Fewest parameters, in billions.
        expertise: What it must be good at.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    capabilities: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    min_size: float | None = None
    expertise: tuple[str, ...] = ()


class StepChoice(BaseModel):
    """How the model of a step is chosen.

    Args:
        selection: The schema that holds for the step.
        needs: What a model must bring.
        catalogue: Whether the schema picks from the catalogue. Else the step's ``models`` are the candidates; a single
            one is named, and is not replaced.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    selection: SelectionSchema = Field(default_factory=lambda: SelectionSchema(strategy="balanced"))
    needs: StepNeeds = StepNeeds()
    catalogue: bool = False


def needs_of(step: Step) -> StepNeeds:
    """What a step needs: tools need a model that calls them.

    Variables need no capability: a model that its provider cannot hold to a schema finds it in the prompt.
    """
    wanted = step.requires_model
    return StepNeeds(
        capabilities=("tools",) if step.tools else (),
        required=tuple(wanted.capabilities) if wanted else (),
        min_size=billions(wanted.min_size) if wanted and wanted.min_size else None,
        expertise=tuple(wanted.expertise) if wanted else (),
    )
