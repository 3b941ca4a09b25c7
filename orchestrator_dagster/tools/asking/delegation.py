"""The tool ``task-delegation``: a model looks at a task, a model and tools are chosen for it, and it is done."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, Field

from orchestrator_dagster.tools.asking.common import MATERIAL, MaxCost, MaxTokens, Models, as_data, models_of, sum_of
from orchestrator_dagster.tools.model_access import ModelReply, Strategy
from orchestrator_dagster.tools.tool import Tool, ToolContext

task_delegation = Tool(
    "task-delegation",
    summary="Analyses a task, chooses a model and tools for it, and has it done.",
    model_may_call=False,
    uses_models=True,
)

KINDS = ("writing", "summary", "extraction", "analysis", "code", "calculation", "translation", "question", "other")
_STRATEGIES: dict[int, Strategy] = {1: "cost", 2: "cost", 3: "balanced", 4: "performance", 5: "performance"}
_SYSTEM = f"You plan work. You do not do the task, you say what it takes. {MATERIAL}"

Task = Annotated[
    str,
    Field(
        min_length=1,
        description="What is to be done.",
        validation_alias=AliasChoices("task", "task_description", "prompt", "instruction"),
    ),
]
Data = Annotated[Any, Field(description="Material for the task.", validation_alias=AliasChoices("data", "context"))]
Offered = Annotated[
    list[str],
    Field(
        description="Tools that may be used, such as filesystem.read; of them those are offered that the task needs."
    ),
]
Planner = Annotated[str | None, Field(description="The model that analyses; default the step's.")]


class Analysis(BaseModel):
    """What a task takes: its complexity from 1 (one lookup) to 5 (long reasoning), and which tools it needs."""

    kind: str
    complexity: int
    tools: list[str]
    reason: str
    strategy: Strategy


class AnalysisResult(BaseModel):
    """The analysis, and the model that would be asked."""

    analysis: Analysis
    model: str
    model_reason: str
    tokens: int
    cost: float | None


class DelegationResult(BaseModel):
    """What came of the task, who did it and why."""

    result: str
    analysis: Analysis
    model: str
    model_reason: str
    tools_used: list[str]
    tokens: int
    cost: float | None


@task_delegation.action(aliases=("plan", "assess"))
def analyze(
    context: ToolContext,
    task: Task,
    data: Data = None,
    tools: Offered = [],  # noqa: B006 - it is never changed
    models: Models = [],  # noqa: B006 - it is never changed
    planner: Planner = None,
    max_cost: MaxCost = None,
) -> AnalysisResult:
    """Analyse a task and choose a model for it, without doing it."""
    found, reply = _analysed(context, task, data, tools, planner)
    chosen = models_of(context).choose(
        _prompt(task, data), models=models, strategy=found.strategy, capabilities=_needs(found), max_cost=max_cost
    )
    return AnalysisResult(
        analysis=found, model=chosen.model, model_reason=chosen.reason, tokens=reply.tokens, cost=reply.cost
    )


@task_delegation.action(aliases=("run", "do", "execute_task"), default=True)
def delegate(
    context: ToolContext,
    task: Task,
    data: Data = None,
    tools: Offered = [],  # noqa: B006 - it is never changed
    models: Models = [],  # noqa: B006 - it is never changed
    planner: Planner = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
) -> DelegationResult:
    """Analyse a task, choose a model and tools for it, and have it done."""
    found, reply = _analysed(context, task, data, tools, planner)
    access = models_of(context)
    prompt = _prompt(task, data)
    chosen = access.choose(
        prompt,
        models=models,
        strategy=found.strategy,
        capabilities=_needs(found),
        max_cost=max_cost,
        max_tokens=max_tokens,
    )
    context.log(f"{found.kind}, complexity {found.complexity}: {chosen.model} ({chosen.reason})")
    done = access.ask(prompt, system=MATERIAL, model=chosen.model, tools=found.tools, max_tokens=max_tokens)
    return DelegationResult(
        result=done.text,
        analysis=found,
        model=done.model,
        model_reason=chosen.reason,
        tools_used=list(done.tools_used),
        tokens=reply.tokens + done.tokens,
        cost=sum_of((reply.cost, done.cost)),
    )


def _analysed(
    context: ToolContext, task: str, data: Any, tools: list[str], planner: str | None
) -> tuple[Analysis, ModelReply]:
    schema = {
        "type": "object",
        "properties": {
            "kind": {"type": "string", "enum": list(KINDS), "description": "What kind of work it is."},
            "complexity": {
                "type": "integer",
                "minimum": 1,
                "maximum": 5,
                "description": "1 one lookup or rewording, 3 several steps, 5 long reasoning or expert knowledge.",
            },
            "tools": {
                "type": "array",
                "items": {"type": "string", "enum": tools} if tools else {"type": "string"},
                "maxItems": len(tools),
                "description": "Those of the tools that the task cannot be done without.",
            },
            "reason": {"type": "string", "description": "One sentence."},
        },
        "required": ["kind", "complexity", "tools", "reason"],
        "additionalProperties": False,
    }
    offered = f"Tools there are: {', '.join(tools)}." if tools else "There are no tools."
    size = f"\nIts material has {len(as_data('data', data))} characters." if data is not None else ""
    reply = models_of(context).ask(
        f"Say what this task takes.\n\n{as_data('task', task)}\n\n{offered}{size}",
        system=_SYSTEM,
        model=planner,
        schema=schema,
    )
    complexity = int(reply.value["complexity"])
    found = Analysis(**reply.value, strategy=_STRATEGIES[complexity])
    return found.model_copy(update={"tools": list(dict.fromkeys(found.tools))}), reply


def _needs(found: Analysis) -> list[Literal["tools"]]:
    return ["tools"] if found.tools else []


def _prompt(task: str, data: Any) -> str:
    return task if data is None else f"{task}\n\n{as_data('data', data)}"
