from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.tools.data import data_processing
from orchestrator_dagster.tools.tool import ToolContext

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def context(tmp_path: Path) -> ToolContext:
    return ToolContext(Workspace(tmp_path))


@pytest.fixture
def run(context: ToolContext) -> Run:
    """Call an action as a step does, its parameters checked."""
    return lambda action, **parameters: data_processing.find(action).call(context, parameters)


SALES = """id,region,price,units,paid,day,note
1,north,10.5,3,true,2024-01-05,"a, ""quoted"" one"
2,south,20,,false,2024-02-10,"two
lines"
3,north,7.25,1,,2024-02-29,ünïcödé 🎉
4,,99,12,true,,NA
5,east,,4,false,2023-12-31,
"""


@pytest.fixture
def sales(tmp_path: Path) -> str:
    (tmp_path / "sales.csv").write_text(SALES, encoding="utf-8")
    return "sales.csv"
