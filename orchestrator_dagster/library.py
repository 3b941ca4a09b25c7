"""A folder of pipelines as a library: compiled once, to run, to look at, to merge with other definitions."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator_dagster.api import Pipeline
from orchestrator_dagster.project.loading import find_project, load_folder, refuse_broken
from orchestrator_dagster.text import nearest_name

if TYPE_CHECKING:
    import dagster as dg

    from orchestrator_dagster.definitions.pipelines.translator import PipelinesTranslator


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
        from orchestrator_dagster.definitions.location.factory import fixed_definitions

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
