"""The page of the keys of a pipeline file, from the models that read it."""

from __future__ import annotations

import typing
from collections.abc import Mapping

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from generator.examples import SECTIONS
from generator.markdown import code, join, prose, table
from generator.words import bounds, default, in_words
from orchestrator_dagster.compiler.products import SUFFIXES
from orchestrator_dagster.errors import StepError
from orchestrator_dagster.language.base import Model
from orchestrator_dagster.language.pipeline import Partitions, Pipeline, Schedule, Trigger
from orchestrator_dagster.language.settings import (
    Alignment,
    Budget,
    Expert,
    FailureHandler,
    ModelNeeds,
    Qc,
    Retries,
    SelectionSchema,
)
from orchestrator_dagster.language.step import ProductSpec, Step
from orchestrator_dagster.language.types import INPUT_TYPE_NAMES, TYPE_NAMES, InputSpec, VariableSpec

_ANCHORS = {
    "Step": "#steps",
    "InputSpec": "#inputs",
    "VariableSpec": "#variables",
    "TypeSpec": "#variables",
    "ProductSpec": "#products",
    "Retries": "#retries",
    "FailureHandler": "#failure-handlers",
    "Expert": "#experts",
    "SelectionSchema": "#choosing-models",
    "ModelNeeds": "#choosing-models",
    "Budget": "#budgets",
    "Schedule": "#schedules",
    "Trigger": "#triggers",
    "Partitions": "#partitions",
    "Qc": "#quality-and-alignment",
    "Alignment": "#quality-and-alignment",
}
_DEFAULTS = {("Pipeline", "id"): "the file's name"}


def page() -> str:
    """Every key, section by section."""
    return join(
        [
            "# The pipeline file",
            "One YAML file is one pipeline. Every key that a file may have is listed here. An unknown key is an"
            " error; `metadata` and keys that start with `x-` are free.",
            "Templates (`{{ … }}`) are described in [Templates](templates.md).",
            "## Header",
            _example("header"),
            _keys(Pipeline),
            "## Inputs",
            "`inputs` is a map, or a list of one-key maps. A value that is no map of the keys below is the default, and"
            " its type is the input's type. `None`, `null` and `~` make a required input. A text that a launch gives is"
            " read as the input's type. Every pipeline has the input `output_dir`, by default `outputs/<id>`.",
            _example("inputs"),
            _keys(InputSpec),
            _types(INPUT_TYPE_NAMES),
            "An input of the type `path` is a text; tools resolve it in the workspace. An input of the type `secret` is"
            " given the *name* of an environment variable. Templates of steps see the variable's value; in recorded"
            " values, messages and errors it is replaced by `***`. Files that a step writes hold what was put into"
            " them, and what a tool of your own prints goes into the run's captured output as it is.",
            "## Steps",
            "A step does exactly one thing. It calls a tool (`tool`, `action`, `parameters`), or asks a model"
            " (`prompt`), or runs [another pipeline](../guides/sub-pipelines.md) (`pipeline`, `inputs`), or repeats"
            " further steps (`steps`), or is one of the built-in actions `echo`, `debug` and `log`, whose value is"
            " their `message`. A step waits for every step that its templates and conditions name, and for those in"
            " `dependencies`. Steps that do not wait for each other have no order.",
            _example("steps"),
            _keys(Step),
            "### Conditions and routes",
            "`condition`, `on_false`, `on_success` and `on_failure` are described in"
            " [Conditions, routes, failures](../guides/flow.md). They stand at steps of the top level and inside"
            " loops alike; a route stays within its body.",
            _example("flow"),
            "### Loops",
            "`for_each`, `while` and `until` are described in [Loops](../guides/loops.md). They repeat the step's own"
            " work, or the steps in its `steps`.",
            _example("loops"),
            "## Variables",
            "`vars` says what a step leaves behind. A model step is asked for exactly these values, and its answer is"
            " checked against them. A tool step takes each variable from its result: by the expression, else by the"
            " field of that name, else, when there is one variable, it is the whole result. A variable is written as"
            " a description (a text), as the name of a type, as a map of the keys below, or as one whole `{{"
            " expression }}` over `result`. What has a description alone is a text when a model makes it; what a tool"
            " gave keeps its type, so that a list stays a list for a table or a loop. `type: string` holds it to text.",
            _example("variables"),
            _keys(VariableSpec),
            _types(TYPE_NAMES),
            "`items` and the values of `properties` are written in the same way. A map without any of these keys is an"
            " object: its keys are the fields, its values their types. All fields must be there. Where some may be"
            " missing, the type is a JSON Schema, whose `required` names the others:",
            _example("optional"),
            "## Products",
            "A product is a file made from a variable, and a Dagster asset. A product is written as its path, or as a"
            " map of the keys below. A step without `vars` may have products too: each is made from the step's value."
            " A product is made from one variable: values that belong into one file together are the fields of one"
            " variable that is an object.",
            _example("products"),
            _keys(ProductSpec),
            table(
                ("format", "suffixes"),
                ((f"`{name}`", ", ".join(f"`{one}`" for one in suffixes)) for name, suffixes in SUFFIXES.items()),
            ),
            "`csv`, `tsv`, `parquet` and `xlsx` take a list of maps, one map, or a data frame. `parquet` needs the"
            " extra `orchestrator-dagster[parquet]`, `xlsx` the extra `[excel]`. A path may not leave `output_dir`,"
            " and `output_dir` may not leave the workspace.",
            "## Retries",
            "A number of retries, or a map of the keys below. A model step has by default two retries, after one second"
            " and with growing pauses; all other steps have none. What cannot pass is not tried again: a refused key, a"
            " wrong parameter, a missing file, a template that fails.",
            _example("retries"),
            _keys(Retries),
            "## Failure handlers",
            "A list of maps of the keys below: of a step, or of the header for all steps of the top level, behind their"
            " own. The first one that fits an error is used, else `on_failure`.",
            _example("failure_handlers"),
            _keys(FailureHandler),
            "`errors` are names of the types below, or of any other exception that caused the failure, such as"
            " `ValueError`. `Error` at the end may be left out. A name stands for the types that are made from it too:"
            " `ModelError` for every failure of a model. A type that can pass is what `retries` tries again.",
            _errors(),
            "## Experts",
            "A model, or a map of the keys below. A step names an expert as `expert`.",
            _example("experts"),
            _keys(Expert),
            "## Choosing models",
            "`selection_schema` is `cost`, `performance` or `balanced`, or a map:"
            " [How a model is chosen](../guides/models.md#how-a-model-is-chosen).",
            _example("selection"),
            _keys(SelectionSchema),
            "Keys of `requires_model`:",
            _keys(ModelNeeds),
            "## Budgets",
            "Of a pipeline or a step, at least one of the keys below: [Costs](../guides/costs.md).",
            _example("budget"),
            _keys(Budget),
            "## Schedules",
            "One map, or a list of maps. See [When a pipeline runs](../guides/when.md).",
            _example("schedules"),
            _keys(Schedule),
            "## Triggers",
            "One map, or a list of maps, each with either `files` or `asset`.",
            _example("triggers"),
            _keys(Trigger),
            "## Partitions",
            "A map with one of the keys below. With partitions the path of every product, or `output_dir`, has"
            " `{{ partition.key }}` in it.",
            _example("partitions"),
            _keys(Partitions),
            "## Quality and alignment",
            "`qc` has the `orchestrator` judge products by a rubric; `alignment` accepts a mismatch that it has found:"
            " [What a pipeline is for](../guides/intelligence.md).",
            _example("quality"),
            "Keys of `qc`:",
            _keys(Qc),
            "Keys of `alignment`:",
            _keys(Alignment),
        ]
    )


def _errors() -> str:
    """The types of errors that a step can fail with; those that are made from another come after it, with its name."""
    rows = []

    def add(kind: type[StepError]) -> None:
        for one in sorted(kind.__subclasses__(), key=lambda each: each.__name__):
            if not one.__module__.startswith("orchestrator_dagster."):
                continue
            above = "" if kind is StepError else f"`{kind.__name__}`"
            passes = "" if one.permanent else "yes"
            meaning = prose((one.__doc__ or "").partition("\n\n")[0].partition(". ")[0])  # the rest is for authors
            rows.append((f"`{one.__name__}`", above, passes, meaning))
            add(one)

    add(StepError)
    return table(("type", "made from", "can pass", "means"), rows)


def _example(name: str) -> str:
    return code(SECTIONS[name], "yaml")


def _keys(model: type[Model]) -> str:
    hints = typing.get_type_hints(model, include_extras=True)
    rows = []
    for name, info in model.model_fields.items():
        key, others = _spellings(name, info)
        words = in_words(hints[name], _ANCHORS) + bounds(info.metadata)
        usual = _DEFAULTS.get((model.__name__, name), default(info))
        rows.append((f"`{key}`", ", ".join(f"`{one}`" for one in others), words, usual, info.description or ""))
    return table(("key", "also", "what", "default", "meaning"), rows)


def _spellings(name: str, info: FieldInfo) -> tuple[str, list[str]]:
    """A key as it is written, and its other spellings."""
    alias = info.validation_alias
    if isinstance(alias, AliasChoices):
        first, *rest = map(str, alias.choices)
        return first, rest
    return str(alias or info.alias or name), []


def _types(names: Mapping[str, str]) -> str:
    kinds = dict.fromkeys(names.values())
    rows = [(f"`{kind}`", ", ".join(f"`{n}`" for n, k in names.items() if k == kind and n != kind)) for kind in kinds]
    return table(("type", "also"), rows)


def _check() -> None:
    """A note about a key that is gone is an error."""
    models: dict[str, type[Model]] = {one.__name__: one for one in (Pipeline, Step, Expert)}
    for owner, name in _DEFAULTS:
        assert name in models[owner].model_fields, f"{owner} has no field {name}"


_check()
