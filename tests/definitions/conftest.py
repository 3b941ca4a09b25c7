"""Code locations of a pipeline or two, and the runs that their schedules and sensors ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance, RunRequest

import orchestrator_dagster as orc

Locate = Callable[..., dg.Definitions]
Launch = Callable[[dg.Definitions, RunRequest], dg.ExecuteInProcessResult]


@pytest.fixture
def locate(project: Path) -> Locate:
    """The definitions of a project with these pipelines, each the text of a file with an id in its first line."""

    def make(*texts: str) -> dg.Definitions:
        for text in texts:
            name = text.split("\n", 1)[0].removeprefix("id: ")
            (project / "pipelines" / f"{name}.yaml").write_text(text, encoding="utf-8")
        definitions = orc.build_definitions("pipelines", root=project)
        assert "orchestrator/broken" not in definitions.metadata, definitions.metadata["orchestrator/broken"].value
        dg.Definitions.validate_loadable(definitions)
        for job in definitions.resolve_all_job_defs():
            assert job.run_config_schema is not None  # made when it is asked for
        return definitions

    return make


@pytest.fixture
def launch(instance: DagsterInstance) -> Launch:
    """Runs what a tick asked for, as the daemon would: with the request's config, tags and partition."""

    def run(definitions: dg.Definitions, request: RunRequest) -> dg.ExecuteInProcessResult:
        job = definitions.resolve_job_def(request.job_name or "watch_job")
        return job.execute_in_process(
            run_config=request.run_config,
            tags=dict(request.tags),
            partition_key=request.partition_key,
            instance=instance,
        )

    return run
