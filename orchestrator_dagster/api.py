"""Pipelines from Python: compile, look at, run, use as Dagster definitions."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.project import (
    compile_or_raise,
    find_project,
    load_folder,
    refuse_broken,
    refuse_unsupported,
)
from orchestrator_dagster.text import nearest_name

if TYPE_CHECKING:
    import dagster as dg

    from orchestrator_dagster.definitions.progress import OnProgress
    from orchestrator_dagster.definitions.translator import PipelinesTranslator


@dataclass(frozen=True)
class Result:
    """What a run came to. ``document`` is the result document, the same that the command prints."""

    document: Mapping[str, Any]

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
        from orchestrator_dagster.definitions.factory import definitions_of
        from orchestrator_dagster.definitions.translation import translate_one

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
            return Result(run_pipeline(self.compiled, inputs, instance=instance, **options))  # type: ignore[arg-type]
        with open_instance(find_project(self.root)) as opened:
            return Result(run_pipeline(self.compiled, inputs, instance=opened, **options))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Pipelines(Mapping[str, Pipeline]):
    """The pipelines of a folder, by id: to run, to look at, to put among definitions of one's own.

    Args:
        folder: The folder.
        root: The workspace root.
        by_id: The pipelines, in the order of their files.
    """

    folder: Path
    root: Path
    by_id: Mapping[str, Pipeline]

    def __getitem__(self, name: str) -> Pipeline:
        if name not in self.by_id:
            near = nearest_name(name, list(self.by_id))
            raise KeyError(f'no pipeline "{name}" in {self.folder}' + (f'; did you mean "{near}"?' if near else ""))
        return self.by_id[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_id)

    def __len__(self) -> int:
        return len(self.by_id)

    def definitions(
        self,
        only: Sequence[str] | None = None,
        *,
        resources: Mapping[str, Any] | None = None,
        executor: str | dg.ExecutorDefinition | None = None,
        translator: PipelinesTranslator | None = None,
    ) -> dg.Definitions:
        """Dagster definitions of them: those of ``build_definitions``, without the sensor that follows the files.

        Args:
            only: Ids of the pipelines that are wanted, None for all.
            resources: Resources by key, instead of or beside the usual ones.
            executor: As for ``build_definitions``.
            translator: Says how the assets look.

        Example:
            >>> pipelines = load_pipelines("pipelines")  # doctest: +SKIP
            >>> defs = dg.Definitions.merge(pipelines.definitions(["report"]), mine)  # doctest: +SKIP

        Raises:
            KeyError: There is no pipeline of such an id.
            ExecutorError: An executor is not there.
            TranslationError: The translator fails, or says what runs could not keep to.
        """
        from orchestrator_dagster.definitions.factory import fixed_definitions

        wanted = [self[name].compiled for name in (self.by_id if only is None else only)]
        return fixed_definitions(wanted, root=self.root, resources=resources, executor=executor, translator=translator)


def load_pipelines(
    folder: str | os.PathLike[str] = "pipelines", *, root: str | os.PathLike[str] | None = None
) -> Pipelines:
    """Compile every pipeline file of a folder.

    Args:
        folder: The folder, relative to the root.
        root: The workspace root, default the project's folder, as for ``build_definitions``.

    Raises:
        PipelineError: Files have errors; the message and ``diagnostics`` have all problems of all files.

    Example:
        >>> pipelines = load_pipelines("pipelines")  # doctest: +SKIP
        >>> sorted(pipelines)  # doctest: +SKIP
        ['harvest', 'letter']
        >>> pipelines["harvest"].run().outputs  # doctest: +SKIP
    """
    base = Path(root).resolve() if root else find_project(Path.cwd())
    loaded = load_folder(base / folder, base)
    refuse_broken(loaded)
    found = [file.pipeline for file in loaded if file.pipeline is not None]
    return Pipelines(base / folder, base, {one.id: Pipeline(one, base) for one in found})


def compile(path: str | os.PathLike[str], *, root: str | os.PathLike[str] | None = None) -> Pipeline:
    """Compile a pipeline file.

    Args:
        path: The file.
        root: The workspace root, default the current folder.

    Raises:
        PipelineError: The file has errors; ``diagnostics`` has every one with its place.
    """
    base = Path(root).resolve() if root else Path.cwd()
    return Pipeline(compile_or_raise(Path(path), base), base)
