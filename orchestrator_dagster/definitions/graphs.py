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
from dagster._core.definitions.output import OutputDefinition

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledProduct
from orchestrator_dagster.definitions.config import config_schema
from orchestrator_dagster.definitions.ops import (
    OUTCOMES_IO,
    PRODUCTS_IO,
    finish_op,
    inputs_op,
    product_output,
    step_op,
)


class _Output(OutputMapping):
    """An output of the graph that names the IO manager of the op's output behind it.

    Dagster gives every output of a graph the key ``io_manager``, and asks for that resource when a part of the implicit
    asset job is made ("Materialize" on an asset's page), though nothing ever uses it.
    """

    def get_definition(self, is_dynamic: bool) -> OutputDefinition:
        key = OUTCOMES_IO if self.graph_output_name == "run" else PRODUCTS_IO
        return OutputDefinition(dagster_type=self.dagster_type, name=self.graph_output_name, io_manager_key=key)


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
                _Output(
                    graph_output_name=graph_output(pipeline, product),
                    mapped_node_name=step.op,
                    mapped_node_output_name=product_output(product.variable),
                )
            )
    every = MultiDependencyDefinition([DependencyDefinition(step.op, "outcome") for step in pipeline.steps])
    place(finish_op(pipeline), "finish", {"inputs": opened, "outcomes": every})
    mappings.append(_Output(graph_output_name="run", mapped_node_name="finish", mapped_node_output_name="run"))
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
