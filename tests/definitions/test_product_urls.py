"""Products behind URLs: written, checked and loaded again there, and only where the workspace allows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import fsspec
import pandas as pd
import pytest
from dagster import AssetCheckKey, AssetKey, DagsterInstance
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

import orchestrator_dagster as orc
from orchestrator_dagster.definitions.resources import WorkspaceResource
from orchestrator_dagster.errors import PathError
from orchestrator_dagster.files.remote_files import allowed_url

SALES = """id: sales
inputs: {output_dir: "%s"}
steps:
  - id: table
    action: echo
    parameters: {message: [{shop: "007", total: 3.5}]}
    vars: [table: {type: array, items: {shop: string, total: number}}]
    products: [table: table.csv]
  - {id: each, for_each: [a, b], action: echo, parameters: {message: "{{ item }}"}, products: [each: "parts/{{ item }}.txt"]}
"""
AFTER = """id: after
inputs:
  table: {asset: sales/table}
  place: {asset: sales/table, type: path}
  parts: {asset: sales/each}
steps: [{id: s, action: echo, parameters: {message: ["{{ table }}", "{{ place }}", "{{ parts }}"]}}]
outputs: {s: "{{ s }}"}
"""


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    yield
    MemoryFileSystem.store.clear()


@pytest.fixture
def compiled(project: Path) -> Any:
    def make(folder: str) -> tuple[orc.Pipeline, orc.Pipeline]:
        (project / "pipelines" / "sales.yaml").write_text(SALES % folder)
        (project / "pipelines" / "after.yaml").write_text(AFTER)
        return orc.compile("pipelines/sales.yaml"), orc.compile("pipelines/after.yaml")

    return make


class Slow(DirFileSystem):
    """A store that is no object store: a file is there while it is being written, and renamed when it is whole."""

    protocol = "slow"
    seen: list[str] = []  # noqa: RUF012

    def __init__(self, **options: Any) -> None:
        super().__init__(path=Slow.base, fs=LocalFileSystem(), **options)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        Slow.seen.append(path)
        if Slow.full:
            super().pipe_file(path, value[: len(value) // 2])
            raise OSError(28, "no space left")
        super().pipe_file(path, value)

    base = ""
    full = False


@pytest.fixture
def slow(tmp_path: Path) -> type[Slow]:
    fsspec.register_implementation("slow", Slow, clobber=True)
    Slow.base, Slow.full, Slow.seen = str(tmp_path / "slow"), False, []
    Path(Slow.base).mkdir()
    Slow.clear_instance_cache()
    return Slow


@pytest.mark.parametrize("url", ["memory://bucket/reports", "file://{tmp}/reports"])
def test_written_checked_and_loaded_again(url: str, compiled: Any, tmp_path: Path, instance: DagsterInstance) -> None:
    url = url.format(tmp=tmp_path)
    sales, after = compiled(f"{url}/sales")
    workspace = WorkspaceResource(root=str(Path.cwd()), extra_roots=[url])
    given: Any = {"instance": instance, "resources": {"workspace": workspace}}
    result = sales.run(**given)
    assert result.success, result.error
    place = f"{url}/sales" if url.startswith("memory") else f"{tmp_path}/reports/sales"
    paths = [one["path"] for one in result.products]
    assert paths == [f"{place}/table.csv", f"{place}/parts/a.txt", f"{place}/parts/b.txt"]
    with fsspec.open(f"{place}/table.csv", "rt") as file:
        assert file.read() == "shop,total\n007,3.5\n"
    event = instance.get_latest_materialization_event(AssetKey(["sales", "each"]))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["orchestrator/path"].value == f"{place}/parts"
    found = after.run(**given)
    assert found.success, found.error
    assert found.outputs["s"] == [[{"shop": "007", "total": 3.5}], f"{place}/table.csv", ["a", "b"]]

    definitions = orc.build_definitions("pipelines", root=Path.cwd(), resources={"workspace": workspace})

    @dg.asset(ins={"table": dg.AssetIn(key=["sales", "table"], input_manager_key="orchestrator_products")})
    def below(table: pd.DataFrame) -> str:
        return str(table["shop"].iloc[0])

    merged = dg.Definitions.merge(definitions, dg.Definitions(assets=[below]))
    job = merged.resolve_implicit_global_asset_job_def()
    done = job.execute_in_process(instance=instance, asset_selection=[AssetKey("below")])
    assert done.output_for_node("below") == "007"
    with fsspec.open(f"{place}/parts/b.txt", "wt") as file:
        file.write("changed")
    chosen = {
        AssetCheckKey(AssetKey(["sales", name]), check)
        for name in ("table", "each")
        for check in ("sound", "unchanged")
    }
    assert (
        job.get_subset(asset_selection=set(), asset_check_selection=chosen)
        .execute_in_process(instance=instance)
        .success
    )
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(chosen))
    failed = {f"{key.asset_key.path[-1]} {key.name}" for key, one in records.items() if one.status.value == "FAILED"}
    assert failed == {"each unchanged"}


def test_what_is_not_allowed_is_refused(
    compiled: Any, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    sales, _ = compiled("memory://bucket/reports")
    with pytest.raises(orc.InputsError, match='the URL "memory://bucket/reports" is not in the workspace'):
        sales.run(instance=instance)
    assert not MemoryFileSystem.store
    assert not instance.get_runs()  # nothing is done, or paid, for nothing
    monkeypatch.setenv("ORCHESTRATOR_EXTRA_ROOTS", "memory://bucket/other memory://bucket/reports")
    assert sales.run(instance=instance).success


@pytest.mark.parametrize(
    "url",
    [
        "memory://bucket/reports2",
        "memory://bucket/reports/../other",
        "memory://bucket/reports/%2e%2e/other",
        "memory://bucket",
        "memory://other/reports",
        "simplecache::memory://bucket/reports",
        "memory://name:password@bucket/reports",
        "memory://bucket/reports?key=1",
    ],
)
def test_ways_around_are_refused(url: str) -> None:
    with pytest.raises(PathError) as refused:
        allowed_url(url, ["memory://bucket/reports"])
    assert "name:password" not in str(refused.value)


def test_other_stores_get_whole_files_by_a_rename(compiled: Any, slow: type[Slow], instance: DagsterInstance) -> None:
    sales, _ = compiled("slow://reports")
    given: Any = {
        "instance": instance,
        "resources": {"workspace": WorkspaceResource(root=str(Path.cwd()), extra_roots=["slow://"])},
    }
    result = sales.run(**given, products=["table"])
    assert result.success, result.error
    folder = Path(slow.base) / "reports"
    assert [path.name for path in folder.iterdir()] == ["table.csv"]
    assert len(slow.seen) == 1
    assert slow.seen[0].endswith(".tmp")
    slow.full = True
    failed = sales.run(**given, products=["table"])
    assert failed.error is not None
    assert "no space left" in failed.error["message"]
    assert [path.name for path in folder.iterdir()] == ["table.csv"]
    assert (folder / "table.csv").read_text() == "shop,total\n007,3.5\n"
