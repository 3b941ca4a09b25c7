"""What a location shows of its pipelines' descriptions, and the runs that make them anew."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagster import RunRequest

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.compiler.fingerprint import digest
from orchestrator_dagster.definitions.location.served import storage_of
from orchestrator_dagster.definitions.pipelines.intelligence import alignment_key, describe_job
from orchestrator_dagster.errors import OrchestratorError
from orchestrator_dagster.intelligence.description import Description, names_orchestrator


@dataclass(frozen=True)
class Describing:
    """The descriptions that a location was loaded with. No model is asked here.

    Args:
        kept: What was kept when the location was loaded, by the pipelines' ids.
        missing: Where the descriptions of the others will be kept, by their ids.
        job: The job that makes them; None when no pipeline names a model that can.
        job_name: Its name.
    """

    kept: Mapping[str, Description] = field(default_factory=dict)
    missing: Mapping[str, Path] = field(default_factory=dict)
    job: Any = None
    job_name: str = ""

    @classmethod
    def of(cls, pipelines: Sequence[CompiledPipeline], folder: Path, root: Path) -> Describing:
        """What is kept of the pipelines of a folder.

        Args:
            pipelines: The pipelines.
            folder: The folder of pipeline files.
            root: The workspace root.
        """
        asking = [one for one in pipelines if names_orchestrator(one)]
        if not asking:
            return cls()
        from orchestrator_dagster.intelligence.kept import description_path, kept_description

        name = f"describe_{re.sub(r'[^A-Za-z0-9_]', '_', folder.name) or 'pipelines'}"
        job = describe_job(name, asking)
        try:
            storage = storage_of(root)
        except OrchestratorError:
            return cls(job=job, job_name=name)
        found = {one.id: kept_description(storage, one) for one in asking}
        return cls(
            {id: one for id, one in found.items() if one is not None},
            {one.id: description_path(storage, one) for one in asking if found[one.id] is None},
            job,
            name,
        )

    def come(self) -> list[str]:
        """Ids of the pipelines whose descriptions have come since the location was loaded."""
        return [id for id, path in self.missing.items() if path.is_file()]

    def runs(self, changed: Sequence[CompiledPipeline]) -> list[RunRequest]:
        """The run that describes pipelines that are new or have changed, as far as they are not described yet."""
        asking = [one for one in changed if one.id in self.missing]
        if self.job is None or not asking:
            return []
        marks = digest(sorted([one.id, one.fingerprint] for one in asking))[:32]
        return [
            RunRequest(
                run_key=f"describe:{marks}",
                job_name=self.job_name,
                asset_check_keys=[alignment_key(one) for one in asking],
                tags={"orchestrator/describes": ",".join(one.id for one in asking)[:255]},
            )
        ]
