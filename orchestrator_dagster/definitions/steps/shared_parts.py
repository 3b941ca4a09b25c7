"""Inputs and outputs of ops that are the same in many ops, made once.

Dagster resolves the type and checks the name of every input and output of every op, which is most of the time that a
location takes to load. Ours are all of the type ``Any`` and are never changed, so those that look alike are one object.
The only place that relies on how Dagster makes the parts of an op.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import dagster as dg
from dagster import Field, InputMapping, OpExecutionContext, OutputMapping
from dagster._core.definitions.definition_config_schema import convert_user_facing_definition_config_schema
from dagster._core.definitions.dependency import DependencyDefinition
from dagster._core.definitions.input import InputDefinition
from dagster._core.definitions.output import DynamicOutputDefinition, OutputDefinition

OUTCOMES_IO = "orchestrator_outcomes"
PRODUCTS_IO = "orchestrator_products"
ASSETS_IO = "orchestrator_assets"
#: How the inputs of a graph and of its first op begin that are loaded from assets.
ASSET_PREFIX = "asset_"
#: The config of an op that takes any and looks at none.
NO_CONFIG = convert_user_facing_definition_config_schema(None)

_Compute = TypeVar("_Compute", bound=Callable[..., Any])

#: What Dagster looks at of a function that computes: finding it out for each op takes longer than making the function.
_SIGNATURE = inspect.Signature(
    [
        inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=OpExecutionContext),
        inspect.Parameter("given", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Mapping),
    ]
)


def computes(function: _Compute) -> _Compute:
    """Mark a function ``(context, given)`` as what an op computes."""
    function.__signature__ = _SIGNATURE  # type: ignore[attr-defined]
    return function


class _Input(InputDefinition):
    """An input that stands in many ops."""

    def with_dagster_type(self, dagster_type: Any) -> InputDefinition:
        """Itself, when it has the type."""
        return self if dagster_type is self.dagster_type else super().with_dagster_type(dagster_type)


class _Out(dg.Out):
    """An output that stands in many ops."""

    def to_definition(self, annotation_type: Any, name: Any, description: Any, code_version: Any) -> OutputDefinition:
        """The same object for the same name: a code version is the asset's, and stands there."""
        return output_definition(name, self.io_manager_key, self.is_required, self.is_dynamic, self.description)


class _DynamicOut(_Out):
    @property
    def is_dynamic(self) -> bool:
        return True


@lru_cache(maxsize=20_000)
def output_definition(
    name: str, io_manager: str, required: bool = True, dynamic: bool = False, description: str | None = None
) -> OutputDefinition:
    """An output of an op or a graph."""
    kind = DynamicOutputDefinition if dynamic else OutputDefinition
    return kind(dg.Any, name, description=description, is_required=required, io_manager_key=io_manager)


@lru_cache(maxsize=20_000)
def _input(name: str, manager: str | None = None) -> InputDefinition:
    return _Input(name, dg.Any, input_manager_key=manager)


@lru_cache(maxsize=1_000)
def an_output(
    io_manager: str, *, required: bool = True, dynamic: bool = False, description: str | None = None
) -> dg.Out:
    """What an op's ``outs`` take for an output."""
    kind = _DynamicOut if dynamic else _Out
    return kind(dg.Any, description=description, is_required=required, io_manager_key=io_manager)


class MakingOp(dg.OpDefinition):
    """An op that makes an asset. It shows the inputs of its pipeline as its config, though it takes none itself.

    The UI looks at this op, not at the graph around it, for the config of an asset: on the asset's page, and to find
    out whether "Materialize" has to ask for some. Without it the button starts a run that is refused at once.
    """

    #: What is shown, None for what it takes.
    shown: Field | None = None

    @property
    def config_field(self) -> Field | None:
        """What the UI reads. What a launch is checked against is ``config_schema``."""
        return self.shown if self.shown is not None else super().config_field


class _Nothing(dg.Out):
    """An output without a value that stands in many ops: the result of a check is an event."""

    def to_definition(self, annotation_type: Any, name: Any, description: Any, code_version: Any) -> OutputDefinition:
        """The same object for the same name."""
        return _nothing_output(name)


@lru_cache(maxsize=20_000)
def _nothing_output(name: str) -> OutputDefinition:
    return OutputDefinition(dg.Nothing, name, is_required=False, io_manager_key=OUTCOMES_IO)


_NOTHING = _Nothing(dg.Nothing, is_required=False, io_manager_key=OUTCOMES_IO)


def checks_after(count: int, results: Iterable[str]) -> tuple[dict[str, Any], dict[str, dg.Out]]:
    """What the ``ins`` and ``outs`` of an op of checks take: so many assets that come before, and these results."""
    return {f"after_{number}": _nothing(f"after_{number}") for number in range(count)}, dict.fromkeys(results, _NOTHING)


def inputs_named(names: Iterable[str]) -> dict[str, Any]:
    """What an op's ``ins`` take for inputs of these names."""
    return {name: _input(name) for name in names}


def inputs_from_assets(names: Iterable[str]) -> dict[str, Any]:
    """What an op's ``ins`` take for inputs that are loaded from assets."""
    return {f"{ASSET_PREFIX}{name}": _input(f"{ASSET_PREFIX}{name}", ASSETS_IO) for name in names}


@lru_cache(maxsize=20_000)
def output_of(node: str, output: str = "outcome") -> DependencyDefinition:
    """An output of a node, as what another one depends on."""
    return DependencyDefinition(node, output)


class _GraphInput(InputMapping):
    """An input of a graph."""

    def get_definition(self) -> InputDefinition:
        """The same object for the same name."""
        return _input(self.graph_input_name)


def graph_input(name: str, node: str) -> InputMapping:
    """An input of a graph that goes to the input of the same name of a node in it."""
    return _GraphInput(graph_input_name=name, mapped_node_name=node, mapped_node_input_name=name)


class _AssetInput(InputMapping):
    """An input of a graph that an asset gives, typed as if it carried nothing.

    Dagster refuses an input with a value whose asset is not defined beside it, and a stub of the asset would clash with
    the asset itself where somebody merges both. What the op behind it takes is what counts in a run.
    """

    def get_definition(self) -> InputDefinition:
        """The input of the graph."""
        return _nothing(self.graph_input_name)


@lru_cache(maxsize=20_000)
def _nothing(name: str) -> InputDefinition:
    return InputDefinition(name, dg.Nothing)


def graph_input_from_asset(name: str) -> InputMapping:
    """The input of a pipeline's graph for an input that is loaded from an asset."""
    full = f"{ASSET_PREFIX}{name}"
    return _AssetInput(graph_input_name=full, mapped_node_name="inputs", mapped_node_input_name=full)


class _OutcomeOutput(OutputMapping):
    """An output of a graph that names the IO manager of the op's output behind it.

    Dagster gives every output of a graph the key ``io_manager``, and asks for that resource when a part of the implicit
    asset job is made ("Materialize" on an asset's page), though nothing ever uses it.
    """

    def get_definition(self, is_dynamic: bool) -> OutputDefinition:
        """The output of the graph."""
        return output_definition(self.graph_output_name, OUTCOMES_IO)


class _ProductOutput(OutputMapping):
    """The same for a product."""

    def get_definition(self, is_dynamic: bool) -> OutputDefinition:
        """The output of the graph."""
        return output_definition(self.graph_output_name, PRODUCTS_IO)


def graph_output(name: str, node: str, output: str) -> OutputMapping:
    """An output of a graph that is the output of a node in it."""
    kind = _OutcomeOutput if name in ("run", "outcome") else _ProductOutput
    return kind(graph_output_name=name, mapped_node_name=node, mapped_node_output_name=output)
