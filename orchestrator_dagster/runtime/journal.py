"""What steps inside loops and other pipelines have left, kept as files, so that a resumed run does not repeat them.

A step of the top level is an op, whose outcome Dagster keeps. What is inside an op is kept here: one file for each step
of each item or pass, below ``<folder>/<root run id>/``, written whole when the step has completed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from orchestrator_dagster.compiler.compiled import CompiledStep
from orchestrator_dagster.compiler.fingerprint import digest
from orchestrator_dagster.runtime.outcome import Outcome
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
        self._names: set[str] | None = None
        self._inputs: tuple[Mapping[str, Any], str] | None = None

    def get(self, step: CompiledStep, scope: Scope) -> Outcome | None:
        """What a step has left at a place where it completed with the same values; None when it did not."""
        if not self._keeps(step, scope) or self._path(step, scope).name not in self._there(scope):
            return None
        try:
            text = self._path(step, scope).read_text(encoding="utf-8")
            return Outcome.model_validate_json(text)
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
        except OSError as error:
            scope.services.log(f"the outcome of {scope.occurrence(step)} is not kept: {error}")

    def _keeps(self, step: CompiledStep, scope: Scope) -> bool:
        return bool(scope.path) and step.kind not in _CHEAP

    def _there(self, scope: Scope) -> set[str]:
        """The files that were there when this was first asked: in a run that is no resume none, which is known at once
        and not looked up for every item."""
        if self._names is None:
            try:
                self._names = {path.name for path in self.folder.iterdir()}
            except FileNotFoundError:
                self._names = set()
            except OSError as error:
                scope.services.log(f"what steps have left before cannot be read, they run again: {error}")
                self._names = set()
        return self._names

    def _path(self, step: CompiledStep, scope: Scope) -> AnyPath:
        """The file of a place: its path, what the step does, and the item or inputs that it does it with."""
        own = {name: scope.own[name] for name in ("item", "index") if name in scope.own}
        key = digest(
            [
                scope.pipeline.id,
                scope.occurrence(step),
                step.code_version,
                json.dumps(own, default=str),
                self._inputs_of(scope),
            ]
        )
        return self.folder / f"{key}.json"

    def _inputs_of(self, scope: Scope) -> str:
        """A digest of the inputs, made once for all items: they may be as large as all items together."""
        known = self._inputs
        if known is None or known[0] is not scope.inputs:
            plain = {name: value for name, value in scope.inputs.items() if name not in scope.secrets}
            self._inputs = known = (scope.inputs, digest(plain))
        return known[1]
