"""A translator gives the assets of pipelines other keys, groups, owners and more, and everything follows."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import AssetKey, DagsterInstance
from dagster._utils.test.definitions import scoped_reconstruction_metadata

import orchestrator_dagster as orc
from orchestrator_dagster.definitions.location.served import load_served
from orchestrator_dagster.definitions.pipelines.launched import pipeline_kept
from orchestrator_dagster.definitions.runs.resume import resume_run

HARVEST = """\
id: harvest
tags: {domain: farm}
steps:
  - id: pick
    action: echo
    parameters: {message: "apple, pear"}
    vars: [{trees: "{{ result }}"}, {note: "{{ result }}"}]
    products:
      - trees: trees.txt
      - note: {path: note.txt, key: [notes, trees]}
  - id: count
    action: echo
    parameters: {message: "{{ trees | split(',') | length }}"}
    products:
      - count: count.txt
"""
LETTER = """\
id: letter
inputs:
  - trees: {asset: harvest/trees}
triggers: [{asset: harvest/run}]
steps:
  - id: write
    action: echo
    parameters: {message: "We have {{ trees }}."}
    products:
      - write: letter.txt
"""


class ByDomain(orc.PipelinesTranslator):
    """Prefixes keys by the pipeline's domain, and says more of the products."""

    def get_asset_spec(self, asset: orc.PipelineAsset) -> dg.AssetSpec:
        spec = super().get_asset_spec(asset)
        domain = asset.pipeline.tags.get("domain", "office")
        spec = spec.replace_attributes(key=spec.key.with_prefix(domain), group_name=f"{domain}_ai")
        if asset.product is None or asset.step is None:
            return spec
        assert asset.name == asset.product.variable
        return spec.replace_attributes(
            owners=["team:growers"],
            kinds={"fruit"},
            description=f"{asset.step.id} makes {asset.product.format}",
            metadata={**spec.metadata, "season": "autumn"},
            freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(days=2)),
        )


class Never(orc.PipelinesTranslator):
    def get_asset_spec(self, asset: orc.PipelineAsset) -> dg.AssetSpec:
        raise AssertionError("nobody asks it")


@pytest.fixture
def farm(project: Path, write: Callable[[str, str], Path]) -> Path:
    write("pipelines/harvest.yaml", HARVEST)
    write("pipelines/letter.yaml", LETTER)
    return project


def keys(definitions: dg.Definitions) -> set[str]:
    return {key.to_user_string() for key in definitions.resolve_asset_graph().materializable_asset_keys}


def test_everything_follows_the_new_keys(farm: Path, instance: DagsterInstance) -> None:
    definitions = orc.build_definitions("pipelines", root=farm, translator=ByDomain())
    dg.Definitions.validate_loadable(definitions)
    made = {"farm/harvest/trees", "farm/notes/trees", "farm/harvest/count", "farm/harvest/run"}
    assert keys(definitions) == made | {"office/letter/write", "office/letter/run"}
    graph = definitions.resolve_asset_graph()
    trees = graph.get(AssetKey(["farm", "harvest", "trees"]))
    assert (trees.group_name, list(trees.owners), set(trees.kinds)) == ("farm_ai", ["team:growers"], {"fruit"})
    assert trees.description == "pick makes txt"
    assert trees.metadata["season"] == "autumn"
    assert "dagster/code_references" in trees.metadata
    assert trees.freshness_policy is not None
    assert graph.get(AssetKey(["farm", "harvest", "run"])).group_name == "farm_ai"
    assert graph.get(AssetKey(["farm", "harvest", "count"])).parent_keys == {
        AssetKey(["farm", "harvest", "trees"]),
        AssetKey(["farm", "notes", "trees"]),
    }
    assert graph.get(AssetKey(["office", "letter", "write"])).parent_keys == {AssetKey(["farm", "harvest", "trees"])}
    plain = orc.build_definitions("pipelines", root=farm).resolve_asset_graph()
    assert trees.code_version == plain.get(AssetKey(["harvest", "trees"])).code_version

    done = definitions.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
    assert done.success
    assert {event.asset_key.to_user_string() for event in done.get_asset_materialization_events()} == keys(definitions)  # type: ignore[union-attr]
    assert (farm / "outputs/letter/letter.txt").read_text() == "We have apple, pear."
    checks = {one.asset_key for one in done.get_asset_check_evaluations()}
    assert AssetKey(["farm", "notes", "trees"]) in checks

    sensor = definitions.resolve_sensor_def("letter_trigger")
    with dg.build_sensor_context(instance=instance, definitions=definitions) as context:
        (request,) = sensor.evaluate_tick(context).run_requests or ()
    assert request.job_name == "letter_job" or request.job_name is None


def test_a_product_alone_under_its_new_key(farm: Path, instance: DagsterInstance) -> None:
    definitions = orc.build_definitions("pipelines", root=farm, translator=ByDomain())
    job = definitions.resolve_implicit_global_asset_job_def()
    done = job.execute_in_process(instance=instance, asset_selection=[AssetKey(["farm", "notes", "trees"])])
    assert [event.asset_key.path for event in done.get_asset_materialization_events() if event.asset_key] == [
        ["farm", "notes", "trees"]
    ]


def test_the_processes_of_a_run_ask_nobody(farm: Path) -> None:
    """They take what was served, with its keys, from the store."""
    folder = farm / "pipelines"
    served = load_served(folder, farm, ByDomain())
    with scoped_reconstruction_metadata(dict(served.metadata)):
        again = load_served(folder, farm, Never())
    assert list(again.pipelines) == list(served.pipelines)
    listed = json.loads(served.metadata[f"orchestrator/served/{folder}"])["list"]
    entries = json.loads((farm / ".orchestrator/storage/pipelines" / f"served-{listed}.json").read_text())
    assert {key for one in entries for key in one["assets"]} >= {"farm/harvest/trees", "office/letter/run"}
    assert entries[1]["loads"] == ["farm/harvest/trees"]


FAILS = """\
id: harvest
steps:
  - id: pick
    action: echo
    parameters: {message: apple}
    products: [{pick: pick.txt}]
  - id: load
    tool: filesystem
    action: read
    parameters: {path: later.txt}
    dependencies: pick
    products: [{load: load.txt}]
"""


def test_a_resume_goes_on_with_the_new_keys(project: Path, write: Callable[[str, str], Path]) -> None:
    write("pipelines/harvest.yaml", FAILS)
    definitions = orc.build_definitions("pipelines", root=project, translator=ByDomain())
    with DagsterInstance.from_config(str(project / ".orchestrator")) as instance:
        job = definitions.resolve_job_def("harvest_job")
        failed = job.execute_in_process(instance=instance, raise_on_error=False)
        assert not failed.success
        run = instance.get_run_by_id(failed.run_id)
        assert run is not None
        # The same file, started by the command, has the keys of the file: one does not become the other.
        orc.compile("pipelines/harvest.yaml", root=project).run(instance=instance)
        kept = pipeline_kept(run, instance)
        assert kept is not None
        assert kept.run_key == ("office", "harvest", "run")
        write("later.txt", "pear")
        resume_run(run.run_id, instance=instance, root=project)
        made = {key.to_user_string() for key in instance.get_asset_keys()}
        assert {"office/harvest/load", "office/harvest/run"} <= made


class Given(orc.PipelinesTranslator):
    """Changes the product `trees` of `harvest`."""

    def __init__(self, change: Callable[[dg.AssetSpec], Any]) -> None:
        self.change = change

    def get_asset_spec(self, asset: orc.PipelineAsset) -> dg.AssetSpec:
        spec = super().get_asset_spec(asset)
        changed: dg.AssetSpec = self.change(spec) if asset.name == "trees" else spec
        return changed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda spec: None, "it gave NoneType; get_asset_spec returns a dagster.AssetSpec"),
        (lambda spec: 1 / 0, "it raised ZeroDivisionError: division by zero"),
        (lambda spec: spec.replace_attributes(deps=["market/prices"]), "declare an input, `inputs: {x: {asset: a/key}}`"),
        (lambda spec: spec.replace_attributes(partitions_def=dg.StaticPartitionsDefinition(["a"])), "declare `partitions`"),
        (lambda spec: spec.replace_attributes(skippable=True), "give it a `condition`"),
        (lambda spec: spec.replace_attributes(key=["a/b"]), "has a part that is empty or has one of /"),
        (lambda spec: spec.replace_attributes(key=["notes", "trees"]), "two of its assets get the key notes/trees"),
        (lambda spec: spec.replace_attributes(group_name="a-b"), "it raised DagsterInvalidDefinitionError"),
    ],
)  # fmt: skip
def test_what_runs_could_not_keep_to_is_refused(farm: Path, change: Callable[[dg.AssetSpec], Any], said: str) -> None:
    with pytest.raises(orc.TranslationError, match="the translator Given cannot be used") as error:
        orc.build_definitions("pipelines", root=farm, translator=Given(change))
    (problem,) = error.value.problems
    assert problem.startswith("pipelines/harvest.yaml")
    assert said in problem


def test_automation_needs_a_pipeline_without_required_inputs(farm: Path, write: Callable[[str, str], Path]) -> None:
    eager = Given(lambda spec: spec.replace_attributes(automation_condition=dg.AutomationCondition.eager()))
    definitions = orc.build_definitions("pipelines", root=farm, translator=eager)
    graph = definitions.resolve_asset_graph()
    assert graph.get(AssetKey(["harvest", "trees"])).automation_condition == dg.AutomationCondition.eager()
    write("pipelines/harvest.yaml", HARVEST.replace("steps:\n", "inputs: [{place: None}]\nsteps:\n", 1))
    with pytest.raises(orc.TranslationError, match="the pipeline requires place and automation starts runs without"):
        orc.build_definitions("pipelines", root=farm, translator=eager)


def test_one_file_that_collides_takes_no_other_down(farm: Path, write: Callable[[str, str], Path]) -> None:
    class Short(orc.PipelinesTranslator):
        def get_asset_spec(self, asset: orc.PipelineAsset) -> dg.AssetSpec:
            spec = super().get_asset_spec(asset)
            return spec if asset.is_run else spec.replace_attributes(key=spec.key.path[-1:])

    write("pipelines/harvest.yaml", HARVEST.replace(", key: [notes, trees]", ""))
    write("pipelines/other.yaml", LETTER.replace("id: letter", "id: other"))
    definitions = orc.build_definitions("pipelines", root=farm, translator=Short())
    dg.Definitions.validate_loadable(definitions)
    assert {"trees", "note", "count", "write", "letter/run"} <= keys(definitions)
    broken = str(definitions.metadata["orchestrator/broken"].value)
    assert 'pipelines/other.yaml:6:5: error[product-collision] the product "write" is the asset [write]' in broken
    assert "which pipelines/letter.yaml makes" in broken
    with pytest.raises(orc.PipelineError, match="product-collision"):
        orc.load_pipelines("pipelines", root=farm).definitions(translator=Short())


def test_new_keys_that_make_a_circle(farm: Path, write: Callable[[str, str], Path]) -> None:
    write(
        "pipelines/harvest.yaml", HARVEST.replace("steps:\n", "inputs: [{wish: {asset: wishes/of_all}}]\nsteps:\n", 1)
    )

    class Wishes(orc.PipelinesTranslator):
        def get_asset_spec(self, asset: orc.PipelineAsset) -> dg.AssetSpec:
            spec = super().get_asset_spec(asset)
            return spec.replace_attributes(key=["wishes", "of_all"]) if asset.name == "write" else spec

    definitions = orc.build_definitions("pipelines", root=farm, translator=Wishes())
    assert "error[asset-cycle]" in str(definitions.metadata["orchestrator/broken"].value)


def test_one_pipeline_from_python(farm: Path) -> None:
    pipeline = orc.compile("pipelines/harvest.yaml", root=farm)
    assert "farm/harvest/trees" in keys(pipeline.definitions(translator=ByDomain()))
    assert "harvest/trees" in keys(pipeline.definitions())
