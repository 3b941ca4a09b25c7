"""The executors that a pipeline may name: known names with the package that brings each, or ``module:attribute``."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass

from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.pipeline import Pipeline
from orchestrator_dagster.text import nearest_name


@dataclass(frozen=True)
class Integration:
    """An executor that another package defines.

    Args:
        package: Name of the package that pip installs.
        module: The module that has the executor.
        attribute: Its name there.
    """

    package: str
    module: str
    attribute: str


#: Executors of this package and of Dagster itself.
BUILT_IN = ("threads", "in_process", "multiprocess")
#: Executors of Dagster's integrations, under the names that they have in Dagster.
INTEGRATIONS = {
    "celery": Integration("dagster-celery", "dagster_celery", "celery_executor"),
    "celery_docker": Integration("dagster-celery-docker", "dagster_celery_docker", "celery_docker_executor"),
    "celery_k8s": Integration("dagster-celery-k8s", "dagster_celery_k8s", "celery_k8s_job_executor"),
    "dask": Integration("dagster-dask", "dagster_dask", "dask_executor"),
    "docker": Integration("dagster-docker", "dagster_docker", "docker_executor"),
    "k8s": Integration("dagster-k8s", "dagster_k8s", "k8s_job_executor"),
    "ray": Integration("dagster-ray", "dagster_ray", "ray_executor"),
}
NAMES = (*BUILT_IN, *INTEGRATIONS)

_ADDRESS = re.compile(r"(?P<module>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*):(?P<attribute>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*)")


def split_address(name: str) -> tuple[str, str] | None:
    """Module and attribute of ``module:attribute``, None for any other text.

    >>> split_address("plant.executors:fast"), split_address("threads")
    (('plant.executors', 'fast'), None)
    """
    found = _ADDRESS.fullmatch(name)
    return (found["module"], found["attribute"]) if found else None


def check_executor(pipeline: Pipeline, document: Document, problems: Problems) -> None:
    """Note an executor that is neither a known name nor an address; that a package is missing here is a warning.

    A file may be checked where it does not run: a location that loads it takes a missing package as an error.
    """
    name = pipeline.executor
    integration = INTEGRATIONS.get(name or "")
    if integration is not None and importlib.util.find_spec(integration.module) is None:
        problems.add(
            "executor-missing",
            f'the executor "{name}" needs the package {integration.package}, which is not installed here',
            document.span(("executor",)),
            severity="warning",
            hint=f"pip install {integration.package}, where the pipeline runs",
        )
    if name is None or name in NAMES or split_address(name):
        return
    near = nearest_name(name, NAMES)
    problems.add(
        "wrong-value",
        f'"{name}" is no executor',
        document.span(("executor",)),
        suggestion=near,
        hint=f"write one of {', '.join(NAMES)}, or module:attribute for an executor of your own",
    )
