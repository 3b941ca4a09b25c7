"""Steps that run another pipeline, in place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator_dagster.compiler.routes import State
from orchestrator_dagster.errors import PipelineError

INNER = """id: inner
inputs: {topic: {type: string, required: true}, n: {type: integer, default: 2, minimum: 1}}
steps:
  - {id: one, action: echo, parameters: {message: "{{ topic }}-{{ n }}"}, vars: {text: {type: string}}}
  - {id: two, tool: probe, parameters: {name: "{{ topic }}", value: "{{ text }}!"}}
outputs: {said: "{{ two }}", n: "{{ n }}"}
"""


def test_inputs_outputs_and_variables(flow: Any) -> None:
    flow.write("inner", INNER)
    text = """inputs: {subject: trees}
steps:
  - {id: runs, pipeline: inner.yaml, inputs: {topic: "{{ subject | upper }}", n: "{{ 1 + 2 }}"}}
  - {id: again, pipeline: inner.yaml, inputs: {topic: x}, vars: {said: {type: string}, twice: "{{ result.n * 2 }}"}}
  - {id: reads, action: echo, parameters: {message: "{{ runs.said }} {{ runs.n }} {{ said }} {{ twice }} {{ again.twice }}"}}
"""
    found = flow(text)
    assert found["runs"].value == {"said": "TREES-3!", "n": 3}, found["runs"].error
    assert found["reads"].value == "TREES-3! 3 x-2! 4 4"


def test_without_outputs_its_value_is_that_of_its_steps(flow: Any) -> None:
    flow.write("inner", INNER.partition("outputs:")[0])
    found = flow("steps:\n  - {id: runs, pipeline: inner.yaml, inputs: {topic: a}}\n")
    assert found["runs"].value == {"one": "a-2", "two": "a-2!"}


def test_the_parents_names_are_not_seen_inside(flow: Any) -> None:
    flow.write("inner", 'id: inner\nsteps: [{id: a, action: echo, parameters: {message: "{{ item }}"}}]\n')
    with pytest.raises(PipelineError, match="item"):
        flow("steps:\n  - {id: each, for_each: [1], steps: [{id: runs, pipeline: inner.yaml}]}\n")


@pytest.mark.parametrize("given", ["0", "{}", "text"])
def test_inputs_that_do_not_fit_fail_the_step(flow: Any, given: str) -> None:
    flow.write("inner", INNER)
    text = f"inputs: {{given: {given}}}\nsteps:\n  - {{id: runs, pipeline: inner.yaml, retries: 2, inputs: {{topic: t, n: '{{{{ given }}}}'}}}}\n"
    error = flow(text)["runs"].error
    assert error.type == "ParametersError"
    assert "n" in error.message
    assert error.location == "pipelines/p.yaml:4:5"
    assert error.attempts == 1


def test_a_failure_inside_shows_the_way_to_it(flow: Any) -> None:
    flow.write(
        "deepest",
        "id: deepest\nsteps:\n  - {id: breaks, tool: probe, parameters: {name: b, fail: 9, how: connection}}\n",
    )
    flow.write(
        "inner",
        "id: inner\nsteps:\n  - {id: each, for_each: [1], steps: [{id: runs, pipeline: deepest.yaml}]}\n  - {id: late, action: echo, dependencies: [each], parameters: {message: x}}\n",
    )
    text = "steps:\n  - {id: top, pipeline: inner.yaml, on_failure: c}\n  - {id: c, action: echo, parameters: {message: '{{ error.step }}'}}\n"
    found = flow(text)
    error = found["top"].error
    assert error.message == (
        'the pipeline "inner" failed: step "each": item 0, step "runs" failed: '
        'the pipeline "deepest" failed: step "breaks": probe.call failed: ConnectionError: b failed at call 1'
    )
    assert error.location == "pipelines/deepest.yaml:3:5"
    assert (error.type, found["c"].value) == ("InnerStepError", "top")
    assert "ConnectionError: b failed" in error.trace


def test_a_handler_knows_the_class_of_the_cause_inside(flow: Any) -> None:
    flow.write("inner", "id: inner\nsteps:\n  - {id: breaks, tool: probe, parameters: {name: b, fail: 9, how: own}}\n")
    text = "steps:\n  - {id: top, pipeline: inner.yaml, failure_handlers: [{errors: [ValueError], fallback: 1}, {errors: [ConnectionError], fallback: 2}]}\n"
    assert flow(text)["top"].value == 2


def test_retries_of_the_step_repeat_what_may_pass(flow: Any) -> None:
    flow.write(
        "inner",
        "id: inner\nsteps:\n  - {id: a, tool: probe, retries: 1, parameters: {name: a, fail: 3, value: fine}}\noutputs: {a: '{{ a }}'}\n",
    )
    found = flow("steps:\n  - {id: top, pipeline: inner.yaml, retries: 2}\n")["top"]
    assert (found.value, found.attempts) == ({"a": "fine"}, 2)
    assert flow.calls == ["a"] * 4


def test_flow_inside(flow: Any) -> None:
    """A handled failure is none; `continue` inside ends that pipeline, and so the step, failed after all else."""
    inner = """id: inner
steps:
  - {id: a, tool: probe, on_failure: %s, parameters: {name: a, fail: 9}}
  - {id: rescue, action: echo, parameters: {message: rescued}}
  - {id: z, tool: probe, parameters: {name: z}}
  - {id: after, tool: probe, dependencies: [a], parameters: {name: after}}
outputs: {rescue: "{{ rescue }}"}
"""
    top = "steps:\n  - {id: top, pipeline: inner.yaml}\n"
    flow.write("inner", inner % "rescue")
    assert flow(top)["top"].value == {"rescue": "rescued"}
    flow.write("inner", inner % "continue")
    found = flow(top)["top"]
    assert found.state is State.FAILED
    assert 'the pipeline "inner" failed: step "a": ' in found.error.message
    assert "after" in flow.calls
    flow.write("inner", inner % "skip")
    assert flow(top)["top"].status == "completed"


SECRET = "swordfish-4711"


def test_a_secret_is_handed_on_by_its_name(flow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIN", SECRET)
    flow.write(
        "deepest",
        "id: deepest\ninputs: {code: {type: secret, required: true}}\nsteps:\n"
        '  - {id: use, tool: probe, parameters: {name: "{{ code }}", value: "<{{ code }}>"}}\noutputs: {used: \'{{ use }}\'}\n',
    )
    flow.write(
        "inner",
        "id: inner\ninputs: {key: {type: secret, required: true}}\nsteps:\n"
        "  - {id: runs, pipeline: deepest.yaml, inputs: {code: '{{ inputs.key }}'}}\noutputs: {used: '{{ runs.used }}'}\n",
    )
    text = """inputs: {pin: {type: secret, required: true}}
steps:
  - {id: top, pipeline: inner.yaml, inputs: {key: "{{ pin }}"}}
  - {id: each, for_each: [1], steps: [{id: runs, pipeline: inner.yaml, inputs: {key: "{{ pin }}"}}]}
"""
    found = flow(text, pin="PIN")
    assert found["top"].status == "completed", found["top"].error
    assert flow.calls == [SECRET, SECRET]
    everything = "".join(one.model_dump_json() for one in found.values()) + "".join(flow.said)
    assert SECRET not in everything


def test_products_inside_are_files_of_that_pipeline(flow: Any) -> None:
    flow.write(
        "inner",
        "id: inner\ninputs: {name: a}\nsteps:\n  - {id: page, action: echo, parameters: {message: '{{ name }}'}, "
        "vars: {page: {type: string}}, products: {page: '{{ name }}.md'}}\noutputs: {page: '{{ page.location }}'}\n",
    )
    text = """steps:
  - {id: top, pipeline: inner.yaml, inputs: {name: b, output_dir: elsewhere}}
  - {id: each, for_each: [c, d], steps: [{id: runs, pipeline: inner.yaml, inputs: {name: "{{ item }}"}}]}
"""
    found = flow(text)
    assert found["top"].value == {"page": "elsewhere/b.md"}
    assert [(one.key, one.path) for one in found["each"].products] == [
        (("inner", "page"), "outputs/inner/c.md"),
        (("inner", "page"), "outputs/inner/d.md"),
    ]


def test_the_time_of_the_step_is_that_of_the_pipeline(flow: Any) -> None:
    flow.write("inner", "id: inner\nsteps:\n  - {id: a, tool: probe, action: forever}\n")
    found = flow("steps:\n  - {id: top, pipeline: inner.yaml, timeout: 0.4}\n")["top"]
    assert found.state is State.FAILED
    assert found.error.type == "StepTimeoutError"


def test_repeats_inside_a_pipeline_inside_items(flow: Any) -> None:
    flow.write(
        "inner",
        """id: inner
inputs: {n: 1}
steps:
  - {id: r, until: r.iteration >= n, action: echo, parameters: {message: "{{ n }}.{{ r.iteration }}"}}
  - {id: e, for_each: "{{ r.value }}", condition: n > 1, steps: [{id: x, action: echo, parameters: {message: "<{{ item }}>"}}]}
outputs: {all: "{{ e }}", last: "{{ r[-1] }}"}
""",
    )
    text = 'steps:\n  - {id: each, for_each: [1, 2], steps: [{id: runs, pipeline: inner.yaml, inputs: {n: "{{ item }}"}}]}\n'
    found = flow(text)["each"]
    assert found.value == [{"all": None, "last": "1.1"}, {"all": ["<2.0>", "<2.1>", "<2.2>"], "last": "2.2"}], (
        found.error
    )
    assert json.loads(found.model_dump_json())["value"] == found.value
