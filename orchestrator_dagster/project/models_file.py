"""``models.yaml``, the models of a person's own: in the project, then at home."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator_dagster.errors import PipelineError

if TYPE_CHECKING:
    from orchestrator_dagster.language.diagnostics import Diagnostic
    from orchestrator_dagster.models.user_models import UserModel

FILE = "models.yaml"


def own_models(root: Path, home: Path | None = None) -> dict[str, UserModel]:
    """The models of the project's ``models.yaml`` and of the one at home; of two with one name, the project's.

    Args:
        root: The project's folder.
        home: The folder of the second file, default ``~/.orchestrator``.

    Raises:
        PipelineError: A file has errors; ``diagnostics`` has all of both.
    """
    folder = home or Path.home() / ".orchestrator"
    files = [(root / FILE, FILE), (folder / FILE, str(folder / FILE))]
    there = [(path, shown) for path, shown in files if path.exists()]
    if not there:
        return {}
    # Imported here: most projects have no such file, and its model takes some 10 ms to make.
    from orchestrator_dagster.language.diagnostics import render_all
    from orchestrator_dagster.project.models_schema import read_models_file

    found: dict[str, UserModel] = {}
    wrong: list[Diagnostic] = []
    for path, shown in there:
        models, problems = read_models_file(path, shown)
        wrong += list(problems)
        found = {**models, **found}
    if wrong:
        raise PipelineError(render_all(wrong), tuple(wrong))
    return found
