"""What is drawn of a pipeline: its steps, dependencies, routes, loops, products, inputs and outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator_dagster.compiler.compile import compile_pipeline
from orchestrator_dagster.drawing.from_pipeline import picture_of
from orchestrator_dagster.drawing.picture import Edge, Node, Picture
from orchestrator_dagster.drawing.step_text import listed
from orchestrator_dagster.language.read import read_pipeline_text
from orchestrator_dagster.project.loading import compile_or_raise, known

ROOT = Path(__file__).resolve().parents[2]
MAIN = ROOT / "pipelines" / "research_report.yaml"


def drawn(text: str, **header: Any) -> Picture:
    """The picture of these steps."""
    head = {"id": "p", "default_model": "builtin:extractive", **header}
    done = compile_pipeline(read_pipeline_text(yaml.safe_dump(head, sort_keys=False) + "steps:\n" + text), known(ROOT))
    assert done.pipeline is not None, [one.render() for one in done.problems]
    return picture_of(done.pipeline)


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
    picture = drawn(
        """
- {id: a, tool: filesystem, action: list, on_failure: d}
- {id: b, prompt: x, depends_on: [a], if: "{{ topic | length > 3 }}", on_false: c, goto: d, retries: 1, timeout: 2m}
- {id: c, prompt: x, depends_on: [a], on_failure: skip}
- {id: d, prompt: x, depends_on: [b]}
""",
        inputs={"topic": "x"},
    )
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
    assert node(picture, "b").lines == (
        "builtin:extractive", "if topic | length > 3", "reads topic", "1 retry · timeout 120 s",
    )  # fmt: skip
    assert node(picture, "c").lines[:2] == ("builtin:extractive", "on failure: skip")


def test_handlers_are_routes_by_their_errors() -> None:
    picture = drawn("""
- id: a
  tool: filesystem
  action: list
  failure_handlers:
  - {errors: [ValueError, KeyError], goto: b}
  - {errors: OSError, goto: skip}
  - {errors: TimeoutError, fallback: []}
  - {goto: c}
- {id: b, action: log, parameters: {message: "{{ error.message }}"}}
- {id: c, prompt: x, on_failure: d, failure_handlers: [{errors: ValueError, goto: d}]}
- {id: d, prompt: x}
""")
    labels = {(one.source, one.target, one.label) for one in picture.edges}
    assert labels == {
        ("step a", "step b", "on failure: ValueError or KeyError"),
        ("step a", "step c", "on failure"),
        ("step c", "step d", "on failure"),
    }
    assert node(picture, "a").lines == ("filesystem · list", "on OSError: skip", "on TimeoutError: a fallback value")


def test_handlers_of_all_steps_are_no_lines() -> None:
    picture = drawn(
        """
- {id: a, prompt: x}
- {id: b, prompt: "{{ a }}", on_failure: mend}
- {id: mend, prompt: x}
- {id: tell, for_each: [1], steps: [{id: say, prompt: x}]}
""",
        failure_handlers=[{"goto": "mend"}, {"errors": ["OSError"], "goto": "tell"}],
    )
    assert edges(picture) == {("a", "dependency", "b"), ("b", "on_failure", "mend")}
    assert "handles failures of all steps" in node(picture, "mend").lines
    assert picture.groups[0].title == "tell · handles failures of all steps · for each item in a list of 1"


def test_a_loop_with_a_body_is_a_frame() -> None:
    picture = drawn("""
- {id: files, tool: filesystem, action: list}
- id: each
  for_each: "{{ files.items }}"
  as: document
  max_parallel: 8
  products: {all: all.json}
  steps:
    - {id: read-page, tool: filesystem, action: read, parameters: {path: "{{ document.path }}"}}
    - {id: rate, prompt: "Rate {{ read-page.content }}", vars: {score: {type: number}}, on_failure: note}
    - {id: again, while: "score < 0.5", max_iterations: 3, steps: [{id: ask, prompt: "{{ score }}"}]}
    - {id: note, prompt: x, if: "score > 0.2", products: {line: "{{ index }}.txt"}}
- {id: files2, tool: filesystem, action: list, depends_on: [each]}
""")
    each, again = sorted(picture.groups, key=lambda one: len(one.id))
    assert each.title == "each · for each document in files.items, 8 at once"
    assert again.title == "again · while score < 0.5, at most 3 times"
    assert again.parent == each.id
    assert [picture.around(one.id)[-1:] for one in picture.nodes if one.title == "ask"] == [(each.id,)]
    members = {one.title for one in picture.nodes if picture.parents.get(one.id) == each.id}
    assert members == {"read-page", "rate", "note", "{{ index }}.txt"}
    assert edges(picture) == {
        ("files", "dependency", each.id),
        ("read-page", "dependency", "rate"),
        ("rate", "dependency", again.id),
        ("rate", "dependency", "note"),
        ("rate", "on_failure", "note"),
        ("note", "makes", "{{ index }}.txt"),
        (each.id, "makes", "all.json"),
        (each.id, "dependency", "files2"),
    }
    assert node(picture, "note").kind == "model"
    assert node(picture, "read-page").kind == "tool"
    assert node(picture, "{{ index }}.txt").product == "p/line"


def test_names_in_two_bodies_are_two_boxes() -> None:
    picture = drawn("""
- {id: one, for_each: [1, 2], steps: [{id: same, prompt: x}]}
- {id: two, until: "index > 2", steps: [{id: same, prompt: x}]}
""")
    assert len({one.id for one in picture.nodes} - {"inputs"}) == 2
    assert [one.title for one in picture.groups] == [
        "one · for each item in a list of 2",
        "two · until index > 2",
    ]


def test_what_is_read_of_the_pass_before_is_no_line() -> None:
    picture = drawn("""
- id: improve
  until: "score > 0.8"
  steps:
    - {id: draft, prompt: "Mind {{ review.advice | default('nothing') }}"}
    - {id: review, prompt: "Judge {{ draft }}", vars: {score: {type: number}, advice: Advice}}
""")
    assert edges(picture) == {("draft", "dependency", "review")}


@pytest.mark.parametrize(
    ("step", "kind", "lines"),
    [
        ("{id: s, tool: filesystem, action: list, for_each: '{{ [1] }}', retries: 3}", "loop",
         ("filesystem · list", "for each item in [1]", "3 retries")),
        ("{id: s, prompt: x, until: 'index > 2', timeout: 30, retries: 0}", "loop",
         ("builtin:extractive", "until index > 2", "timeout 30 s")),
        ("{id: s, tool: filesystem, action: list}", "tool", ("filesystem · list",)),
        ("{id: s, action: debug, parameters: {message: x}}", "builtin", ("debug",)),
    ],
)  # fmt: skip
def test_kinds_of_steps(step: str, kind: str, lines: tuple[str, ...]) -> None:
    _, only = drawn(f"- {step}\n").nodes
    assert (only.kind, only.lines) == (kind, lines)


def test_another_pipeline_is_one_box_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "workspace.yaml").touch()
    (tmp_path / "other.yaml").write_text(
        "steps: [{id: a, action: debug, parameters: {m: x}}, {id: b, action: debug, parameters: {m: x}}]\n",
        encoding="utf-8",
    )
    main = tmp_path / "main.yaml"
    main.write_text("steps:\n- {id: s, pipeline: other.yaml}\n- {id: t, for_each: [1], pipeline: other.yaml}\n")
    picture = picture_of(compile_or_raise(main, tmp_path))
    assert [(one.title, one.kind, one.lines[0]) for one in picture.nodes[1:]] == [
        ("s", "pipeline", "other.yaml"), ("t", "loop", "other.yaml")
    ]  # fmt: skip
    assert picture.groups == ()


def test_inputs_that_steps_read() -> None:
    picture = drawn(
        """
- {id: first, prompt: "{{ a }} {{ inputs.b }}", if: "parameters.c > 1"}
- {id: second, prompt: "{{ d }}", depends_on: [first]}
- {id: third, prompt: none}
""",
        inputs=dict.fromkeys("abcde", 1),
    )
    assert [one for one in picture.edges if one.source == "inputs"] == [Edge("inputs", "step first")]
    assert "reads a, b, c" in node(picture, "first").lines
    assert node(picture, "second").lines[1] == "reads d"
    assert node(picture, "third").lines == ("builtin:extractive", "2 retries")


def test_long_lists_of_names_say_how_many_are_left() -> None:
    lines = listed([f"some_long_input_name_{at}" for at in range(9)])
    assert len(lines) == 3
    assert lines[-1].endswith("and 6 more")
