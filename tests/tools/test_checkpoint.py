from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from orchestrator_dagster.errors import FileMissingError, ParametersError, PathError, ToolError
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.tools.registry import ToolRegistry
from orchestrator_dagster.tools.tool import ToolContext


@pytest.fixture
def call(tmp_path: Path) -> Any:
    context = ToolContext(Workspace(tmp_path))
    tool = ToolRegistry().find("checkpoint")
    return lambda action, **parameters: tool.find(action).call(context, parameters)


def test_versions(call: Any, tmp_path: Path) -> None:
    assert call("load", name="pages", default={"page": 0})["data"] == {"page": 0}
    assert call("load", name="pages", required=False)["found"] is False
    for page in range(1, 5):
        saved = call("save", name="pages", data={"page": page, "when": "2026-01-31"}, note=f"page {page}", keep=3)
    assert (saved["version"], saved["path"]) == (4, ".orchestrator/checkpoints/pages/000004.json")
    assert saved["size"] == (tmp_path / saved["path"]).stat().st_size
    found = call("restore", checkpoint_name="pages")
    assert (found["data"]["page"], found["version"], found["note"]) == (4, 4, "page 4")
    assert call("load", name="pages", version=2)["data"]["page"] == 2
    call("save", name="other", data=[1], folder="kept")
    assert call("list", prefix="p") == {
        "items": [
            {
                "name": "pages",
                "version": 4,
                "versions": [2, 3, 4],
                "saved_at": saved["saved_at"],
                "size": saved["size"],
                "note": "page 4",
            }
        ],
        "count": 1,
    }
    assert call("delete", name="pages", version=4)["deleted"] == 1
    assert call("load", name="pages")["data"]["page"] == 3
    assert call("delete", name="pages")["deleted"] == 2
    assert call("list")["items"] == []
    assert call("list", folder="kept")["count"] == 1


def test_what_is_missing_or_wrong(call: Any, tmp_path: Path) -> None:
    call("save", name="pages", data=1)
    with pytest.raises(FileMissingError, match=r'no checkpoint "pagse".*did you mean "pages"'):
        call("load", name="pagse")
    with pytest.raises(FileMissingError, match="no version 7") as wrong:
        call("load", name="pages", version=7)
    assert wrong.value.hint == "it has 1"
    for name in ("../x", "", ".hidden", "a/b", "x" * 101, "ü"):
        with pytest.raises(ParametersError, match="is no name"):
            call("save", name=name, data=1)
    with pytest.raises(ParametersError, match="cannot be kept as JSON"):
        call("save", name="pages", data={"x": object()})
    with pytest.raises(ParametersError, match="cannot be kept as JSON"):
        call("save", name="pages", data=float("nan"))
    with pytest.raises(PathError, match="leaves the workspace"):
        call("save", name="pages", data=1, folder="../elsewhere")
    (tmp_path / ".orchestrator/checkpoints/pages/000002.json").write_text("{")
    with pytest.raises(ToolError, match="is no checkpoint"):
        call("load", name="pages")


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from orchestrator_dagster.tools.registry import ToolRegistry\n"
        "from orchestrator_dagster.tools.tool import ToolContext\n"
        "from orchestrator_dagster.files.workspace import Workspace\n"
        "save = ToolRegistry().find('checkpoint').find('save')\n"
        "for n in range(20):\n"
        "    save.call(ToolContext(Workspace(Path(sys.argv[1]))), {'name': 'n', 'data': [sys.argv[2], n], 'keep': 999})\n"
    )

    def run(name: str) -> int:
        return subprocess.run([sys.executable, "-c", code, str(tmp_path), name], check=True).returncode

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(run, ["a", "b"])) == [0, 0]
    load = ToolRegistry().find("checkpoint").find("load")
    context = ToolContext(Workspace(tmp_path))
    found = [tuple(load.call(context, {"name": "n", "version": n})["data"]) for n in range(1, 41)]
    assert sorted(found) == sorted((name, n) for name in "ab" for n in range(20))
