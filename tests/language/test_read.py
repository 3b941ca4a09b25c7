"""The shape of a pipeline file: every problem in one go, with its place, its nearest name and one next step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_dagster.language.pipeline import Pipeline
from orchestrator_dagster.language.read import Reading, default_id, read_pipeline, read_pipeline_text

STEP = "steps:\n  - {id: a, prompt: x}\n"
MAIN = Path(__file__).resolve().parents[2] / "pipelines" / "research_report.yaml"


def read(text: str) -> Pipeline:
    found = read_pipeline_text(text)
    assert not len(found.problems), [one.render() for one in found.problems]
    assert found.pipeline is not None
    return found.pipeline


def found(text: str) -> list[tuple[str, int, int]]:
    return [(one.code, one.span.line, one.span.column) for one in read_pipeline_text(text).problems]


def only(text: str) -> Any:
    problems = list(read_pipeline_text(text).problems)
    assert len(problems) == 1, [one.render() for one in problems]
    return problems[0]


def test_lists_of_one_key_maps_and_maps_say_the_same() -> None:
    one = read(
        "inputs:\n  - a: 1\n  - b: None\nexperts:\n  - x: openai:gpt-5\noutputs:\n  - r: '{{ s }}'\n"
        "steps:\n  - id: s\n    prompt: p\n    vars:\n      - v: text\n    products:\n      - v: v.md\n"
    )
    other = read(
        "inputs: {a: 1, b: None}\nexperts: {x: openai:gpt-5}\noutputs: {r: '{{ s }}'}\n"
        "steps: [{id: s, prompt: p, vars: {v: text}, products: {v: v.md}}]\n"
    )
    assert one == other
    assert read("steps: [{id: s, prompt: p, vars: [v, w]}]").steps[0].vars.keys() == {"v", "w"}


def test_the_main_pipeline_is_right() -> None:
    reading = read_pipeline(MAIN)
    assert not len(reading.problems)
    assert not reading.removed
    assert not reading.loose


def test_the_id_is_the_files_name_when_the_file_says_none() -> None:
    assert default_id("pipelines/My Report (2).yaml") == "My_Report_2"
    assert default_id("2024.yaml") == "pipeline_2024"
    assert default_id("日本.yaml") == "pipeline"
    assert read_pipeline_text(STEP, "sales-report.yml").pipeline.id == "sales-report"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("written", "text"),
    [("1.10", "1.10"), ('"2"', "2"), ("1e3", "1e3"), ("true", "true"), ("2026-01-31", "2026-01-31"), ("0x1F", "0x1F")],
)
def test_the_version_is_the_text_that_stands_there(written: str, text: str) -> None:
    assert read(f"version: {written}\n{STEP}").version == text


def test_numbers_are_text_where_text_is_wanted_and_truth_is_not() -> None:
    assert read(f"name: 3\ntags: {{year: 2026}}\n{STEP}").tags == {"year": "2026"}
    problem = only(f"tags: {{on: true}}\n{STEP}")
    assert problem.message == "`tags.on`: expected a text, found true"
    assert problem.hint == 'put it in quotes if it is meant as text: "true"'


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (f"id: 123\n{STEP}", "wrong-type", "an id is a text that starts with a letter, found the number 123"),
        (f"id: 1a\n{STEP}", "wrong-id", '"1a" is no pipeline id'),
        ("steps: [{id: a b, prompt: x}]", "wrong-id", '"a b" is no step id'),
        ("steps: [{id: fail, prompt: x}]", "reserved-name", '"fail" is a failure policy'),
        (f"owners: team:x\n{STEP}", "wrong-type", '`owners`: expected a list, found the text "team:x"'),
        (f"tags: [1]\n{STEP}", "wrong-type", "`tags`: expected a map, found a list"),
        (f"default_model: {{a: b}}\n{STEP}", "wrong-type", "`default_model`: expected a model such as openai:gpt-5"),
        (f"default_model: []\n{STEP}", "wrong-type", "`default_model`: expected a model such as openai:gpt-5"),
        (f"selection_schema: balancd\n{STEP}", "wrong-value", 'there is no selection strategy "balancd"'),
        (f"selection_schema: [cost]\n{STEP}", "wrong-type", "expected a strategy's name or a map, found a list"),
        (f"budget: {{calls: true}}\n{STEP}", "wrong-type", "`budget.calls`: expected an integer, found true"),
        (f"budget: {{cost: 0}}\n{STEP}", "wrong-value", "`budget.cost`: expected a number greater than 0, found"),
        (f"budget: {{tokens: 1.5}}\n{STEP}", "wrong-type", "`budget.tokens`: expected an integer, found the number"),
        (f"retries: yes\n{STEP}", "wrong-type", 'expected a number of retries or a map, found the text "yes"'),
        (f"retries: {{delay: 2s}}\n{STEP}", "missing-key", "the key `max` is missing in `retries`"),
        (
            f"retries: {{max: 2, backoff: exp}}\n{STEP}",
            "wrong-value",
            '`retries.backoff`: expected one of "exponential"',
        ),
        (f"timeout: 10 minutes\n{STEP}", "wrong-value", '"10 minutes" is no duration'),
        (f"timeout: 0\n{STEP}", "wrong-value", "a duration is more than 0 and at most 30 days, found 0"),
        (f"timeout: true\n{STEP}", "wrong-type", "expected a duration, found true"),
        (f"timeout: [30]\n{STEP}", "wrong-type", "expected a duration, found a list"),
        (f"cache: on\n{STEP}", "wrong-value", '`cache`: expected one of "run", "always" or "off"'),
        (f"automation: lazy\n{STEP}", "wrong-value", '`automation`: expected one of "eager" or "on_missing" or a map'),
        (f"schedule: {{timezone: UTC}}\n{STEP}", "missing-key", "the key `cron` is missing in `schedule`"),
        (f"schedule: {{cron: x, enabled: yes}}\n{STEP}", "wrong-type", "`schedule.enabled`: expected true or false"),
        (f"inputs: 3\n{STEP}", "wrong-type", "`inputs`: expected a map, or a list of one-key maps"),
        (f"inputs: [{{a: 1, b: 2}}]\n{STEP}", "wrong-type", "a map with one key; this one has a, b"),
        (f"inputs: [a: 1, a: 2]\n{STEP}", "duplicate-id", 'the name "a" stands twice'),
        (f"inputs: {{loop: 1}}\n{STEP}", "reserved-name", '"loop" is a name of the language'),
        (f"inputs: {{_include: 1}}\n{STEP}", "wrong-id", '"_include" is no name'),
        (f"inputs: {{a-b: 1}}\n{STEP}", "wrong-id", '"a-b" is no name'),
        (f"inputs: {{in: 1}}\n{STEP}", "reserved-name", '"in" is a word of the template language'),
        (f"inputs: {{a: {{type: strng}}}}\n{STEP}", "wrong-value", 'there is no type "strng"'),
        (
            f"inputs: {{a: {{type: number, range: [1]}}}}\n{STEP}",
            "missing-key",
            "`inputs.a.range` has 1 of its entries",
        ),
        (
            f"inputs: {{a: {{type: string, minimum: 1}}}}\n{STEP}",
            "wrong-value",
            "`minimum` belongs to the type integer",
        ),
        (f"inputs: {{a: {{type: number, minimum: 9, maximum: 1}}}}\n{STEP}", "wrong-value", "the minimum 9 is larger"),
        (
            f"inputs: {{a: {{type: string, pattern: '('}}}}\n{STEP}",
            "wrong-value",
            "the pattern is no regular expression",
        ),
        (f"inputs: {{a: {{type: string, pattern: '(a+)+$'}}}}\n{STEP}", "wrong-value", "may take forever"),
        (f"inputs: {{a: {{type: string, enum: []}}}}\n{STEP}", "wrong-value", "the list of values allowed is empty"),
        (f"inputs: {{a: {{type: string, enum: b}}}}\n{STEP}", "wrong-type", "`inputs.a.enum`: expected a list"),
        (f"outputs: [report]\n{STEP}", "wrong-type", 'a map with one key, found "report"'),
        (f"outputs: {{report: ~}}\n{STEP}", "missing-key", 'the output "report" has no value'),
        ("steps: {id: a, prompt: x}", "wrong-type", "`steps`: expected a list of steps, found a map"),
        ("steps: []", "wrong-value", "a pipeline has at least one step"),
        ("name: x", "missing-key", "the key `steps` is missing"),
        ("steps: [just text]", "wrong-type", 'a step is a map, found the text "just text"'),
        ("steps: [{prompt: x}]", "missing-key", "the step has no `id`"),
        ("steps: [{id: a, prompt: [x]}]", "wrong-type", "`prompt`: expected a text, found a list"),
        ("steps: [{id: a, prompt: x, temperature: 3}]", "wrong-value", "`temperature`: expected at most 2, found"),
        ("steps: [{id: a, prompt: x, max_tokens: many}]", "wrong-type", "`max_tokens`: expected an integer"),
        (
            "steps: [{id: a, prompt: x, dependencies: {b: c}}]",
            "wrong-type",
            "`dependencies`: expected a name, or a list",
        ),
        ("steps: [{id: a, prompt: x, condition: [1]}]", "wrong-type", "`condition`: expected a text or true or false"),
        ("steps: [{id: a, prompt: x, vars: {v: 3}}]", "wrong-type", "a variable is described by a text, a type, a map"),
        ("steps: [{id: a, prompt: x, vars: {v: {type: array, items: 3}}}]", "wrong-type", "expected a type's name or"),
        ("steps: [{id: a, prompt: x, products: {v: 3}}]", "wrong-type", "a product is a path or a map"),
        ("steps: [{id: a, prompt: x, products: {v: {format: md}}}]", "missing-key", "the key `path` is missing in `v`"),
        (
            "steps: [{id: a, prompt: x, products: {v: {path: a, format: doc}}}]",
            "product-format",
            'expected one of "txt"',
        ),
        ("steps: [{id: a, tool: x, parameters: [1]}]", "wrong-type", "`parameters`: expected a map, found a list"),
        ("steps: [{id: a, prompt: x, depends_on: b, dependencies: c}]", "yaml-duplicate-key", "another spelling of"),
    ],
)
def test_what_is_wrong_is_said_in_the_words_of_the_language(text: str, code: str, message: str) -> None:
    problem = only(text)
    assert problem.code == code
    assert message in problem.message
    for jargon in ("Input should", "valid ", "dictionary", "tuple", "string", "NoneType", "pydantic", "a integer"):
        assert jargon not in problem.message or jargon in text or (jargon == "string" and '"string"' in problem.message)


@pytest.mark.parametrize(
    ("text", "key", "near", "line"),
    [
        (f"nam: x\n{STEP}", "nam", "name", 1),
        ("steps:\n  - id: a\n    promt: x\n", "promt", "prompt", 3),
        (f"inputs:\n  - a:\n      type: string\n      defalt: x\n{STEP}", "defalt", "default", 4),
        (f"experts:\n  a: {{model: m, temprature: 1}}\n{STEP}", "temprature", "temperature", 2),
        (f"experts:\n  a: {{modle: m}}\n{STEP}", "modle", "model", 2),  # and not that `model` is missing
        (f"retries: {{max: 1, dely: 2s}}\n{STEP}", "dely", "delay", 1),
        (f"budget: {{token: 3}}\n{STEP}", "token", "tokens", 1),
        (f"schedule:\n  - {{cron: x, timezon: UTC}}\n{STEP}", "timezon", "timezone", 2),
        (f"qc: {{rubric: x, treshold: 1}}\n{STEP}", "treshold", "threshold", 1),
        (
            "steps:\n  - id: a\n    prompt: x\n    vars:\n      - v: {type: number, minimun: 1}\n",
            "minimun",
            "minimum",
            5,
        ),
        ("steps:\n  - id: a\n    prompt: x\n    products:\n      v: {path: a.md, fromat: md}\n", "fromat", "format", 5),
        (
            "steps:\n  - {id: a, prompt: x, vars: {v: {type: array, items: {type: string, patern: x}}}}",
            "patern",
            "pattern",
            2,
        ),
    ],
)
def test_unknown_keys_are_refused_at_every_level(text: str, key: str, near: str, line: int) -> None:
    problem = only(text)
    assert (problem.code, problem.suggestion, problem.span.line) == ("unknown-key", near, line)
    assert text.splitlines()[line - 1][problem.span.column - 1 :].startswith(key)


def test_an_unknown_key_that_is_like_none_is_told_what_there_is() -> None:
    problem = only(f"budget: {{zzz: 3}}\n{STEP}")
    assert problem.suggestion is None
    assert problem.hint == "the keys are cost, tokens, calls"


def test_metadata_and_keys_with_an_x_are_free() -> None:
    pipeline = read(
        "x-notes: {a: [1]}\nmetadata: {any: [thing]}\nretries: {max: 1, x-why: slow}\n"
        "inputs: {a: {type: string, x-ui: wide, default: q}}\n"
        "steps: [{id: a, prompt: p, x-a: 1, metadata: {deep: {er: 1}}, products: {v: {path: v.md, x-y: 1}}}]"
    )
    assert pipeline.metadata == {"any": ("thing",)}
    assert pipeline.inputs["a"].default == "q"
    assert pipeline.steps[0].products["v"].path == "v.md"


def test_every_problem_is_reported_at_once_in_file_order() -> None:
    text = """\
id: 1a
nam: x
retries: yes
inputs:
  - a: {type: strng, defalt: 1}
  - 2b: 1
  - 3c: 1
  - loop: 1
  - d: 1
    e: 2
  - a: 5
steps:
  - prompt: x
  - text
  - id: c
    promt: x
    max_tokens: true
    vars:
      - v: {type: strng}
      - w: 3
      - 4d: text
    products: {v: {pth: a}, w: {format: zip, path: b}}
  - id: d e
    prompt: x
outputs: [r]
"""
    problems = list(read_pipeline_text(text).problems)
    assert [(one.span.line, one.code) for one in problems] == [
        (1, "wrong-id"), (2, "unknown-key"), (3, "wrong-type"), (5, "wrong-value"), (5, "unknown-key"), (6, "wrong-id"),
        (7, "wrong-id"), (8, "reserved-name"), (10, "wrong-type"), (11, "duplicate-id"), (13, "missing-key"),
        (14, "wrong-type"), (16, "unknown-key"), (17, "wrong-type"), (19, "wrong-value"), (20, "wrong-type"),
        (21, "wrong-id"), (22, "unknown-key"), (22, "product-format"), (23, "wrong-id"), (25, "wrong-type"),
    ]  # fmt: skip
    assert {one.step for one in problems if 15 < one.span.line < 23} == {"c"}


def test_what_is_wrong_is_left_out_and_the_rest_is_read() -> None:
    reading = read_pipeline_text("inputs: {a: {type: zz}, b: 1}\nsteps: [{id: s, prompt: [1], model: m}]")
    assert reading.pipeline is not None
    assert reading.pipeline.inputs.keys() == {"a", "b"}
    assert reading.pipeline.steps[0].model == ("m",)
    assert reading.lost(("steps", 0), "prompt")
    assert not reading.lost(("steps", 0), "model")


def test_a_step_may_be_called_like_a_made_up_id() -> None:
    reading = read_pipeline_text("steps: [{prompt: x}, {id: unnamed-0, prompt: y}, {prompt: z}]")
    assert reading.pipeline is not None
    assert len({step.id for step in reading.pipeline.steps}) == 3
    assert "unnamed-0" not in reading.made_up_ids


def test_other_spellings() -> None:
    pipeline = read(
        "inputs: {a: {type: str, choices: [x, y], default: x}}\n"
        "steps: [{id: s, instruction: p, depends_on: 'a, b', if: true, goto: z}, {id: t, prompt: q, depends_on: s}]"
    )
    assert pipeline.inputs["a"].enum == ("x", "y")
    step = pipeline.steps[0]
    assert (step.prompt, step.dependencies, step.condition, step.on_success) == ("p", ("a", "b"), True, "z")
    assert pipeline.steps[1].dependencies == ("s",)
    problem = only("steps: [{id: s, instruction: [p]}]")
    assert problem.message.startswith("`instruction`")
    assert problem.span.column == 30


def test_inputs_win_over_their_older_spellings() -> None:
    reading = read_pipeline_text(f"parameters: {{a: 1}}\ninputs: {{b: 1}}\ninput_variables: {{c: 1}}\n{STEP}")
    assert reading.pipeline is not None
    assert reading.pipeline.inputs.keys() == {"a", "b", "c"}
    assert [(one.code, one.span.line) for one in reading.problems] == [("older-spelling", 1), ("older-spelling", 3)]


def test_one_wrong_step_is_not_no_step() -> None:
    assert found("steps: [{id: a, prompt: x, vars: {0x: t, 1y: t}}]") == [("wrong-id", 1, 35), ("wrong-id", 1, 42)]


@pytest.mark.parametrize("name", ["f.txt", "f.json", "f"])
def test_a_pipeline_file_ends_in_yaml(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(STEP)
    assert [one.code for one in read_pipeline(tmp_path / name).problems] == ["file-suffix"]
    assert [one.code for one in read_pipeline(tmp_path / "none.yaml").problems] == ["file-missing"]


def test_what_was_read_cannot_be_changed() -> None:
    pipeline = read("inputs: {a: {default: [1, {b: 2}]}}\nsteps: [{id: s, tool: t, parameters: {p: {q: [1]}}}]")
    step = pipeline.steps[0]
    for change in (
        lambda: setattr(step, "id", "x"),
        lambda: step.parameters.update(z=1),
        lambda: step.parameters["p"].__setitem__("q", 2),
        lambda: step.metadata.update(z=1),  # a default is no exception
        lambda: pipeline.inputs.clear(),
        lambda: pipeline.inputs["a"].default[1].pop("b"),
    ):
        with pytest.raises((TypeError, ValueError)):
            change()
    assert isinstance(step.parameters["p"]["q"], tuple)


KEYS = [
    *[
        "id",
        "name",
        "version",
        "owners",
        "tags",
        "metadata",
        "orchestrator",
        "default_model",
        "experts",
        "selection_schema",
        "personality",
        "budget",
    ],
    *[
        "cache",
        "limits",
        "inputs",
        "steps",
        "outputs",
        "output_dir",
        "retries",
        "timeout",
        "executor",
        "schedule",
        "triggers",
        "automation",
    ],
    *["partitions", "on_change", "alignment", "qc", "parameters", "zzz"],
]
STEP_KEYS = [
    "id",
    "dependencies",
    "depends_on",
    "tool",
    "action",
    "parameters",
    "prompt",
    "instruction",
    "tools",
    "pipeline",
    "inputs",
    "model",
    "expert",
    "budget",
    "vars",
    "selection_schema",
    "requires_model",
    "temperature",
    "products",
    "condition",
    "if",
    "on_failure",
    "retries",
    "timeout",
    "for_each",
    "as",
    "while",
    "steps",
    "tags",
    "pool",
    "max_parallel",
]
LEAVES = st.one_of(
    st.sampled_from(["a", "b", "", "{{ a }}", "string", "integer", "a.md", "None", "1.5"]),
    st.integers(-3, 3),
    st.booleans(),
    st.none(),
    st.floats(-2, 2),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "a",
                    "b",
                    "type",
                    "default",
                    "items",
                    "enum",
                    "path",
                    "max",
                    "cost",
                    "strategy",
                    "model",
                    "x-a",
                    "schema",
                ]
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)
STEPS = st.lists(st.one_of(VALUES, st.dictionaries(st.sampled_from(STEP_KEYS), VALUES, max_size=6)), max_size=3)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6), STEPS)
@settings(max_examples=300, deadline=None)
def test_no_shape_makes_it_crash_and_every_problem_is_in_the_file(data: dict[str, Any], steps: list[Any]) -> None:
    import yaml

    text = yaml.safe_dump({**data, **({"steps": steps} if steps else {})}, sort_keys=False)
    reading: Reading = read_pipeline_text(text)
    lines = text.count("\n") + 1
    for one in reading.problems:
        assert 1 <= one.span.line <= lines
        assert "Input should" not in one.message
        assert one.render()
    assert reading.pipeline is not None or reading.problems.errors
