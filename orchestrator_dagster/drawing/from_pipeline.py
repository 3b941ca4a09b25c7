"""The picture of a compiled pipeline: its steps, what they wait for, where they may go, and what they make."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.compiler.kinds import BUILTIN_ACTIONS
from orchestrator_dagster.compiler.routes import ROUTE_KEYS
from orchestrator_dagster.drawing.picture import Edge, Group, Node, NodeKind, Picture
from orchestrator_dagster.language.expressions import ExpressionSyntaxError, names, parse_condition
from orchestrator_dagster.language.step import FAILURE_POLICIES, Step
from orchestrator_dagster.language.template_names import read_template, texts_of
from orchestrator_dagster.language.template_text import has_template, whole_expression

_INPUTS, _OUTPUTS = "inputs", "outputs"  # a step's node has a prefix, so no step can take these
_LISTED, _LINES = 34, 3  # characters in a line of names, and lines
_STEP_ROOTS = ("steps", "results", "previous_results")
_INPUT_ROOTS = ("inputs", "parameters")


def picture_of(pipeline: CompiledPipeline) -> Picture:
    """Draw a pipeline: one box a step and a product, one for all inputs and one for all outputs, frames for loops.

    The inputs lead to the steps that read one and wait for no other step; every step says which inputs it reads.
    """
    return _Drawing(pipeline).picture()


@dataclass(frozen=True)
class _Entry:
    """A step of one body. ``compiled`` is missing where the compiler keeps a step as the file has it."""

    spec: Step
    compiled: CompiledStep | None
    dependencies: tuple[str, ...]


class _Drawing:
    """Collects what is drawn, body by body."""

    def __init__(self, pipeline: CompiledPipeline) -> None:
        self.pipeline = pipeline
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.groups: list[Group] = []
        self.readers: list[str] = []

    def picture(self) -> Picture:
        """Everything."""
        pipeline = self.pipeline
        if pipeline.inputs:
            wanted = [f"{name} (required)" if spec.is_required else name for name, spec in pipeline.inputs.items()]
            self.nodes.append(Node(_INPUTS, "Inputs", "input", _listed(wanted)))
        self.body([_Entry(step.spec, step, step.dependencies) for step in pipeline.steps], None)
        self.edges += [Edge(_INPUTS, reader) for reader in self.readers]
        if pipeline.outputs:
            self.nodes.append(Node(_OUTPUTS, "Outputs", "output", _listed(list(pipeline.outputs))))
            used = dict.fromkeys(step for steps in pipeline.output_steps.values() for step in steps)
            self.edges += [Edge(_at(step.id), _OUTPUTS) for step in pipeline.steps if step.id in used]
        return Picture(pipeline.name or pipeline.id, tuple(self.nodes), tuple(self.edges), tuple(self.groups))

    def body(self, entries: Sequence[_Entry], frame: str | None) -> list[str]:
        """Draw the steps of one body and the edges between them; gives its nodes. What a step can be is told here."""
        before = len(self.nodes)
        inner: set[str] = set()
        around = "" if frame is None else f"{frame}/"
        ids = {entry.spec.id: _at(entry.spec.id, around) for entry in entries}
        for entry in entries:
            spec, place = entry.spec, ids[entry.spec.id]
            reads = [name for name in self._inputs_read(entry) if name in self.pipeline.inputs]
            lines = [*_loop(spec), *_condition(spec), *_policy(spec), *_reads(reads), *_tries(entry)]
            if spec.steps:
                inner.update(self.body(self._entries(spec.steps), place))
                self.groups[self._slot(place)] = Group(
                    place, " · ".join([_title(spec), *lines]), self._members(place), frame
                )
            else:
                self.nodes.append(Node(place, _title(spec), _kind(entry), (*_work(entry), *lines)))
            if reads and frame is None and not entry.dependencies:
                self.readers.append(place)
            self.edges += [Edge(ids[one], place) for one in entry.dependencies if one in ids]
            self.edges += [
                Edge(place, ids[target], key, key.replace("_", " "))
                for key in ROUTE_KEYS
                if (target := getattr(spec, key)) in ids
            ]
            for product in self._products(entry, place):
                self.nodes.append(product)
                self.edges.append(Edge(place, product.id, "makes"))
        return [node.id for node in self.nodes[before:] if node.id not in inner]
