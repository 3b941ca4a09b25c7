"""Resumed runs: what is done stays done; what failed, and what comes after it, runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from dagster import DagsterEventType, DagsterInstance
from resuming import Lab, statuses

from orchestrator_dagster.definitions.runs.recorded import find_run
from orchestrator_dagster.errors import ResumeError, RunNotFoundError

LINE = """\
id: p
steps:
  - {id: a, tool: note, parameters: {name: a}}
  - id: b
    tool: note
    parameters: {name: "b"}
    vars: [text: "{{ result.name ~ ' of ' ~ a.name }}"]
    products: [text: b.txt]
  - {id: c, tool: note, parameters: {name: "c{{ b.text | length }}"}, products: [c: c.json]}
  - {id: d, tool: note, parameters: {name: d}}
outputs: {all: "{{ c.name }} {{ d.name }}"}
"""


@pytest.fixture
def lab(project: Path, instance: DagsterInstance) -> Lab:
    return Lab(project, instance)


def ran(lab: Lab, run_id: str) -> set[str]:
    """Dagster's steps that a run has started."""
    entries = lab.instance.all_logs(run_id, of_type=DagsterEventType.STEP_START)
    return {entry.dagster_event.step_key for entry in entries if entry.dagster_event}  # type: ignore[misc]


def test_an_unhandled_failure(lab: Lab) -> None:
    calm = lab.run(LINE)
    assert calm["success"], calm["error"]
    expected = lab.products()
    lab.calls()
    for path in (lab.folder / "outputs").rglob("*.*"):
        path.unlink()

    lab.break_("b")
    failed = lab.run(LINE)
    assert statuses(failed) == {"a": "completed", "b": "failed", "c": "skipped", "d": "completed"}
    assert lab.calls() == ["a", "b", "d"]
    lab.break_()
    done = lab.resume(failed)
    assert done["success"], done["error"]
    assert lab.calls() == ["b", "c6"]
    assert ran(lab, done["execution_id"]) == {"p.b", "p.c", "p.finish"}
    assert lab.products() == expected
    assert done["outputs"] == calm["outputs"]
    assert set(statuses(done).values()) == {"completed"}
    assert done["execution_id"] != failed["execution_id"]
    assert [one["path"] for one in done["products"]] == [one["path"] for one in calm["products"]]


FLOW = """\
id: p
steps:
  - {id: a, tool: note, parameters: {name: a}, on_failure: POLICY}
  - {id: b, depends_on: a, tool: note, parameters: {name: b}}
  - {id: c, depends_on: b, condition: "a.success", tool: note, parameters: {name: c}}
  - {id: d, tool: note, parameters: {name: d}}
outputs: {c: "{{ c.name }}"}
"""


@pytest.mark.parametrize(("policy", "status", "first"), [
    ("continue", "failed", ["a", "b", "d"]), ("skip", "completed", ["a", "d"]),
])  # fmt: skip
def test_a_failure_kept_as_a_value(lab: Lab, policy: str, status: str, first: list[str]) -> None:
    lab.break_("a")
    failed = lab.run(FLOW.replace("POLICY", policy))
    assert failed["status"] == status
    assert failed["outputs"]["c"] is None
    assert lab.calls() == first
    still = lab.resume(failed)
    assert still["status"] == status
    assert lab.calls() == sorted({*first} - {"d"})
    lab.break_()
    done = lab.resume(still)
    assert done["success"], done["error"]
    assert lab.calls() == ["a", "b", "c"]  # the condition of c is asked again
    assert done["outputs"] == {"c": "c"}
    with pytest.raises(ResumeError, match="complete: nothing is left to do"):
        lab.resume(done)


def test_a_handled_failure_is_not_repaired(lab: Lab) -> None:
    text = """\
id: p
steps:
  - {id: a, tool: note, parameters: {name: a}, on_failure: help}
  - {id: help, tool: note, parameters: {name: "help-{{ error.step }}"}}
  - id: b
    tool: note
    parameters: {name: b}
    on_error: {fallback_value: {name: instead}}
  - {id: c, tool: note, parameters: {name: "c-{{ b.name }}"}}
  - {id: d, depends_on: c, tool: note, parameters: {name: d}}
"""
    lab.break_("a", "b", "d")
    failed = lab.run(text)
    assert failed["error"]["step"] == "d"
    assert lab.calls() == ["a", "b", "c-instead", "d", "help-a"]
    lab.break_()
    done = lab.resume(failed)
    assert done["success"], done["error"]
    assert lab.calls() == ["d"]
    assert statuses(done)["a"] == "failed"
    with pytest.raises(ResumeError, match="complete"):
        lab.resume(done)


LOOP = """\
id: p
steps:
  - id: each
    for_each: [u, v, w, x]
    max_parallel: 2
    on_item_failure: POLICY
    steps:
      - {id: one, tool: note, parameters: {name: "1{{ item }}"}}
      - {id: two, tool: note, parameters: {name: "2{{ one.name }}"}}
  - {id: after, tool: note, parameters: {name: "after{{ each.results | length }}"}}
outputs: {all: "{{ each.results | map('default', {'name': '-'}, true) | map(attribute='name') | join(' ') }}"}
"""


@pytest.mark.parametrize("policy", ["continue", "skip", "fail"])
def test_only_failed_items_run_again(lab: Lab, policy: str) -> None:
    lab.break_("21v", "1w")
    failed = lab.run(LOOP.replace("POLICY", policy))
    assert failed["status"] == ("completed" if policy == "skip" else "failed")
    before = set(lab.calls())
    lab.break_()
    done = lab.resume(failed)
    assert done["success"], done["error"]
    again = set(lab.calls())
    assert again >= {"21v", "1w", "21w"}
    assert not again & (before - {"21v", "1w", "after4"})
    assert "after4" in again
    assert done["outputs"] == {"all": "21u 21v 21w 21x"}


def test_failures_of_a_loop_in_a_loop(lab: Lab) -> None:
    text = """\
id: p
steps:
  - id: outer
    for_each: [u, v]
    steps:
      - id: inner
        for_each: [1, 2]
        on_item_failure: skip
        steps:
          - {id: one, tool: note, parameters: {name: "{{ outer.index }}x{{ item }}"}}
      - {id: sum, tool: note, parameters: {name: "sum{{ inner.failed | length }}"}}
outputs: {all: "{{ outer.results | map(attribute='name') | join(' ') }}"}
"""
    lab.break_("1x1")
    failed = lab.run(text)
    assert lab.calls() == ["0x1", "0x2", "1x1", "1x2", "sum0", "sum1"]
    lab.break_()
    done = lab.resume(failed)
    assert done["success"], done["error"]
    assert lab.calls() == ["1x1", "sum0"]
    assert done["outputs"] == {"all": "sum0 sum0"}


def test_passes_that_are_done_are_not_repeated(lab: Lab) -> None:
    text = """\
id: p
steps:
  - id: passes
    while: iteration < 5
    steps:
      - {id: one, tool: note, parameters: {name: "pass{{ iteration }}"}}
outputs: {last: "{{ passes.value[-1].name }}", count: "{{ passes.count }}"}
"""
    lab.break_("pass3")
    failed = lab.run(text)
    assert lab.calls() == ["pass0", "pass1", "pass2", "pass3"]
    lab.break_()
    done = lab.resume(failed)
    assert done["success"], done["error"]
    assert lab.calls() == ["pass3", "pass4"]
    assert done["outputs"] == {"last": "pass4", "count": 5}


def test_steps_of_another_pipeline_are_not_repeated(lab: Lab) -> None:
    lab.compiled(
        """\
id: inner
steps:
  - {id: x, tool: note, parameters: {name: x}}
  - {id: y, depends_on: x, tool: note, parameters: {name: y}}
outputs: {y: "{{ y.name }}{{ x.name }}"}
""",
        "_inner",
    )
    text = """\
id: p
steps:
  - {id: sub, pipeline: _inner.yaml}
outputs: {y: "{{ sub.y }}"}
"""
    lab.break_("y")
    failed = lab.run(text)
    assert lab.calls() == ["x", "y"]
    lab.break_()
    done = lab.resume(failed)
    assert done["success"], done["error"]
    assert lab.calls() == ["y"]
    assert done["outputs"] == {"y": "yx"}


def test_a_condition_is_asked_again_when_what_it_reads_was_repaired(lab: Lab) -> None:
    text = """\
id: p
steps:
  - {id: a, tool: note, parameters: {name: a}, on_failure: continue}
  - {id: b, condition: "a.success", tool: note, parameters: {name: b}, on_false: c}
  - {id: c, tool: note, parameters: {name: c}}
  - {id: d, condition: "true", tool: note, parameters: {name: d}}
"""
    lab.break_("a")
    failed = lab.run(text)
    assert lab.calls() == ["a", "c", "d"]
    assert statuses(failed) == {"a": "failed", "b": "skipped", "c": "completed", "d": "completed"}
    lab.break_()
    done = lab.resume(failed)
    assert done["success"], done["error"]
    assert lab.calls() == ["a", "b"]
    assert statuses(done) == {"a": "completed", "b": "completed", "c": "skipped", "d": "completed"}


def test_a_resume_of_a_resume(lab: Lab) -> None:
    text = LOOP.replace("POLICY", "fail") + "  # the end\n"
    lab.break_("21v", "after4")
    first = lab.run(text)
    lab.calls()
    second = lab.resume(first)
    assert "21v" in lab.calls()
    lab.break_("after4")
    third = lab.resume(second)
    assert third["error"]["step"] == "after"
    lab.calls()
    lab.break_()
    done = lab.resume(third)
    assert done["success"], done["error"]
    assert lab.calls() == ["after4"]
    assert done["outputs"] == {"all": "21u 21v 21w 21x"}
    roots = {one.root_run_id for one in lab.instance.get_runs() if one.parent_run_id}
    assert roots == {first["execution_id"]}
    for earlier, later in ((first, second), (second, third)):
        with pytest.raises(ResumeError, match=f"before, as {later['execution_id'][:8]}"):
            lab.resume(earlier)


def test_a_run_of_some_products(lab: Lab) -> None:
    text = LINE + "  # d makes no product\n"
    lab.break_("b")
    failed = lab.run(text, products=["text"])
    assert not failed["success"]
    assert lab.calls() == ["a", "b"]
    lab.break_()
    done = lab.resume(failed)
    assert done["success"], done["error"]
    assert lab.calls() == ["b"]
    assert list(lab.products()) == ["p/b.txt"]
    with pytest.raises(ResumeError, match="complete"):
        lab.resume(done)


def test_a_partition(lab: Lab) -> None:
    text = """\
id: p
partitions: {static: [north, south]}
inputs: {n: 3}
steps:
  - {id: a, tool: note, parameters: {name: "a-{{ partition.key }}"}}
  - id: b
    tool: note
    parameters: {name: "b-{{ partition.key }}-{{ a.name }}-{{ n }}"}
    products: [b: "{{ partition.key }}.json"]
"""
    lab.break_("b-north-a-north-5")
    failed = lab.run(text, {"n": 5}, partition="north")
    assert lab.calls() == ["a-north", "b-north-a-north-5"]
    lab.break_()
    done = lab.resume(failed)
    assert done["success"], done["error"]
    assert lab.calls() == ["b-north-a-north-5"]
    assert list(lab.products()) == ["p/north.json"]
    assert lab.instance.get_materialized_partitions(_key("p", "b")) == {"north"}


def _key(*path: str):  # type: ignore[no-untyped-def]
    from dagster import AssetKey

    return AssetKey(path)


def test_which_run_an_id_means(lab: Lab) -> None:
    instance = lab.instance
    with pytest.raises(RunNotFoundError, match=r'no run "abcd"[\s\S]*nothing has been run yet'):
        find_run("abcd", instance)
    lab.break_("a")
    first = lab.run(LINE)["execution_id"]
    assert find_run(first, instance).run_id == find_run(first[:8], instance).run_id == first
    with pytest.raises(RunNotFoundError, match=f"the last run is {first} .failure."):
        find_run("ffff-not", instance)
    with pytest.raises(RunNotFoundError, match="no run"):
        find_run(first[:3], instance)  # too short to be meant
    twin = f"{first[:8]}-0000-4000-8000-000000000000"
    from dagster._core.test_utils import create_run_for_test

    create_run_for_test(instance, job_name="p_job", run_id=twin)
    with pytest.raises(RunNotFoundError, match=f"(?s)several runs begin with.*{twin}"):
        find_run(first[:8], instance)


def test_what_was_left_is_gone(lab: Lab) -> None:
    lab.break_("b")
    failed = lab.run(LINE)
    run = lab.instance.storage_directory() + "/" + failed["execution_id"]
    next(Path(run).rglob("p.a/outcome.json")).unlink()
    with pytest.raises(ResumeError, match=r"is gone \(a\)"):
        lab.resume(failed)
