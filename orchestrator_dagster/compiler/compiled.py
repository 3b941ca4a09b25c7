"""What the compiler makes: an immutable pipeline that serialises to JSON and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator_dagster.compiler.needs import StepChoice
from orchestrator_dagster.compiler.routing import RoutePlan
from orchestrator_dagster.frozen import FrozenDict, freeze
from orchestrator_dagster.language.pipeline import AutomationCron, Partitions, Schedule, Trigger
from orchestrator_dagster.language.settings import (
    Alignment,
    Budget,
    CacheMode,
    Expert,
    FailureHandler,
    Qc,
    Retries,
    SelectionSchema,
)
from orchestrator_dagster.language.step import Step
from orchestrator_dagster.language.types import InputSpec, VariableSpec

StepKind = Literal["tool", "model", "builtin", "pipeline", "loop"]
LoopKind = Literal["for_each", "while"]
AssetPath = tuple[str, ...]


class Compiled(BaseModel):
    """Base of what the compiler makes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def model_post_init(self, context: Any) -> None:
        """Freeze what can be changed in place."""
        for name, value in self.__dict__.items():
            if isinstance(value, (dict, list)) and not isinstance(value, FrozenDict):
                self.__dict__[name] = freeze(value)


class CompiledProduct(Compiled):
    """A file that a step makes from one of its variables, and the asset it is.

    ``step`` is the step of the top level whose op makes it; ``per_item`` says that it stands in a ``for_each`` and is
    one file an item.
    """

    variable: str
    step: str
    per_item: bool = False
    key: AssetPath
    path: str
    format: str
    template: str | None = None
    description: str | None = None
    owners: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    tags: dict[str, str] = Field(default_factory=dict)
    upstream: tuple[AssetPath, ...] = ()


class CompiledLoop(Compiled):
    """How a step repeats its body.

    ``over`` is the list of a ``for_each``, or the template that gives it; ``while_`` and ``until`` are the conditions
    of the other kind. ``steps`` is the body, in an order in which it can run, with the ``plan`` of its flow; a loop
    around a single piece of work has a body of one step that has the loop's own id (``single``).
    """

    kind: LoopKind
    over: Any = None
    while_: str | bool | None = None
    until: str | bool | None = None
    item: str | None = None
    max_parallel: int | str | None = None
    max_iterations: int | str | None = None
    on_item_failure: Literal["fail", "continue", "skip"] = "fail"
    on_limit: Literal["fail", "continue"] = "fail"
    single: bool = False
    steps: tuple[CompiledStep, ...]
    plan: RoutePlan = Field(default_factory=RoutePlan)


class CompiledStep(Compiled):
    """A step that is ready to run.

    ``dependencies`` are the ids of every step of its body that it waits for, declared or found in its templates, in
    file order. ``op`` is its name in Dagster. ``code_version`` changes when the step, or anything it depends on,
    changes. ``literals`` are parameters of its tool that are not rendered. ``asset_inputs`` are the inputs loaded from
    assets that it, or what is inside it, reads. A step that repeats has a ``loop``, one that runs another pipeline has
    that ``pipeline``. A step that asks a model has the ``models`` that are its candidates (none: those of the
    catalogue), and how one is chosen (``choice``).
    """

    id: str
    op: str
    kind: StepKind
    spec: Step
    line: int
    column: int
    dependencies: tuple[str, ...] = ()
    tool: str | None = None
    action: str | None = None
    instruction: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    literals: dict[str, Any] = Field(default_factory=dict)
    variables: dict[str, VariableSpec] = Field(default_factory=dict)
    condition: str | bool | None = None
    on_failure: str | None = None
    failure_handlers: tuple[FailureHandler, ...] = ()
    loop: CompiledLoop | None = None
    pipeline: CompiledPipeline | None = None
    models: tuple[str, ...] = ()
    model_reason: str = ""
    choice: StepChoice | None = None
    personality: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    retries: Retries = Field(default_factory=lambda: Retries(max=0))
    timeout: float | str | None = None
    cache: CacheMode = "run"
    products: tuple[CompiledProduct, ...] = ()
    includes: tuple[str, ...] = ()
    asset_inputs: tuple[str, ...] = ()
    code_version: str = ""

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.spec.name or self.id

    @property
    def body(self) -> tuple[CompiledStep, ...]:
        """The steps that it repeats, none when it does not repeat."""
        return self.loop.steps if self.loop else ()

    @property
    def all_products(self) -> tuple[CompiledProduct, ...]:
        """Its products, and those of the steps that it repeats."""
        return (*self.products, *(product for step in self.body for product in step.all_products))

    def walk(self) -> Iterator[CompiledStep]:
        """Itself, and the steps inside it: those of a loop's body, and of the pipeline that it runs."""
        yield self
        for step in (*self.body, *(self.pipeline.steps if self.pipeline else ())):
            yield from step.walk()


class CompiledPipeline(Compiled):
    """A pipeline that is ready to run. ``steps`` stand in an order in which they can run.

    ``fingerprint`` is the SHA-256 of all that decides what the pipeline does: its file and what it includes.
    ``code_version`` changes only with what it does, so not with a comment or a description.
    ``includes`` has the text of every included file by the name it was included under. ``unsupported`` is what this
    release does not run of it, as messages with their places: with any of them it is not run.
    """

    id: str
    file: str
    folder: str
    name: str | None = None
    description: str | None = None
    version: str | None = None
    owners: tuple[str, ...] = ()
    tags: dict[str, str] = Field(default_factory=dict)
    inputs: dict[str, InputSpec] = Field(default_factory=dict)
    steps: tuple[CompiledStep, ...]
    levels: tuple[tuple[str, ...], ...] = ()
    plan: RoutePlan = Field(default_factory=RoutePlan)
    constants: dict[str, Any] = Field(default_factory=dict)
    outputs: dict[str, Any] = Field(default_factory=dict)
    output_steps: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    experts: dict[str, Expert] = Field(default_factory=dict)
    selection_schema: SelectionSchema | None = None
    personality: str | None = None
    orchestrator: str | None = None
    budget: Budget | None = None
    schedules: tuple[Schedule, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    automation: Literal["eager", "on_missing"] | AutomationCron | None = None
    partitions: Partitions | None = None
    on_change: Literal["run"] | None = None
    executor: str | None = None
    alignment: Alignment | None = None
    qc: Qc | None = None
    limits: dict[str, int] = Field(default_factory=dict)
    run_asset: AssetPath | None = None
    includes: dict[str, str] = Field(default_factory=dict)
    unsupported: tuple[str, ...] = ()
    code_version: str = ""
    fingerprint: str = ""

    @cached_property
    def by_id(self) -> dict[str, CompiledStep]:
        """Every step by its id."""
        return {step.id: step for step in self.steps}

    @cached_property
    def by_op(self) -> dict[str, CompiledStep]:
        """Every step by its name in Dagster."""
        return {step.op: step for step in self.steps}

    @cached_property
    def dashed(self) -> frozenset[str]:
        """Step ids that have a ``-``: templates take them for the step, not for a subtraction."""
        return frozenset(_dashed(self.steps))

    @property
    def op(self) -> str:
        """Its name in Dagster: graph and group."""
        return self.id.replace("-", "_")

    @cached_property
    def asset_inputs(self) -> dict[str, InputSpec]:
        """The inputs that are loaded from assets, by name."""
        return {name: spec for name, spec in self.inputs.items() if spec.asset}

    @property
    def run_key(self) -> AssetPath:
        """Key of the asset that is the run itself."""
        return self.run_asset or (self.id, "run")

    @property
    def products(self) -> tuple[CompiledProduct, ...]:
        """Every product, by step."""
        return tuple(product for step in self.steps for product in step.all_products)

    def location(self, step: CompiledStep) -> str:
        """``file:line:column`` of a step."""
        return f"{self.file}:{step.line}:{step.column}"

    def to_json(self) -> str:
        """The pipeline as JSON text."""
        return self.model_dump_json(exclude_unset=True, by_alias=True)

    @classmethod
    def from_json(cls, text: str) -> CompiledPipeline:
        """The pipeline that :meth:`to_json` wrote."""
        return cls.model_validate_json(text)


def _dashed(steps: Iterable[CompiledStep]) -> Iterator[str]:
    for step in steps:
        if "-" in step.id:
            yield step.id
        yield from _dashed(step.body)


CompiledLoop.model_rebuild()
CompiledStep.model_rebuild()
