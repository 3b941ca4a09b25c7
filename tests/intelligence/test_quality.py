"""The judge of products, over HTTP: by `result.qc()`, and as asset checks in a real instance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import AssetCheckKey, AssetKey, DagsterInstance

import orchestrator_dagster as orc
from orchestrator_dagster.errors import OrchestratorError

LIST = """\
id: list
description: Lists trees
orchestrator: openai:gpt-4o-mini
qc:
  rubric: Every line names one tree and its height.
  {more}
inputs:
  - text: "Oak, 20 m\\nLinden"
steps:
  - id: write
    action: echo
    parameters: {message: "{{ text }}"}
    vars: {trees: "{{ result }}"}
    products: {trees: trees.txt}
  - id: count
    action: echo
    parameters: {message: {lines: 2}}
    vars: {facts: "{{ result }}"}
    products: {facts: facts.json}
"""
GOOD = {"findings": [], "verdict": "Every line is right.", "score": 0.9}
POOR = {
    "findings": [{"what": "The height is missing.", "quote": "Linden", "fix": "Add the height of the linden."}],
    "verdict": "One of two lines has no height.",
    "score": 0.4,
}
TREES, FACTS, RUN = AssetKey(["list", "trees"]), AssetKey(["list", "facts"]), AssetKey(["list", "run"])


def write(project: Path, more: str = "products: [trees]", text: str = LIST) -> Path:
    path = project / "pipelines" / "list.yaml"
    path.write_text(text.replace("{more}", more), encoding="utf-8")
    return path


@pytest.fixture
def run(project: Path, orchestrator: Any, instance: DagsterInstance) -> Any:
    """Runs the pipeline with these keys of `qc`."""

    def make(more: str = "products: [trees]", **inputs: Any) -> orc.Result:
        pipeline = orc.compile(write(project, more), root=project)
        result = pipeline.run(instance=instance, resources=orchestrator.resources, **inputs)
        assert result.success, result.error
        assert "quality" not in orchestrator.asked()
        return result

    return make


def test_a_result_is_judged_by_the_rubric(run: Any, orchestrator: Any) -> None:
    orchestrator.answers("quality", POOR, GOOD)
    result = run()
    found = result.qc()
    (one,) = found.judgements
    assert (found.passed, found.score, one.products, one.threshold) == (False, 0.4, ("trees",), 0.7)
    assert [(each.what, each.quote) for each in one.findings] == [("The height is missing.", "Linden")]
    assert one.model == "openai:gpt-4o-mini"
    assert found.usage.calls == 1
    assert found.usage.cost
    (call,) = orchestrator.server.calls
    assert "Every line names one tree and its height." in call.text
    assert "**list**: lists trees." in call.text  # the intention
    assert '<data name="product outputs/list/trees.txt">\nOak, 20 m\nLinden\n</data>' in call.text
    assert result.qc().passed


def test_quotes_must_stand_in_the_product_and_a_fail_needs_a_finding(run: Any, orchestrator: Any) -> None:
    invented = {**POOR, "findings": [{**POOR["findings"][0], "quote": "Maple"}]}  # type: ignore[index,dict-item]
    silent = {**POOR, "findings": []}
    orchestrator.answers("quality", invented, silent, POOR)
    assert run().qc().score == 0.4
    second, third = (call.prompt for call in orchestrator.server.calls[1:])
    assert "the quote of finding 1 does not stand in the product: “Maple”" in second
    assert "the score 0.4 fails the product, and there is no finding that says why" in third


def test_what_a_judge_invents_to_the_end_is_no_judgement(run: Any, orchestrator: Any) -> None:
    orchestrator.answers("quality", {**GOOD, "score": 7})
    (one,) = run().qc().judgements
    assert (one.passed, one.judged, one.score) == (False, False, None)
    assert "after 2 repairs" in one.verdict
    assert one.usage.calls == 3


def test_what_can_be_checked_without_a_model_comes_first(run: Any, orchestrator: Any, project: Path) -> None:
    orchestrator.answers("quality", GOOD)
    result = run()
    (project / "outputs/list/trees.txt").write_text(" ")
    (one,) = result.qc().judgements
    assert (one.passed, one.judged) == (False, False)
    assert one.faults[0].startswith('outputs/list/trees.txt: not empty: "trees.txt" is empty; next:')
    (project / "outputs/list/trees.txt").unlink()
    assert "exists" in result.qc().judgements[0].faults[0]
    assert orchestrator.asked() == []


def test_all_products_together_and_a_long_one_is_cut(run: Any, orchestrator: Any) -> None:
    orchestrator.answers("quality", {**POOR, "score": 0.9})
    text = "Linden\nfirst line\n" + "tree\n" * 20_000 + "last line"
    (one,) = run("threshold: 0.95", text=text).qc().judgements
    assert one.products == ("trees", "facts")
    assert (one.passed, one.score) == (False, 0.9)
    (call,) = orchestrator.server.calls[:1]
    assert "first line" in call.text
    assert "last line" in call.text
    assert "characters are left out" in call.text
    assert '"lines": 2' in call.text
    assert len(call.text) < 35_000
    assert one.shown < 25_000 < 100_000 < one.size


def test_the_budget_bounds_a_judgement(run: Any, orchestrator: Any) -> None:
    orchestrator.answers("quality", {**GOOD, "score": 7})
    (one,) = run("budget: {calls: 2}").qc().judgements
    assert one.usage.calls == 2
    assert "the budget of the quality check does not allow another call: 2 of 2 calls" in one.verdict


def test_without_a_rubric_there_is_nothing_to_judge(project: Path, instance: DagsterInstance) -> None:
    path = project / "pipelines" / "plain.yaml"
    path.write_text("id: plain\nsteps: [{id: say, action: echo, parameters: {message: hi}}]")
    result = orc.compile(path, root=project).run(instance=instance)
    with pytest.raises(OrchestratorError, match='the pipeline "plain" has no `qc`'):
        result.qc()


def checks(instance: DagsterInstance, *keys: AssetKey, name: str = "quality") -> list[dg.AssetCheckEvaluation]:
    wanted = [AssetCheckKey(key, name) for key in keys]
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key(wanted)
    return [found[key].event.dagster_event.asset_check_evaluation_data for key in wanted]  # type: ignore[union-attr,misc]


def execute(defs: dg.Definitions, instance: DagsterInstance, *keys: AssetCheckKey) -> dg.ExecuteInProcessResult:
    job = defs.resolve_implicit_global_asset_job_def()
    part = job.get_subset(asset_selection=set(), asset_check_selection=set(keys))
    return part.execute_in_process(instance=instance, raise_on_error=False)


def test_the_check_of_a_product_is_executed_on_demand(
    project: Path, orchestrator: Any, instance: DagsterInstance
) -> None:
    write(project)
    orchestrator.answers("quality", POOR, GOOD)
    defs = orc.build_definitions("pipelines", root=project, resources=orchestrator.resources)
    dg.Definitions.validate_loadable(defs)
    assert orchestrator.asked() == []  # nobody is asked while a location loads
    key = AssetCheckKey(TREES, "quality")
    assert execute(defs, instance, key).success
    (never,) = checks(instance, TREES)
    assert not never.passed
    assert "exists" in str(never.metadata["orchestrator/problems"].value)
    assert defs.resolve_job_def("list_job").execute_in_process(instance=instance).success
    assert orchestrator.asked() == []  # the job does not judge
    assert execute(defs, instance, key).success
    (poor,) = checks(instance, TREES)
    assert (poor.passed, poor.severity, poor.blocking) == (False, dg.AssetCheckSeverity.ERROR, False)
    assert poor.description == "One of two lines has no height."
    assert poor.metadata["orchestrator/score"].value == 0.4
    assert poor.metadata["orchestrator/model_calls"].value == 1
    assert poor.metadata["orchestrator/cost"].value > 0  # type: ignore[operator]
    assert "| The height is missing. | Linden | Add the height of the linden. |" in str(
        poor.metadata["orchestrator/findings"].value
    )
    assert execute(defs, instance, key).success
    assert checks(instance, TREES)[0].passed


def test_all_products_together_are_checked_at_the_run(
    project: Path, orchestrator: Any, instance: DagsterInstance
) -> None:
    write(project, "threshold: 0.5")
    orchestrator.answers("quality", GOOD)
    defs = orc.build_definitions("pipelines", root=project, resources=orchestrator.resources)
    assert defs.resolve_job_def("list_job").execute_in_process(instance=instance).success
    assert execute(defs, instance, AssetCheckKey(RUN, "quality")).success
    assert checks(instance, RUN)[0].passed


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (("products: [trees]", "products: [tree]"), "unknown-variable", 'names "tree", and no product'),
        (("orchestrator: openai:gpt-4o-mini\n", ""), "no-orchestrator", "nothing judges the products"),
        (("openai:gpt-4o-mini", "builtin:extractive"), "no-orchestrator", "only takes sentences"),
        (("trees.txt", "trees.png"), "product-format", "which is a picture"),
        (("Every line names one tree and its height.", '" "'), "wrong-value", "the rubric is empty"),
        (("description: Lists trees", "alignment: ignore"), "wrong-type", "expected a map with the reason"),
        (("description: Lists trees", "alignment: {ignore: ' '}"), "wrong-value", "ignored for a reason"),
        (("description: Lists trees", "alignment: {ignored: x}"), "unknown-key", 'no key "ignored"'),
    ],
)
def test_what_cannot_be_judged_is_said_when_the_file_is_checked(
    project: Path, change: tuple[str, str], code: str, said: str
) -> None:
    from orchestrator_dagster.project.loading import compile_file

    text = LIST.replace("{more}", "products: [trees]").replace(*change)
    problems = [one for one in compile_file(write(project, text=text), project).problems if one.code == code]
    assert len(problems) == 1, problems
    assert said in problems[0].message
    assert problems[0].hint or problems[0].suggestion


READER = """\
id: reader
inputs:
  - trees: {asset: list/trees, type: string}
steps:
  - id: say
    action: echo
    parameters: {message: "{{ trees }}"}
"""


@pytest.mark.parametrize("more", ["products: [trees], blocking: true", "blocking: true"])
def test_a_blocking_check_stops_other_pipelines(
    project: Path, orchestrator: Any, instance: DagsterInstance, more: str
) -> None:
    write(project, text=LIST.replace("  rubric: Every line names one tree and its height.\n  {more}", ""))
    path = project / "pipelines" / "list.yaml"
    path.write_text(path.read_text().replace("qc:\n", f"qc: {{rubric: Every line has a height., {more}}}\n"))
    (project / "pipelines" / "reader.yaml").write_text(READER)
    orchestrator.answers("quality", POOR, GOOD)
    defs = orc.build_definitions("pipelines", root=project, resources=orchestrator.resources)
    reader = orc.compile(project / "pipelines" / "reader.yaml", root=project)
    made = defs.resolve_job_def("list_job").execute_in_process(instance=instance, raise_on_error=False)
    assert orchestrator.asked() == ["quality"]  # with the run: nobody else may use what was not judged
    assert not made.success
    with pytest.raises(orc.InputsError) as caught:
        reader.run(instance=instance)
    assert 'the asset "list/trees" has failed its quality check: One of two lines has no height.' in str(caught.value)
    job = defs.resolve_job_def("reader_job")
    launched = job.execute_in_process(instance=instance, raise_on_error=False)
    assert not launched.success
    key = AssetCheckKey(TREES if "products" in more else RUN, "quality")
    assert execute(defs, instance, key).success  # judged again, and good
    assert reader.run(instance=instance).success


def test_a_recorded_run_is_judged_later(run: Any, orchestrator: Any, instance: DagsterInstance, project: Path) -> None:
    orchestrator.answers("quality", POOR)
    recorded = orc.load_result(run().run_id, root=project, instance=instance)
    assert recorded.qc(resources=orchestrator.resources).score == 0.4
