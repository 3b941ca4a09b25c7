"""What steps inside loops and other pipelines have left, kept as files, so that a resumed run does not repeat them.

A step of the top level is an op, whose outcome Dagster keeps. What is inside an op is kept here: one file for each step
of each item or pass, below ``<folder>/<root run id>/``, written whole when the step has completed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from orchestrator_dagster.compiler.compiled import CompiledStep
from orchestrator_dagster.compiler.fingerprint import digest
from orchestrator_dagster.runtime.outcome import Outcome, UsageInfo
from orchestrator_dagster.stored_files import open_folder, write_whole

if TYPE_CHECKING:
    from orchestrator_dagster.runtime.scope import Scope
    from orchestrator_dagster.stored_files import AnyPath

#: Kinds of work that cost nothing to do again.
_CHEAP = ("builtin",)


class Journal:
    """The outcomes inside the ops of one run and its re-executions.

    Args:
        folder: A folder or a URL that fsspec knows; made when the first outcome is kept.
        run: The root run's id.
        root: Where a relative path starts.

    Raises:
        StorageError: The URL cannot be opened.
    """

    def __init__(self, folder: str | os.PathLike[str], run: str, root: Path | None = None) -> None:
        self.folder = open_folder(folder, root) / run

    def get(self, step: CompiledStep, scope: Scope) -> Outcome | None:
        """What a step has left at a place where it completed with the same values; None when it did not.

        What its model calls took was paid then, and is no usage of now.
        """
        if not self._keeps(step, scope):
            return None
        try:
            text = self._path(step, scope).read_text(encoding="utf-8")
            kept = Outcome.model_validate_json(text)
            return kept.model_copy(update={"usage": UsageInfo(served=kept.usage.calls + kept.usage.served)})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, ValidationError) as error:
            scope.services.log(f"what {scope.occurrence(step)} has left cannot be read, it runs again: {error}")
            return None

    def put(self, step: CompiledStep, scope: Scope, outcome: Outcome) -> None:
        """Keep what a step has left; a folder that cannot be written does not fail the step: the log says it."""
        if not self._keeps(step, scope) or outcome.status != "completed":
            return
        try:
            write_whole(self._path(step, scope), outcome.model_dump_json())
        except (OSError, ValueError) as error:
            scope.services.log(f"the outcome of {scope.occurrence(step)} is not kept: {error}")

    def _keeps(self, step: CompiledStep, scope: Scope) -> bool:
        return bool(scope.path) and step.kind not in _CHEAP

    def _path(self, step: CompiledStep, scope: Scope) -> AnyPath:
        """The file of a place: its path, what the step does, and all that it can read.

        That is the item, the inputs, and what the steps before and around it have left (the scope's basis): a step
        whose predecessor failed in the first run and completes in the second is not what it was.
        """
        inputs = {name: value for name, value in scope.inputs.items() if name not in scope.secrets}
        products = [product.key for product in step.products if scope.wants(product.key)]
        key = digest(
            [
                scope.pipeline.id,
                scope.occurrence(step),
                step.code_version,
                scope.basis,
                json.dumps([inputs, products, dict(scope.secrets)], skipkeys=True, default=str),
            ]
        )
        return self.folder / f"{key}.json"
