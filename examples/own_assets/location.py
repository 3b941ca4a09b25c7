"""One code location: the pipelines of the folder, and two assets written by hand."""

from pathlib import Path

import dagster as dg
import pandas as pd

import orchestrator_dagster as orc

HERE = Path(__file__).parent


@dg.asset(key=["stations", "heights"], group_name="stations")
def heights() -> dict[str, int]:
    """Metres above sea level, by station: an asset that needs nothing."""
    return {"hill": 640, "lake": 395, "town": 410}


@dg.asset(
    key=["stations", "at_sea_level"],
    group_name="stations",
    ins={
        "means": dg.AssetIn(key=["stations", "means"], input_manager_key="orchestrator_products"),
        "heights": dg.AssetIn(key=["stations", "heights"]),
    },
)
def at_sea_level(means: pd.DataFrame, heights: dict[str, int]) -> dg.MaterializeResult:
    """The means as they would be at sea level, at 0.65 K per 100 m (the standard atmosphere)."""
    reduced = means["mean"] + means["station"].map(heights) * 0.0065
    table = means.assign(reduced=reduced.round(2))
    warmest = table.loc[table["reduced"].idxmax(), "station"]
    return dg.MaterializeResult(
        value=table.to_dict("records"),
        metadata={"warmest": str(warmest), "dagster/row_count": len(table)},
    )


# One Definitions object at the top of the module: Dagster takes no second one.
defs = dg.Definitions.merge(
    orc.build_definitions("pipelines", root=HERE),
    dg.Definitions(assets=[heights, at_sea_level]),
)
