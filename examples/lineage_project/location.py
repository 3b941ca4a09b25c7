"""A code location as a team has it: a warehouse above the pipelines, a dashboard below them.

The assets of the warehouse stand for those of dbt: `load_assets_from_dbt_project` or `DbtProjectComponent` put theirs
here in the same way, with keys that the pipelines name under `inputs`.
"""

from pathlib import Path

import dagster as dg
import pandas as pd

import orchestrator_dagster as orc

HERE = Path(__file__).parent


@dg.asset(key=["raw", "reviews"], group_name="warehouse", kinds={"csv"}, owners=["team:data"])
def raw_reviews() -> pd.DataFrame:
    """What the shops' site has exported."""
    return pd.read_csv(HERE / "data" / "reviews.csv")


@dg.asset(
    key=["staging", "reviews"],
    ins={"reviews": dg.AssetIn(key=["raw", "reviews"])},
    group_name="warehouse",
    kinds={"dbt"},
    owners=["team:data"],
)
def staging_reviews(reviews: pd.DataFrame) -> pd.DataFrame:
    """Reviews with stars, one row each."""
    return reviews.dropna(subset=["stars"]).astype({"stars": int}).reset_index(drop=True)


@dg.asset(
    key=["dashboard", "worst_shop"],
    ins={"shops": dg.AssetIn(key=["voice", "themes", "shops"], input_manager_key="orchestrator_products")},
    deps=[["board", "board_letter", "letter"]],
    group_name="dashboard",
    owners=["team:office"],
)
def worst_shop(shops: pd.DataFrame) -> dg.MaterializeResult[str]:
    """The shop to call first: made from a table of one pipeline, after the letter of the other."""
    worst = shops.sort_values("stars").iloc[0]
    return dg.MaterializeResult(value=str(worst["shop"]), metadata={"stars": float(worst["stars"])})


class ByDomain(orc.PipelinesTranslator):
    """Each pipeline stands in the part of the lineage that its tag `domain` names."""

    def get_asset_spec(self, asset: orc.PipelineAsset) -> dg.AssetSpec:
        """The spec of the file, under its domain."""
        spec = super().get_asset_spec(asset)
        domain = asset.pipeline.tags["domain"]
        return spec.replace_attributes(
            key=spec.key.with_prefix(domain),
            group_name=domain,
            owners=spec.owners or list(asset.pipeline.owners),
        )


# One Definitions object at the top of the module: Dagster takes no second one.
defs = dg.Definitions.merge(
    orc.build_definitions("pipelines", root=HERE, translator=ByDomain()),
    dg.Definitions(assets=[raw_reviews, staging_reviews, worst_shop]),
)
