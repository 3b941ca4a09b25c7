"""What a model is shown of a pipeline: the compiled steps as data, cut to size; and the names that exist in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.frozen import thaw
from orchestrator_dagster.intelligence.step_words import flow, kinds_of_flow, model_words, plan_of, walk_paths
from orchestrator_dagster.intelligence.structural import structural_architecture

#: Most characters of one text, and of all facts together. A pipeline of 100 steps stays below the second.
LONGEST_TEXT, LONGEST_FACTS = 800, 60_000
#: What is shown of a step in a pipeline of very many.
_ALWAYS = ("step", "description", "kind", "calls_tool", "waits_for", "kinds_of_control_flow")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class Facts:
    """A pipeline as a model is shown it.

    Args:
        pipeline: The pipeline.
    """

    def __init__(self, pipeline: CompiledPipeline) -> None:
        self.pipeline = pipeline
        #: Every step by its path, those of loops included (``each_document/read``).
        self.steps: dict[str, CompiledStep] = dict(walk_paths(pipeline.steps, pipeline.plan))
        #: The kinds of control flow that each step has.
        self.flow: dict[str, set[str]] = {
            path: kinds_of_flow(step, plan_of(pipeline, path)) for path, step in self.steps.items()
        }

    @cached_property
    def header(self) -> dict[str, Any]:
        """What the pipeline says of itself: its aim, and what its steps are for."""
        pipeline = self.pipeline
        return {
            "id": pipeline.id,
            "name": pipeline.name,
            "description": pipeline.description,
            "steps": {
                path: " ".join(filter(None, (step.spec.name, step.spec.description)))
                for path, step in self.steps.items()
                if step.spec.name or step.spec.description
            },
        }

    @cached_property
    def text(self) -> str:
        """The compiled pipeline as JSON text, cut to size."""
        for longest in (LONGEST_TEXT, LONGEST_TEXT // 4, LONGEST_TEXT // 16):
            text = json.dumps(self._data(longest), ensure_ascii=False, default=str)
            if len(text) <= LONGEST_FACTS:
                return text
        data = self._data(LONGEST_TEXT // 16)
        data["steps"] = [{name: one[name] for name in _ALWAYS if name in one} for one in data["steps"]]
        text = json.dumps(data, ensure_ascii=False, default=str)
        if len(text) <= LONGEST_FACTS:
            return text
        return f"{text[:LONGEST_FACTS]}… (cut: {len(text):,} characters)"

    @cached_property
    def words(self) -> frozenset[str]:
        """Every word that stands in the pipeline, in small letters: names are among them."""
        whole = f"{json.dumps(self._data(100_000), default=str)} {structural_architecture(self.pipeline)}"
        return frozenset(word.lower() for word in _WORD.findall(whole))

    def _data(self, longest: int) -> dict[str, Any]:
        pipeline = self.pipeline
        inputs = {name: spec.model_dump(mode="json", exclude_unset=True) for name, spec in pipeline.inputs.items()}
        found = {
            "id": pipeline.id,
            "name": pipeline.name,
            "description": pipeline.description,
            "inputs": inputs,
            "steps": [self._step(path) for path in self.steps],
            "can_run_at_once": [list(level) for level in pipeline.plan.levels or pipeline.levels],
            "outputs": thaw(pipeline.outputs),
        }
        return {name: _cut(value, longest) for name, value in found.items() if value}

    def _step(self, path: str) -> dict[str, Any]:
        step = self.steps[path]
        inner = step.loop.steps[0] if step.loop is not None and step.loop.single else step
        found = {
            "step": path,
            "name": step.spec.name,
            "description": step.spec.description,
            "kind": inner.kind,
            "calls_tool": f"{inner.tool}.{inner.action}" if inner.kind == "tool" else None,
            "asks_model": model_words(inner).replace("`", "") if inner.kind == "model" else None,
            "may_call_tools": list(inner.spec.tools),
            "instruction": inner.instruction,
            "runs_pipeline": _pipeline(inner.pipeline) if inner.pipeline is not None else None,
            "parameters": thaw(inner.parameters) or thaw(inner.spec.inputs),
            "waits_for": list(step.dependencies),
            "control_flow": [line.replace("`", "") for line in flow(step, plan_of(self.pipeline, path))],
            "kinds_of_control_flow": sorted(self.flow[path]),
            "leaves": {name: spec.description or spec.type for name, spec in inner.variables.items()},
            "products": [f"{one.path} ({one.format})" for one in (*step.products, *inner.products)],
        }
        return {name: value for name, value in found.items() if value}


def _pipeline(other: CompiledPipeline) -> dict[str, Any]:
    steps = {
        path: step.spec.description or step.action or step.kind for path, step in walk_paths(other.steps, other.plan)
    }
    return {"id": other.id, "description": other.description, "steps": steps, "outputs": list(other.outputs)}


def _cut(value: Any, longest: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= longest else f"{value[:longest]}… (cut: {len(value):,} characters)"
    if isinstance(value, Mapping):
        return {name: _cut(one, longest) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cut(one, longest) for one in value]
    return value
