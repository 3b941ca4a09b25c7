"""Flow, loops and other pipelines as Dagster runs them: the same outcomes as in place, and what the event log shows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import AssetKey, DagsterEventType, DagsterInstance

import orchestrator_dagster as orc
from orchestrator_dagster.definitions.runs.record import load_record
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.models.clients import ModelClients
from orchestrator_dagster.project.loading import compile_or_raise
from orchestrator_dagster.runtime.in_place import run_body
from orchestrator_dagster.runtime.inputs import complete_inputs
from orchestrator_dagster.runtime.names import RunInfo
from orchestrator_dagster.runtime.scope import Scope
from orchestrator_dagster.runtime.services import Services
from orchestrator_dagster.tools.registry import ToolRegistry

Write = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def _tools(project: Path) -> None:
    shutil.copy(Path(__file__).parents[2] / "runtime" / "flow_tools.py", project / "tools.py")


def calls(project: Path) -> list[str]:
    path = project / "calls.txt"
    return path.read_text(encoding="utf-8").split() if path.exists() else []


def said(instance: DagsterInstance, run_id: str, step_key: str, output: str) -> dict[str, Any]:
    """The metadata of an op's output."""
    for entry in instance.all_logs(run_id, of_type=DagsterEventType.STEP_OUTPUT):
        event = entry.dagster_event
        if event is not None and event.step_key == step_key and event.step_output_data.output_name == output:
            return {name: value.value for name, value in event.step_output_data.metadata.items()}
    raise AssertionError(f"{step_key} gave no {output}")


def failed_ops(instance: DagsterInstance, run_id: str) -> list[str]:
    entries = instance.all_logs(run_id, of_type=DagsterEventType.STEP_FAILURE)
    return [entry.dagster_event.step_key or "" for entry in entries if entry.dagster_event]


def in_place(path: Path, project: Path) -> dict[str, dict[str, Any]]:
    """What the steps come to without Dagster."""
    pipeline = compile_or_raise(path, project)
    run = RunInfo("run", datetime.now(timezone.utc))
    tools = ToolRegistry()
    tools.load_file(project / "tools.py")
    services = Services(Workspace(project), tools, ModelClients())
    scope = Scope.of(pipeline, complete_inputs(pipeline, {}, run), run, services)
    found = run_body(pipeline.steps, pipeline.plan, scope)
    return {
        name: essence(json.loads(one.model_dump_json()) | {"error": one.error and one.error.message})
        for name, one in found.items()
    }


def essence(step: Mapping[str, Any]) -> dict[str, Any]:
    return {name: step[name] for name in ("status", "value", "error", "reason")}


FLOW = """id: flow
inputs: {n: 3}
steps:
  - {id: a, action: echo, condition: n > 5, on_false: d, parameters: {message: a}}
  - {id: b, action: echo, dependencies: [a], parameters: {message: b}}
  - {id: d, action: echo, dependencies: [b], parameters: {message: "{{ b | default('none') }}"}}
  - {id: bad, tool: probe, on_failure: rescue, parameters: {name: bad, fail: 9, how: connection}}
  - {id: around, action: echo, dependencies: [bad], parameters: {message: x}}
  - {id: rescue, action: echo, parameters: {message: "{{ error.type }} {{ error.message }} {{ error.step }}"}}
  - {id: calm, tool: probe, on_failure: unused, parameters: {name: calm, value: 1}}
  - {id: unused, action: echo, parameters: {message: x}}
  - {id: over, action: echo, dependencies: [unused], parameters: {message: x}}
  - {id: dies, tool: probe, on_failure: skip, parameters: {name: dies, fail: 9}}
  - {id: gone, action: echo, dependencies: [dies], parameters: {message: x}}
  - {id: falls, tool: probe, parameters: {name: falls, fail: 9}, failure_handlers: [{errors: [ValueError], fallback: 1}, {errors: [RuntimeError], fallback: {x: [2]}}]}
  - {id: reads, action: echo, parameters: {message: "{{ falls.x[0] }} {{ falls.error.type }}"}}
  - {id: again, tool: probe, retries: {max: 2, delay: 0.001s}, condition: n == 3, parameters: {name: again, fail: 2, value: fine}}
outputs: {d: "{{ d }}", gone: "{{ gone }}", rescue: "{{ rescue }}"}
"""
LOOPS = """id: loops
inputs: {items: [1, 2, 3], nobody: []}
steps:
  - id: outer
    for_each: "{{ items }}"
    max_parallel: 2
    steps:
      - {id: first, action: echo, condition: item != 2, on_false: last, parameters: {message: "{{ item }}f"}}
      - {id: inner, for_each: [a, b], dependencies: [first], steps: [{id: deep, action: echo, parameters: {message: "{{ first }}{{ item }}{{ outer.index }}"}}]}
      - {id: last, action: echo, parameters: {message: "{{ inner | default('none') }}"}}
  - {id: some, for_each: "{{ items }}", on_item_failure: skip, tool: probe, parameters: {name: "s{{ item }}", fail: "{{ 9 if item == 2 else 0 }}", value: "{{ item }}"}}
  - {id: empty, for_each: "{{ nobody }}", steps: [{id: e, action: echo, parameters: {message: x}}]}
  - {id: grows, until: n >= 3, action: echo, parameters: {message: "{{ (n | default(0)) + 1 }}"}, vars: {n: {type: integer}}}
  - {id: never, while: n > 9, steps: [{id: w, action: echo, parameters: {message: x}}]}
  - {id: limit, until: iteration > 50, max_iterations: 2, failure_handlers: [{errors: [LoopLimitError], fallback: stopped}], action: echo, parameters: {message: x}}
  - {id: fails, for_each: [0, 9, 0], on_failure: saves, tool: probe, parameters: {name: "f{{ index }}", fail: "{{ item }}"}}
  - {id: saves, for_each: "{{ [error.step, error.type] }}", action: echo, parameters: {message: "{{ item }} {{ error.type }}"}}
  - {id: runs, pipeline: inner.yaml, inputs: {n: "{{ n }}"}, vars: {said: {type: string}}}
  - {id: each, for_each: [1, 2], steps: [{id: sub, pipeline: inner.yaml, inputs: {n: "{{ item }}"}}]}
  - {id: reads, action: echo, parameters: {message: "{{ outer.results }} {{ some.failed | length }} {{ empty.count }} {{ n }} {{ said }} {{ each }}"}}
"""
INNER = """id: inner
inputs: {n: 1}
steps:
  - {id: a, action: echo, parameters: {message: "{{ n }}!"}}
outputs: {said: "{{ a }}"}
"""
FAILS = """id: fails
steps:
  - {id: a, tool: probe, retries: 1, parameters: {name: a, fail: 9}}
  - {id: b, action: echo, dependencies: [a], parameters: {message: b}}
  - {id: c, action: echo, dependencies: [b], on_success: d, parameters: {message: c}}
  - {id: d, action: echo, parameters: {message: d}}
  - {id: alone, action: echo, parameters: {message: alone}}
"""


@pytest.mark.parametrize(("text", "success"), [(FLOW, True), (LOOPS, True), (FAILS, False)])
@pytest.mark.parametrize("how", ["run", "in_process"])
def test_dagster_and_in_place_agree(
    write: Write, project: Path, instance: DagsterInstance, text: str, success: bool, how: str
) -> None:
    write("pipelines/inner.yaml", INNER)
    path = write("pipelines/p.yaml", text)
    wanted = in_place(path, project)
    first = sorted(calls(project))
    (project / "calls.txt").unlink(missing_ok=True)
    pipeline = orc.compile(path)
    if how == "run":
        result = pipeline.run(instance=instance)
        document, worked = result.document, result.success
    else:
        definitions = pipeline.definitions()
        dg.Definitions.validate_loadable(definitions)
        (job,) = [job for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")]
        done = job.execute_in_process(instance=instance, raise_on_error=False)
        worked, document = done.success, load_record(instance, done.run_id, compile_or_raise(path, project))
    assert worked is success, document["error"]
    found = {name: essence(step) for name, step in document["steps"].items()}
    assert found == wanted
    # items that run at once may begin before another one fails
    assert [one for one in sorted(calls(project)) if one[0] != "f"] == [one for one in first if one[0] != "f"]


def test_what_the_event_log_says(write: Write, project: Path, instance: DagsterInstance) -> None:
    write("pipelines/inner.yaml", INNER)
    result = orc.compile(write("pipelines/p.yaml", FLOW)).run(instance=instance)
    assert result.success, result.error
    run = result.run_id
    assert said(instance, run, "flow.b.decide", "decision") == {
        "orchestrator/decision": "skipped",
        "orchestrator/reason": "the route on_false of step a goes to d",
        "orchestrator/route": "on_false of step a",
    }
    outcome = said(instance, run, "flow.b.outcome", "outcome")
    assert outcome["orchestrator/status"] == "skipped"
    assert outcome["orchestrator/reason"] == "the route on_false of step a goes to d"
    assert outcome["orchestrator/route"] == "on_false of step a"
    assert said(instance, run, "flow.a.outcome", "outcome")["orchestrator/reason"] == "its condition is false: n > 5"
    went = said(instance, run, "flow.rescue.decide", "decision")
    assert went == {"orchestrator/decision": "go", "orchestrator/route": "on_failure of step bad"}
    bad = said(instance, run, "flow.bad", "outcome")
    assert bad["orchestrator/status"] == "failed"
    assert "ConnectionError: bad failed" in bad["orchestrator/error"]
    assert result.steps["unused"]["reason"] == "no route to it was taken: on_failure of step calm"
    assert result.steps["over"]["reason"] == "routing skipped what it depends on: unused"
    assert result.steps["again"]["retries"] == 2
    assert [result.steps[name]["retries"] for name in ("b", "unused", "over")] == [0, 0, 0]  # they were not tried
    assert result.outputs == {"d": "none", "gone": None, "rescue": result.steps["rescue"]["value"]}
    skipped = {
        entry.dagster_event.step_key
        for entry in instance.all_logs(run, of_type=DagsterEventType.STEP_SKIPPED)
        if entry.dagster_event
    }
    assert not [key for key in skipped if not key or ".run" not in key]  # ops of what was skipped still say why

    result = orc.compile(write("pipelines/p.yaml", LOOPS)).run(instance=instance)
    items = said(instance, result.run_id, "loops.some.outcome", "outcome")
    assert (items["orchestrator/items"], items["orchestrator/failed_items"]) == (3, 1)
    assert said(instance, result.run_id, "loops.outer.decide", "decision")["orchestrator/items"] == 3


CARRIED = """id: carried
steps:
  - {id: bad, tool: probe, on_failure: continue, parameters: {name: bad, fail: 9}, vars: {bad: {type: string}}, products: {bad: bad.txt}}
  - {id: after, action: echo, parameters: {message: "{{ bad.error.type }}"}, vars: {after: {type: string}}, products: {after: after.txt}}
  - {id: items, for_each: [0, 9], on_item_failure: continue, tool: probe, parameters: {name: "i{{ index }}", fail: "{{ item }}", value: v}}
  - {id: end, action: echo, parameters: {message: "{{ items }}"}, vars: {end: {type: array}}, products: {end: end.json}}
"""


def test_continue_ends_the_run_failed_after_everything_else(
    write: Write, project: Path, instance: DagsterInstance
) -> None:
    result = orc.compile(write("pipelines/p.yaml", CARRIED)).run(instance=instance)
    assert not result.success
    assert failed_ops(instance, result.run_id) == ["carried.finish"] or failed_ops(instance, result.run_id) == [
        "finish"
    ]
    assert result.error is not None
    assert (result.error["step"], result.error["type"]) == ("bad", "ToolError")
    assert "bad failed at call 1" in result.error["message"]
    statuses = {name: step["status"] for name, step in result.steps.items()}
    assert statuses == {"bad": "failed", "after": "completed", "items": "completed", "end": "completed"}
    assert (project / "outputs/carried/after.txt").read_text() == "ToolError"
    for name, there in (("after", True), ("end", True), ("bad", False), ("run", False)):
        event = instance.get_latest_materialization_event(AssetKey(["carried", name]))
        assert (event is not None) is there, name
    (entry,) = instance.all_logs(result.run_id, of_type=DagsterEventType.STEP_FAILURE)
    assert entry.dagster_event is not None
    text = str(entry.dagster_event.step_failure_data.user_failure_data.description)  # type: ignore[union-attr]
    assert "went on past 2 failures" in text
    assert 'step "bad" failed' in text
    assert "items[1]" in text


@pytest.mark.parametrize(("product", "works"), [("after", False), ("end", False), ("other", True)])
def test_continue_is_fail_where_the_run_has_no_end(
    write: Write, project: Path, instance: DagsterInstance, product: str, works: bool
) -> None:
    """A product alone: nothing could end that run failed, so the step fails at once."""
    text = f"{CARRIED}  - {{id: other, action: echo, parameters: {{message: o}}, vars: {{other: {{type: string}}}}, products: {{other: o.txt}}}}\n"
    result = orc.compile(write("pipelines/p.yaml", text)).run(products=[product], instance=instance)
    assert result.success is works
    event = instance.get_latest_materialization_event(AssetKey(["carried", product]))
    assert (event is not None) is works
    if product == "end":
        assert result.error is not None
        assert result.error["step"] == "items"
        assert "i1 failed" in result.error["message"]


def test_an_unhandled_item_fails_only_its_own_op(write: Write, project: Path, instance: DagsterInstance) -> None:
    text = """id: p
steps:
  - {id: each, for_each: [0, 9, 0], max_parallel: 3, tool: probe, parameters: {name: "w{{ index }}", fail: "{{ item }}"}}
  - {id: after, action: echo, dependencies: [each], parameters: {message: x}}
  - {id: alone, action: echo, parameters: {message: x}}
"""
    result = orc.compile(write("pipelines/p.yaml", text)).run(instance=instance)
    assert failed_ops(instance, result.run_id) == ["p.each.run[1]"]
    assert result.error is not None
    assert (result.error["step"], result.error["type"]) == ("each", "InnerStepError")
    assert result.error["message"].startswith("item 1 failed: probe.call failed: RuntimeError: w1 failed")
    assert {name: step["status"] for name, step in result.steps.items()} == {
        "each": "failed", "after": "skipped", "alone": "completed",
    }  # fmt: skip
    assert sorted(calls(project)) == ["w0", "w1", "w2"]


def test_a_loop_with_retries_repeats_only_what_failed(write: Write, project: Path, instance: DagsterInstance) -> None:
    text = """id: p
steps:
  - {id: each, for_each: [0, 1], max_parallel: 1, retries: 2, steps: [{id: w, tool: probe, parameters: {name: "w{{ index }}", fail: "{{ item }}", value: v}}]}
"""
    result = orc.compile(write("pipelines/p.yaml", text)).run(instance=instance)
    assert result.success, result.error
    assert (result.steps["each"]["value"], result.steps["each"]["retries"]) == (["v", "v"], 1)
    assert calls(project) == ["w0", "w1", "w1"]


@pytest.mark.parametrize("policy", ["fail", "skip"])
def test_the_time_of_a_loop_holds_in_its_ops(write: Write, instance: DagsterInstance, policy: str) -> None:
    text = f"""id: p
steps:
  - id: each
    for_each: [1, 2]
    timeout: 0.5
    on_item_failure: {policy}
    on_failure: late
    steps: [{{id: w, tool: probe, action: forever}}]
  - {{id: late, action: echo, parameters: {{message: "{{{{ error.type }}}}"}}}}
"""
    result = orc.compile(write("pipelines/p.yaml", text)).run(instance=instance)
    assert result.success, result.error
    assert result.steps["late"]["value"] == "StepTimeoutError"
    assert result.steps["each"]["timed_out"]


PRODUCTS = """id: made
inputs: {n: 3}
steps:
  - {id: seed, tool: probe, parameters: {name: seed, value: [a, b]}}
  - {id: maybe, tool: probe, condition: n > 2, parameters: {name: maybe, value: yes!}, vars: {maybe: {type: string}}, products: {maybe: maybe.txt}}
  - {id: never, tool: probe, condition: n > 9, parameters: {name: never, value: x}, vars: {never: {type: string}}, products: {never: never.txt}}
  - {id: pages, for_each: "{{ seed }}", steps: [{id: page, tool: probe, parameters: {name: "p{{ item }}", value: {name: "{{ item }}", n: "{{ index }}"}}, vars: {page: {type: object, value: "{{ result }}"}}, products: {page: "pages/{{ item }}.json"}}]}
  - {id: table, action: echo, parameters: {message: "{{ pages }}"}, vars: {table: {type: array}}, products: {table: table.csv}}
  - {id: aside, tool: probe, parameters: {name: aside}}
outputs: {table: "{{ table }}"}
""".replace('{type: object, value: "{{ result }}"}', "{type: object}")


def test_products_of_gates_and_items(write: Write, project: Path, instance: DagsterInstance) -> None:
    path = write("pipelines/p.yaml", PRODUCTS)

    @dg.asset(
        ins={
            "pages": dg.AssetIn(["made", "page"]),
            "maybe": dg.AssetIn(["made", "maybe"]),
            "table": dg.AssetIn(["made", "table"]),
        }
    )
    def mine(pages: list[dict[str, Any]], maybe: str, table: list[dict[str, str]]) -> dict[str, Any]:
        return {"names": [one["name"] for one in pages], "maybe": maybe, "rows": len(table)}

    definitions = dg.Definitions.merge(orc.build_definitions("pipelines", root=project), dg.Definitions(assets=[mine]))
    dg.Definitions.validate_loadable(definitions)
    result = orc.compile(path).run(instance=instance)
    assert result.success, result.error
    event = instance.get_latest_materialization_event(AssetKey(["made", "page"]))
    assert event is not None
    assert event.asset_materialization is not None
    metadata = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    assert metadata["orchestrator/files"] == [str(project / f"outputs/made/pages/{one}.json") for one in "ab"]
    assert metadata["orchestrator/path"] == "outputs/made/pages"
    assert "outputs/made/pages/b.json" in metadata["orchestrator/preview"]
    assert (metadata["orchestrator/step"], metadata["orchestrator/variable"]) == ("pages", "page")
    assert len(metadata["orchestrator/sha256"]) == 64
    assert instance.get_latest_materialization_event(AssetKey(["made", "maybe"])) is not None
    assert instance.get_latest_materialization_event(AssetKey(["made", "never"])) is None
    assert {one["path"] for one in result.document["products"]} == {
        "outputs/made/maybe.txt", "outputs/made/pages/a.json", "outputs/made/pages/b.json", "outputs/made/table.csv",
    }  # fmt: skip

    job = definitions.get_implicit_global_asset_job_def()
    done = job.execute_in_process(asset_selection=[AssetKey("mine")], instance=instance)
    assert done.output_for_node("mine") == {"names": ["a", "b"], "maybe": "yes!", "rows": 2}


@pytest.mark.parametrize(
    ("product", "expected"),
    [("page", ["pa", "pb", "seed"]), ("maybe", ["maybe"]), ("never", []), ("table", ["pa", "pb", "seed"])],
)
def test_one_product_alone_runs_only_what_it_needs(
    write: Write, project: Path, instance: DagsterInstance, product: str, expected: list[str]
) -> None:
    result = orc.compile(write("pipelines/p.yaml", PRODUCTS)).run(products=[product], instance=instance)
    assert result.success, result.error
    assert sorted(calls(project)) == expected
    made = instance.get_latest_materialization_event(AssetKey(["made", product])) is not None
    assert made is (product != "never")
    others = {"page", "maybe", "never", "table", "run"} - {product}
    assert [one for one in others if instance.get_latest_materialization_event(AssetKey(["made", one]))] == []


def test_the_handler_of_a_failure_is_run_for_its_product(
    write: Write, project: Path, instance: DagsterInstance
) -> None:
    text = """id: p
steps:
  - {id: bad, tool: probe, on_failure: rescue, parameters: {name: bad, fail: 9}}
  - {id: rescue, action: echo, parameters: {message: "{{ error.step }}"}, vars: {note: {type: string}}, products: {note: note.txt}}
  - {id: other, tool: probe, parameters: {name: other}}
"""
    result = orc.compile(write("pipelines/p.yaml", text)).run(products=["note"], instance=instance)
    assert result.success, result.error
    assert (project / "outputs/p/note.txt").read_text() == "bad"
    assert calls(project) == ["bad"]


def test_products_of_another_pipeline_are_its_assets(write: Write, project: Path, instance: DagsterInstance) -> None:
    write(
        "pipelines/sub.yaml",
        "id: sub\ninputs: {name: a}\nsteps:\n  - {id: page, action: echo, parameters: {message: '{{ name }}'}, "
        "vars: {page: {type: string}}, products: {page: '{{ name }}.md'}}\n",
    )
    text = "id: p\nsteps:\n  - {id: top, pipeline: sub.yaml, inputs: {name: z}}\n"
    result = orc.compile(write("pipelines/p.yaml", text)).run(instance=instance)
    assert result.success, result.error
    event = instance.get_latest_materialization_event(AssetKey(["sub", "page"]))
    assert event is not None
    assert event.run_id == result.run_id
    assert event.asset_materialization.metadata["orchestrator/path"].value == "outputs/sub/z.md"  # type: ignore[union-attr]
    assert [one["path"] for one in result.document["products"]] == ["outputs/sub/z.md"]


def test_retries_of_a_whole_repeat_only_what_failed_inside(
    project: Path, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    (project / "tools.py").write_text(
        "from pathlib import Path\n"
        "from orchestrator_dagster import tool\n\n"
        "@tool\n"
        "def call(name: str, fails_once: bool = False, after: str = '') -> dict:\n"
        '    """Notes that it was called."""\n'
        "    with open('calls.log', 'a') as log:\n"
        "        log.write(name + ' ')\n"
        "    mark = Path(f'once-{name}')\n"
        "    if fails_once and not mark.exists():\n"
        "        mark.touch()\n"
        "        raise ConnectionError('not yet')\n"
        "    return {'name': name}\n",
        encoding="utf-8",
    )
    (project / "pipelines" / "_inner.yaml").write_text(
        "id: inner\nsteps:\n"
        "  - {id: a, tool: call, parameters: {name: a}}\n"
        "  - {id: b, tool: call, parameters: {name: b, fails_once: true, after: '{{ a.name }}'}}\n",
        encoding="utf-8",
    )
    path = project / "pipelines" / "again.yaml"
    path.write_text(
        "id: again\nsteps:\n"
        "  - {id: sub, pipeline: _inner.yaml, retries: 1}\n"
        "  - id: each\n    for_each: [1]\n    retries: 1\n    dependencies: sub\n    steps:\n"
        "      - {id: one, tool: call, parameters: {name: one}}\n"
        "      - {id: two, tool: call, parameters: {name: two, fails_once: true, after: '{{ one.name }}'}}\n",
        encoding="utf-8",
    )
    result = orc.compile(path, root=project).run(instance=instance)
    assert result.success, result.error
    assert (project / "calls.log").read_text(encoding="utf-8").split() == ["a", "b", "b", "one", "two", "two"]
