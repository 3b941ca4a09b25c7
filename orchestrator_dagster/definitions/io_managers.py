"""How values pass between steps, and how products are found again. JSON and product files; no pickle anywhere."""

from __future__ import annotations

import errno
import json
import re
from typing import TYPE_CHECKING, Any, Optional

import dagster as dg
from dagster import InputContext, OutputContext
from pydantic import BaseModel, Field

from orchestrator_dagster.compiler.products import format_of_path
from orchestrator_dagster.definitions.pipelines.asset_values import find
from orchestrator_dagster.definitions.steps.metadata import usage_metadata
from orchestrator_dagster.definitions.steps.progress import op_of
from orchestrator_dagster.definitions.steps.step_context import failure_of
from orchestrator_dagster.errors import FileMissingError, ProductError, StorageError
from orchestrator_dagster.files.stored_files import shown, write_whole
from orchestrator_dagster.runtime.asset_values import AssetFile, AssetFiles, AssetMissing, AssetParts, Found
from orchestrator_dagster.runtime.decoding import decode
from orchestrator_dagster.runtime.outcome import Outcome

if TYPE_CHECKING:
    from upath import UPath


_LONG_NUMBER = re.compile(r"\d{4301}")


class _JsonFiles(dg.UPathIOManager):
    extension = ".json"

    # Dagster's own say in the event log where they read and write, a commit of the database each, which with small
    # steps is a third of a run's time. Where an outcome is stands in the metadata of its output.

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Keep an outcome, or a run asset.

        Raises:
            dagster.Failure: The folder takes no more; with what was paid for the outcome.
        """
        try:
            if context.has_asset_key:
                super().handle_output(context, obj)
                return
            path = self._get_path(context)
            self.make_directory(path.parent)
            self.dump_to_path(context, obj, path)
        except (OSError, ValueError) as error:
            said = usage_metadata(obj.usage) if isinstance(obj, Outcome) else {}
            raise _refused(f"what {_step(context)} has left cannot be kept in", self._base_path, error, said) from None
        context.add_output_metadata({"path": dg.MetadataValue.path(str(path))})

    def dump_to_path(self, context: OutputContext, obj: Any, path: UPath) -> None:
        text = obj.model_dump_json() if isinstance(obj, BaseModel) else json.dumps(obj, ensure_ascii=False, default=str)
        if _LONG_NUMBER.search(text):
            json.loads(text)  # Python reads no integer of more digits: that is to be said here, not by the next step
        # In place in one move, so that a killed run never leaves half an outcome behind.
        write_whole(path, text)

    def load_input(self, context: InputContext) -> Any:
        """An outcome, or a run asset.

        Raises:
            dagster.Failure: It is not there any more, or cannot be read.
        """
        try:
            if context.has_asset_key:
                return super().load_input(context)
            return self.load_from_path(context, self._get_path(context))
        except (OSError, ValueError) as error:
            upstream = context.upstream_output
            step = _step(upstream) if upstream is not None else "the step before"
            raise _refused(f"what {step} has left cannot be read from", self._base_path, error, {}) from None

    def load_from_path(self, context: InputContext, path: UPath) -> Any:
        return json.loads(path.read_text(encoding="utf-8"))

    def get_metadata(self, context: OutputContext, obj: Any) -> dict[str, Any]:
        return {}


def _step(context: OutputContext) -> str:
    return f'"{op_of(context.step_key)}"'


def _refused(what: str, place: object, error: Exception, said: dict[str, Any]) -> dg.Failure:
    """A failure of the step that no retry can help: its work would be done and paid again, for the same end."""
    reason = (error.strerror if isinstance(error, OSError) else None) or f"{type(error).__name__}: {error}"
    number = error.errno if isinstance(error, OSError) else None
    hint = _HINTS.get(number or 0, "make the folder usable, then resume the run: what is done stays done")
    if isinstance(error, ValueError):
        hint = "give values that JSON can hold: text that can be encoded, integers of at most 4,300 digits"
    failure = failure_of(StorageError(f'{what} "{shown(place)}": {reason}', hint=hint))
    return dg.Failure(failure.description, metadata={**failure.metadata, **said}, allow_retries=False)


_HINTS = {
    errno.ENOSPC: "free space (or inodes) there, then resume the run: what is done stays done",
    errno.EDQUOT: "free some of your quota there, then resume the run: what is done stays done",
    errno.ENOENT: "run the pipeline again: somebody has removed what this run had kept",
}


class OutcomeIOManager(dg.ConfigurableIOManagerFactory):  # type: ignore[type-arg]
    """Keeps outcomes as JSON files, by run and step; any fsspec path works, a bucket too."""

    base_path: Optional[str] = Field(  # noqa: UP045
        default=None, description="Folder or URL; default the instance's storage folder."
    )

    def create_io_manager(self, context: dg.InitResourceContext) -> dg.UPathIOManager:
        """The IO manager of one run."""
        from upath import UPath

        assert context.instance is not None
        base = self.base_path or context.instance.storage_directory()
        return _JsonFiles(base_path=UPath(base))


class ProductIOManager(dg.ConfigurableIOManager):
    """Finds products again, for other pipelines and for anybody's assets, through their latest materialization.

    The step has written the file already; what passes through here is only where it is.
    """

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Nothing to do: the file is in place, its metadata stands with the output."""

    def load_input(self, context: InputContext) -> Any:
        """The product's value: a text, a JSON value, a list of rows, or a data frame where the input is typed so.

        Of several partitions it is a map of these by their keys.

        Raises:
            FileMissingError: The asset has not been materialized, or its file is gone.
        """
        found = find(context)
        name = context.asset_key.to_user_string()
        if isinstance(found, AssetMissing):
            raise FileMissingError(found.message, hint=found.hint or "materialize it first")
        if isinstance(found, AssetParts):
            return {key: _decoded(part, name, _wants_frame(context)) for key, part in found.parts.items()}
        return _decoded(found, name, _wants_frame(context))


def _decoded(found: Found, name: str, as_frame: bool) -> Any:
    if isinstance(found, AssetFiles):  # one file for each item of a loop
        return [_decoded(one, name, as_frame) for one in found.files]
    format = (found.format or format_of_path(found.place)) if isinstance(found, AssetFile) else None
    if not isinstance(found, AssetFile) or format is None:
        raise ProductError(f"the asset {name} is no product of a pipeline")
    return decode(found.place, format, as_frame=as_frame, types=found.types)


def _wants_frame(context: InputContext) -> bool:
    kind = context.dagster_type.typing_type
    return getattr(kind, "__name__", "") == "DataFrame"
