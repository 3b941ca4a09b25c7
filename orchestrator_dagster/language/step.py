"""Steps: what one may say in a pipeline file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, field_validator, model_validator

from orchestrator_dagster.language.base import (
    Duration,
    Integer,
    Model,
    Names,
    Number,
    OneMap,
    OneMapOrNames,
    Switch,
    check_identifier,
    has_template,
    no_number,
    problem,
)
from orchestrator_dagster.language.settings import (
    Budget,
    CacheMode,
    FailureHandler,
    ModelNeeds,
    Models,
    Retries,
    SelectionSchema,
)
from orchestrator_dagster.language.types import VariableSpec
from orchestrator_dagster.language.wording import described

#: Words that `on_failure` takes as a policy; no step may be called so.
FAILURE_POLICIES = ("fail", "continue", "skip", "retry")

ProductFormat = Literal[
    "txt", "md", "json", "jsonl", "yaml", "csv", "tsv", "parquet", "html", "png", "svg", "pdf", "xlsx"
]  # fmt: skip
#: Formats of files that are bytes for people: no model reads them, no template shows them.
BYTES_FORMATS = frozenset(("png", "pdf"))


class ProductSpec(Model):
    """A file made from a variable: its path, or a map of these keys."""

    path: str = Field(..., description="Path relative to the output folder; templates are allowed.")
    format: ProductFormat | None = Field(None, description="Format; without it, the path's suffix decides.")
    description: str | None = Field(None, description="Description of the asset.")
    key: tuple[str, ...] | None = Field(
        None, description="Asset key, instead of `[pipeline id, variable]`; also as `a/b`."
    )
    template: str | None = Field(None, description="A Jinja template file that makes the text from the value.")
    owners: tuple[str, ...] = Field((), description="Owners of the asset: `team:name` or an e-mail address.")
    kinds: tuple[str, ...] = Field((), description="Kinds of the asset, instead of those found by its format.")
    tags: dict[str, str] = Field(default_factory=dict, description="Tags of the asset.")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"path": value}
        if not isinstance(value, dict):
            raise problem("wrong-type", "a product is a path or a map", hint="write `- report: report.md`")
        if isinstance(value.get("key"), str):
            return {**value, "key": tuple(part for part in value["key"].split("/") if part)}
        return value


def _none_is_empty(value: Any) -> Any:
    return {} if value is None else value


def _count(value: Any) -> Any:
    """A number of at least 1, or a template that gives one."""
    if value is None or has_template(value):
        return value
    hint = "write a number such as 10, or a template in quotes"
    if isinstance(value, bool) or not isinstance(value, int):
        raise problem("wrong-type", f"expected a number, found {described(value)}", hint=hint)
    if value < 1:
        raise problem("wrong-value", f"expected a number of at least 1, found {value}", hint=hint)
    return value


_Count = BeforeValidator(_count)


def _warmth(value: Any) -> Any:
    """A number from 0 to 2, or a template that gives one."""
    if value is None or has_template(value):
        return value
    hint = "write a number such as 0.2, or a template in quotes"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise problem("wrong-type", f"expected a number, found {described(value)}", hint=hint)
    if not 0 <= value <= 2:
        bound = "at least 0" if value < 0 else "at most 2"
        raise problem("wrong-value", f"expected {bound}, found {value}", hint=hint)
    return float(value)


def _tokens(value: Any) -> Any:
    """An integer of at least 1, or a template that gives one."""
    if value is None or has_template(value):
        return value
    hint = "write a number such as 500, or a template in quotes"
    if isinstance(value, bool) or not isinstance(value, int):
        raise problem("wrong-type", f"expected an integer, found {described(value)}", hint=hint)
    if value < 1:
        raise problem("wrong-value", f"expected more than 0, found {value}", hint=hint)
    return value


_Warmth, _Tokens = BeforeValidator(_warmth), BeforeValidator(_tokens)


class Step(Model):
    """One step. It does exactly one thing: call a tool, ask a model, run a pipeline, or repeat further steps."""

    id: str = Field(..., description="Name of the step, unique in its pipeline.")
    name: str | None = Field(None, description="Title for people.")
    description: str | None = Field(None, description="What it does; a model step without a prompt is asked to do it.")
    dependencies: Names = Field(
        (),
        validation_alias=AliasChoices("dependencies", "depends_on"),
        description="Ids of steps that come before; references in templates add themselves.",
    )

    tool: str | None = Field(None, description="The tool to call.")
    action: str | None = Field(None, description="The tool's operation, or in a step without tool what is to be done.")
    parameters: Annotated[dict[str, Any], BeforeValidator(_none_is_empty)] = Field(
        default_factory=dict, description="Parameters of the tool; in a model step, data that the model is given."
    )
    prompt: str | None = Field(
        None, validation_alias=AliasChoices("prompt", "instruction"), description="What a model is asked."
    )
    tools: Names = Field((), description="Tools that the model may call, whole or as `tool.action`.")
    pipeline: str | None = Field(None, description="Another pipeline file that runs as this step.")
    inputs: dict[str, Any] = Field(default_factory=dict, description="Inputs of that pipeline.")

    model: Models | None = Field(None, description="The model, or a list of candidates.")
    expert: str | None = Field(None, description="A named expert of the header.")
    selection_schema: SelectionSchema | None = Field(None, description="How a model is chosen.")
    requires_model: ModelNeeds | None = Field(None, description="What the model must bring.")
    personality: str | None = Field(None, description="A personality's name, or a system prompt.")
    temperature: Annotated[Number | str | None, _Warmth] = Field(None, description="Sampling temperature, 0 to 2.")
    max_tokens: Annotated[Integer | str | None, _Tokens] = Field(None, description="Most tokens of the answer.")
    max_tool_calls: Integer | None = Field(None, ge=0, le=1000, description="Most tool calls of the model; default 10.")
    repair: Integer | None = Field(None, ge=0, le=10, description="Times a wrong answer is sent back; default 2.")
    budget: Budget | None = Field(None, description="The most that the step may spend.")
    cache: CacheMode | None = Field(None, description="When an answered call is served again.")

    vars: Annotated[dict[str, VariableSpec], OneMapOrNames] = Field(
        default_factory=dict, description="Variables that the step leaves behind."
    )
    products: Annotated[dict[str, ProductSpec], OneMap] = Field(
        default_factory=dict, description="Files made from variables."
    )

    condition: str | Switch | None = Field(
        None, validation_alias=AliasChoices("condition", "if"), description="The step runs only when this is true."
    )
    on_false: str | None = Field(None, description="Step to go to when the condition is false.")
    on_success: str | None = Field(
        None, validation_alias=AliasChoices("on_success", "goto"), description="Step to go to afterwards."
    )
    on_failure: str | None = Field(None, description="On failure: a step, or fail, continue, skip, retry.")
    failure_handlers: tuple[FailureHandler, ...] = Field((), description="What is done with failures, by their type.")
    retries: Retries | None = Field(None, description="How often a failed step is tried again.")
    timeout: Duration | None = Field(None, description="Time the step may take.")

    for_each: Any = Field(None, description="A list; the step runs once for each item.")
    as_: str | None = Field(None, alias="as", description="Name of the item, beside `item`.")
    while_: str | Switch | None = Field(None, alias="while", description="Repeat as long as this is true.")
    until: str | Switch | None = Field(None, description="Repeat until this is true.")
    max_parallel: Annotated[Integer | str | None, _Count] = Field(None, description="Items at once; default 10.")
    max_iterations: Annotated[Integer | str | None, _Count] = Field(
        None, description="Most passes; default 10. With `for_each` the most items; default all."
    )
    on_item_failure: Literal["fail", "continue", "skip"] | None = Field(None, description="What a failed item does.")
    on_limit: Literal["fail", "continue"] | None = Field(None, description="What reaching max_iterations does.")
    steps: tuple[Step, ...] | None = Field(None, min_length=1, description="Steps that are repeated.")

    tags: dict[str, str] = Field(default_factory=dict, description="Tags of the op.")
    pool: str | None = Field(None, description="Dagster pool of the op.")
    metadata: dict[str, Any] = Field(default_factory=dict, description="Anything; not read.")

    @field_validator("id", mode="before")
    @classmethod
    def _id_is_text(cls, value: Any) -> Any:
        return no_number(value)

    @field_validator("id")
    @classmethod
    def _id(cls, value: str) -> str:
        if value in FAILURE_POLICIES:
            raise problem("reserved-name", f'"{value}" is a failure policy, no step may be called so')
        return check_identifier(value, "step id")

    @field_validator("as_")
    @classmethod
    def _item_name(cls, value: str | None) -> str | None:
        if value is not None:
            check_name(value)
        return value

    @field_validator("vars")
    @classmethod
    def _variable_names(cls, value: dict[str, VariableSpec]) -> dict[str, VariableSpec]:
        for name in value:
            check_variable_name(name)
        return value

    @field_validator("products")
    @classmethod
    def _product_names(cls, value: dict[str, ProductSpec]) -> dict[str, ProductSpec]:
        for name in value:
            check_variable_name(name)
        return value


def walk_steps(
    steps: Sequence[Step], place: tuple[str | int, ...] = ("steps",)
) -> Iterator[tuple[tuple[str | int, ...], Step]]:
    """Every step with its place in the file, those inside loops behind their loop."""
    for number, step in enumerate(steps):
        here = (*place, number)
        yield here, step
        if step.steps:
            yield from walk_steps(step.steps, (*here, "steps"))


def check_variable_name(name: str) -> None:
    """Refuse a variable's or input's name, which is a key, that no template could read."""
    check_name(name, at=(name,), on_key=True)


def check_name(name: str, *, at: tuple[str | int, ...] = (), on_key: bool = False) -> None:
    """Refuse a name that no template could read; see :func:`~orchestrator_dagster.language.base.problem`."""
    if not _VARIABLE.match(name):
        raise problem(
            "wrong-id",
            f'"{name}" is no name: letters, digits and _, a letter first',
            hint=f"write it as `{_as_variable(name)}`: templates read it by this name",
            at=at,
            on_key=on_key,
        )
    if name in _WORDS:
        raise problem(
            "reserved-name",
            f'"{name}" is a word of the template language',
            hint="choose another name",
            at=at,
            on_key=on_key,
        )


_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_WORDS = frozenset(("and", "or", "not", "in", "is", "if", "else", "elif", "for"))


def _as_variable(name: str) -> str:
    made = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") or "value"
    return made if made[0].isalpha() else f"v_{made}"
