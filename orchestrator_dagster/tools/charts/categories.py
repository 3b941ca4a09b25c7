"""The categories of bars and slices: their order, and what becomes of too many."""

from __future__ import annotations

from orchestrator_dagster.tools.charts.columns import Tidy
from orchestrator_dagster.tools.data.types import Frame


def table_of(tidy: Tidy, most: int) -> Frame:
    """A table with a row for each category and a column for each series, sorted, with at most ``most`` rows.

    What is too much becomes one category where values can be summed; else the largest stay, and a note says so.
    """
    import pandas as pd

    wide = tidy.values.pivot(index="x", columns="series", values="value")
    wide = wide.reindex(index=list(dict.fromkeys(tidy.values["x"])), columns=tidy.series)
    sizes = wide.abs().sum(axis=1)
    sort = tidy.chart.sort
    if tidy.x_kind == "date" or sort == "label":
        wide = wide.sort_index(key=_natural if tidy.x_kind == "text" else None)
    elif sort == "value":
        wide = wide.loc[wide.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    if len(wide) <= most or tidy.x_kind == "date":
        return wide
    largest = sizes.sort_values(ascending=False, kind="stable")
    if tidy.chart.aggregate in ("sum", "count"):
        kept, rest = largest.index[: most - 1], largest.index[most - 1 :]
        other = wide.loc[rest].sum(axis=0, min_count=1).to_frame(f"{len(rest)} others").T
        return pd.concat([wide.loc[[name for name in wide.index if name in set(kept)]], other])
    kept_names = set(largest.index[:most])
    tidy.notes.append(f"the {most} largest of {len(wide):,} categories are shown")
    return wide.loc[[name for name in wide.index if name in kept_names]]


def _natural(index: Frame) -> Frame:
    """A key that sorts 2 before 10, and texts without regard to case."""
    import pandas as pd

    numbers = pd.to_numeric(pd.Series(index), errors="coerce")
    if numbers.notna().all():
        return pd.Index(numbers)
    return index.str.casefold()
