"""How values pass between steps, and how products are found again. JSON and product files; no pickle anywhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Optional

import dagster as dg
from dagster import InputContext, OutputContext
from pydantic import BaseModel, Field

from orchestrator_dagster.definitions.metadata import ProductMetadata
from orchestrator_dagster.errors import FileMissingError, ProductError
from orchestrator_dagster.runtime.decoding import decode

if TYPE_CHECKING:
    from upath import UPath


class _JsonFiles(dg.UPathIOManager):
    extension = ".json"

    # Dagster's own say in the event log where they read and write, a commit of the database each, which with small
    # steps is a third of a run's time. Where an outcome is stands in the metadata of its output.

    def load_input(self, context: InputContext) -> Any:
        """An outcome, or a run asset."""
        if context.has_asset_key:
            return super().load_input(context)
        return self.load_from_path(context, self._get_path(context))

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Keep an outcome, or a run asset."""
        if context.has_asset_key:
            super().handle_output(context, obj)
            return
        path = self._get_path(context)
        self.make_directory(path.parent)
        self.dump_to_path(context, obj, path)
        context.add_output_metadata({"path": dg.MetadataValue.path(str(path))})

    def dump_to_path(self, context: OutputContext, obj: Any, path: UPath) -> None:
        text = obj.model_dump_json() if isinstance(obj, BaseModel) else json.dumps(obj, ensure_ascii=False, default=str)
        # In place in one move, so that a killed run never leaves half an outcome behind.
        temporary = path.with_name(f".{path.name}.{context.run_id[:8]}.tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.rename(path)

    def load_from_path(self, context: InputContext, path: UPath) -> Any:
        return json.loads(path.read_text(encoding="utf-8"))

    def get_metadata(self, context: OutputContext, obj: Any) -> dict[str, Any]:
        return {}


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

        Raises:
            FileMissingError: The asset has not been materialized, or its file is gone.
        """
        key = context.asset_key
        event = context.instance.get_latest_materialization_event(key)
        materialization = event.asset_materialization if event else None
        if materialization is None:
            raise FileMissingError(
                f"the asset {key.to_user_string()} has not been materialized", hint="materialize it first"
            )
        found = ProductMetadata.extract(materialization.metadata)
        if found.file is None or found.format is None:
            raise ProductError(f"the asset {key.to_user_string()} is no product of a pipeline")
        if found.files is not None:  # one file for each item of a loop
            return [decode(str(path), found.format) for path in found.files.data or ()]
        return decode(str(found.file.path), found.format, as_frame=_wants_frame(context))


def _wants_frame(context: InputContext) -> bool:
    kind = context.dagster_type.typing_type
    return getattr(kind, "__name__", "") == "DataFrame"
