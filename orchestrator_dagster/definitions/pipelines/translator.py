"""How the assets of pipelines look in Dagster, and what a code location of one's own says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledProduct, CompiledStep
from orchestrator_dagster.definitions.pipelines.assets import asset_spec


@dataclass(frozen=True)
class PipelineAsset:
    """One asset of a pipeline, as a translator is given it.

    Args:
        pipeline: The compiled pipeline: ``id``, ``name``, ``description``, ``tags``, ``owners``, ``inputs`` …
        product: The product: ``variable``, ``path``, ``format``, ``key`` …; None when the asset is the run.
    """

    pipeline: CompiledPipeline
    product: CompiledProduct | None = None

    @property
    def is_run(self) -> bool:
        """Whether it is the asset ``[<id>, run]``."""
        return self.product is None

    @property
    def step(self) -> CompiledStep | None:
        """The step that makes the product: ``id``, ``kind``, ``tool``, ``models`` …; None for the run."""
        return self.pipeline.by_id[self.product.step] if self.product is not None else None

    @property
    def name(self) -> str:
        """The product's variable, or ``run``."""
        return self.product.variable if self.product is not None else "run"


@dataclass
class PipelinesTranslator:
    """Says how Dagster shows each product, and each run, of the pipelines of a folder.

    Subclass it, override :meth:`get_asset_spec`, and give an instance to ``build_definitions``.

    Example:
        >>> class ByDomain(PipelinesTranslator):
        ...     def get_asset_spec(self, asset):
        ...         spec = super().get_asset_spec(asset)
        ...         domain = asset.pipeline.tags.get("domain", "other")
        ...         return spec.replace_attributes(key=spec.key.with_prefix(domain), group_name=domain)
        >>> definitions = build_definitions("pipelines", translator=ByDomain())  # doctest: +SKIP
    """

    def get_asset_spec(self, asset: PipelineAsset) -> dg.AssetSpec:
        """The spec of an asset.

        May be changed: key, group, owners, tags, kinds, description, metadata, code version, freshness policy, and the
        automation condition of pipelines that require no input. Inputs and triggers of other pipelines of the folder
        that name a product by its key in the file follow its new key. Dependencies and partitions belong to the file.

        Args:
            asset: The asset and its pipeline.

        Returns:
            The spec, by default what the file says.

        Example:
            >>> class Owned(PipelinesTranslator):
            ...     def get_asset_spec(self, asset):
            ...         spec = super().get_asset_spec(asset)
            ...         return spec if asset.is_run else spec.replace_attributes(owners=["team:research"])
        """
        return asset_spec(asset.pipeline, asset.product)
