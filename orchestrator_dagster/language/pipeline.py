"""The header of a pipeline file, and the file as a whole."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from orchestrator_dagster.language.base import (
    Duration,
    Integer,
    Model,
    OneMap,
    Switch,
    check_identifier,
    no_number,
    problem,
)
from orchestrator_dagster.language.settings import (
    Budget,
    CacheMode,
    Expert,
    FailureHandler,
    Models,
    Qc,
    Retries,
    SelectionSchema,
)
from orchestrator_dagster.language.step import Step, check_variable_name
from orchestrator_dagster.language.types import InputSpec

#: Names that templates already have; an input, a step or a variable of this name would hide them.
BUILT_IN_NAMES = frozenset(
    [
        "inputs",
        "parameters",
        "steps",
        "results",
        "previous_results",
        "outputs",
        "item",
        "index",
        "is_first",
        "is_last",
        "length",
        "iteration",
        "loop",
        "error",
        "execution",
        "timestamp",
        "current_timestamp",
        "current_date",
        "pipeline_id",
        "partition",
        "env",
        "null",
        "true",
        "false",
        "none",
        "now",
    ]
)


def _list(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else [value]


class Schedule(Model):
    """When the pipeline runs by the clock."""

    cron: str = Field(..., description="Cron expression of five fields.")
    timezone: str = Field("UTC", description="IANA time zone.")
    inputs: dict[str, Any] = Field(default_factory=dict, description="Inputs of the runs.")
    enabled: Switch = Field(False, description="Whether it is on without being switched on in the UI.")


class Trigger(Model):
    """What starts the pipeline: new files, or another product."""

    files: str | None = Field(None, description="A glob; each new or changed file starts one run.")
    asset: str | None = Field(None, description="Key of an asset whose new materialization starts a run.")
    inputs: dict[str, Any] = Field(default_factory=dict, description="Inputs of the runs.")
    enabled: Switch = Field(False, description="Whether it is on without being switched on in the UI.")


class Partitions(Model):
    """The partitions of the pipeline's assets."""

    hourly: str | None = Field(None, description="Start of the first hour.")
    daily: str | None = Field(None, description="First day.")
    weekly: str | None = Field(None, description="First week's day.")
    monthly: str | None = Field(None, description="First month's day.")
    static: tuple[str, ...] | None = Field(None, description="The keys themselves.")


class Pipeline(Model):
    """A pipeline file as it was written."""

    id: str = Field(..., description="Name of the pipeline; default from the file's name.")
    name: str | None = Field(None, description="Title for people.")
    description: str | None = Field(None, description="What the pipeline is for.")
    version: str | None = Field(None, description="Version of the pipeline, always text.")
    owners: tuple[str, ...] = Field((), description="Owners of its assets: `team:name` or an e-mail address.")
    tags: dict[str, str] = Field(default_factory=dict, description="Tags of its job and assets.")
    metadata: Any = Field(None, description="Anything; not read.")

    orchestrator: str | None = Field(None, description="Model that resolves <AUTO>, writes summaries, judges quality.")
    default_model: Models | None = Field(None, description="Model of the steps that name none.")
    experts: Annotated[dict[str, Expert], OneMap] = Field(
        default_factory=dict, description="Models by tool, or by a name that steps use as `expert`."
    )
    selection_schema: SelectionSchema | None = Field(None, description="How models are chosen.")
    personality: str | None = Field(None, description="Personality of all model steps; default `standard`.")
    budget: Budget | None = Field(None, description="The most that a run may spend.")
    cache: CacheMode | None = Field(None, description="When an answered call is served again.")
    limits: dict[str, Integer] = Field(default_factory=dict, description="Calls at once by provider.")

    inputs: Annotated[dict[str, InputSpec], OneMap] = Field(default_factory=dict, description="What a launch may give.")
    constants: dict[str, Any] = Field(default_factory=dict, description="Names with fixed values for templates.")
    steps: tuple[Step, ...] = Field(..., min_length=1, description="What is done.")
    outputs: Annotated[dict[str, Any], OneMap] = Field(
        default_factory=dict, description="Values of the whole run, as templates."
    )
    output_dir: str | None = Field(None, description="Folder of the products; default `outputs/<id>`.")

    retries: Retries | None = Field(None, description="Default of all steps.")
    timeout: Duration | None = Field(None, description="Default of all steps.")
    failure_handlers: tuple[FailureHandler, ...] = Field((), description="After the handlers of a step itself.")
    executor: str | None = Field(None, description="Executor of the job.")

    schedule: Annotated[tuple[Schedule, ...] | None, BeforeValidator(_list)] = Field(None, description="By the clock.")
    triggers: Annotated[tuple[Trigger, ...] | None, BeforeValidator(_list)] = Field(None, description="By events.")
    automation: Literal["eager", "on_missing"] | dict[str, str] | None = Field(None, description="Of its assets.")
    partitions: Partitions | None = Field(None, description="Of its assets.")
    on_change: Literal["run"] | None = Field(None, description="What a change of the file starts.")

    alignment: Any = Field(None, description="Whether a mismatch of intention and architecture is ignored, and why.")
    qc: Qc | None = Field(None, description="A judge's check of the products.")

    @field_validator("id", mode="before")
    @classmethod
    def _id_is_text(cls, value: Any) -> Any:
        return no_number(value)

    @field_validator("id")
    @classmethod
    def _id(cls, value: str) -> str:
        return check_identifier(value, "pipeline id")

    @field_validator("inputs")
    @classmethod
    def _input_names(cls, value: dict[str, InputSpec]) -> dict[str, InputSpec]:
        for name in value:
            check_variable_name(name)
            if name in BUILT_IN_NAMES:
                raise problem(
                    "reserved-name",
                    f'"{name}" is a name of the language, no input may be called so',
                    hint="rename the input",
                    at=(name,),
                    on_key=True,
                )
        return value

    @field_validator("outputs")
    @classmethod
    def _output_values(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, item in value.items():
            if item is None:
                raise problem(
                    "missing-key",
                    f'the output "{name}" has no value',
                    hint=f'write `{name}: "{{{{ some_step.{name} }}}}"`',
                    at=(name,),
                    on_key=True,
                )
        return value
