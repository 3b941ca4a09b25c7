"""One code location: two pipelines, two assets written by hand above them, and one below."""

from pathlib import Path

import dagster as dg
import pandas as pd

import orchestrator_dagster as orc

HERE = Path(__file__).parent


@dg.asset(key=["market", "prices"], group_name="market")
def prices() -> pd.DataFrame:
    """Euros for a kilogram: a value, which Dagster's IO manager keeps."""
    return pd.DataFrame({"tree": ["apple", "pear", "plum"], "price": [1.8, 2.4, 3.1]})


@dg.asset(key=["market", "hello"], group_name="market")
def hello() -> dg.MaterializeResult:
    """A file: the pipeline finds it by the metadata `path`."""
    path = HERE / "outputs" / "hello.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text("We picked in the morning. This is what we have.\n", encoding="utf-8")
    return dg.MaterializeResult(metadata={"path": dg.MetadataValue.path(str(path))})


@dg.asset(
    key=["market", "income"],
    group_name="market",
    ins={"offer": dg.AssetIn(key=["letter", "offer"], input_manager_key="orchestrator_products")},
)
def income(offer: pd.DataFrame) -> dg.MaterializeResult[float]:
    """What the market would pay: a product of a pipeline, loaded as a data frame."""
    total = float(offer["euros"].sum().round(2))
    return dg.MaterializeResult(value=total, metadata={"euros": total})


# One Definitions object at the top of the module: Dagster takes no second one.
defs = dg.Definitions.merge(
    orc.build_definitions("pipelines", root=HERE),
    dg.Definitions(assets=[prices, hello, income]),
)
