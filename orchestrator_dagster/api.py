"""Pipelines from Python: compile, look at, run, use as Dagster definitions."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.errors import OrchestratorError
from orchestrator_dagster.project import compile_or_raise, find_project, refuse_unsupported

if TYPE_CHECKING:
    import dagster as dg

    from orchestrator_dagster.definitions.progress import OnProgress
    from orchestrator_dagster.intelligence.description import Description
    from orchestrator_dagster.intelligence.quality import Quality


@dataclass(frozen=True)
class Result:
    """What a run came to. ``document`` is the result document, the same that the command prints."""

    document: Mapping[str, Any]
    _judge: Callable[[Mapping[str, Any] | None], Quality] | None = field(default=None, repr=False, compare=False)

    def qc(self, *, resources: Mapping[str, Any] | None = None) -> Quality:
        """Have the pipeline's ``orchestrator`` judge the products of this run by the rubric of ``qc``.

        What can be checked without a model comes first: the files are there, can be read, hold something. Every call
        costs anew.

        Args:
            resources: Resources by key, instead of the usual ones.

        Raises:
            OrchestratorError: The pipeline has no ``qc``.
        """
        if self._judge is None:
            raise OrchestratorError(
                "the pipeline of this result is not known", hint="take the result that `pipeline.run()` gives"
            )
        return self._judge(resources)

    @property
    def success(self) -> bool:
        """Whether the run completed."""
        return bool(self.document["success"])

    @property
    def run_id(self) -> str:
        """Dagster's run id."""
        return str(self.document["execution_id"])

    @property
    def outputs(self) -> dict[str, Any]:
        """Value of each declared output; None where its step did not complete."""
        return dict(self.document["outputs"])

    @property
    def products(self) -> list[dict[str, Any]]:
        """Every product that was written: variable, key, path, format, bytes, sha256, rows, columns."""
        return list(self.document["products"])

    @property
    def steps(self) -> dict[str, dict[str, Any]]:
        """Every step by id: status, value, error, tool, model, times, attempts."""
        return dict(self.document["steps"])

    @property
    def error(self) -> dict[str, Any] | None:
        """Type, message and step of the failure that ended the run, None when it completed."""
        return self.document["error"]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Pipeline:
    """A compiled pipeline, ready to run.

    Args:
        compiled: What the compiler made.
        root: The workspace root: where relative paths start.
    """

    compiled: CompiledPipeline
    root: Path

    @property
    def id(self) -> str:
        """The pipeline's id."""
        return self.compiled.id

    @property
    def description(self) -> Description:
        """Intention, architecture and alignment, as they were made and kept; else made from the steps alone.

        No model is asked here: :meth:`describe` asks.
        """
        from orchestrator_dagster.intelligence.description import names_orchestrator
        from orchestrator_dagster.intelligence.kept import description_of

        storage = None
        if names_orchestrator(self.compiled):
            from orchestrator_dagster.definitions.served import storage_if_there

            storage = storage_if_there(self.root)
        return description_of(self.compiled, storage)

    @property
    def intention(self) -> str:
        """What the pipeline is meant to do, in 3 to 10 sentences: Markdown. See :attr:`description`."""
        return self.description.intention.labelled

    @property
    def architecture(self) -> str:
        """How the pipeline is built, step by step, with its control flow: Markdown. See :attr:`description`."""
        return self.description.architecture.labelled

    def describe(
        self,
        *,
        refresh: bool = False,
        timeout: float | None = None,
        resources: Mapping[str, Any] | None = None,
        instance: dg.DagsterInstance | None = None,
    ) -> Description:
        """Have the pipeline's ``orchestrator`` describe it and judge whether it does what it is meant to do.

        A description is kept until the pipeline, the model or the prompts change. What the model cannot make is
        structural, with the reason. A mismatch is in ``alignment``; ``compile(…, describe=True)`` raises it.

        Args:
            refresh: Ask anew although there is a kept description.
            timeout: Seconds that each of the three questions may take, None for 180.
            resources: Resources by key, instead of the usual ones.
            instance: Where the description is kept, default the project's instance.
        """
        from orchestrator_dagster.definitions.outside_runs import described_here
        from orchestrator_dagster.definitions.served import storage_of

        storage = Path(instance.storage_directory()) if instance is not None else storage_of(self.root)
        found, _ = described_here(
            self.compiled, self.root, storage=storage, resources=resources, refresh=refresh, timeout=timeout
        )
        return found

    @cached_property
    def assets(self) -> dg.AssetsDefinition:
        """The pipeline as Dagster's graph-backed multi-asset."""
        from orchestrator_dagster.definitions.assets import pipeline_assets

        refuse_unsupported(self.compiled)
        return pipeline_assets(self.compiled)

    @cached_property
    def graph(self) -> dg.GraphDefinition:
        """The pipeline as Dagster's graph of ops."""
        from orchestrator_dagster.definitions.graphs import pipeline_graph

        refuse_unsupported(self.compiled)
        return pipeline_graph(self.compiled)

    def definitions(self, *, resources: Mapping[str, Any] | None = None) -> dg.Definitions:
        """The pipeline as Dagster definitions: assets, job and resources.

        Args:
            resources: Resources by key, instead of the usual ones.
        """
        from orchestrator_dagster.definitions.factory import definitions_of

        refuse_unsupported(self.compiled)
        return definitions_of([self.compiled], root=self.root, resources=resources)

    def run(
        self,
        *,
        on_progress: OnProgress | None = None,
        products: Sequence[str] | None = None,
        partition: str | None = None,
        resources: Mapping[str, Any] | None = None,
        instance: dg.DagsterInstance | None = None,
        **inputs: Any,
    ) -> Result:
        """Run the pipeline in this process and wait for its end. A run that fails is a result, not an exception.

        Args:
            on_progress: Called for every event of a step.
            products: Variables whose products are wanted: only what they need runs. None for everything.
            partition: Key of the partition that is to be made, when the pipeline has partitions.
            resources: Resources by key, instead of the usual ones.
            instance: Where the run is recorded, default the project's instance.
            **inputs: Values of the inputs.

        Raises:
            PipelineError: The pipeline says what this release does not run; no run was made.
            InputsError: The inputs or the partition are wrong; no run was made.

        Example:
            >>> result = compile("pipelines/report.yaml").run(topic="trees")  # doctest: +SKIP
            >>> result.outputs["report"]  # doctest: +SKIP
        """
        from orchestrator_dagster.definitions.execution import run_pipeline
        from orchestrator_dagster.definitions.instance import open_instance

        options = {
            "root": self.root,
            "resources": resources,
            "products": products,
            "partition": partition,
            "on_progress": on_progress,
        }
        if instance is not None:
            document = run_pipeline(self.compiled, inputs, instance=instance, **options)  # type: ignore[arg-type]
        else:
            with open_instance(find_project(self.root)) as opened:
                document = run_pipeline(self.compiled, inputs, instance=opened, **options)  # type: ignore[arg-type]
        return Result(document, self._judge(str(document["execution_id"]), instance, resources))

    def _judge(
        self, run_id: str, instance: dg.DagsterInstance | None, of_run: Mapping[str, Any] | None
    ) -> Callable[[Mapping[str, Any] | None], Quality]:
        """Judges the products of one run."""

        def judge(resources: Mapping[str, Any] | None) -> Quality:
            from orchestrator_dagster.definitions.instance import open_instance
            from orchestrator_dagster.definitions.outside_runs import judge_run

            if self.compiled.qc is None:
                raise OrchestratorError(
                    f'the pipeline "{self.id}" has no `qc`',
                    hint="say in its header what a good product is: `qc: {rubric: …}`",
                )
            given = {**(of_run or {}), **(resources or {})}
            if instance is not None:
                return judge_run(self.compiled, run_id, self.root, instance, given)
            with open_instance(find_project(self.root)) as opened:
                return judge_run(self.compiled, run_id, self.root, opened, given)

        return judge


def compile(
    path: str | os.PathLike[str], *, root: str | os.PathLike[str] | None = None, describe: bool = False
) -> Pipeline:
    """Compile a pipeline file.

    Args:
        path: The file.
        root: The workspace root, default the current folder.
        describe: Whether its ``orchestrator`` describes and judges it now, when it has not done so before. Without it
            no model is asked.

    Raises:
        PipelineError: The file has errors; ``diagnostics`` has every one with its place.
        AlignmentError: It was judged not to do what it is meant to do, and its ``alignment`` does not accept that.
    """
    base = Path(root).resolve() if root else Path.cwd()
    pipeline = Pipeline(compile_or_raise(Path(path), base), base)
    if describe:
        pipeline.describe().alignment.check(pipeline.id)
    return pipeline
