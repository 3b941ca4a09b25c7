"""A pipeline as one graph of ops, composed directly: it is made anew in every process of a run, so it has to be quick.

Node definitions need names that are unique in the whole location; aliases are what people see.
"""

from __future__ import annotations

from typing import Any

from dagster import (
    ConfigMapping,
    GraphDefinition,
    MultiDependencyDefinition,
    NodeInvocation,
    OutputMapping,
)
from dagster._core.definitions.definition_config_schema import convert_user_facing_definition_config_schema
from dagster._core.definitions.dependency import DynamicCollectDependencyDefinition, IDependencyDefinition
from dagster._core.definitions.node_definition import NodeDefinition

from orchestrator_dagster.compiler.compiled import AssetPath, CompiledPipeline, CompiledStep
from orchestrator_dagster.definitions.pipelines.config import config_schema
from orchestrator_dagster.definitions.pipelines.ops import finish_op, inputs_op
from orchestrator_dagster.definitions.steps.shared_parts import (
    MakingOp,
    graph_input,
    graph_input_from_asset,
    graph_output,
    output_of,
)
from orchestrator_dagster.definitions.steps.step_ops import (
    decide_op,
    is_gated,
    outcome_op,
    product_outputs,
    reads,
    run_op,
    step_op,
)


def product_names(pipeline: CompiledPipeline) -> dict[AssetPath, str]:
    """Names of the graph's outputs for products, by their keys."""
    return {
        key: f"{step.op}__{name.removeprefix('product_')}"
        for step in pipeline.steps
        for key, name in product_outputs(step).items()
    }


def pipeline_graph(pipeline: CompiledPipeline) -> GraphDefinition:
    """The graph: ``inputs``, an op for each step, ``finish``; one output for each product, and ``run``."""
    nodes: list[NodeDefinition] = []
    places: dict[NodeInvocation, dict[str, Any]] = {}
    mappings: list[OutputMapping] = []
    outputs = product_names(pipeline)

    def place(op: NodeDefinition, alias: str, needs: dict[str, Any]) -> None:
        nodes.append(op)
        places[NodeInvocation(op.name, alias=alias)] = needs

    def show(node: NodeDefinition) -> None:
        maker = node.node_named("outcome").definition if isinstance(node, GraphDefinition) else node
        if isinstance(maker, MakingOp):
            maker.shown = config.as_field()

    config = convert_user_facing_definition_config_schema(config_schema(pipeline))
    opened = output_of("inputs", "inputs")
    place(inputs_op(pipeline, config), "inputs", {})
    for step in pipeline.steps:
        before = {name: output_of(name) for name in reads(pipeline, step)}
        node = step_graph(pipeline, step) if is_gated(pipeline, step) else step_op(pipeline, step)
        place(node, step.op, {"inputs": opened, **before})
        if step.all_products:
            show(node)
        for key, name in product_outputs(step).items():
            mappings.append(graph_output(outputs[key], step.op, name))
    every = MultiDependencyDefinition([output_of(step.op) for step in pipeline.steps])
    closing = finish_op(pipeline)
    show(closing)
    place(closing, "finish", {"inputs": opened, "outcomes": every})
    mappings.append(graph_output("run", "finish", "run"))
    return GraphDefinition(
        name=pipeline.op,
        description=pipeline.description,
        node_defs=nodes,
        dependencies=places,
        input_mappings=[graph_input_from_asset(name) for name in pipeline.asset_inputs],
        output_mappings=mappings,
        config=ConfigMapping(config_fn=_to_inputs, config_schema=config),
    )


def step_graph(pipeline: CompiledPipeline, step: CompiledStep) -> GraphDefinition:
    """The small graph of a step that may not run, or that runs for each item: ``decide → run → outcome``."""
    decide, run, outcome = decide_op(pipeline, step), run_op(pipeline, step), outcome_op(pipeline, step)
    outer = ("inputs", *reads(pipeline, step))
    inside: dict[NodeInvocation, dict[str, IDependencyDefinition]] = {
        NodeInvocation(decide.name, alias="decide"): {},
        NodeInvocation(run.name, alias="run"): {"ticket": output_of("decide", "ticket")},
        NodeInvocation(outcome.name, alias="outcome"): {
            "decision": output_of("decide", "decision"),
            "results": DynamicCollectDependencyDefinition("run", "result"),
        },
    }
    return GraphDefinition(
        name=f"{pipeline.op}__{step.op}",
        description=step.spec.description or step.instruction,
        node_defs=[decide, run, outcome],
        dependencies=inside,
        input_mappings=[graph_input(name, node) for node in ("decide", "run", "outcome") for name in outer],
        output_mappings=[graph_output(name, "outcome", name) for name in ("outcome", *product_outputs(step).values())],
    )


def _to_inputs(config: Any) -> dict[str, Any]:
    """A launch's config is that of the op that opens the run."""
    return {"inputs": {"config": config}}
