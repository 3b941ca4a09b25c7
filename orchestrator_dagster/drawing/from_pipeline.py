"""The picture of a compiled pipeline: its steps, what they wait for, where they may go, and what they make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.compiler.routing import Route, RoutePlan
from orchestrator_dagster.drawing.picture import Edge, Group, Node, Picture
from orchestrator_dagster.drawing.step_names import inputs_read
from orchestrator_dagster.drawing.step_text import frame_title, listed, route_label, step_node

_INPUTS, _OUTPUTS = "inputs", "outputs"  # the ids of steps get a prefix, so none can be one of these


def picture_of(pipeline: CompiledPipeline) -> Picture:
    """Draw a pipeline: a box for each step and product, one for all inputs, one for all outputs, frames for loops.

    The inputs lead to the steps that read one and wait for no other step; every step says which inputs it reads. A
    step that runs another pipeline is one box. Handlers of the header, which are those of all steps, are no lines:
    the box that they lead to says so.
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
        if pipeline.inputs:
            wanted = [f"{name} (required)" if spec.is_required else name for name, spec in pipeline.inputs.items()]
            self.nodes.append(Node(_INPUTS, "Inputs", "input", listed(wanted)))
            first = [one for one in pipeline.steps if not one.dependencies and self.reads(one)]
            self.edges += [Edge(_INPUTS, _place(one.id)) for one in first]
        self.body(pipeline.steps, pipeline.plan, None)
        if pipeline.outputs:
            self.nodes.append(Node(_OUTPUTS, "Outputs", "output", listed(list(pipeline.outputs))))
            used = {step for steps in pipeline.output_steps.values() for step in steps}
            self.edges += [Edge(_place(step.id), _OUTPUTS) for step in pipeline.steps if step.id in used]
        return Picture(pipeline.name or pipeline.id, tuple(self.nodes), tuple(self.edges), tuple(self.groups))

    def body(self, steps: Sequence[CompiledStep], plan: RoutePlan, frame: str | None) -> tuple[str, ...]:
        """Draw the steps of one body: boxes or frames, dependencies, routes, products. Gives the ids of its boxes.

        Whatever else a step can be or lead to is added here.
        """
        by_id = {step.id: step for step in steps}
        places = {step.id: _place(step.id, frame) for step in steps}
        routes = [route for route in plan.routes if route.target is not None]
        of_all = {route.target for route in routes if not _own(route, by_id[route.source])}
        boxes: list[str] = []
        for step in steps:
            place = places[step.id]
            if step.loop and not step.loop.single:
                members = self.body(step.loop.steps, step.loop.plan, place)
                self.groups.append(Group(place, frame_title(step, step.id in of_all), members, frame))
            else:
                self.nodes.append(step_node(step, place, self.reads(step), step.id in of_all))
                boxes.append(place)
            self.edges += [Edge(places[one], place) for one in step.dependencies]
            for product in self.products(step, place):
                self.nodes.append(product)
                self.edges.append(Edge(place, product.id, "makes"))
                boxes.append(product.id)
        for route in routes:
            if route.target is not None and _own(route, by_id[route.source]):
                label = route_label(by_id[route.source], route)
                self.edges.append(Edge(places[route.source], places[route.target], route.key, label))
        return tuple(boxes)

    def reads(self, step: CompiledStep) -> tuple[str, ...]:
        """The inputs that a step reads, in the pipeline's order."""
        return inputs_read(step.spec, tuple(self.pipeline.inputs), self.pipeline.dashed)

    def products(self, step: CompiledStep, place: str) -> Iterator[Node]:
        """A box for each product: its file, and the asset it is."""
        for one in step.all_products if step.loop is None or step.loop.single else step.products:
            key = "/".join(one.key)
            yield Node(f"{place}:{one.variable}", one.path, "product", (key,), key)


def _own(route: Route, source: CompiledStep) -> bool:
    """Whether a route is the step's own, and not one of the header's handlers."""
    spec = source.spec
    ways = (spec.on_failure, *(one.goto for one in spec.failure_handlers))
    return route.key != "on_failure" or route.target in ways


def _place(step: str, frame: str | None = None) -> str:
    """The id of a step's box, unique also where two bodies have steps of one name."""
    return f"step {step}" if frame is None else f"{frame}/{step}"
