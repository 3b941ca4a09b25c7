"""Templates of the header: constants, defaults of inputs, and outputs with the steps that they read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator_dagster.compiler.flow import levels
from orchestrator_dagster.compiler.kinds import Place
from orchestrator_dagster.compiler.references import TemplateChecker
from orchestrator_dagster.compiler.scopes import Uses
from orchestrator_dagster.language.pipeline import Pipeline
from orchestrator_dagster.language.template_names import texts_of
from orchestrator_dagster.language.template_text import has_template
from orchestrator_dagster.language.types import InputSpec


class HeaderTexts:
    """Checks the templates of the header.

    ``output_steps`` has, for each output, the steps it reads, also through others; ``reads`` what constants, and
    outputs (under ``outputs.x``), are made from.
    """

    def __init__(self, pipeline: Pipeline, inputs: Mapping[str, InputSpec]) -> None:
        self.pipeline = pipeline
        self.inputs = inputs
        self.output_steps: dict[str, tuple[str, ...]] = {}
        self.output_edges: dict[str, list[str]] = {}
        self.reads: dict[str, Uses] = {}

    def find(self, checker: TemplateChecker) -> None:
        """Check them; ``checker`` knows the names of the top level."""
        self.checker, self.document, self.problems = checker, checker.document, checker.problems
        self._check_constants()
        self._find_outputs()
        self._check_defaults()

    def note(self, uses: Uses, inputs: set[str], constants: set[str], outputs: set[str]) -> None:
        """Add what a template reads of the header, and what that is made from."""
        names = (*uses.constants, *(f"outputs.{one}" for one in uses.outputs))
        for one in (uses, *(self.reads.get(name, Uses()) for name in names)):
            inputs.update(one.inputs)
            constants.update(one.constants)
            outputs.update(one.outputs)

    def ordered_outputs(self) -> dict[str, Any]:
        """The outputs in the file's order, except that one which another reads stands before it."""
        ordered: dict[str, Any] = {}
        for first in self.pipeline.outputs:
            waiting = [first]
            while waiting:
                missing = [one for one in self.output_edges.get(waiting[-1], ()) if one not in ordered]
                if missing:
                    waiting.append(missing[0])
                else:
                    name = waiting.pop()
                    ordered.setdefault(name, self.pipeline.outputs[name])
        return ordered

    def _find_outputs(self) -> None:
        """The steps of every output, also through other outputs."""
        direct: dict[str, dict[str, None]] = {}
        for name, value in self.pipeline.outputs.items():
            direct[name] = {}
            self.output_edges[name] = []
            self.reads[f"outputs.{name}"] = reads = Uses()
            for path, text in texts_of(value):
                uses = self.checker.check(text, ("outputs", name, *path), None)
                self._through(reads, uses)
                direct[name].update(dict.fromkeys(uses.steps))
                self.output_edges[name] += [one for one in uses.outputs if one in self.pipeline.outputs]
        ordered = [name for level in levels(self.output_edges) for name in level]
        for name in ordered:
            for other in self.output_edges[name]:
                direct[name].update(dict.fromkeys(self.output_steps[other]))
                self._through(self.reads[f"outputs.{name}"], self.reads[f"outputs.{other}"])
            self.output_steps[name] = tuple(direct[name])
        for name in self.pipeline.outputs:
            if name not in self.output_steps:
                self.problems.add(
                    "dependency-cycle",
                    f'the output "{name}" refers to itself',
                    self.document.key_span(("outputs", name)),
                    hint="an output reads steps, or outputs that do not read it",
                )

    def _through(self, reads: Uses, uses: Uses) -> None:
        """Note what something is made from, and what that is made from."""
        for one in (uses, *(self.reads.get(constant, Uses()) for constant in uses.constants)):
            reads.inputs = list(dict.fromkeys((*reads.inputs, *one.inputs)))
            reads.constants = list(dict.fromkeys((*reads.constants, *one.constants)))
            reads.outputs = list(dict.fromkeys((*reads.outputs, *one.outputs)))

    def _check_constants(self) -> None:
        """Constants are rendered before any step runs."""
        for name, value in self.pipeline.constants.items():
            self.reads[name] = Uses()
            for path, text in texts_of(value):
                at: Place = ("constants", name, *path)
                uses = self.checker.check(text, at, None)
                self._through(self.reads[name], uses)
                for step in uses.steps:
                    self.problems.add(
                        "unknown-name",
                        f'the constant "{name}" cannot read the step "{step}": it is known before any step runs',
                        self.document.span(at),
                        hint="use inputs, or make it an output",
                    )

    def _check_defaults(self) -> None:
        """Defaults are rendered before any step runs."""
        for name, spec in self.inputs.items():
            place: Place = ("inputs", name) if name in self.pipeline.inputs else ("output_dir",)
            for path, text in texts_of(spec.default):
                if not has_template(text):
                    continue
                uses = self.checker.check(text, (*place, "default", *path), None)
                used = [f'the step "{step}"' for step in uses.steps] + [f'the input "{name}"'] * (name in uses.inputs)
                used += [f'the input "{one}", which an asset gives' for one in uses.inputs if self.inputs[one].asset]
                if used:
                    self.problems.add(
                        "unknown-name",
                        f'the default of the input "{name}" cannot read {used[0]}: it is known before any step runs',
                        self.document.span((*place, "default", *path)),
                        hint="use other inputs, or give a plain default",
                    )
