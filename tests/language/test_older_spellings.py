"""Pipelines of the earlier dialect: what each spelling becomes, what is said about it and where."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_dagster.language.diagnostics import Diagnostic, Problems
from orchestrator_dagster.language.document import Document, Node, read_text
from orchestrator_dagster.language.nodes import MappingNode, SequenceNode, plain
from orchestrator_dagster.language.older import rewrite
from orchestrator_dagster.language.read import read_pipeline, read_pipeline_text

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = sorted((Path(__file__).parent / "older").glob("*.yaml"))
TODAY = sorted([*(ROOT / "pipelines").rglob("*.yaml"), *(ROOT / "examples").rglob("*.yaml")])
GUIDE = ROOT / "docs" / "guides" / "older-pipelines.md"


def rewritten(text: str) -> tuple[Document, Problems]:
    document, problems = read_text(text, "p.yaml")
    assert not problems.errors, [one.render() for one in problems]
    rewrite(document, problems)
    return document, problems


def tree(text: str) -> Any:
    return plain(read_text(text, "p.yaml")[0].root)


def step_file(lines: str, more: str = "") -> str:
    """A file with the step `work` and two others."""
    body = "".join(f"    {line}\n" for line in lines.strip().splitlines())
    return f"{more}steps:\n  - id: work\n{body}  - {{id: other, prompt: x}}\n  - {{id: third, prompt: y}}\n"


def steps(document: Document) -> list[Any]:
    found = plain(document.root)["steps"]
    assert isinstance(found, list)
    return found


def check_step(old: str, today: str, expected: list[tuple[str, str, str]], more: str = "") -> None:
    """Rewrite a step; ``expected`` is code, line:column and hint of each warning."""
    document, problems = rewritten(step_file(old, more))
    assert [one.render() for one in problems.errors] == []
    assert steps(document)[0] == tree(step_file(today))["steps"][0]
    found = [(one.code, f"{one.span.line}:{one.span.column}", one.hint) for one in problems]
    assert found == expected
    assert all(one.step == "work" for one in problems)


def errors(text: str) -> list[Diagnostic]:
    problems = rewritten(text)[1]
    assert {one.code for one in problems.errors} <= {"older-unsupported"}
    return problems.errors


OLDER = "older-spelling"
STEPS = [
    (
        "action: generate\nparameters: {prompt: x, schema: {type: object, properties: {a: {type: array}}}}",
        "action: generate\nparameters: {prompt: x}\n"
        "vars: {work: {schema: {type: object, properties: {a: {type: array}}}}}",
        [(OLDER, "4:29", "write `vars: {work: {schema: {type: object, properties: {a: {type: array}}}}}`")],
    ),
    (
        "action: generate\nparameters: {schema: {a: number, b: string}}",
        "action: generate\nparameters: {}\nvars: {a: {type: number}, b: {type: string}}",
        [(OLDER, "4:18", "write `vars: {a: {type: number}, b: {type: string}}`")],
    ),
    ("tool: t\nparameters: {schema: {a: number}}", "tool: t\nparameters: {schema: {a: number}}", []),
    ("prompt: x\nparameters: {schema: {type: array}}", "prompt: x\nparameters: {schema: {type: array}}", []),
    ("max_retries: 3", "retries: 2", [(OLDER, "3:5", "write `retries: 2`")]),
    ("max_retries: 0", "retries: 0", [(OLDER, "3:5", "write `retries: 0`")]),
    ("retry: 1", "retries: 0", [(OLDER, "3:5", "write `retries: 0`")]),
    ("retry: true", "retries: 2", [(OLDER, "3:5", "write `retries: 2`")]),
    (
        "retry: {attempts: 4, delay: 5s, backoff: fixed}",
        "retries: {max: 3, delay: 5s, backoff: constant}",
        [(OLDER, "3:5", 'write `retries: {max: 3, delay: "5s", backoff: constant}`')],
    ),
    (
        "max_retries: 3\nretry_config: {backoff_factor: 2, delay: 1}",
        "retries: {max: 2, delay: 1, backoff: exponential}",
        [
            (OLDER, "3:5", "write `retries: {max: 2, delay: 1, backoff: exponential}`"),
            (OLDER, "4:5", "write `retries: {max: 2, delay: 1, backoff: exponential}`"),
        ],
    ),
    ("on_error: other", "on_failure: other", [(OLDER, "3:5", "write `on_failure: other`")]),
    ("on_error: ignore", "on_failure: continue", [(OLDER, "3:5", "write `on_failure: continue`")]),
    (
        'on_error: "It failed: {{ error.message }}"',
        'failure_handlers: [{message: "It failed: {{ error.message }}"}]',
        [(OLDER, "3:5", 'write `failure_handlers: [{message: "It failed: {{ error.message }}"}]`')],
    ),
    (
        "on_error: {error_types: TimeoutError, fallback_value: null}",
        "failure_handlers: [{errors: TimeoutError, fallback: null}]",
        [(OLDER, "3:5", "write `failure_handlers: [{errors: TimeoutError, fallback: null}]`")],
    ),
    (
        "on_error: [{error_types: [A], handler_task_id: other}, {continue_on_error: true}]",
        "failure_handlers: [{errors: [A], goto: other}, {goto: continue}]",
        [(OLDER, "3:5", "write `failure_handlers: [{errors: [A], goto: other}, {goto: continue}]`")],
    ),
    (
        "on_error: continue\non_failure: continue",
        "on_failure: continue",
        [(OLDER, "3:5", "write `on_failure: continue`")],
    ),
    ("continue_on_error: true", "on_failure: continue", [(OLDER, "3:5", "write `on_failure: continue`")]),
    ("continue_on_error: false", "", [(OLDER, "3:5", "write `on_failure: fail`")]),
    (
        "on_error: Not today\ncontinue_on_error: true",
        "failure_handlers: [{message: Not today}]\non_failure: continue",
        [
            (OLDER, "3:5", "write `failure_handlers: [{message: Not today}]`"),
            (OLDER, "4:5", "write `on_failure: continue`"),
        ],
    ),
    ('foreach: "{{ a }}"', 'for_each: "{{ a }}"', [(OLDER, "3:5", 'write `for_each: "{{ a }}"`')]),
    (
        'foreach: "{{ a }}"\nfor_each: "{{ a }}"',
        'for_each: "{{ a }}"',
        [(OLDER, "3:5", 'write `for_each: "{{ a }}"`')],
    ),
    ("max_concurrent: 4", "max_parallel: 4", [(OLDER, "3:5", "write `max_parallel: 4`")]),
    ("loop_condition: x < 3", "while: x < 3", [(OLDER, "3:5", 'write `while: "x < 3"`')]),
    (
        "type: parallel_map\nitems: [1, 2]\nprompt: x",
        "for_each: [1, 2]\nprompt: x",
        [(OLDER, "4:5", "write `for_each: [1, 2]`")],
    ),
    (
        "action: create-parallel-queue\n"
        'parameters: {on: "{{ a }}", action_loop: [{id: in, prompt: x}], until: in.done}',
        'for_each: "{{ a }}"\nsteps: [{id: work_loop, until: in.done, steps: [{id: in, prompt: x}]}]',
        [(OLDER, "3:5", 'write `for_each: "{{ a }}"`')],
    ),
    (
        "action_loop: [{action: look at it, name: Look at it}, {action: go on now}]\nuntil: work.done",
        "steps: [{id: look_at_it, action: look at it, name: Look at it}, {id: work_2, action: go on now}]\n"
        "until: work.done",
        [
            (OLDER, "3:5", "write `steps:`"),
            (OLDER, "3:19", "write `id: look_at_it`"),
            (OLDER, "3:59", "write `id: work_2`"),
        ],
    ),
    (
        "for_each: [1]\nloop_name: outer\n"
        'steps: [{id: in, prompt: "{{ outer.index }}{{ $outer.item.x }} outer.item", if: outer.iteration > 1}]',
        'for_each: [1]\nsteps: [{id: in, prompt: "{{ work.iteration }}{{ outer_item.x }} outer.item", '
        "if: work.iteration > 1}]\nas: outer_item",
        [(OLDER, "4:5", "write `id: work`")],
    ),
    (
        "if: {condition: a > 1, then: other, else: third}",
        "condition: a > 1\non_success: other\non_false: third\naction: echo\nparameters: {message: true}",
        [(OLDER, "3:5", 'write `condition: "a > 1"`, `on_success: other`, `on_false: third`')],
    ),
    (
        "prompt: x\nproduces: json",
        "prompt: x\nvars: {work: {format: json}}",
        [(OLDER, "4:5", "write `vars: {work: {format: json}}`")],
    ),
    (
        'tool: t\nproduces: pdf\nlocation: "{{ output_dir }}/a.pdf"',
        "tool: t\nproducts: {work: a.pdf}",
        [(OLDER, "4:5", "write `products: {work: a.pdf}`"), (OLDER, "5:5", "write `products: {work: a.pdf}`")],
    ),
    (
        "tool: t\nvars: {found: {type: array}}\nproduces: csv\nlocation: '{{ output_dir }}/table'",
        "tool: t\nvars: {found: {type: array}}\nproducts: {found: {path: table, format: csv, key: [pipeline, work]}}",
        [
            (OLDER, "5:5", "write `products: {found: {path: table, format: csv, key: [pipeline, work]}}`"),
            (OLDER, "6:5", "write `products: {found: {path: table, format: csv, key: [pipeline, work]}}`"),
        ],
    ),
    (
        "requires-model: {min_size: 7b}",
        "requires_model: {min_size: 7b}",
        [(OLDER, "3:5", 'write `requires_model: {min_size: "7b"}`')],
    ),
    ("requires_model: gpt-4o", "model: gpt-4o", [(OLDER, "3:5", "write `model: gpt-4o`")]),
    ("template: Hello {{ x }}", "prompt: Hello {{ x }}", [(OLDER, "3:5", 'write `prompt: "Hello {{ x }}"`')]),
    (
        "tool: t\ntemplate: a.html\nparameters: {x: 1}",
        "tool: t\nparameters: {x: 1, template: a.html}",
        [(OLDER, "4:5", "write `parameters: {template: a.html}`")],
    ),
    ("prompt: x\nparallel: true", "prompt: x", [("no-effect", "4:5", "remove it")]),
    ("prompt: x\nadd_completion_task: true", "prompt: x", [("no-effect", "4:5", "remove it")]),
    ("prompt: x\ntype: workflow", "prompt: x", [("no-effect", "4:5", "remove it")]),
    ("tool: t\nproduces: csv", "tool: t", [("no-effect", "4:5", "remove it")]),
    ("prompt: x\nrequires_model: true", "prompt: x", [("no-effect", "4:5", "remove it")]),
]


@pytest.mark.parametrize(("old", "today", "expected"), STEPS, ids=[one[0].replace("\n", "; ")[:50] for one in STEPS])
def test_a_step_is_rewritten_and_the_warning_shows_todays_line(
    old: str, today: str, expected: list[tuple[str, str, str]]
) -> None:
    check_step(old, today, expected)


HEADERS = [
    ("parameters: {a: 1}", "inputs: {a: 1}", ["1:1"]),
    ("input_variables: {a: 1}", "inputs: {a: 1}", ["1:1"]),
    ("parameters: {b: 2, a: 1}\ninputs: [a: 1]", "inputs: {a: 1, b: 2}", ["1:1"]),
    (
        "inputs:\n  - {name: a, type: string, required: true}\n  - name: b",
        "inputs:\n  - a: {type: string, required: true}\n  - b: null",
        ["2:6", "3:5"],
    ),
    (
        "inputs: {a: {default: {type: integer, default: {type: integer, default: 4}}}}",
        "inputs: {a: {type: integer, default: 4}}",
        ["1:14", "1:39"],
    ),
    ("config: {x: 1}\ncontext: {y: 2}", "constants: {config: {x: 1}, context: {y: 2}}", ["1:1", "2:1"]),
    (
        "inputs: {t: 5}\nvariables: {s: {type: string, default: a}, t: '{{ inputs.t }}', item: 3}",
        "inputs: {t: 5}\nconstants: {variables: {s: a, t: '{{ inputs.t }}', item: 3}, s: a}",
        ["2:1"],
    ),
    ("variables: [{name: s, value: 1}]", "constants: {variables: {s: 1}, s: 1}", ["1:1", "1:14"]),
    ("outputs: [{name: a, value: 3}]", "outputs: [{a: 3}]", ["1:12", "1:18"]),
    (
        "outputs: [{name: a, type: string, value: '{{ other.result }}'}]",
        "outputs: [{a: '{{ other.result }}'}]",
        ["1:12", "1:18"],
    ),
    ("outputs: {a: {source: '{{ other.result }}', type: string}}", "outputs: {a: '{{ other.result }}'}", ["1:11"]),
    ("outputs: {a: {source: web}, b: {from: here}}", "outputs: {a: {source: web}, b: {from: here}}", []),
    ("version: [1, 2]", 'version: "[1, 2]"', ["1:1"]),
    ("retry_config: {max_retries: 5, delay: 1}", "retries: {max: 4, delay: 1}", ["1:1"]),
    (
        "type: pipeline\nenhanced_outputs: yes\nparallel: true\nadd_completion_task: false",
        "",
        ["1:1", "2:1", "3:1", "4:1"],
    ),
    (
        "global_error_handlers: {TimeoutError: {fallback_value: 1}, rest: {handler_task_id: other}}",
        "failure_handlers: [{fallback: 1, errors: [TimeoutError]}, {goto: other}]",
        ["1:1"],
    ),
]


@pytest.mark.parametrize(("old", "today", "places"), HEADERS, ids=[one[0].replace("\n", "; ")[:50] for one in HEADERS])
def test_a_header_is_rewritten(old: str, today: str, places: list[str]) -> None:
    document, problems = rewritten(step_file("prompt: x", f"{old}\n"))
    assert plain(document.root) == tree(step_file("prompt: x", f"{today}\n" if today else ""))
    assert not problems.errors
    assert sorted({f"{one.span.line}:{one.span.column}" for one in problems}) == places


def test_of_an_input_that_is_said_twice_inputs_wins() -> None:
    document, problems = rewritten(step_file("prompt: x", "inputs: {a: 1}\nparameters: {a: 2, b: 3}\n"))
    assert plain(document.root)["inputs"] == {"a": 1, "b": 3}
    (found,) = [one for one in problems if "wins" in one.message]
    assert (found.code, found.severity, found.location, found.hint) == (OLDER, "warning", "p.yaml:2:14", "write `a: 1`")


ERRORS = [
    ("on_error: other\non_failure: third", "3:5", "both stand here"),
    ("on_failure: other\ncontinue_on_error: true", "4:5", "with another value"),
    ("foreach: [1]\nfor_each: [2]", "3:5", "with another value"),
    ("retry: 2\nmax_retries: 5", "3:5", "different things"),
    ("retries: 2\nmax_retries: 5", "4:5", "with another value"),
    ('max_retries: "{{ n }}"', "3:18", "known before the run"),
    ("retry: {attempts: 2, max_delay: 60}", "3:26", "no `max_delay`"),
    ("on_error: {handler_action: send_mail}", "3:32", "no step, no policy"),
    ("on_error: {fallback: 3}", "3:16", "no `fallback`"),
    ("type: quantum", "3:5", "what kind of step"),
    ("type: parallel_map", "3:5", "needs `items`"),
    ("create_parallel_queue: {on: [1], until: x}", "3:5", "needs `on` and `action_loop`"),
    ("parallel: [{id: a, prompt: x}]", "3:5", "found a list"),
    ("if: {condition: x, then: [other, gone]}", "3:38", 'a branch goes to "gone"'),
    ("if: {then: other}", "3:5", "without `condition`"),
    ("while: x\nloop_name: other\nsteps: [{id: in, prompt: x}]", "4:5", "the id of another step"),
    ("while: x\nloop_name: l\nsteps: [{id: in, prompt: '{{ l.is_last }}'}]", "5:34", "has no such field"),
    ("location: a.md\nproducts: {work: b.md}", "3:5", "both name a file"),
    ("prompt: x\ntemplate: y", "4:5", "both say"),
]


@pytest.mark.parametrize(("lines", "place", "words"), ERRORS, ids=[one[0].replace("\n", "; ")[:50] for one in ERRORS])
def test_what_cannot_be_honoured_is_an_error_where_it_stands(lines: str, place: str, words: str) -> None:
    text = step_file(lines)
    (found,) = errors(text)
    assert (f"{found.span.line}:{found.span.column}", found.hint is not None) == (place, True)
    assert words in found.message


@pytest.mark.parametrize(
    ("header", "place"),
    [
        ("data: {a: 1}\ninputs: {data: 2}\n", "1:1"),
        ("context: {a: 1}\nconstants: {context: 2}\n", "1:1"),
        ("variables: {other: 1}\n", "1:13"),
        ("inputs: {a: 1}\nvariables: {a: 2}\n", "2:13"),
    ],
)
def test_one_name_for_two_things_is_an_error(header: str, place: str) -> None:
    (found,) = errors(step_file("prompt: x", header))
    assert f"{found.span.line}:{found.span.column}" == place


def test_a_word_like_a_step_is_asked_about() -> None:
    (found,) = rewritten(step_file("on_error: othre"))[1]
    assert 'did you mean "other"' in found.message


def test_a_sentence_that_handles_a_failure_becomes_a_model_step() -> None:
    document, problems = rewritten(step_file("prompt: x\non_error: {handler_action: Say what went wrong}"))
    work, handler = steps(document)[:2]
    assert work == {"id": "work", "prompt": "x", "on_failure": "work_failed"}
    assert handler["id"] == "work_failed"
    assert handler["prompt"] == "Say what went wrong"
    assert handler["parameters"] == {"failed_step": "{{ error.step }}", "error": "{{ error.message }}"}
    assert [one.code for one in problems] == [OLDER]
    assert document.span(("steps", 1, "prompt")).line == 4


def test_a_handler_tries_the_step_again_only_when_the_step_says_nothing_itself() -> None:
    document, _ = rewritten(step_file("on_error: {retry_with_handler: true, handler_task_id: other}"))
    assert steps(document)[0] == {"id": "work", "on_failure": "other", "retries": 2}
    document, _ = rewritten(step_file("max_retries: 6\non_error: {retry_with_handler: true, handler_task_id: other}"))
    assert steps(document)[0] == {"id": "work", "retries": 5, "on_failure": "other"}


def test_a_branch_of_several_steps_puts_a_condition_on_each() -> None:
    text = """
steps:
  - {id: a, tool: t, if: {condition: x, then: [b, c], else: [{id: d, prompt: y}, {id: e, prompt: z}]}}
  - {id: b, prompt: x}
  - {id: c, prompt: x, condition: "{{ x > 1 }}"}
"""
    document, problems = rewritten(text)
    assert {one["id"]: one.get("condition") for one in steps(document)} == {
        "a": "x", "d": "a.skipped", "e": "a.skipped", "b": "not a.skipped", "c": "(not a.skipped) and ({{ x > 1 }})",
    }  # fmt: skip
    assert not problems.errors
    decided = "steps: [{id: a, tool: t, if: {condition: x, then: [b, c]}}, {id: b}, {id: c, if: <AUTO>good?</AUTO>}]"
    assert "cannot be joined" in errors(decided)[0].message


class TestLocation:
    def test_in_a_file_without_output_folder_it_starts_at_the_root(self) -> None:
        document, _ = rewritten(step_file("tool: t\nlocation: ./reports/a.md"))
        assert steps(document)[0]["products"] == {"work": "./reports/a.md"}
        assert plain(document.root)["output_dir"] == "."

    @pytest.mark.parametrize("header", ["output_dir: results\n", "inputs: [output_dir: ./results/]\n"])
    def test_below_the_output_folder_it_is_relative_to_it(self, header: str) -> None:
        document, _ = rewritten(step_file("tool: t\nlocation: results/sub/a.md", header))
        assert steps(document)[0]["products"] == {"work": "sub/a.md"}

    def test_below_the_usual_output_folder_it_is_relative_to_it(self) -> None:
        text = "id: p\nsteps:\n  - {id: a, tool: t, location: outputs/p/sub/a.md}\n  - {id: b, prompt: '{{ output_dir }}'}\n"
        document, _ = rewritten(text)
        assert steps(document)[0]["products"] == {"a": "sub/a.md"}
        assert "output_dir" not in plain(document.root)

    def test_elsewhere_the_warning_says_where_it_goes(self) -> None:
        document, problems = rewritten(step_file("tool: t\nlocation: reports/a.md", "output_dir: results\n"))
        assert steps(document)[0]["products"] == {"work": "reports/a.md"}
        assert plain(document.root)["output_dir"] == "results"
        assert "below the output folder" in next(iter(problems)).message

    def test_a_tool_that_writes_the_file_itself_makes_it(self) -> None:
        lines = "tool: fs\nparameters: {path: '{{output_dir}}/a.md'}\nlocation: '{{ output_dir }}/a.md'"
        document, problems = rewritten(step_file(lines))
        assert "products" not in steps(document)[0]
        assert [one.code for one in problems] == ["no-effect"]


class TestOutputPath:
    def test_where_nothing_is_called_so_it_is_the_output_folder(self) -> None:
        prompt = 'prompt: "{{ output_path }} {{ inputs.output_path }} {{ x.output_path }} output_path"'
        document, problems = rewritten(step_file(f"{prompt}\ncondition: output_path == 'a output_path'"))
        work = steps(document)[0]
        assert work["prompt"] == "{{ output_dir }} {{ inputs.output_dir }} {{ x.output_path }} output_path"
        assert work["condition"] == "output_dir == 'a output_path'"
        assert [f"{one.span.line}:{one.span.column}" for one in problems] == ["3:17", "4:16"]

    @pytest.mark.parametrize(
        "more",
        [
            "inputs: {output_path: x}\n",
            "inputs: [output_path: x]\n",
            "constants: {output_path: x}\n",
            "variables: {output_path: x}\n",
        ],
    )
    def test_where_something_is_called_so_it_stays(self, more: str) -> None:
        document, _ = rewritten(step_file('prompt: "{{ output_path }}"', more))
        assert steps(document)[0]["prompt"] == "{{ output_path }}"

    def test_a_name_of_the_template_itself_stays(self) -> None:
        text = "{% set output_path = 'x' %}{{ output_path }}"
        assert steps(rewritten(step_file(f'prompt: "{text}"'))[0])[0]["prompt"] == text


@pytest.mark.parametrize("path", TODAY, ids=lambda path: str(path.relative_to(ROOT)))
def test_todays_files_keep_their_very_tree(path: Path) -> None:
    document, problems = read_text(path.read_bytes(), path.name)
    before, noted = document.root, len(problems)
    rewrite(document, problems)
    assert document.root is before
    assert len(problems) == noted


def test_todays_files_are_there() -> None:
    assert len(TODAY) > 5


def test_a_long_file_of_today_is_only_looked_at_once() -> None:
    """Each step is visited once: no node of it is built again."""
    text = "steps:\n" + "".join(
        f"  - {{id: s{n}, prompt: x, for_each: [1], steps: [{{id: t{n}}}]}}\n" for n in range(500)
    )
    document, problems = read_text(text, "p.yaml")
    before = document.root
    rewrite(document, problems)
    assert document.root is before


def test_aliases_are_shared_and_left_as_they_are() -> None:
    text = "x-retry: &r {attempts: 3}\nsteps:\n  - {id: a, prompt: x, retry: *r}\n  - {id: b, prompt: x, retry: *r}\n"
    document, problems = read_text(text, "p.yaml")
    root = document.root
    assert isinstance(root, MappingNode)
    rewrite(document, problems)
    assert [one["retries"] for one in steps(document)] == [2, 2]
    assert plain(root) == tree(text)


def spans_inside(node: Node, low: tuple[int, int], high: tuple[int, int]) -> None:
    start, end = (node.span.line, node.span.column), (node.span.end_line, node.span.end_column)
    assert low <= start <= end <= high
    children = [value for _, value in node.pairs.values()] if isinstance(node, MappingNode) else []
    for child in children + (node.items if isinstance(node, SequenceNode) else []):
        spans_inside(child, low, high)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
class TestFiles:
    def test_it_is_read_with_warnings_only(self, path: Path) -> None:
        reading = read_pipeline(path)
        assert [one.render() for one in reading.problems.errors] == []
        assert reading.pipeline is not None
        assert {one.code for one in reading.problems} <= {"older-spelling", "no-effect"}
        assert len(reading.problems) > 0

    def test_every_node_stands_in_the_file(self, path: Path) -> None:
        document, problems = read_text(path.read_bytes(), path.name)
        rewrite(document, problems)
        assert document.root is not None
        spans_inside(document.root, (1, 1), (len(document.text.splitlines()) + 1, 1))

    def test_twice_changes_nothing(self, path: Path) -> None:
        document, problems = read_text(path.read_bytes(), path.name)
        rewrite(document, problems)
        once, noted = document.root, len(problems)
        rewrite(document, problems)
        assert plain(document.root) == plain(once)
        assert len(problems) == noted


def test_there_are_twelve_files() -> None:
    assert len(FIXTURES) == 12


def test_later_errors_point_into_the_file_as_it_was_written() -> None:
    text = """
id: late
parameters: {a: {type: integr}}
steps:
  - id: work
    foreach: [1]
    max_concurrent: many
    action_loop:
      - {id: in, prompt: x, temperature: hot}
    retry: {attempts: 900}
"""
    found = {(one.code, f"{one.span.line}:{one.span.column}") for one in read_pipeline_text(text).problems.errors}
    assert found == {
        ("wrong-value", "3:24"),
        ("wrong-type", "7:21"),
        ("wrong-type", "9:42"),
        ("wrong-value", "10:23"),
    }


@st.composite
def files(draw: st.DrawFn) -> str:
    """A file with older and today's lines, put together by chance."""
    headers = [old for old, _, _ in HEADERS]
    lines = [old for old, _, _ in STEPS] + [lines for lines, _, _ in ERRORS]
    header = draw(st.lists(st.sampled_from(headers), max_size=3, unique=True))
    body = draw(st.lists(st.sampled_from(lines), max_size=4, unique=True))
    seen: set[str] = set()
    kept = {True: [], False: []}  # type: dict[bool, list[str]]
    for is_header, text in [(True, one) for one in header] + [(False, one) for one in body]:
        entries = yaml.safe_load(text)
        if all((is_header, key) not in seen for key in entries):
            seen.update((is_header, key) for key in entries)  # type: ignore[misc]
            kept[is_header].append(text)
    return step_file("\n".join(kept[False]) or "prompt: x", "".join(f"{one}\n" for one in kept[True]))


@given(files())
@settings(max_examples=100, deadline=None)
def test_rewriting_twice_changes_nothing(text: str) -> None:
    document, problems = read_text(text, "p.yaml")
    rewrite(document, problems)
    once = document.root
    again = Problems("p.yaml", text)
    rewrite(document, again)
    assert document.root is once
    assert [one.render() for one in again] == []
    assert once is not None
    spans_inside(once, (1, 1), (len(text.splitlines()) + 1, 1))


_KEYS = (
    "id name type value default condition then else on error_types fallback_value handler_action handler_task_id "
    "message attempts delay backoff backoff_factor description required config params inputs model provider llm tool "
    "action parameters priority checkpoint retry_delay steps tags model_requirements capabilities schema properties "
    "operation operations aggregations column function format path data"
)
ANY_KEYS = sorted({key for old, _, _ in [*STEPS, *HEADERS] for key in yaml.safe_load(old)} | set(_KEYS.split()))
ANY = st.recursive(
    st.sampled_from([None, True, False, 0, 2, -1, 1.5, "", "other", "work", "a b", "{{ a.b }}", "x>1", "a,b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(ANY_KEYS), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(ANY_KEYS), ANY, max_size=6), st.dictionaries(st.sampled_from(ANY_KEYS), ANY))
@settings(max_examples=200, deadline=None)
def test_whatever_stands_there_is_rewritten_or_refused(step: dict[str, Any], header: dict[str, Any]) -> None:
    file = {**header, "steps": [{**step, "id": "work"}, {"id": "other", "prompt": "x"}]}
    text = yaml.safe_dump(file, sort_keys=False)
    document, problems = read_text(text, "p.yaml")
    rewrite(document, problems)
    assert {one.code for one in problems} <= {"older-spelling", "no-effect", "older-unsupported"}
    once = plain(document.root)
    rewrite(document, Problems("p.yaml", text))
    assert plain(document.root) == once


def guide_rows() -> list[tuple[str, str, str]]:
    """The rows of the guide's tables: section, older lines, today's lines."""
    section, rows = "", []
    for line in GUIDE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:]
        found = re.match(r"\| (`.+`) \| (`.+`)? ?\|\Z", line)
        if found:
            old, today = (found[1], found[2] or "")
            rows.append((section, *("\n".join(re.findall(r"`([^`]+)`", cell)) for cell in (old, today))))
    return rows  # type: ignore[return-value]


@pytest.mark.parametrize(("section", "old", "today"), guide_rows(), ids=lambda text: text.replace("\n", "; ")[:50])
def test_the_guide_tells_what_is_done(section: str, old: str, today: str) -> None:
    if section == "In a step":
        document, problems = rewritten(step_file(old))
        assert steps(document)[0] == tree(step_file(today))["steps"][0]
    else:
        document, problems = rewritten(step_file("prompt: x", f"{old}\n"))
        assert plain(document.root) == tree(step_file("prompt: x", f"{today}\n"))
    assert not problems.errors
    assert len(problems) > 0


def test_the_guide_has_a_row_for_every_older_key() -> None:
    from orchestrator_dagster.language.older.header import CONSTANTS
    from orchestrator_dagster.language.older.steps import _OLDER

    shown = {key for _, old, _ in guide_rows() for key in yaml.safe_load(old)}
    assert (_OLDER | set(CONSTANTS)) - shown == set()


def test_a_field_is_said_where_it_stands_with_its_own_name_of_today() -> None:
    text = """\
parameters: {rows: a.csv}
steps:
  - {id: parse, tool: data-processing, action: convert, parameters: {data: "{{ rows }}", output_format: json}}
  - {id: sums, tool: data-processing, action: aggregate, parameters: {data: "{{ parse.processed_data }}"}}
  - {id: say, action: echo, parameters: {message: "{{ sums.result.processed_data }}, {{ 'sums.processed_data' }}"}}
  - {id: ask, tool: user-prompt, parameters: {prompt: Who?}}
  - {id: loud, action: echo, parameters: {message: "{{ ask.value | upper }}", data: "{{ rows | json }}"}}
outputs: {all: "{{ sums.processed_data }}"}
"""
    document, problems = rewritten(text)
    assert not problems.errors
    assert [plain(document.root)["steps"][number]["parameters"] for number in (1, 2, 4)] == [
        {"data": "{{ parse.content }}"},
        {"message": "{{ sums.result.data }}, {{ 'sums.processed_data' }}"},
        {"message": "{{ ask.answer | upper }}", "data": "{{ rows | to_json }}"},
    ]
    assert plain(document.root)["outputs"] == {"all": "{{ sums.data }}"}
    said = [(one.span.line, one.step, one.hint) for one in problems if "{{" in (one.hint or "")]
    assert said == [
        (4, "sums", "write `{{ parse.content }}`"),
        (5, "say", "write `{{ sums.result.data }}`"),
        (7, "loud", "write `{{ ask.answer }}`"),
        (8, None, "write `{{ sums.data }}`"),
    ]


def test_a_field_that_means_something_today_stays_in_a_file_of_today() -> None:
    text = "steps:\n  - {id: ask, tool: user_prompt, parameters: {prompt: x}}\n  - {id: a, prompt: '{{ ask.value }}'}\n"
    document, problems = rewritten(text)
    assert plain(document.root) == tree(text)
    assert list(problems) == []


def test_the_model_of_auto_values_is_that_of_all_steps() -> None:
    text = "model: openai:gpt-4o\nsteps:\n  - {id: a, action: echo, parameters: {message: <AUTO>greet</AUTO>}}\n"
    document, _ = rewritten(text)
    assert plain(document.root)["orchestrator"] == plain(document.root)["default_model"] == "openai:gpt-4o"
    chosen, _ = rewritten("steps:\n  - {id: a, action: generate_text, parameters: {prompt: <AUTO>greet</AUTO>}}\n")
    assert plain(chosen.root)["orchestrator"].startswith("<AUTO>")
    today, _ = rewritten("steps:\n  - {id: a, action: echo, parameters: {message: <AUTO>greet</AUTO>}}\n")
    assert "orchestrator" not in plain(today.root)


def test_a_whole_file_below_pipeline_and_steps_by_their_ids() -> None:
    text = "pipeline:\n  id: p\n  steps:\n    first: {prompt: x}\n    second: {prompt: y, depends_on: first}\n"
    document, problems = rewritten(text)
    assert not problems.errors
    assert plain(document.root)["id"] == "p"
    assert [step["id"] for step in steps(document)] == ["first", "second"]
    named, _ = rewritten("steps:\n  - {name: Read the file, prompt: x}\n")
    assert steps(named) == [{"id": "read_the_file", "name": "Read the file", "prompt": "x"}]


def test_what_waits_for_a_branch_waits_for_the_steps_written_in_it() -> None:
    text = """\
steps:
  - id: branch
    if: {condition: x > 1, then: [{id: good, prompt: g}], else: [{id: bad, prompt: b}]}
  - {id: end, prompt: e, dependencies: branch}
"""
    document, problems = rewritten(text)
    assert not problems.errors
    made = {step["id"]: step for step in steps(document)}
    assert made["good"]["condition"] == "not branch.skipped"
    assert made["bad"]["condition"] == "branch.skipped"
    assert made["end"]["dependencies"] == ["branch", "good", "bad"]
