"""The lineage across tools, and what an edit of a file marks as changed in it."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from dagster import AssetKey, DagsterInstance
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleCauseCategory
from dagster._core.loader import LoadingContextForTest

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "lineage_project"


@pytest.fixture
def location(project: Path) -> Callable[[], dg.Definitions]:
    """Loads the example's location as it is now."""
    shutil.copytree(EXAMPLE, project, dirs_exist_ok=True)

    def load() -> dg.Definitions:
        spec = importlib.util.spec_from_file_location("lineage_location", project / "location.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        definitions: dg.Definitions = module.defs
        return definitions

    return load


def parents(definitions: dg.Definitions, key: str) -> set[str]:
    node = definitions.resolve_asset_graph().get(AssetKey(key.split("/")))
    return {one.to_user_string() for one in node.parent_keys}


def changed(definitions: dg.Definitions, instance: DagsterInstance) -> dict[str, str]:
    """What Dagster marks as stale, with its reason."""
    graph = definitions.resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    return {
        key.to_user_string(): cause.reason
        for key in graph.materializable_asset_keys
        for cause in resolver.get_stale_causes(key)
        if cause.category is StaleCauseCategory.CODE
    }


def test_the_line_goes_through_all_tools(location: Callable[[], dg.Definitions]) -> None:
    definitions = location()
    dg.Definitions.validate_loadable(definitions)
    assert parents(definitions, "voice/themes/findings") == {"staging/reviews"}
    assert parents(definitions, "voice/themes/shops") == {"staging/reviews"}
    assert parents(definitions, "voice/themes/run") == {"voice/themes/findings", "voice/themes/shops"}
    assert parents(definitions, "board/board_letter/letter") == {
        "voice/themes/findings",
        "voice/themes/shops",
        "voice/themes/run",
    }
    assert parents(definitions, "dashboard/worst_shop") == {"voice/themes/shops", "board/board_letter/letter"}


def test_what_the_pages_of_the_assets_show(location: Callable[[], dg.Definitions], project: Path) -> None:
    graph = location().resolve_asset_graph()
    findings, shops, run, letter = (
        graph.get(AssetKey(key))
        for key in (
            ["voice", "themes", "findings"],
            ["voice", "themes", "shops"],
            ["voice", "themes", "run"],
            ["board", "board_letter", "letter"],
        )
    )
    assert [one.group_name for one in (findings, run, letter)] == ["voice", "voice", "board"]
    assert set(findings.kinds) == {"extractive", "csv"}
    assert set(shops.kinds) == {"pandas", "csv"}
    assert set(run.kinds) == {"orchestrator"}
    assert list(findings.owners) == ["team:insight"]
    assert list(letter.owners) == ["team:office"]
    assert findings.tags["audience"] == "board"
    assert run.tags["domain"] == "voice"
    assert findings.description == "What customers say"
    assert shops.description == "Mean stars and number of reviews of each shop"
    for node, step in ((findings, "- id: find"), (shops, "- id: rank"), (run, "# yaml-language-server")):
        (reference,) = node.metadata["dagster/code_references"].code_references
        lines = Path(reference.file_path).read_text(encoding="utf-8").splitlines()
        assert Path(reference.file_path) == project / "pipelines/themes.yaml"
        assert lines[reference.line_number - 1].strip().startswith(step)


def test_an_edit_marks_what_it_touches_and_nothing_else(
    location: Callable[[], dg.Definitions], project: Path, instance: DagsterInstance
) -> None:
    job = location().resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(instance=instance).success
    assert changed(location(), instance) == {}
    file = project / "pipelines/themes.yaml"
    text = file.read_text(encoding="utf-8")

    def after(old: str, new: str) -> set[str]:
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")
        found = changed(location(), instance)
        assert set(found.values()) <= {"has a new code version"}
        return set(found)

    run = "voice/themes/run"
    assert after("at most 4", "at most 3") == {"voice/themes/findings", run}
    assert after("stars: {column: stars, function: mean}", "stars: {column: stars, function: max}") == {
        "voice/themes/shops",
        run,
    }, "the step before the one that makes the product"
    assert after('"{{ findings | length }}"', '"{{ findings | length + 1 }}"') == {run}
    assert after("team:insight", "team:other") == set()
    assert after("default_model: builtin:extractive ", "# a comment\ndefault_model: builtin:extractive ") == set()
    assert after("description: Mean stars and", "description: Stars and") == set()
    assert after("domain: voice}", "domain: voice, more: yes}") == set()

    letter = project / "pipelines/board_letter.yaml"
    file.write_text(text, encoding="utf-8")
    letter.write_text(letter.read_text().replace("What our customers say", "What they say"), encoding="utf-8")
    assert set(changed(location(), instance)) == {"board/board_letter/letter", "board/board_letter/run"}
