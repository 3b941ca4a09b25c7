"""Inputs that are loaded from assets: other pipelines' products and assets of one's own, in every way that a run starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest
from click.testing import CliRunner
from dagster import AssetKey, DagsterInstance

import orchestrator_dagster as orc
from orchestrator_dagster.cli import main
from orchestrator_dagster.project.loading import load_folder

Locate = Callable[..., dg.Definitions]

SALES = """id: sales
steps:
  - id: table
    action: echo
    parameters: {message: [{shop: "007", total: 3.5, day: 2}, {shop: "012", total: 4, day: 3}]}
    vars: [table: {type: array, items: {shop: string, total: number, day: integer}}]
    products: [table: table.csv]
  - id: more
    action: echo
    parameters: {message: {shops: 2, names: [Graz, Linz]}}
    vars: [more: object]
    products: [more: more.yaml]
  - {id: note, action: echo, parameters: {message: "# Done {{ 1 + 1 }}"}, products: [note: note.md]}
"""
REPORT = """id: report
inputs:
  sales: {asset: sales/table}
  raw: {asset: sales/table, type: string}
  place: {asset: sales/table, type: path}
  more: {asset: sales/more, type: object}
  note: {asset: sales/note}
steps:
  - {id: sum, action: echo, parameters: {message: "{{ sales | sum(attribute='total') }}"}, products: [sum: sum.txt]}
  - {id: about, action: echo, parameters: {message: "{{ more.names[1] }}: {{ note }}"}, products: [about: about.txt]}
  - {id: echoed, action: echo, parameters: {message: {rows: "{{ sales }}", raw: "{{ raw }}", place: "{{ place }}"}}}
outputs: {echoed: "{{ echoed }}", about: "{{ about }}", sum: "{{ sum }}"}
"""
ROWS = [{"shop": "007", "total": 3.5, "day": 2}, {"shop": "012", "total": 4, "day": 3}]
LOADED = {
    "echoed": {"rows": ROWS, "raw": "shop,total,day\n007,3.5,2\n012,4,3\n", "place": "outputs/sales/table.csv"},
    "about": "Linz: # Done 2",
    "sum": 7.5,
}


def both(project: Path) -> tuple[orc.Pipeline, orc.Pipeline]:
    (project / "pipelines" / "sales.yaml").write_text(SALES)
    (project / "pipelines" / "report.yaml").write_text(REPORT)
    return orc.compile("pipelines/sales.yaml"), orc.compile("pipelines/report.yaml")


def lineage(definitions: dg.Definitions) -> dict[str, set[str]]:
    graph = definitions.resolve_asset_graph()
    keys = graph.get_all_asset_keys()
    return {key.to_user_string(): {one.to_user_string() for one in graph.get(key).parent_keys} for key in keys}


def test_from_python(project: Path, instance: DagsterInstance) -> None:
    sales, report = both(project)
    with pytest.raises(orc.InputsError) as missing:
        report.run(instance=instance)
    assert len(missing.value.problems) == 5
    first = 'the asset "sales/more" has never been materialized; next: `orchestrator run pipelines/sales.yaml`'
    assert missing.value.problems[0] == f'the input "more": {first}'
    assert instance.get_runs_count() == 0
    assert sales.run(instance=instance).success
    result = report.run(instance=instance)
    assert result.success, result.error
    # A text of a table that looks like a number stays a text, what a file says is never read as a template.
    assert result.outputs == LOADED
    with pytest.raises(orc.InputsError, match='loaded from the asset "sales/table"'):
        report.run(instance=instance, sales=[])


def test_one_product_needs_only_its_own_inputs(project: Path, instance: DagsterInstance) -> None:
    sales, report = both(project)
    assert sales.run(instance=instance, products=["table"]).success
    assert report.run(instance=instance, products=["sum"]).success
    with pytest.raises(orc.InputsError) as missing:
        report.run(instance=instance, products=["sum", "about"])
    assert [one.split(":")[0] for one in missing.value.problems] == ['the input "more"', 'the input "note"']


def test_in_a_location(locate: Locate, project: Path, instance: DagsterInstance) -> None:
    definitions = locate(SALES, REPORT)
    found = lineage(definitions)
    assert found["report/sum"] == {"sales/table"}
    assert found["report/about"] == {"sales/more", "sales/note"}
    assert found["report/run"] == {"report/sum", "report/about"}
    failed = definitions.resolve_job_def("report_job").execute_in_process(instance=instance, raise_on_error=False)
    assert not failed.success
    error = failed.failure_data_for_node("report.inputs")
    assert error is not None
    assert error.user_failure_data is not None
    assert "next: `orchestrator run pipelines/sales.yaml`" in (error.user_failure_data.description or "")
    everything = definitions.resolve_implicit_global_asset_job_def()  # both in one run, in the right order
    assert everything.execute_in_process(instance=instance).success
    done = definitions.resolve_job_def("report_job").execute_in_process(instance=instance)
    assert done.success
    assert done.output_for_node("report", "run")["outputs"] == LOADED
    one = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance, asset_selection=[AssetKey(["report", "sum"])]
    )
    assert one.success
    assert (project / "outputs" / "report" / "sum.txt").read_text() == "7.5"


@dg.asset(key=["own", "frame"])
def frame() -> pd.DataFrame:
    """A value that Dagster's IO manager keeps."""
    return pd.DataFrame({"name": ["a", "b"], "on": pd.to_datetime(["2026-01-01", None])})


@dg.asset(key=["own", "file"])
def file() -> dg.MaterializeResult[None]:
    """A file that its metadata names."""
    Path("own.json").write_text('{"limit": 3}')
    return dg.MaterializeResult(metadata={"path": dg.MetadataValue.path(str(Path("own.json").absolute()))})


@dg.asset(key=["own", "odd"])
def odd() -> Any:
    """A value that no pipeline can take."""
    return object


@dg.asset(ins={"text": dg.AssetIn(key=["taker", "said"], input_manager_key="orchestrator_products")})
def below(text: str) -> str:
    """Takes a product."""
    return text.upper()


TAKER = """id: taker
inputs:
  frame: {asset: own/frame, type: array}
  file: {asset: own/file}
steps:
  - {id: said, action: echo, parameters: {message: "{{ frame | to_json }} {{ file.limit + 1 }}"}, products: [said: said.txt]}
"""


def test_own_assets_above_and_below(locate: Locate, project: Path, instance: DagsterInstance) -> None:
    pipelines = locate(TAKER)
    definitions = dg.Definitions.merge(pipelines, dg.Definitions(assets=[frame, file, below]))
    dg.Definitions.validate_loadable(definitions)
    assert lineage(definitions)["below"] == {"taker/said"}
    assert lineage(definitions)["taker/said"] == {"own/frame", "own/file"}
    everything = definitions.resolve_implicit_global_asset_job_def()
    done = everything.execute_in_process(instance=instance)
    assert done.success
    said = '[{"name": "a", "on": "2026-01-01"}, {"name": "b", "on": null}] 4'
    assert json.loads(done.output_for_node("below").rpartition(" ")[0].lower()) == json.loads(said.rpartition(" ")[0])
    again = definitions.resolve_job_def("taker_job").execute_in_process(instance=instance)  # the value is read back
    assert again.success
    assert (project / "outputs" / "taker" / "said.txt").read_text().endswith(" 4")
    # The command has no IO manager of another location: it says so, and how else.
    result = orc.compile("pipelines/taker.yaml").run(instance=instance)
    assert not result.success
    assert result.error is not None
    assert 'the asset "own/frame" names no file' in result.error["message"]
    assert "launch the pipeline from the code location" in result.error["message"]


def test_what_does_not_fit_is_said(locate: Locate, project: Path, instance: DagsterInstance) -> None:
    takes = "id: takes\ninputs:\n  odd: {asset: own/odd}\n  file: {asset: own/file, type: array}\nsteps: [{id: s, action: echo, parameters: {message: '{{ odd }}'}}]\n"
    definitions = dg.Definitions.merge(locate(takes), dg.Definitions(assets=[odd, file]))
    done = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance, raise_on_error=False
    )
    error = done.failure_data_for_node("takes.inputs")
    assert error is not None
    assert error.user_failure_data is not None
    said = error.user_failure_data.description or ""
    assert 'the asset "own/odd" holds type, which is no value of a pipeline' in said
    assert 'what the asset "own/file" has does not fit' in said


def test_files_outside_the_workspace_are_refused(locate: Locate, tmp_path: Path, instance: DagsterInstance) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("secret")
    takes = "id: takes\ninputs:\n  text: {asset: own/outside}\nsteps: [{id: s, action: echo, parameters: {message: '{{ text }}'}}]\n"
    definitions = locate(takes)
    made = dg.AssetMaterialization(AssetKey(["own", "outside"]), metadata={"path": dg.MetadataValue.path(str(outside))})
    instance.report_runless_asset_event(made)
    done = definitions.resolve_job_def("takes_job").execute_in_process(instance=instance, raise_on_error=False)
    error = done.failure_data_for_node("takes.inputs")
    assert error is not None
    assert error.user_failure_data is not None
    assert "extra_roots" in (error.user_failure_data.description or "")


def test_a_default_stands_in_for_what_was_never_made(project: Path, instance: DagsterInstance) -> None:
    text = "id: p\ninputs:\n  a: {asset: x/a, default: [1]}\n  b: {asset: x/b, required: false}\nsteps: [{id: s, action: echo, parameters: {message: '{{ a }} {{ b is defined }}'}}]\noutputs: {s: '{{ s }}'}\n"
    (project / "pipelines" / "p.yaml").write_text(text)
    result = orc.compile("pipelines/p.yaml").run(instance=instance)
    assert result.outputs == {"s": "[1] False"}


def test_a_step_gives_what_an_asset_gives_otherwise(project: Path, instance: DagsterInstance) -> None:
    (project / "pipelines" / "sub.yaml").write_text(
        "id: sub\ninputs:\n  rows: {asset: sales/table, type: array}\nsteps: [{id: s, action: echo, parameters: {message: '{{ rows | length }}'}}]\noutputs: {n: '{{ s }}'}\n"
    )
    path = project / "pipelines" / "main.yaml"
    path.write_text(
        "id: main\nsteps: [{id: s, pipeline: sub.yaml, inputs: {rows: [1, 2]}}]\noutputs: {n: '{{ s.n }}'}\n"
    )
    assert orc.compile(path).run(instance=instance).outputs == {"n": 2}
    path.write_text("id: main\nsteps: [{id: s, pipeline: sub.yaml}]\noutputs: {n: '{{ s.n }}'}\n")
    with pytest.raises(orc.PipelineError, match='needs the input "rows"'):
        orc.compile(path)


DAYS = """id: days
partitions: {static: [mon, tue]}
steps:
  - {id: day, action: echo, parameters: {message: {day: "{{ partition.key }}"}}, vars: [data: object], products: [data: "{{ partition.key }}.json"]}
"""
EACH = """id: each
partitions: {static: [mon, tue]}
inputs: {day: {asset: days/data}}
steps:
  - {id: said, action: echo, parameters: {message: "{{ day.day }}!"}, products: [said: "{{ partition.key }}.txt"]}
"""
ALL = """id: all
inputs: {days: {asset: days/data}}
steps:
  - {id: said, action: echo, parameters: {message: "{{ days.keys() | sort | join(' ') }} {{ days.tue.day }}"}, products: [said: said.txt]}
"""


@pytest.mark.parametrize("way", ["location", "command"])
def test_partitions(way: str, locate: Locate, project: Path, instance: DagsterInstance) -> None:
    definitions = locate(DAYS, EACH, ALL)

    def run(name: str, partition: str | None = None) -> bool:
        if way == "command":
            return orc.compile(f"pipelines/{name}.yaml").run(instance=instance, partition=partition).success
        job = definitions.resolve_job_def(f"{name}_job")
        return job.execute_in_process(instance=instance, partition_key=partition, raise_on_error=False).success

    assert run("days", "mon")
    assert run("days", "tue")
    assert run("each", "mon")
    assert (project / "outputs" / "each" / "mon.txt").read_text() == "mon!"
    assert run("each", "tue")
    assert (project / "outputs" / "each" / "tue.txt").read_text() == "tue!"
    assert run("all")
    assert (project / "outputs" / "all" / "said.txt").read_text() == "mon tue tue"


def test_a_resume_goes_on_with_what_was_loaded(project: Path, instance: DagsterInstance) -> None:
    from orchestrator_dagster.definitions.runs.resume import resume_run

    sales, _ = both(project)
    path = project / "pipelines" / "late.yaml"
    path.write_text(
        "id: late\ninputs: {note: {asset: sales/note}}\nsteps:\n"
        "  - {id: read, tool: filesystem, action: read, parameters: {path: late.txt}}\n"
        "  - {id: said, action: echo, parameters: {message: '{{ note }} {{ read.content }}'}}\n"
        "outputs: {said: '{{ said }}'}\n"
    )
    assert sales.run(instance=instance).success
    failed = orc.compile(path).run(instance=instance)
    assert not failed.success
    (project / "late.txt").write_text("late")
    (project / "outputs" / "sales" / "note.md").write_text("changed since")
    document = resume_run(failed.run_id, root=project, instance=instance)
    assert document["outputs"] == {"said": "# Done 2 late"}


def test_the_run_of_another_pipeline(locate: Locate, project: Path, instance: DagsterInstance) -> None:
    text = "id: after\ninputs: {run: {asset: sales/run}}\nsteps: [{id: s, action: echo, parameters: {message: '{{ inputs.run.status }}'}}]\noutputs: {s: '{{ s }}'}\n"
    definitions = locate(SALES, text)
    assert orc.compile("pipelines/sales.yaml").run(instance=instance).success
    done = definitions.resolve_job_def("after_job").execute_in_process(instance=instance)
    assert done.output_for_node("after", "run")["outputs"] == {"s": "completed"}
    assert orc.compile("pipelines/after.yaml").run(instance=instance).outputs == {"s": "completed"}


def test_names_and_circles_between_files(project: Path) -> None:
    both(project)
    step = "steps: [{id: t, action: echo, parameters: {message: hi}, products: [t: t.txt]}]\n"
    for name, asset in (
        ("a", "b/t"),
        ("b", "c/t"),
        ("c", "a/t"),
        ("d", "sales/tabel"),
        ("e", "sale/table"),
        ("f", "x/y"),
    ):
        (project / "pipelines" / f"{name}.yaml").write_text(f"id: {name}\ninputs: {{i: {{asset: {asset}}}}}\n{step}")
    found = {one.path.stem: one for one in load_folder(project / "pipelines", project)}
    said = {name: [(one.code, one.severity, one.message) for one in file.diagnostics] for name, file in found.items()}
    assert said["a"] == [("asset-cycle", "error", 'the pipeline "a" waits for itself: a → b → c → a')] or said["a"] == [
        ("asset-cycle", "error", 'the pipeline "a" waits for itself: a → c → b → a')
    ]
    assert {said[name][0][0] for name in "abc"} == {"asset-cycle"}
    assert said["d"][0][:2] == ("unknown-asset", "error")
    assert found["d"].errors[0].suggestion == "sales/table"  # it is served all the same
    assert said["e"][0][:2] == ("unknown-asset", "warning")
    assert said["f"] == said["report"] == []
    assert [name for name, file in found.items() if file.pipeline is None] == ["a", "b", "c"]
    checked = CliRunner().invoke(main, ["validate", "pipelines"])
    assert checked.exit_code == 2
    assert 'did you mean "sales/table"?' in checked.output


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ("{i: {asset: a//b}}", "wrong-value"),
        ("{i: {asset: x/y, type: secret}}", "wrong-value"),
        ("{i: {asset: p/t}}", "asset-cycle"),
        ("{i: {asset: p/run}}", "asset-cycle"),
        ("{i: {asset: p/u}}", "unknown-asset"),
        ("{i: {asset: x/y}, j: '{{ i }}'}", "unknown-name"),
        ("{i: {asset: x/y}}\nschedule: {cron: '0 6 * * *', inputs: {i: 3}}", "wrong-value"),
        ("{i: {asset: x/y}}\nschedule: {cron: '0 6 * * *', inputs: {i: '{{ current_date }}'}}", "wrong-value"),
    ],
)
def test_what_is_wrong_in_one_file(project: Path, inputs: str, code: str) -> None:
    path = project / "pipelines" / "p.yaml"
    path.write_text(
        f"id: p\ninputs: {inputs}\nsteps: [{{id: t, action: echo, parameters: {{message: hi}}, products: [t: t.txt]}}]\n"
    )
    with pytest.raises(orc.PipelineError) as wrong:
        orc.compile(path)
    assert [one.code for one in wrong.value.diagnostics] == [code]
