"""The tool ``pipeline-executor``: runs a pipeline that is only known when the step runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, Field

from orchestrator_dagster.errors import ToolError
from orchestrator_dagster.tools.pipeline_access import PipelineAccess
from orchestrator_dagster.tools.tool import Tool, ToolContext

pipeline_executor = Tool(
    "pipeline-executor", summary="Runs another pipeline, given as a file, a text or a map.", model_may_call=False
)

Source = Annotated[
    str | dict[str, Any],
    Field(
        description="A file of the workspace, the text of a pipeline file, or a map of the same. A text of several "
        "lines and a map are not rendered: their templates are those of the pipeline that runs.",
        validation_alias=AliasChoices("pipeline", "pipeline_path", "yaml_content", "pipeline_file", "path", "file"),
    ),
]
Name = Annotated[str | None, Field(description="What messages call a pipeline that is a text or a map.")]


class ProductInfo(BaseModel):
    """A file that the pipeline made."""

    variable: str
    key: list[str]
    path: str
    format: str
    bytes: int
    sha256: str
    rows: int | None = None


class StepInfo(BaseModel):
    """How one of its steps ended."""

    status: Literal["completed", "skipped", "failed"]
    value: Any = None
    error: str | None = None
    reason: str | None = None


class UsageSums(BaseModel):
    """What its model calls took; ``cost`` in US dollars, null when a price is unknown."""

    calls: int
    tokens: int
    cost: float | None


class ExecuteResult(BaseModel):
    """What the pipeline came to."""

    pipeline_id: str
    status: Literal["completed"] = "completed"
    success: bool = True
    outputs: dict[str, Any]
    steps: dict[str, StepInfo]
    products: list[ProductInfo]
    usage: UsageSums
    duration: float


class CheckResult(BaseModel):
    """Whether the pipeline can run, and what is wrong with it."""

    valid: bool
    pipeline_id: str | None
    problems: list[str]
    inputs: dict[str, Any]


@pipeline_executor.action(aliases=("run", "execute_pipeline"), default=True, in_run=True, plain=("pipeline",))
def execute(
    context: ToolContext,
    pipeline: Source,
    inputs: Annotated[
        dict[str, Any],
        Field(description="Values of its inputs.", validation_alias=AliasChoices("inputs", "parameters", "context")),
    ] = {},  # noqa: B006 - it is never changed
    name: Name = None,
) -> ExecuteResult:
    """Run a pipeline with inputs; its outputs, products and usage are the result, its failure the step's."""
    done = _pipelines(context).run(pipeline, inputs, name)
    return ExecuteResult(
        pipeline_id=done.id,
        outputs=done.outputs,
        steps={step: StepInfo(**end) for step, end in done.steps.items()},
        products=[ProductInfo(**{key: one[key] for key in ProductInfo.model_fields}) for one in done.products],
        usage=UsageSums(**done.usage),
        duration=round(done.seconds, 3),
    )


@pipeline_executor.action(aliases=("check", "compile"), in_run=True, plain=("pipeline",))
def validate(context: ToolContext, pipeline: Source, name: Name = None) -> CheckResult:
    """Compile a pipeline without running it: what is wrong with it, and which inputs it takes."""
    found = _pipelines(context).check(pipeline, name)
    return CheckResult(valid=found.valid, pipeline_id=found.id, problems=found.problems, inputs=found.inputs)


def _pipelines(context: ToolContext) -> PipelineAccess:
    if context.pipelines is None:
        raise ToolError("pipelines can only be run by a step", permanent=True)
    return context.pipelines
