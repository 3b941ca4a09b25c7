"""A pipeline as one graph of ops, composed directly: it is made anew in every process of a run, so it has to be quick.

Node definitions need names that are unique in the whole location; aliases are what people see.
"""

from __future__ import annotations

from typing import Any

import dagster as dg
from dagster import (
    ConfigMapping,
    DependencyDefinition,
    GraphDefinition,
    MultiDependencyDefinition,
    NodeInvocation,
    OutputMapping,
)

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledProduct
from orchestrator_dagster.definitions.config import config_schema
from orchestrator_dagster.definitions.ops import finish_op, inputs_op, product_output, step_op


def graph_output(pipeline: CompiledPipeline, product: CompiledProduct) -> str:
    """Name of the graph's output for a product."""
    return f"{pipeline.by_id[product.step].op}__{product.variable}"


def pipeline_graph(pipeline: CompiledPipeline) -> GraphDefinition:
    """The graph: ``inputs``, an op for each step, ``finish``; one output for each product, and ``run``."""
    nodes: list[dg.OpDefinition] = []
    places: dict[NodeInvocation, dict[str, Any]] = {}
    mappings: list[OutputMapping] = []

    def place(op: dg.OpDefinition, alias: str, needs: dict[str, Any]) -> None:
        nodes.append(op)
        places[NodeInvocation(op.name, alias=alias)] = needs

    opened = DependencyDefinition("inputs", "inputs")
    place(inputs_op(pipeline), "inputs", {})
    for step in pipeline.steps:
        before = {
            pipeline.by_id[name].op: DependencyDefinition(pipeline.by_id[name].op, "outcome")
            for name in step.dependencies
        }
        place(step_op(pipeline, step), step.op, {"inputs": opened, **before})
        for product in step.products:
            mappings.append(
                OutputMapping(
                    graph_output_name=graph_output(pipeline, product),
                    mapped_node_name=step.op,
                    mapped_node_output_name=product_output(product.variable),
                )
            )
    every = MultiDependencyDefinition([DependencyDefinition(step.op, "outcome") for step in pipeline.steps])
    place(finish_op(pipeline), "finish", {"inputs": opened, "outcomes": every})
    mappings.append(OutputMapping(graph_output_name="run", mapped_node_name="finish", mapped_node_output_name="run"))
    return GraphDefinition(
        name=pipeline.op,
        description=pipeline.description,
        node_defs=nodes,
        dependencies=places,
        output_mappings=mappings,
        config=ConfigMapping(config_fn=_to_inputs, config_schema=config_schema(pipeline)),
    )


def _to_inputs(config: Any) -> dict[str, Any]:
    """A launch's config is that of the op that opens the run."""
    return {"inputs": {"config": config}}
