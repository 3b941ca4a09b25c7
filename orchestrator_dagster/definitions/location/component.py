"""A folder of pipeline files as a Dagster component, so that a ``dg`` project adds it with one ``defs.yaml``.

The fields of a ``defs.yaml`` are rendered by Dagster's own Jinja while the location loads. Pipelines have templates
that are rendered while they run, so they stand in files of their own, and the component only points to their folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Optional

import dagster as dg
from dagster.components.scaffold.scaffold import scaffold_with
from dagster.components.utils.translation import (
    ComponentTranslator,
    TranslationFn,
    TranslationFnResolver,
    create_component_translator_cls,
)

from orchestrator_dagster.definitions.location.component_settings import (
    ModelsSettings,
    ToolsSettings,
    WorkspaceSettings,
    resources_of,
    shared_executor,
)
from orchestrator_dagster.definitions.location.factory import build_definitions
from orchestrator_dagster.definitions.location.scaffolder import PipelinesScaffolder
from orchestrator_dagster.definitions.pipelines.translator import PipelineAsset, PipelinesTranslator
from orchestrator_dagster.errors import PathError


def _names_for_translation(asset: PipelineAsset) -> Mapping[str, Any]:
    """The names that ``translation:`` may use, beside ``spec``."""
    return {"asset": asset, "pipeline": asset.pipeline, "product": asset.product, "step": asset.step}


@scaffold_with(PipelinesScaffolder)
@dataclass
class PipelinesComponent(dg.Component, dg.Resolvable):
    """A folder of AI pipelines written as YAML: each becomes assets, a job, checks, schedules and sensors.

    To get started, run ``dg scaffold defs orchestrator_dagster.PipelinesComponent reports``: it writes a ``defs.yaml``
    and a first pipeline.

    Example:

        .. code-block:: yaml

            type: orchestrator_dagster.PipelinesComponent
            attributes:
              path: pipelines
              translation:
                group_name: "{{ pipeline.tags.domain }}"
                key_prefix: ai
    """

    path: Annotated[
        str,
        dg.Resolver.default(
            description="Folder of the pipeline files, relative to the folder of this file.",
            examples=["pipelines", "{{ context.project_root }}/pipelines"],
        ),
    ] = "pipelines"
    root: Annotated[
        Optional[str],  # noqa: UP045 - Dagster reads the annotations on Python 3.10 too
        dg.Resolver.default(
            description="Workspace root, where relative paths in pipelines start, relative to the project. Default: the"
            " project's folder.",
        ),
    ] = None
    executor: Annotated[
        Optional[str],  # noqa: UP045
        dg.Resolver.default(
            description="Executor of materializations from the asset pages, and of jobs whose pipeline names none.",
            examples=["threads", "in_process", "multiprocess"],
        ),
    ] = None
    workspace: Annotated[
        Optional[WorkspaceSettings],  # noqa: UP045
        dg.Resolver.default(description="Which files and environment variables pipelines may use."),
    ] = None
    models: Annotated[
        Optional[ModelsSettings],  # noqa: UP045
        dg.Resolver.default(description="Where providers of models are reached, and with which key."),
    ] = None
    tools: Annotated[
        Optional[ToolsSettings],  # noqa: UP045
        dg.Resolver.default(description="Which tools steps may call, and what these may reach."),
    ] = None
    translation: Annotated[
        Optional[TranslationFn[PipelineAsset]],  # noqa: UP045
        TranslationFnResolver[PipelineAsset](_names_for_translation),
    ] = None

    def get_asset_spec(self, asset: PipelineAsset) -> dg.AssetSpec:
        """The spec of an asset, before ``translation`` is applied. Override it in a subclass.

        Args:
            asset: The asset and its pipeline.

        Returns:
            The spec; see :meth:`PipelinesTranslator.get_asset_spec` for what may be changed.

        Example:
            >>> class Owned(PipelinesComponent):
            ...     def get_asset_spec(self, asset):
            ...         return super().get_asset_spec(asset).replace_attributes(owners=["team:research"])
        """
        return PipelinesTranslator().get_asset_spec(asset)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions of the folder's pipelines.

        Raises:
            PathError: There is no such folder.
            PipelineError: A file has errors, and Dagster is checking definitions.
            TranslationError: ``translation`` says what runs could not keep to.
        """
        base = context.path if context.path.is_dir() else context.path.parent
        folder = (base / self.path).resolve()
        if not folder.is_dir():
            raise PathError(
                f'"{self.path}" of the component in {base} is no folder',
                hint=f"make {folder}, or write the folder of the pipeline files under `path`",
            )
        root = (context.project_root / self.root if self.root else context.project_root).resolve()
        return build_definitions(
            folder,
            root=root,
            resources=resources_of(root, self.workspace, self.models, self.tools),
            executor=shared_executor(self.executor, root) if self.executor else None,
            translator=self._translator(),
        )

    def _translator(self) -> PipelinesTranslator | None:
        """None where nothing is said, so that nobody has to be asked for every asset."""
        if self.translation is None and type(self).get_asset_spec is PipelinesComponent.get_asset_spec:
            return None
        return _Translator(self)


class _Translator(
    create_component_translator_cls(PipelinesComponent, PipelinesTranslator),  # type: ignore[misc]
    ComponentTranslator[PipelinesComponent],
):
    """What the component says of an asset, then what its ``translation`` does."""

    def __init__(self, component: PipelinesComponent) -> None:
        self._component = component

    def get_asset_spec(self, asset: PipelineAsset) -> dg.AssetSpec:
        spec: dg.AssetSpec = super().get_asset_spec(asset)
        return self._component.translation(spec, asset) if self._component.translation is not None else spec
