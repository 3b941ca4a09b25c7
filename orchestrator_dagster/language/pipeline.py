"""The header of a pipeline file, and the file as a whole."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Annotated, Any, Literal, Union, get_args

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator

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
    Alignment,
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


PartitionKind = Literal["hourly", "daily", "weekly", "monthly", "static"]
PARTITION_KINDS: tuple[PartitionKind, ...] = get_args(PartitionKind)
_HOURS = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d-%H:%M")


def _list(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else [value]


class Schedule(Model):
    """When the pipeline runs by the clock."""

    cron: str = Field(..., description="Cron expression of five fields, or a name such as `@daily`.")
    timezone: str = Field("UTC", description="IANA time zone.")
    inputs: dict[str, Any] = Field(
        default_factory=dict, description="Inputs of the runs; templates know the time of the tick."
    )
    enabled: Switch = Field(False, description="Whether it is on without being switched on in the UI.")


class Trigger(Model):
    """What starts the pipeline: new files, or another product."""

    files: str | None = Field(
        None, description="A glob below the workspace root; each new or changed file starts one run."
    )
    asset: str | None = Field(
        None, description="Key of an asset (`pipeline/variable`); each new materialization starts one run."
    )
    inputs: dict[str, Any] = Field(
        default_factory=dict, description="Inputs of the runs; templates know the `file` or the `asset`."
    )
    enabled: Switch = Field(False, description="Whether it is on without being switched on in the UI.")


class Partitions(Model):
    """The partitions of the pipeline's assets, of one kind; those of time are in UTC."""

    hourly: str | None = Field(None, description="First hour: `2026-01-01`, or `2026-01-01 06:00`.")
    daily: str | None = Field(None, description="First day: `2026-01-01`.")
    weekly: str | None = Field(None, description="A day; the first week starts on it or the Sunday after it.")
    monthly: str | None = Field(None, description="A day; the first month starts on it or the first of the next one.")
    static: tuple[str, ...] | None = Field(None, description="The keys themselves.")

    @property
    def kind(self) -> PartitionKind | None:
        """The kind that is given, None when there is none."""
        return next((name for name in PARTITION_KINDS if getattr(self, name) is not None), None)

    @property
    def start(self) -> datetime | None:
        """Start of the first partition (without a time zone), None for static ones and for a text that is no date."""
        kind = self.kind
        if kind is None or kind == "static":
            return None
        text = str(getattr(self, kind)).strip()
        for form in _HOURS if kind == "hourly" else ("%Y-%m-%d",):
            with contextlib.suppress(ValueError):
                return datetime.strptime(text, form)
        return None


class AutomationCron(Model):
    """The pipeline's assets are made by the clock, as far as what they are made from is new."""

    cron: str = Field(..., description="Cron expression of five fields, or a name such as `@daily`.")
    timezone: str = Field("UTC", description="IANA time zone.")


def _automation_form(value: Any) -> str:
    return "word" if isinstance(value, str) else "by_clock"


# A map is only compared with the map, so that what is wrong in it is said, and not that it is no word.
Automation = Annotated[
    Union[
        Annotated[Union[Literal["eager", "on_missing"], AutomationCron], Tag("word")],
        Annotated[AutomationCron, Tag("by_clock")],
    ],
    Discriminator(_automation_form),
]


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
    automation: Automation | None = Field(None, description="When its assets are made by themselves.")
    partitions: Partitions | None = Field(None, description="Of its assets.")
    on_change: Literal["run"] | None = Field(None, description="What a change of the file starts.")

    alignment: Alignment | None = Field(None, description="Why a mismatch of intention and architecture is ignored.")
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
