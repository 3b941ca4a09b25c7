from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from orchestrator_dagster.errors import FileMissingError, ParametersError
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.tools.registry import ToolRegistry
from orchestrator_dagster.tools.tool import ToolContext


@pytest.fixture
def call(tmp_path: Path) -> Any:
    tool = ToolRegistry().find("mcp-memory")
    return lambda action, **parameters: tool.find(action).call(ToolContext(Workspace(tmp_path)), parameters)


def test_what_is_stored_is_found_again(call: Any, tmp_path: Path) -> None:
    assert call("store", key="ana", value={"likes": ["tea"]}, tags=["people"])["replaced"] is False
    assert call("store", key="ana", value={"likes": ["tea", "rain"]}, tags=["people"])["replaced"] is True
    call("store", key="ben", value="likes coffee", namespace="shops")
    found = call("retrieve", key="ana")
    assert (found["found"], found["value"], found["tags"]) == (True, {"likes": ["tea", "rain"]}, ["people"])
    assert [one["key"] for one in call("list")["items"]] == ["ana"]
    assert call("retrieve", key="ana", namespace="shops", default=1)["value"] == 1
    assert call("retrieve", key="ana", namespace="shops", required=False)["found"] is False
    with pytest.raises(FileMissingError, match='no key "bne"; did you mean "ben"'):
        call("retrieve", key="bne", namespace="shops")
    assert call("delete", key="ben", namespace="shops")["deleted"] == 1
    assert call("delete", key="ben", namespace="shops")["deleted"] == 0
    assert call("clear")["deleted"] == 1
    assert call("list")["count"] == 0
    with pytest.raises(ParametersError, match="is no name for a namespace"):
        call("store", key="a", value=1, namespace="../x")


def test_what_is_over_is_forgotten(call: Any, tmp_path: Path) -> None:
    assert call("store", key="short", value=1, ttl=0.2)["expires_at"]
    call("store", key="long", value=2, ttl="2d")
    time.sleep(0.25)
    assert [one["key"] for one in call("list")["items"]] == ["long"]
    call("store", key="third", value=3)
    kept = json.loads((tmp_path / ".orchestrator/memory/default.json").read_text())
    assert [one["key"] for one in kept["entries"]] == ["long", "third"]


def test_search_ranks_by_words(call: Any) -> None:
    call("store", key="pump", value="leaks in the rain", tags=["garden"])
    call("store", key="shed", value="dry; the pump is in the shed")
    call("store", key="car", value="red")
    assert [one["key"] for one in call("search", query="Pump rain")["items"]] == ["pump", "shed"]
    assert call("search", query="garden", limit=1)["count"] == 1
    assert call("search", query="boat")["items"] == []


def test_writers_at_once_lose_nothing(call: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: call("store", key=f"k{n}", value=n), range(60)))
    assert call("list")["count"] == 60
