"""Pipelines that a tool runs: compiled when the step runs, run in place, counted for the step."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from orchestrator_dagster.compiler.compile import Compilation, Known, compile_pipeline
from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.compiler.subpipelines import DEEPEST
from orchestrator_dagster.errors import ToolError
from orchestrator_dagster.language.diagnostics import render_all
from orchestrator_dagster.language.read import Reading, read_pipeline, read_pipeline_text
from orchestrator_dagster.models.personalities import find_personality
from orchestrator_dagster.models.references import parse_reference
from orchestrator_dagster.runtime.outcome import Outcome, ProductFile, UsageInfo
from orchestrator_dagster.runtime.scope import Scope
from orchestrator_dagster.runtime.subpipeline import run_inside
from orchestrator_dagster.tools.pipeline_access import PipelineCheck, PipelineEnd


class StepPipelines:
    """A :class:`~orchestrator_dagster.tools.pipeline_access.PipelineAccess` for one attempt at a step.

    Args:
        step: The step whose tool runs pipelines.
        scope: Where it runs.
        timeout: Seconds for all of the step, None without limit.
    """

    def __init__(self, step: CompiledStep, scope: Scope, timeout: float | None) -> None:
        self._step, self._scope = step, scope.until(timeout)
        self._lock = threading.Lock()
        self._count = 0
        self._usage = UsageInfo()
        self._products: list[ProductFile] = []

    @property
    def usage(self) -> UsageInfo:
        """What the model calls of all pipelines took so far."""
        with self._lock:
            return self._usage

    @property
    def products(self) -> tuple[ProductFile, ...]:
        """The files that they made."""
        with self._lock:
            return tuple(self._products)

    def check(self, source: str | Mapping[str, Any], name: str | None = None) -> PipelineCheck:
        """See :meth:`PipelineAccess.check`."""
        done = self._compile(source, name)
        made = done.pipeline
        problems = [one.render() for one in done.problems]
        if made is None:
            return PipelineCheck(None, False, problems)
        inputs = {
            one: {"type": spec.kind, "required": spec.is_required, "default": spec.default}
            for one, spec in made.inputs.items()
        }
        return PipelineCheck(made.id, not made.unsupported, problems, inputs)

    def run(self, source: str | Mapping[str, Any], inputs: Mapping[str, Any], name: str | None = None) -> PipelineEnd:
        """See :meth:`PipelineAccess.run`."""
        pipeline = self._runnable(self._compile(source, name))
        scope = self._scope
        depth = scope.depth + longest_chain(pipeline)
        if depth > DEEPEST:
            raise ToolError(
                f'pipelines run each other {DEEPEST} deep at most, and with "{pipeline.id}" they would be {depth} deep',
                hint="put some of the steps into one file",
                permanent=True,
            )
        with self._lock:
            self._count += 1
            mark = "" if self._count == 1 else f"#{self._count}"
        started = time.monotonic()
        done = run_inside(pipeline, dict(inputs), f"{scope.occurrence(self._step)}{mark}/", scope, None)
        with self._lock:
            self._usage += done.usage
            self._products += done.products
        return PipelineEnd(
            id=pipeline.id,
            outputs=done.outputs,
            steps={step: _shown(one) for step, one in done.outcomes.items()},
            products=[one.model_dump(mode="json") for one in done.products],
            usage={"calls": done.usage.calls, "tokens": done.usage.tokens, "cost": done.usage.cost},
            seconds=time.monotonic() - started,
        )

    def _compile(self, source: str | Mapping[str, Any], name: str | None) -> Compilation:
        services = self._scope.services
        workspace = services.workspace
        find = functools.partial(find_personality, folders=services.personality_folders)
        return compile_pipeline(self._read(source, name), Known(services.tools, parse_reference, find, workspace.root))

    def _read(self, source: str | Mapping[str, Any], name: str | None) -> Reading:
        if isinstance(source, Mapping):
            text = yaml.safe_dump(_plain(source), sort_keys=False, allow_unicode=True)
        elif "\n" in source.strip():
            text = source
        else:
            workspace = self._scope.services.workspace
            path = workspace.existing_file(source)
            return read_pipeline(path, workspace.relative(path))
        return read_pipeline_text(text, name or f"{self._step.id}.yaml")

    def _runnable(self, done: Compilation) -> CompiledPipeline:
        if done.pipeline is None:
            said = render_all(done.problems.errors)
            raise ToolError(f"the pipeline cannot be run:\n{said}", hint="correct it", permanent=True)
        if done.pipeline.unsupported:
            raise ToolError(
                "\n".join(["the pipeline cannot be run:", *done.pipeline.unsupported]),
                hint="remove what this release does not run",
                permanent=True,
            )
        return done.pipeline


def longest_chain(pipeline: CompiledPipeline) -> int:
    """How many pipelines run each other in it, itself counted."""
    return 1 + max((longest_chain(one) for one in _run_by(pipeline.steps)), default=0)


def _run_by(steps: tuple[CompiledStep, ...]) -> Iterator[CompiledPipeline]:
    for step in steps:
        if step.pipeline is not None:
            yield step.pipeline
        yield from _run_by(step.body)


def _shown(outcome: Outcome) -> dict[str, Any]:
    return {
        "status": outcome.status,
        "value": outcome.value,
        "error": outcome.error.message if outcome.error else None,
        "reason": outcome.reason,
    }


def _plain(value: Any) -> Any:
    """A value in plain lists and maps, as YAML can write it."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (str, bool, int, float)) else str(value)
