"""What steps inside loops and other pipelines have left, kept as files, so that a resumed run does not repeat them.

A step of the top level is an op, whose outcome Dagster keeps. What is inside an op is kept here: one file for each step
of each item or pass, in a folder of the root run, written whole when the step has completed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from orchestrator_dagster.compiler.compiled import CompiledStep
from orchestrator_dagster.compiler.fingerprint import digest
from orchestrator_dagster.files.stored_files import write_whole
from orchestrator_dagster.runtime.outcome import Outcome, UsageInfo

if TYPE_CHECKING:
    from orchestrator_dagster.files.stored_files import AnyPath
    from orchestrator_dagster.runtime.scope import Scope

#: Kinds of work that cost nothing to do again.
_CHEAP = ("builtin",)


class Journal:
    """The outcomes inside the ops of one run and its re-executions.

    Args:
        folder: A folder, or one behind a URL that fsspec knows; made when the first outcome is kept.
    """

    def __init__(self, folder: AnyPath) -> None:
        self.folder = folder
        self._names: set[str] | None = None
        self._inputs: tuple[Mapping[str, Any], str] | None = None

    def get(self, step: CompiledStep, scope: Scope) -> Outcome | None:
        """What a step has left at a place where it completed with the same values; None when it did not.

        What its model calls took was paid then, and is no usage of now.
        """
        if not self._keeps(step, scope) or self._path(step, scope).name not in self._there(scope):
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
            path = self._path(step, scope)
            write_whole(path, outcome.model_dump_json())
            self._there(scope).add(path.name)
        except (OSError, ValueError) as error:
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
        """The file of a place: its path, what the step does, and all that it can read.

        That is the item, the inputs, and what the steps before and around it have left (the scope's basis): a step
        whose predecessor failed in the first run and completes in the second is not what it was.
        """
        products = [product.key for product in step.products if scope.wants(product.key)]
        key = digest(
            [
                scope.pipeline.id,
                scope.occurrence(step),
                step.code_version,
                scope.basis,
                self._inputs_of(scope),
                json.dumps([products, dict(scope.secrets)], skipkeys=True, default=str),
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
