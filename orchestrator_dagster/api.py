"""Pipelines from Python: compile, look at, run, use as Dagster definitions."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.errors import OrchestratorError
from orchestrator_dagster.project.loading import compile_or_raise, find_project, refuse_unsupported

if TYPE_CHECKING:
    import dagster as dg

    from orchestrator_dagster.definitions.pipelines.translator import PipelinesTranslator
    from orchestrator_dagster.definitions.steps.progress import OnProgress
    from orchestrator_dagster.intelligence.description import Description
    from orchestrator_dagster.intelligence.quality import Quality


@dataclass(frozen=True)
class Result:
    """What a run came to. ``document`` is the result document, the same that the command prints."""

    document: Mapping[str, Any]
    _load_log: Callable[[], dict[str, Any]] = field(repr=False, compare=False)
    _judge: Callable[[Mapping[str, Any] | None], Quality] = field(repr=False, compare=False)

    def qc(self, *, resources: Mapping[str, Any] | None = None) -> Quality:
        """Have the pipeline's ``orchestrator`` judge the products of this run by the rubric of ``qc``.

        What can be checked without a model comes first: the files are there, can be read, hold something. Every call
        costs anew.

        Args:
            resources: Resources by key, instead of the usual ones.

        Raises:
            OrchestratorError: The pipeline has no ``qc``.
        """
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

    @cached_property
    def log(self) -> dict[str, Any]:
        """Everything the run did, as JSON: steps, attempts, decisions, calls, products and failures, with times.

        It is read from the record of the run when it is first asked for. :func:`orchestrator_dagster.log.markdown`
        makes a report of it.
        """
        return self._load_log()


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
            from orchestrator_dagster.definitions.location.served import storage_if_there

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
        from orchestrator_dagster.definitions.location.outside_runs import described_here
        from orchestrator_dagster.definitions.location.served import storage_of

        storage = Path(instance.storage_directory()) if instance is not None else storage_of(self.root)
        found, _ = described_here(
            self.compiled, self.root, storage=storage, resources=resources, refresh=refresh, timeout=timeout
        )
        return found

    @cached_property
    def assets(self) -> dg.AssetsDefinition:
        """The pipeline as Dagster's graph-backed multi-asset."""
        from orchestrator_dagster.definitions.pipelines.assets import pipeline_assets

        refuse_unsupported(self.compiled)
        return pipeline_assets(self.compiled)

    @cached_property
    def graph(self) -> dg.GraphDefinition:
        """The pipeline as Dagster's graph of ops."""
        from orchestrator_dagster.definitions.pipelines.graphs import pipeline_graph

        refuse_unsupported(self.compiled)
        return pipeline_graph(self.compiled)

    def definitions(
        self, *, resources: Mapping[str, Any] | None = None, translator: PipelinesTranslator | None = None
    ) -> dg.Definitions:
        """The pipeline as Dagster definitions: assets, job and resources.

        Args:
            resources: Resources by key, instead of the usual ones.
            translator: Says how the assets look.

        Raises:
            TranslationError: The translator fails, or says what runs could not keep to.
        """
        from orchestrator_dagster.definitions.location.factory import definitions_of
        from orchestrator_dagster.definitions.pipelines.translation import translate_one

        refuse_unsupported(self.compiled)
        pipeline, specs = translate_one(self.compiled, translator)
        return definitions_of([pipeline], root=self.root, resources=resources, specs=specs)

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
        from orchestrator_dagster.definitions.instance.home import open_instance
        from orchestrator_dagster.definitions.runs.execution import run_pipeline

        options = {
            "root": self.root,
            "resources": resources,
            "products": products,
            "partition": partition,
            "on_progress": on_progress,
        }
        if instance is not None:
            document = run_pipeline(self.compiled, inputs, instance=instance, **options)  # type: ignore[arg-type]
            return _result(document, self.compiled, self.root, instance, resources)
        with open_instance(find_project(self.root)) as opened:
            document = run_pipeline(self.compiled, inputs, instance=opened, **options)  # type: ignore[arg-type]
        return _result(document, self.compiled, self.root, None, resources)


def _result(
    document: Mapping[str, Any],
    pipeline: CompiledPipeline,
    root: Path,
    instance: dg.DagsterInstance | None,
    of_run: Mapping[str, Any] | None = None,
) -> Result:
    """A result whose log is read, and whose products are judged, when it is wanted.

    Args:
        document: The result document.
        pipeline: The pipeline that has run.
        root: The workspace root.
        instance: Where the run is recorded, None for the project's instance.
        of_run: The resources that the run was given.
    """
    run_id = str(document["execution_id"])

    @contextlib.contextmanager
    def opened() -> Iterator[dg.DagsterInstance]:
        from orchestrator_dagster.definitions.instance.home import open_instance

        if instance is not None:
            yield instance
        else:
            with open_instance(find_project(root)) as found:
                yield found

    def load() -> dict[str, Any]:
        from orchestrator_dagster.definitions.runs.run_log import load_log

        with opened() as found:
            return load_log(found, run_id, pipeline).model_dump(mode="json")

    def judge(resources: Mapping[str, Any] | None) -> Quality:
        from orchestrator_dagster.definitions.location.outside_runs import judge_run

        if pipeline.qc is None:
            raise OrchestratorError(
                f'the pipeline "{pipeline.id}" has no `qc`',
                hint="say in its header what a good product is: `qc: {rubric: …}`",
            )
        with opened() as found:
            return judge_run(pipeline, run_id, root, found, {**(of_run or {}), **(resources or {})})

    return Result(document, load, judge)


def load_result(
    run_id: str,
    *,
    root: str | os.PathLike[str] | None = None,
    instance: dg.DagsterInstance | None = None,
    pipeline: Pipeline | None = None,
) -> Result:
    """The result of any recorded run: one that has ended in whatever way, or that goes on.

    Args:
        run_id: Dagster's run id, or the beginning of it.
        root: A folder of the project, default the current one.
        instance: Where the run is recorded, default the project's instance.
        pipeline: The pipeline that was launched, where it is not kept beside the run.

    Raises:
        RunNotFoundError: There is no such run, or several whose ids begin so.
        LogError: The pipeline of the run is not kept.

    Example:
        >>> result = load_result("1a2b3c4d")  # doctest: +SKIP
        >>> result.log["failures"]  # doctest: +SKIP
    """
    from orchestrator_dagster.definitions.instance.home import open_instance
    from orchestrator_dagster.definitions.runs.record import load_record
    from orchestrator_dagster.definitions.runs.recorded import find_run, pipeline_of_run

    base = Path(root).resolve() if root else Path.cwd()

    def load(opened: dg.DagsterInstance) -> tuple[Mapping[str, Any], CompiledPipeline]:
        run = find_run(run_id, opened)
        compiled = pipeline_of_run(run, opened, pipeline.compiled if pipeline else None)
        return load_record(opened, run.run_id, compiled), compiled

    if instance is not None:
        document, compiled = load(instance)
    else:
        with open_instance(find_project(base)) as opened:
            document, compiled = load(opened)
    return _result(document, compiled, base, instance)


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
