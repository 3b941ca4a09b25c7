"""What happens when a step fails: retries, permanent errors, the record of the run, nothing half written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from dagster import DagsterEventType, DagsterInstance

import orchestrator_dagster as orc

Write = Callable[[str, str], Path]


def events(instance: DagsterInstance, run_id: str, kind: DagsterEventType) -> list[str]:
    return [
        entry.dagster_event.step_key or ""
        for entry in instance.all_logs(run_id, of_type=kind)
        if entry.dagster_event is not None
    ]


def test_a_failed_step_is_recorded_with_its_place(write: Write, instance: DagsterInstance) -> None:
    path = write(
        "pipelines/broken.yaml",
        """\
id: broken
steps:
  - id: fine
    tool: filesystem
    action: write
    parameters: {path: out/a.txt, content: hello}
  - id: missing
    tool: filesystem
    action: read
    parameters: {path: "nothing/{{ fine.path | basename }}"}
  - id: after
    action: echo
    parameters: {message: "{{ missing.content }}"}
outputs:
  fine: "{{ fine.size }}"
  content: "{{ after }}"
""",
    )
    result = orc.compile(path).run(instance=instance)
    assert not result.success
    assert result.error is not None
    assert result.error["step"] == "missing"
    assert result.error["type"] == "FileMissingError"
    assert "nothing/a.txt" in result.error["message"]
    assert result.error["location"] == "pipelines/broken.yaml:7:5"
    assert result.error["hint"].endswith("does not exist either: check the path")
    assert {name: step["status"] for name, step in result.steps.items()} == {
        "fine": "completed",
        "missing": "failed",
        "after": "skipped",
    }
    assert result.outputs == {"fine": 5, "content": None}
    (entry,) = instance.all_logs(result.run_id, of_type=DagsterEventType.STEP_FAILURE)
    said = entry.dagster_event.step_failure_data.user_failure_data  # type: ignore[union-attr]
    assert said.metadata["orchestrator/defined_at"].value == "pipelines/broken.yaml:7:5"
    assert said.metadata["orchestrator/resume"].value == f"orchestrator resume {result.run_id}"


def test_the_text_of_on_error_stays_with_a_failure_that_nothing_handles(
    write: Write, instance: DagsterInstance
) -> None:
    missing = (
        "tool: filesystem, action: read, parameters: {path: 'no{{ item }}.txt'}, on_error: 'Ask Ana for {{ topic }}'"
    )
    path = write(
        "pipelines/p.yaml",
        f"inputs: [topic: trees]\nsteps:\n  - {{id: each, for_each: ['', 1], max_parallel: 2, {missing}}}\n",
    )
    result = orc.compile(path).run(instance=instance)
    (entry, *_) = instance.all_logs(result.run_id, of_type=DagsterEventType.STEP_FAILURE)
    said = entry.dagster_event.step_failure_data.user_failure_data  # type: ignore[union-attr]
    assert said.metadata["orchestrator/note"].value == "Ask Ana for trees"
    assert "Ask Ana for trees" in orc.log.markdown(result.log)


def test_run_and_step_tell_the_same_failed_item(write: Write, instance: DagsterInstance) -> None:
    missing = "tool: filesystem, action: read, parameters: {path: 'no{{ item }}.txt'}"
    items = list(range(4))
    path = write("pipelines/p.yaml", f"steps:\n  - {{id: each, for_each: {items}, max_parallel: 4, {missing}}}\n")
    result = orc.compile(path).run(instance=instance)
    assert len(events(instance, result.run_id, DagsterEventType.STEP_FAILURE)) > 1
    assert result.error is not None
    assert result.steps["each"]["error"] == result.error["message"]


def test_an_output_folder_outside_is_refused_before_a_run_is_made(write: Write, instance: DagsterInstance) -> None:
    path = write(
        "pipelines/p.yaml",
        "steps:\n  - {id: a, action: echo, parameters: {message: x}, vars: {v: '{{ result }}'}, products: {v: v.txt}}\n",
    )
    with pytest.raises(orc.InputsError, match="leaves the workspace"):
        orc.compile(path).run(instance=instance, output_dir="../../elsewhere")
    assert not instance.get_runs()


def test_retries_become_the_ops_policy(write: Write, project: Path, instance: DagsterInstance) -> None:
    write(
        "tools.py",
        """\
from pathlib import Path
from orchestrator_dagster import Tool, ToolContext
flaky = Tool("flaky", summary="Fails until it has been called often enough.")

@flaky.action(default=True)
def call(context: ToolContext, times: int) -> dict:
    \"\"\"Fail so many times.\"\"\"
    path = context.workspace.root / "calls.txt"
    calls = int(path.read_text()) + 1 if path.exists() else 1
    path.write_text(str(calls))
    if calls <= times:
        raise RuntimeError(f"call {calls} failed")
    return {"calls": calls}
""",
    )
    path = write(
        "pipelines/flaky.yaml",
        """\
id: flaky_run
steps:
  - id: call
    tool: flaky
    retries: 2
    parameters: {times: 2}
outputs: {calls: "{{ call.calls }}"}
""",
    )
    result = orc.compile(path).run(instance=instance)
    assert result.success, result.error
    assert result.outputs == {"calls": 3}
    assert result.steps["call"]["retries"] == 2
    assert len(events(instance, result.run_id, DagsterEventType.STEP_UP_FOR_RETRY)) == 2

    (project / "calls.txt").unlink()
    path.write_text(path.read_text().replace("times: 2", "times: 5"))
    result = orc.compile(path).run(instance=instance)
    assert not result.success
    assert (project / "calls.txt").read_text() == "3"
    assert result.steps["call"]["retries"] == 2
    assert "call 3 failed" in str(result.error)


def test_a_permanent_error_is_not_retried(write: Write, instance: DagsterInstance) -> None:
    path = write(
        "pipelines/permanent.yaml",
        """\
id: permanent
steps:
  - {id: read, tool: filesystem, action: read, retries: 3, parameters: {path: no.txt}}
""",
    )
    result = orc.compile(path).run(instance=instance)
    assert not result.success
    assert not events(instance, result.run_id, DagsterEventType.STEP_UP_FOR_RETRY)


def test_a_tool_that_answers_not_successful_has_failed(write: Write, instance: DagsterInstance) -> None:
    write(
        "tools.py",
        """\
from orchestrator_dagster import tool

@tool
def polite(text: str) -> dict:
    \"\"\"Fails without raising.\"\"\"
    return {"success": False, "error": "the stamp is missing"}
""",
    )
    path = write("pipelines/p.yaml", "id: p\nsteps:\n  - {id: ask, tool: polite, parameters: {text: x}}\n")
    result = orc.compile(path).run(instance=instance)
    assert not result.success
    assert "the stamp is missing" in str(result.error)


@pytest.mark.parametrize(
    ("product", "error"),
    [
        ('"../../escape.md"', "product-path"),
        ('"{{ where }}.md"', "leaves the folder"),
        ("{path: '{{ where }}', format: md}", "leaves the folder"),
    ],
)
def test_a_product_cannot_leave_its_folder(
    write: Write, project: Path, instance: DagsterInstance, product: str, error: str
) -> None:
    path = write(
        "pipelines/escape.yaml",
        f"""\
id: escape
inputs: {{where: ../../../escape}}
steps:
  - id: text
    action: echo
    parameters: {{message: hello}}
    vars: {{text: "{{{{ result }}}}"}}
    products:
      - text: {product}
""",
    )
    if error == "product-path":
        with pytest.raises(orc.PipelineError, match=error):
            orc.compile(path)
    else:
        result = orc.compile(path).run(instance=instance)
        assert not result.success
        assert error in str(result.error)
    assert not list(project.parent.rglob("escape*.md"))


def test_wrong_inputs_start_nothing(write: Write, instance: DagsterInstance) -> None:
    path = write(
        "pipelines/inputs.yaml",
        """\
id: inputs_check
inputs:
  - city: None
  - days: {type: integer, default: 3, minimum: 1, maximum: 7}
  - mode: {type: string, enum: [fast, slow], default: fast}
steps:
  - {id: say, action: echo, parameters: {message: "{{ city }} {{ days }} {{ mode }}"}}
outputs: {said: "{{ say }}"}
""",
    )
    pipeline = orc.compile(path)
    with pytest.raises(orc.InputsError) as wrong:
        pipeline.run(instance=instance, cty="Graz", days=9, mode="fastt")
    assert len(wrong.value.problems) == 4
    assert 'did you mean "city"' in str(wrong.value)
    assert instance.get_runs_count() == 0
    assert pipeline.run(instance=instance, city="Graz", days="5").outputs == {"said": "Graz 5 fast"}


def test_missing_names_of_a_step_are_reported_at_once(write: Write, instance: DagsterInstance) -> None:
    path = write(
        "pipelines/names.yaml",
        """\
id: names
inputs:
  - record: {type: object, default: {a: 1}}
steps:
  - id: write
    tool: filesystem
    action: write
    parameters: {path: out.txt, content: "{{ record.a }} {{ record.b }} {{ record.c }}"}
""",
    )
    result = orc.compile(path).run(instance=instance)
    assert not result.success
    assert '"b"' in str(result.error)
    assert '"c"' in str(result.error)
    assert not Path("out.txt").exists()


def test_a_bug_in_a_tool_is_shown_by_its_own_name(write: Write, instance: DagsterInstance) -> None:
    write(
        "tools.py",
        """\
from orchestrator_dagster import tool

@tool
def buggy(text: str) -> dict:
    \"\"\"Divides by zero.\"\"\"
    return {"n": 1 / 0}
""",
    )
    path = write("pipelines/p.yaml", "id: p\nsteps:\n  - {id: ask, tool: buggy, retries: 1, parameters: {text: x}}\n")
    result = orc.compile(path).run(instance=instance)
    assert result.error is not None
    assert result.error["type"] == "ToolError"
    assert "ZeroDivisionError: division by zero" in result.error["message"]
    assert result.steps["ask"]["retries"] == 1
