"""A step whose tool runs a pipeline that is only known when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator_dagster.errors import PipelineError
from orchestrator_dagster.runtime.outcome import Outcome
from tests.runtime.conftest import Flow

OTHER = """\
id: other
default_model: builtin:extractive
inputs: {topic: {type: string, required: true}, count: 2}
steps:
  - {id: say, action: echo, parameters: {message: "{{ topic }} x {{ count }}"}, products: [say: said.txt]}
  - {id: gist, prompt: "Name one sentence about {{ topic }}.", parameters: {text: "Trees give shade. Rain is wet."}}
outputs: {line: "{{ say }}"}
"""


@pytest.fixture
def flow(project: Path) -> Flow:
    return Flow(project)


def failure(outcome: Outcome) -> str:
    assert outcome.error is not None
    return outcome.error.message


def test_a_file_that_is_named_at_run_time(flow: Flow, project: Path) -> None:
    (project / "pipelines/other.yaml").write_text(OTHER)
    done = flow(
        """\
inputs: {name: other, topic: trees}
steps:
  - id: go
    tool: pipeline-executor
    parameters: {pipeline: "pipelines/{{ name }}.yaml", inputs: {topic: "{{ topic }}", output_dir: out}}
  - {id: after, action: echo, parameters: {message: "{{ go.outputs.line }}: {{ go.result.status }}"}}
"""
    )
    result = done["go"].value
    assert done["after"].value == "trees x 2: completed"
    assert result["pipeline_id"] == "other"
    assert result["steps"]["say"] == {"status": "completed", "value": "trees x 2", "error": None, "reason": None}
    assert result["products"][0]["path"] == "out/said.txt"
    assert (project / "out/said.txt").read_text() == "trees x 2"
    assert result["usage"]["calls"] == done["go"].usage.calls == 1
    assert done["go"].products[0].key == ("other", "say")


INLINE = """\
steps:
  - {id: topic, action: echo, parameters: {message: shade}}
  - id: go
    tool: pipeline_executor
    parameters:
      inputs: {topic: "{{ topic }}"}
      pipeline:
        id: inner
        inputs: {topic: rain}
        steps:
          - {id: say, action: echo, parameters: {message: "about {{ topic }}"}}
        outputs: {line: "{{ say }}"}
  - id: text
    tool: pipeline_executor
    parameters:
      yaml_content: |
        id: inner
        steps:
          - {id: say, action: echo, parameters: {message: "{{ 1 + 1 }}"}}
        outputs: {line: "{{ say }}"}
  - id: made
    tool: pipeline_executor
    parameters:
      pipeline: "{{ template.result.text }}"
  - id: template
    action: echo
    parameters: {message: {text: "id: inner\\nsteps:\\n  - {id: say, action: echo, parameters: {message: made}}\\n"}}
outputs: {a: "{{ go.outputs.line }}"}
"""


def test_an_inline_pipeline_is_not_rendered_by_its_parent(flow: Flow) -> None:
    done = flow(INLINE)
    assert done["go"].value["outputs"] == {"line": "about shade"}
    assert done["text"].value["outputs"] == {"line": 2}
    assert done["made"].value["steps"]["say"]["value"] == "made"
    pipeline = flow.compile(INLINE)
    assert pipeline.by_id["go"].dependencies == ("topic",)
    other = flow.compile(INLINE.replace("about {{ topic }}", "on {{ topic }}"))
    assert other.by_id["go"].code_version != pipeline.by_id["go"].code_version
    assert other.from_json(other.to_json()).by_id["go"].literals == other.by_id["go"].literals


def test_errors_have_their_places(flow: Flow) -> None:
    text = """\
steps:
  - id: go
    tool: pipeline-executor
    parameters:
      name: draft.yaml
      pipeline: |
        id: inner
        steps:
          - {id: a, tool: filesytem, action: read, parameters: {path: x}}
          - {id: b, action: echo, parameters: {message: "{{ nothing }}"}}
"""
    said = failure(flow(text)["go"])
    assert (
        'draft.yaml:3:19: error[unknown-tool] step "a" names the tool "filesytem"; did you mean "filesystem"?' in said
    )
    assert "draft.yaml:4:" in said
    assert "nothing" in said
    checked = flow(text.replace("parameters:\n      name", "action: validate\n    parameters:\n      name"))["go"].value
    assert checked["valid"] is False
    assert len(checked["problems"]) == 2


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ("{pipeline: pipelines/nothing.yaml}", 'there is no file "pipelines/nothing.yaml"'),
        ("{pipeline: ../outside.yaml}", "outside"),
        ("{pipeline: pipelines/other.yaml}", "topic"),
        ("{pipeline: pipelines/other.yaml, inputs: {topic: a, colour: b}}", "colour"),
        ("{pipeline: pipelines/failing.yaml}", 'the pipeline "failing" failed: step "read": there is no file "none"'),
        ("{pipeline: pipelines/itself.yaml}", "8 deep at most"),
        ("{pipeline: pipelines/later.yaml}", "models fits step"),
    ],
)
def test_what_goes_wrong(flow: Flow, project: Path, parameters: str, said: str) -> None:
    (project / "pipelines/other.yaml").write_text(OTHER)
    (project / "pipelines/failing.yaml").write_text(
        "id: failing\nsteps:\n  - {id: read, tool: filesystem, action: read, parameters: {path: none}}\n"
    )
    (project / "pipelines/itself.yaml").write_text(
        "id: itself\nsteps:\n  - {id: a, tool: pipeline-executor, parameters: {pipeline: pipelines/itself.yaml}}\n"
    )
    (project / "pipelines/later.yaml").write_text("id: later\nsteps:\n  - {id: a, prompt: Name a tree.}\n")
    done = flow(f"steps:\n  - {{id: go, tool: pipeline-executor, parameters: {parameters}}}\n")
    assert said in failure(done["go"])


def test_the_time_of_the_step_is_that_of_the_pipeline(flow: Flow) -> None:
    done = flow(
        """\
steps:
  - id: go
    tool: pipeline-executor
    timeout: 0.3
    parameters:
      pipeline: {id: slow, steps: [{id: a, tool: probe, action: forever}]}
"""
    )
    assert done["go"].error is not None
    assert done["go"].error.type == "StepTimeoutError"


def test_parameters_are_checked_before_the_run(flow: Flow) -> None:
    with pytest.raises(PipelineError, match='needs the parameter "pipeline"'):
        flow.compile("steps:\n  - {id: go, tool: pipeline-executor, parameters: {inputs: {a: 1}}}\n")
    with pytest.raises(PipelineError, match=r'no "colour"'):
        flow.compile(INLINE.replace("go.outputs.line", "go.colour"))


def test_other_names_of_a_parameter_may_be_templates(flow: Flow, project: Path) -> None:
    (project / "pipelines/other.yaml").write_text(OTHER)
    made: Any = flow.compile(
        'inputs: {name: x}\nsteps:\n  - {id: go, tool: pipeline-executor, parameters: {pipeline_path: "{{ name }}"}}\n'
    )
    assert made.by_id["go"].parameters == {"pipeline_path": "{{ name }}"}
