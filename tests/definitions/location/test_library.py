"""A folder of pipelines among definitions of one's own: loaded, checked, merged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from dagster import AssetKey, DagsterInstance

import orchestrator_dagster as orc

Write = Callable[[str, str], Path]

ONE = """\
id: one
steps:
  - id: say
    action: echo
    parameters: {message: hello}
    vars: [{x: "{{ result }}"}, {y: "{{ result }}"}]
    products:
      - x: {path: x.txt, key: [a, shared]}
      - y: {path: y.txt, key: [b, shared]}
"""
TWO = """\
id: two
steps:
  - {id: say, action: echo, parameters: {message: there}, products: [{say: say.txt}]}
"""


@pytest.fixture
def folder(project: Path, write: Write) -> Path:
    write("pipelines/one.yaml", ONE)
    write("more/two.yaml", TWO)
    return project


def test_two_folders_and_assets_of_ones_own(folder: Path, instance: DagsterInstance) -> None:
    @dg.asset(ins={"said": dg.AssetIn(key=["two", "say"], input_manager_key="orchestrator_products")})
    def louder(said: str) -> str:
        return said.upper()

    both = [orc.build_definitions(name, root=folder) for name in ("pipelines", "more")]
    merged = dg.Definitions.merge(*both, dg.Definitions(assets=[louder]))
    dg.Definitions.validate_loadable(merged)
    assert {one.name for one in merged.sensors or ()} == {"recompile_pipelines", "recompile_more"}
    done = merged.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
    assert done.output_for_node("louder") == "THERE"
    assert (folder / "outputs/one/x.txt").read_text() == "hello"
    assert (folder / "outputs/one/y.txt").read_text() == "hello"


def test_an_executor_that_both_name_is_one(folder: Path) -> None:
    own = dg.Definitions(executor=dg.in_process_executor)
    merged = dg.Definitions.merge(orc.build_definitions("pipelines", root=folder, executor=dg.in_process_executor), own)
    assert merged.executor is dg.in_process_executor


def test_loaded_pipelines(folder: Path, write: Write, instance: DagsterInstance) -> None:
    write("pipelines/sub/three.yaml", TWO.replace("id: two", "id: three"))
    pipelines = orc.load_pipelines("pipelines", root=folder)
    assert list(pipelines) == ["one", "three"]
    assert pipelines["one"].run(instance=instance).success
    with pytest.raises(KeyError, match=r'no pipeline "thre" in .*did you mean "three"'):
        pipelines["thre"]
    merged = dg.Definitions.merge(
        pipelines.definitions(["three"], executor="in_process"), dg.Definitions(assets=[dg.AssetSpec("elsewhere")])
    )
    dg.Definitions.validate_loadable(merged)
    graph = merged.resolve_asset_graph()
    assert graph.materializable_asset_keys == {AssetKey(["three", "say"]), AssetKey(["three", "run"])}
    assert not merged.sensors
    assert merged.resolve_job_def("three_job").execute_in_process(instance=instance).success


WRONG = "id: wrong\nsteps:\n  - {id: a, tool: filesystm, action: read}\n  - {id: b, action: echo, parameters: {message: x}, dependencies: c}\n"
MISSING = (
    "id: asks\ninputs: [{x: {asset: one/nothing}}]\nsteps: [{id: a, action: echo, parameters: {message: '{{ x }}'}}]\n"
)


def test_files_with_errors_are_all_said_at_once(folder: Path, write: Write) -> None:
    write("pipelines/wrong.yaml", WRONG)
    write("pipelines/asks.yaml", MISSING)
    with pytest.raises(orc.PipelineError) as loaded:
        orc.load_pipelines("pipelines", root=folder)
    with pytest.raises(orc.PipelineError) as strict:
        orc.build_definitions("pipelines", root=folder, strict=True)
    for error in (loaded.value, strict.value):
        assert str(error).startswith("2 pipeline files have errors:\n")
        assert {one.code for one in error.diagnostics} == {"unknown-tool", "unknown-step", "unknown-asset"}
    served = orc.build_definitions("pipelines", root=folder)
    assert served.resolve_job_def("asks_job")
    assert "orchestrator/broken" in served.metadata


def test_a_check_of_definitions_is_strict(folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster says so in the environment; also a file whose last good version is served fails it."""
    orc.build_definitions("pipelines", root=folder)
    write("pipelines/one.yaml", ONE.replace("action: echo", "action: ecoh"))
    assert "orchestrator/stale" in orc.build_definitions("pipelines", root=folder).metadata
    monkeypatch.setenv("DAGSTER_IS_DEFS_VALIDATION_CLI", "1")
    with pytest.raises(orc.PipelineError, match=r"1 pipeline file has errors:\n.*pipelines/one.yaml:4:13: error"):
        orc.build_definitions("pipelines", root=folder)
    assert orc.build_definitions("pipelines", root=folder, strict=False)


def test_two_files_that_make_one_asset(folder: Path, write: Write) -> None:
    """The later one is left out, and not loaded again and again by the sensor that looks at broken files."""
    write("pipelines/two.yaml", TWO.replace("say: say.txt", "say: {path: say.txt, key: [a, shared]}"))
    definitions = orc.build_definitions("pipelines", root=folder)
    dg.Definitions.validate_loadable(definitions)
    said = 'two.yaml:3:5: error[product-collision] the product "say" is the asset [a, shared], which pipelines/one.yaml'
    assert said in str(definitions.metadata["orchestrator/broken"].value)
    with DagsterInstance.from_config(str(folder / ".orchestrator")) as instance:
        sensor = definitions.resolve_sensor_def("recompile_pipelines")
        with dg.build_sensor_context(instance=instance, definitions=definitions) as context:
            tick = sensor.evaluate_tick(context)
    assert "left out, with errors: pipelines/two.yaml" in str(tick.skip_message)
