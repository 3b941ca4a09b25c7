"""The JSON Schema of a pipeline file: it accepts what the reader accepts, and rejects what has a wrong shape."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from orchestrator_dagster.cli import main
from orchestrator_dagster.language.document import read_file, read_text
from orchestrator_dagster.language.file_schema import pipeline_schema
from orchestrator_dagster.language.read import read_pipeline_text
from orchestrator_dagster.project.loading import known

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = [
    path
    for folder in ("pipelines", "examples")
    for path in sorted((REPOSITORY / folder).rglob("*.yaml"))
    if "\nsteps:" in path.read_text()
]

GOOD = """\
id: all_forms
version: 1.20
owners: [team:research]
tags: {domain: research}
x-note: free
metadata: {anything: [1, 2]}
default_model: [openai:gpt-5, anthropic:claude-sonnet-4-5]
experts:
  - web_search: gemini:gemini-2.5-flash
  - analyst: {model: gpt-4o, provider: openai, temperature: 0.1}
selection_schema: {strategy: cost, fallback: openai:gpt-5-mini, timeout: 30s}
inputs:
  - topic: None
  - count: 3
  - words: {type: list, items: string, default: [a]}
  - mode: {choices: [a, b], default: a}
retries: 2
timeout: 2m
schedule: {cron: "0 6 * * *", inputs: {topic: x}}
triggers: [{files: "in/*.csv"}]
steps:
  - id: ask
    instruction: Say something about {{ topic }}.
    depends_on: other, third
    if: "count > 2"
    goto: third
    vars:
      - findings: What was found
      - score: {type: number, range: [0, 1]}
      - sources: {type: array, items: {title: string, url: string}}
    products:
      - findings: findings.md
      - score: {path: score.json, key: research/score}
    retries: {max: 3, delay: 2s, backoff: exponential, jitter: full}
  - id: other
    tool: data-processing
    action: load
    parameters: {data: a.csv}
    vars: {rows: "{{ result.data }}"}
  - id: third
    for_each: "{{ rows }}"
    as: row
    steps:
      - {id: inner, action: echo, parameters: {message: "{{ row }}"}}
outputs: {score: "{{ score }}"}
"""

WRONG_SHAPES = [
    "id: a\n",
    "steps: {}\n",
    "steps: []\n",
    "idd: a\nsteps: [{id: a}]\n",
    "steps: [just text]\n",
    "steps: [{tool: filesystem}]\n",
    "steps: [{id: a, paramters: {}}]\n",
    "steps: [{id: a, temperature: warm}]\n",
    "steps: [{id: a, retries: many}]\n",
    "steps: [{id: a, retries: {maximum: 3}}]\n",
    "steps: [{id: a, cache: sometimes}]\n",
    "steps: [{id: a, products: {x: {format: md}}}]\n",
    "steps: [{id: a, products: {x: {path: a.md, format: docx}}}]\n",
    "steps: [{id: a, max_tokens: 0}]\n",
    "selection_schema: cheapest\nsteps: [{id: a}]\n",
    "inputs: {a: {type: integr}}\nsteps: [{id: a}]\n",
    "budget: {dollars: 3}\nsteps: [{id: a}]\n",
]


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = pipeline_schema({"filesystem": ["read", "write"]})
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def value_of(text: str) -> Any:
    return read_text(text, "p.yaml")[0].value()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_it_accepts_every_example(validator: Draft202012Validator, path: Path) -> None:
    assert list(validator.iter_errors(read_file(path)[0].value())) == []


def test_it_accepts_every_short_form(validator: Draft202012Validator) -> None:
    assert not read_pipeline_text(GOOD).problems.errors
    assert [error.message for error in validator.iter_errors(value_of(GOOD))] == []


@pytest.mark.parametrize("text", WRONG_SHAPES)
def test_it_rejects_wrong_shapes_like_the_reader(validator: Draft202012Validator, text: str) -> None:
    assert read_pipeline_text(text).problems.errors
    assert list(validator.iter_errors(value_of(text)))


def test_the_command_prints_it(project: Path) -> None:
    printed = CliRunner().invoke(main, ["schema"])
    assert printed.exit_code == 0
    schema = json.loads(printed.output)
    tools = schema["$defs"]["Step"]["properties"]["tool"]["anyOf"][0]["enum"]
    assert {"filesystem", "data-processing", "data_processing"} <= set(tools)
    assert "aggregate" in schema["$defs"]["Step"]["properties"]["action"]["anyOf"][0]["enum"]


def test_the_command_writes_it_to_a_file(project: Path) -> None:
    printed = CliRunner().invoke(main, ["schema"]).output
    assert CliRunner().invoke(main, ["schema", "-o", "editor/pipeline.schema.json"]).exit_code == 0
    assert (project / "editor/pipeline.schema.json").read_text() == printed
    refused = CliRunner().invoke(main, ["schema", "-o", "pipelines"])
    assert refused.exit_code == 2
    assert 'cannot be written to "pipelines"' in refused.stderr


def test_it_suggests_the_tools_of_the_project(project: Path) -> None:
    (project / "tools.py").write_text(
        "from orchestrator_dagster import tool\n\n@tool\ndef oven(kind: str) -> str:\n    'Bakes.'\n    return kind\n"
    )
    known.cache_clear()
    schema = json.loads(CliRunner().invoke(main, ["schema"]).output)
    assert "oven" in schema["$defs"]["Step"]["properties"]["tool"]["anyOf"][0]["enum"]
    (project / "tools.py").write_text("import nothing_of_this_name\n")
    known.cache_clear()
    refused = CliRunner().invoke(main, ["schema"])
    assert refused.exit_code == 2
    assert "nothing_of_this_name" in refused.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_files_of_the_repository_name_it(path: Path) -> None:
    """The first line leads an editor to the schema, whichever folder the file is in; the file fits the schema."""
    found = re.match(r"# yaml-language-server: \$schema=(\S+)\n", path.read_text(encoding="utf-8"))
    assert found, f"{path}: the line that names the schema is missing"
    schema = (path.parent / found[1]).resolve()
    assert schema == REPOSITORY / "docs" / "reference" / "pipeline.schema.json"
    document, _ = read_file(path)
    assert not list(Draft202012Validator(json.loads(schema.read_text())).iter_errors(document.value()))


def test_every_key_says_what_it_is() -> None:
    schema = pipeline_schema()
    silent = [
        name
        for name, value in {**schema["properties"], **schema["$defs"]["Step"]["properties"]}.items()
        if isinstance(value, dict) and not value.get("description")
    ]
    assert silent == []
    assert yaml.safe_load(json.dumps(schema)) == schema
