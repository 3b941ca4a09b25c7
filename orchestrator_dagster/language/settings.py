"""Settings that stand in the header, in a step, or in both: retries, budget, model choice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from orchestrator_dagster.language.base import Duration, Integer, Model, Names, Number, Switch, problem
from orchestrator_dagster.language.wording import described
from orchestrator_dagster.model_words import CAPABILITIES, EXPERTISE, billions, capability, expertise
from orchestrator_dagster.text import nearest_name

Strategy = Literal["cost", "performance", "balanced"]
CacheMode = Literal["run", "always", "off"]


class Retries(Model):
    """How often, and after what pause, a failed step is tried again: a number, or a map of these keys."""

    max: Integer = Field(..., ge=0, le=100, description="Attempts after the first.")
    delay: Duration | None = Field(None, description="Pause before the first retry, in seconds or as `2s`, `1m`.")
    backoff: Literal["exponential", "linear", "constant"] = Field("constant", description="How the pause grows.")
    jitter: Literal["full", "plus_minus"] | None = Field(None, description="How the pause is spread by chance.")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return {"max": value}
        if not isinstance(value, dict):
            raise problem(
                "wrong-type",
                f"expected a number of retries or a map, found {described(value)}",
                hint="write `retries: 3` or `retries: {max: 3, delay: 2s, backoff: exponential}`",
            )
        return value


class FailureHandler(Model):
    """What is done with a failure: the first handler whose `errors` fit is used."""

    errors: Names = Field((), description="Types of errors it is for, by name; none means all.")
    goto: str | None = Field(None, description="Step to go to, or policy, instead of what `on_failure` says.")
    fallback: Any = Field(None, description="Value that the failed step has then; the steps after it run.")
    message: str | None = Field(None, description="Text that is kept with the failure.")

    @model_validator(mode="after")
    def _one_way(self) -> FailureHandler:
        if self.goto is not None and "fallback" in self.model_fields_set:
            raise problem(
                "unused-key",
                "`goto` is not read beside `fallback`: both say how it goes on after the failure",
                hint="keep one of the two",
                key="goto",
            )
        return self


class Budget(Model):
    """The most that a pipeline or step may spend on models."""

    cost: Number | None = Field(None, gt=0, description="US dollars.")
    tokens: Integer | None = Field(None, gt=0, description="Tokens, in and out together.")
    calls: Integer | None = Field(None, gt=0, description="Model calls, failed ones included.")


class SelectionSchema(Model):
    """How a model is chosen where several are possible: a strategy's name, or a map of these keys."""

    strategy: Strategy = Field("balanced", description="Cheapest, best, or best for its price, of those that fit.")
    fallback: Names = Field((), description="Models to use, in order, when the chosen one cannot be reached.")
    max_cost_per_call: Number | None = Field(None, gt=0, description="US dollars that one call may be estimated at.")
    allow_paid: Switch = Field(True, description="Whether models that cost money may be chosen.")
    timeout: Duration | None = Field(None, description="Time a call may take.")
    override: Switch = Field(False, description="Whether the schema also replaces a step's fixed model.")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value not in ("cost", "performance", "balanced"):
                raise problem(
                    "wrong-value",
                    f'there is no selection strategy "{value}"',
                    suggestion=nearest_name(value, ("cost", "performance", "balanced")),
                    hint="choose cost, performance or balanced",
                )
            return {"strategy": value}
        if not isinstance(value, dict):
            raise problem(
                "wrong-type",
                f"expected a strategy's name or a map, found {described(value)}",
                hint="write `selection_schema: cost`",
            )
        return value


def _models(value: Any) -> Any:
    """One model, or a list of candidates."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, str) for item in value):
        return tuple(value)
    entries = value if isinstance(value, (list, tuple)) else ()
    wrong = next(((number,) for number, item in enumerate(entries) if not isinstance(item, str)), ())
    raise problem(
        "wrong-type",
        "expected a model such as openai:gpt-5, or a list of models",
        hint="write provider:name",
        at=wrong,
    )


Models = Annotated[tuple[str, ...], BeforeValidator(_models)]


class Expert(Model):
    """Which model a tool, or a step that names this expert, works with: a model, a list, or a map of these keys."""

    model: Models = Field(..., description="A model, or a list of candidates.")
    provider: str | None = Field(None, description="Provider of the model, when its name does not say it.")
    temperature: Number | None = Field(None, ge=0, le=2, description="Sampling temperature.")
    max_tokens: Integer | None = Field(None, gt=0, description="Most tokens of an answer.")
    personality: str | None = Field(None, description="Personality of its system prompt.")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return value if isinstance(value, dict) else {"model": value}


def usual_words(value: tuple[str, ...], usual: Callable[[str], str | None], known: Mapping[str, str], key: str) -> Any:
    """Words in their usual spelling; one that is unknown is refused with the nearest."""
    for number, word in enumerate(value):
        if usual(word) is None:
            raise problem(
                "wrong-value",
                f'`{key}`: "{word}" is none that is known of models',
                suggestion=nearest_name(word, known),
                hint=f"choose among {', '.join(known)}",
                at=(number,),
            )
    return tuple(dict.fromkeys(str(usual(word)) for word in value))


class ModelNeeds(Model):
    """What a model must bring to be chosen for a step."""

    min_size: str | None = Field(None, description="Fewest parameters, such as `7b`.")
    expertise: Names = Field((), description="What it must be good at.")
    capabilities: Names = Field((), description="What it must be able to do, such as `vision`.")

    @field_validator("min_size")
    @classmethod
    def _size(cls, value: str | None) -> str | None:
        if value is not None and billions(value) is None:
            raise problem(
                "wrong-value", f'`min_size`: "{value}" is no size of a model', hint="write it as 7b, 70b or 350m"
            )
        return value

    @field_validator("capabilities")
    @classmethod
    def _known_capabilities(cls, value: tuple[str, ...]) -> Any:
        return usual_words(value, capability, CAPABILITIES, "capabilities")

    @field_validator("expertise")
    @classmethod
    def _known_expertise(cls, value: tuple[str, ...]) -> Any:
        return usual_words(value, expertise, EXPERTISE, "expertise")


class Qc(Model):
    """A judge's check of the products."""

    rubric: str = Field(..., description="What a good product is.")
    products: Names = Field((), description="Variables to judge; none means all products together.")
    threshold: Number = Field(0.7, ge=0, le=1, description="Smallest score that passes.")
    blocking: Switch = Field(False, description="Whether a failed check stops other pipelines that use the product.")
    budget: Budget | None = Field(None, description="The most that one check may spend; default that of the pipeline.")

    @field_validator("rubric")
    @classmethod
    def _rubric(cls, value: str) -> str:
        if not value.strip():
            raise problem("wrong-value", "the rubric is empty", hint="say what a good product is")
        return value


class Alignment(Model):
    """What is done with a mismatch of what the pipeline is meant to do and what it does."""

    ignore: str = Field(..., description="Why a mismatch is accepted; it is recorded, and stops nothing then.")

    @model_validator(mode="before")
    @classmethod
    def _with_a_reason(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise problem(
                "wrong-type",
                f'expected a map with the reason, found "{value}"',
                hint="write `alignment: {ignore: <why the mismatch is accepted>}`",
            )
        return value

    @field_validator("ignore", mode="before")
    @classmethod
    def _reason(cls, value: Any) -> Any:
        if not isinstance(value, str) or not value.strip():
            raise problem(
                "wrong-value",
                "a mismatch is ignored for a reason, and there is none",
                hint="write `alignment: {ignore: <why the mismatch is accepted>}`",
            )
        return value
