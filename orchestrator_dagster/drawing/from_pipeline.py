"""The picture of a compiled pipeline: its steps, what they wait for, where they may go, and what they make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.compiler.flow import levels
from orchestrator_dagster.compiler.routes import ROUTE_KEYS
from orchestrator_dagster.drawing.picture import Edge, Group, Node, Picture
from orchestrator_dagster.drawing.step_names import inputs_read, siblings_read
from orchestrator_dagster.drawing.step_text import Entry, frame_title, listed, step_node
from orchestrator_dagster.language.step import Step

_INPUTS, _OUTPUTS = "inputs", "outputs"  # the ids of steps get a prefix, so none can be one of these


def picture_of(pipeline: CompiledPipeline) -> Picture:
    """Draw a pipeline: a box for each step and product, one for all inputs, one for all outputs, frames for loops.

    The inputs lead to the steps that read one and wait for no other step; every step says which inputs it reads.
    """
    return _Drawing(pipeline).picture()


class _Drawing:
    """Collects what is drawn, body by body."""

    def __init__(self, pipeline: CompiledPipeline) -> None:
        self.pipeline = pipeline
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.groups: list[Group] = []

    def picture(self) -> Picture:
        """Everything."""
        pipeline = self.pipeline
        entries = [Entry(step.spec, step, step.dependencies) for step in pipeline.steps]
        if pipeline.inputs:
            wanted = [f"{name} (required)" if spec.is_required else name for name, spec in pipeline.inputs.items()]
            self.nodes.append(Node(_INPUTS, "Inputs", "input", listed(wanted)))
            first = [one for one in entries if not one.dependencies and self.reads(one)]
            self.edges += [Edge(_INPUTS, _place(one.spec.id)) for one in first]
        self.body(entries, None)
        if pipeline.outputs:
            self.nodes.append(Node(_OUTPUTS, "Outputs", "output", listed(list(pipeline.outputs))))
            used = {step for steps in pipeline.output_steps.values() for step in steps}
            self.edges += [Edge(_place(step.id), _OUTPUTS) for step in pipeline.steps if step.id in used]
        return Picture(pipeline.name or pipeline.id, tuple(self.nodes), tuple(self.edges), tuple(self.groups))

    def body(self, entries: Sequence[Entry], frame: str | None) -> tuple[str, ...]:
        """Draw the steps of one body: boxes or frames, dependencies, routes, products. Gives the ids of its boxes.

        Whatever else a step can be or lead to is added here.
        """
        places = {entry.spec.id: _place(entry.spec.id, frame) for entry in entries}
        boxes: list[str] = []
        for entry in entries:
            spec, place = entry.spec, places[entry.spec.id]
            if spec.steps:
                members = self.body(self.inner(spec.steps), place)
                self.groups.append(Group(place, frame_title(entry), members, frame))
            else:
                self.nodes.append(step_node(entry, place, self.reads(entry)))
                boxes.append(place)
            self.edges += [Edge(places[one], place) for one in entry.dependencies if one in places]
            for key in ROUTE_KEYS:  # a policy (`on_failure: skip`) is no step's id
                target = getattr(spec, key)
                if target in places:
                    self.edges.append(Edge(place, places[target], key, key.replace("_", " ")))
            for product in self.products(entry, place):
                self.nodes.append(product)
                self.edges.append(Edge(place, product.id, "makes"))
                boxes.append(product.id)
        return tuple(boxes)

    def inner(self, steps: Sequence[Step]) -> list[Entry]:
        """The steps of a loop's body, which the compiler keeps as the file has them.

        Where steps read each other, what an earlier one reads of a later one is from the pass before: no line.
        """
        edges = {step.id: siblings_read(step, steps, self.pipeline.dashed) for step in steps}
        ordered = {name for level in levels(edges) for name in level}
        before: set[str] = set()
        found = []
        for step in steps:
            waits = tuple(one for one in edges[step.id] if one in ordered or one in before)
            found.append(Entry(step, None, waits))
            before.add(step.id)
        return found

    def reads(self, entry: Entry) -> tuple[str, ...]:
        """The inputs that a step reads, in the pipeline's order."""
        return inputs_read(entry.spec, tuple(self.pipeline.inputs), self.pipeline.dashed)

    def products(self, entry: Entry, place: str) -> Iterator[Node]:
        """A box for each product: its file, and the asset it is."""
        if entry.compiled is not None:
            for one in entry.compiled.products:
                key = "/".join(one.key)
                yield Node(f"{place}:{one.variable}", one.path, "product", (key,), key)
        else:
            for name, spec in entry.spec.products.items():
                yield Node(f"{place}:{name}", spec.path, "product", (name,))


def _place(step: str, frame: str | None = None) -> str:
    """The id of a step's box, unique also where two bodies have steps of one name."""
    return f"step {step}" if frame is None else f"{frame}/{step}"
