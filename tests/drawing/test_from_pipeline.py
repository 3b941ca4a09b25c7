"""What is drawn of a pipeline: its steps, dependencies, routes, loops, products, inputs and outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.drawing.from_pipeline import picture_of
from orchestrator_dagster.drawing.picture import Edge, Node, Picture
from orchestrator_dagster.drawing.step_text import listed
from orchestrator_dagster.language.step import Step
from orchestrator_dagster.language.types import InputSpec
from orchestrator_dagster.project import compile_or_raise

MAIN = Path(__file__).resolve().parents[2] / "pipelines" / "research_report.yaml"


def by_hand(text: str, **more: Any) -> Picture:
    """The picture of steps as a file has them, whatever the compiler allows."""
    specs = [Step.model_validate(one) for one in yaml.safe_load(text)]
    steps = [
        CompiledStep(
            id=spec.id, op=spec.id, kind="tool" if spec.tool else "model", spec=spec, line=1, column=1,
            dependencies=spec.dependencies, tool=spec.tool, action=spec.action, models=spec.model or (),
        )
        for spec in specs
    ]  # fmt: skip
    return picture_of(CompiledPipeline(id="p", file="p.yaml", folder="", steps=tuple(steps), **more))


def node(picture: Picture, title: str) -> Node:
    (found,) = (one for one in picture.nodes if one.title == title)
    return found


def edges(picture: Picture) -> set[tuple[str, str, str]]:
    titles = {one.id: one.title for one in picture.nodes} | {one.id: one.id for one in picture.groups}
    return {(titles[one.source], one.kind, titles[one.target]) for one in picture.edges}


def test_the_main_pipeline() -> None:
    picture = picture_of(compile_or_raise(MAIN, MAIN.parent.parent))
    assert picture.title == "Research Report Generator"
    assert [one.kind for one in picture.nodes].count("product") == 4
    findings = node(picture, "findings.json")
    assert findings.product == "research_report/findings"
    extract = node(picture, "Extract findings")
    assert extract.kind == "model"
    assert extract.lines == ("builtin:extractive", "reads topic, max_findings", "2 retries")
    assert node(picture, "Write the page").lines[0] == "report_generator · generate"
    assert "topic (required)" in " ".join(node(picture, "Inputs").lines)
    assert node(picture, "Outputs").lines == ("report, findings, reliability",)
    found = edges(picture)
    assert ("Inputs", "dependency", "List the documents") in found
    assert ("Inputs", "dependency", "Read the documents") not in found
    assert ("List the documents", "dependency", "Read the documents") in found
    assert ("Extract findings", "makes", "findings.json") in found
    assert ("Extract findings", "dependency", "Outputs") in found
    assert ("Load the measurements", "dependency", "Outputs") not in found


def test_routes_conditions_and_policies() -> None:
    picture = by_hand("""
- {id: a, tool: filesystem, action: list, on_failure: d, timeout: 30}
- {id: b, prompt: x, model: m, depends_on: [a], if: "{{ topic | length > 3 }}", on_false: c, goto: d, retries: 1}
- {id: c, prompt: x, model: [m, n], depends_on: [a], on_failure: skip}
- {id: d, prompt: x, depends_on: [b]}
""")
    assert edges(picture) == {
        ("a", "on_failure", "d"),
        ("a", "dependency", "b"),
        ("a", "dependency", "c"),
        ("b", "on_false", "c"),
        ("b", "on_success", "d"),
        ("b", "dependency", "d"),
    }
    assert {one.label for one in picture.edges} == {"", "on failure", "on false", "on success"}
    assert node(picture, "a").lines == ("filesystem · list",)
    assert node(picture, "b").lines == ("m", "if topic | length > 3")
    assert node(picture, "c").lines == ("m or 1 more", "on failure: skip")


def test_a_loop_with_a_body_is_a_frame() -> None:
    picture = by_hand("""
- {id: files, tool: filesystem, action: list}
- id: each
  for_each: "{{ files.items }}"
  as: document
  max_parallel: 8
  depends_on: [files]
  steps:
    - {id: fetch-page, tool: web, action: fetch, parameters: {url: "{{ document.url }}"}}
    - {id: rate, prompt: "Rate {{ fetch-page.text }}", vars: {score: {type: number}}, on_failure: note}
    - {id: again, while: "score < 0.5", max_iterations: 3, steps: [{id: ask, prompt: "{{ score }}"}]}
    - {id: note, action: log, if: "score > 0.2", products: {line: line.txt}}
- {id: files2, tool: filesystem, depends_on: [each]}
""")
    each, again = sorted(picture.groups, key=lambda one: len(one.id))
    assert each.title == "each · for each document in files.items, 8 at once"
    assert again.title == "again · while score < 0.5, at most 3 times"
    assert again.parent == each.id
    assert [picture.around(one.id)[-1:] for one in picture.nodes if one.title == "ask"] == [(each.id,)]
    members = {one.title for one in picture.nodes if picture.parents.get(one.id) == each.id}
    assert members == {"fetch-page", "rate", "note", "line.txt"}
    assert edges(picture) == {
        ("files", "dependency", each.id),
        ("fetch-page", "dependency", "rate"),
        ("rate", "dependency", again.id),
        ("rate", "dependency", "note"),
        ("rate", "on_failure", "note"),
        ("note", "makes", "line.txt"),
        (each.id, "dependency", "files2"),
    }
    assert node(picture, "note").kind == "builtin"
    assert node(picture, "fetch-page").kind == "tool"


def test_names_in_two_bodies_are_two_boxes() -> None:
    picture = by_hand("""
- {id: one, for_each: [1, 2], steps: [{id: same, prompt: x}]}
- {id: two, until: "<AUTO>good enough</AUTO>", steps: [{id: same, prompt: x}]}
- {id: same, prompt: x}
""")
    assert len({one.id for one in picture.nodes}) == 3
    assert [one.title for one in picture.groups] == [
        "one · for each item in a list of 2",
        "two · until <AUTO>good enough</AUTO>",
    ]


def test_what_is_read_of_the_pass_before_is_no_line() -> None:
    picture = by_hand("""
- id: improve
  until: "score > 0.8"
  steps:
    - {id: draft, prompt: "Mind {{ review.advice | default('nothing') }}"}
    - {id: review, prompt: "Judge {{ draft }}", vars: {score: {type: number}, advice: Advice}}
""")
    assert edges(picture) == {("draft", "dependency", "review")}


@pytest.mark.parametrize(
    ("step", "kind", "line"),
    [
        ("{id: s, pipeline: other.yaml}", "pipeline", "other.yaml"),
        ("{id: s, tool: web, for_each: '{{ x }}'}", "loop", "web"),
        ("{id: s, tool: web, action: fetch}", "tool", "web · fetch"),
    ],
)
def test_kinds_of_steps(step: str, kind: str, line: str) -> None:
    (only,) = by_hand(f"[{step}]").nodes
    assert only.kind == kind
    assert only.lines[0] == line


def test_inputs_that_steps_read() -> None:
    inputs = {name: InputSpec(default=1) for name in ("a", "b", "c", "d", "e")}
    picture = by_hand(
        """
- {id: first, prompt: "{{ a }} {{ inputs.b }}", if: "parameters.c > 1"}
- {id: second, prompt: "{{ d }}", depends_on: [first]}
- {id: third, prompt: none}
""",
        inputs=inputs,
    )
    assert [one for one in picture.edges if one.source == "inputs"] == [Edge("inputs", "step first")]
    assert node(picture, "first").lines[-1] == "reads a, b, c"
    assert node(picture, "second").lines == ("reads d",)
    assert node(picture, "third").lines == ()


def test_long_lists_of_names_say_how_many_are_left() -> None:
    lines = listed([f"some_long_input_name_{at}" for at in range(9)])
    assert len(lines) == 3
    assert lines[-1].endswith("and 6 more")
