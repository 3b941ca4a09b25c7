"""The header: inputs and their defaults, the output folder, and what stands in other files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.language.diagnostics import Diagnostic
from orchestrator_dagster.project.loading import compile_file

Compile = Callable[[str], CompiledPipeline]
Only = Callable[[str], Diagnostic]
STEP = "\nsteps: [{id: s, prompt: x}]"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("{type: integer, default: x}", 'expected an integer, found the text "x"'),
        ("{type: integer, default: 5, minimum: 10}", "expected at least 10, found the number 5"),
        ("{type: number, default: 5, range: [0, 1]}", "expected at most 1"),
        ("{type: string, default: c, enum: [a, b]}", 'expected one of "a" or "b"'),
        ("{default: c, choices: [a, b]}", 'expected one of "a" or "b"'),
        ("{type: string, default: abc, pattern: ^x}", "does not match"),
        ("{type: array, default: [1, x], items: integer}", "[1]: expected an integer"),
        ("{type: list, default: x}", "expected a list"),
        ("{type: boolean, default: 3}", "expected true or false"),
        ("{type: string, format: date, default: tomorrow}", "is no date"),
        ("{type: path, default: 3}", "expected a text"),
        ("{type: object, default: [1]}", "expected a map"),
        (
            "{type: integer, default: '10'}",
            'expected an integer, found the text "10"',
        ),  # a launch may give text, a file says it
        ("{type: boolean, default: yes}", 'expected a boolean, found the text "yes"'),
        ("{type: array, items: integer, default: [1, '2']}", '[1]: expected an integer, found the text "2"'),
        ("{type: secret, default: sk-proj-123}", "no name of an environment variable"),
    ],
)
def test_a_default_keeps_its_own_description(only: Only, spec: str, said: str) -> None:
    problem = only(f"inputs:\n  - a: {spec}{STEP}")
    assert problem.code == "wrong-default"
    assert problem.message.startswith("the default of the ")
    assert "sk-proj" not in f"{problem.message} {problem.hint}"
    assert said in problem.message
    assert problem.span.line == 4


def test_defaults_with_templates_are_checked_at_launch(compiled: Compile) -> None:
    compiled(
        "inputs: {b: 3, a: {type: integer, default: '{{ b }}'}, c: {type: array, items: integer, default: ['{{ b }}']}}"
        + STEP
    )


def test_the_output_folder_is_always_an_input(compiled: Compile, only: Only) -> None:
    assert compiled(STEP[1:]).inputs["output_dir"].default == "outputs/p"
    assert compiled("output_dir: out" + STEP).inputs["output_dir"].default == "out"
    assert compiled("inputs: {output_dir: here}" + STEP).inputs["output_dir"].default == "here"
    for text in ("output_dir: ../out", "inputs: {output_dir: a/../../b}"):
        assert only(text + STEP).code == "output-path"


@pytest.mark.parametrize(
    ("folder", "is_right"),
    [
        ("{root}", True),
        ("{root}/out", True),
        ("{root}/{{{{ execution.id }}}}", True),
        ("{root}-other/out", False),
        ("{root}/../out", False),
        ("/srv/reports", False),
        ("/srv/{{{{ execution.id }}}}/out", False),
        ("{{{{ execution.id }}}}", True),
    ],
)
def test_an_absolute_output_folder_stands_below_the_workspace_root(
    problems: Callable[[str], list[Diagnostic]], tmp_path: Path, folder: str, is_right: bool
) -> None:
    folder = folder.format(root=tmp_path)
    for text in ('output_dir: "{}"', 'inputs: [output_dir: "{}"]', 'inputs: {{output_dir: {{default: "{}"}}}}'):
        text = text.format(folder)
        found = problems(text + STEP)
        assert [(one.code, one.span.line, one.span.column) for one in found] == (
            [] if is_right else [("output-path", 3, text.index('"') + 1)]
        )


def test_what_this_release_does_not_run_is_refused_with_its_place(problems: Callable[[str], list[Diagnostic]]) -> None:
    found = problems("steps:\n  - {id: a, tool: video-processing, parameters: {path: film.mp4}}")
    places = {(one.code, one.span.line) for one in found}
    assert places == {("not-supported", 4)}


def test_included_files_are_found_beside_the_pipeline_and_at_the_root(compiled: Compile, tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "a.md").write_bytes("\ufeffZeile\r\n{{ no }}\n".encode())
    pipeline = compiled('steps: [{id: a, prompt: "{{ file:prompts/a.md }}"}]')
    assert pipeline.includes == {"prompts/a.md": "Zeile\r\n{{ no }}\n"}
    assert pipeline.steps[0].includes == ("prompts/a.md",)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nope.md", "is not there"),
        ("../secret.md", "lies outside"),
        ("/etc/hostname", "lies outside"),
        ("link.md", "lies outside"),
        ("folder", "is not there"),
        ("latin.md", "is not UTF-8 text"),
        ("x" * 300, "cannot be read"),
    ],
)
def test_files_that_are_not_included(only: Only, tmp_path: Path, name: str, said: str) -> None:
    (tmp_path.parent / "secret.md").write_text("secret")
    (tmp_path / "link.md").symlink_to(tmp_path.parent / "secret.md")
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin.md").write_bytes(b"\xe9")
    problem = only(f'steps: [{{id: a, prompt: "see {{{{ file:{name} }}}}"}}]')
    assert problem.code == "include-missing"
    assert said in problem.message
    assert "secret" not in problem.message.replace("secret.md", "")


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("{type: strng}", "'strng' is not valid"),
        ("{type: array, items: 3}", "3 is not"),
        ("good.json", None),
        ("good.yaml", None),
        ("bad.json", "the file cannot be read"),
        ("list.yaml", "the file holds no map"),
        ("wrong.yaml", "is not valid"),
        ("none.json", "is not there"),
    ],
)
def test_schemas_are_checked_before_anything_runs(
    problems: Callable[[str], list[Any]], tmp_path: Path, schema: str, said: str | None
) -> None:
    (tmp_path / "good.json").write_text('{"type": "object"}')
    (tmp_path / "good.yaml").write_text("type: object")
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "list.yaml").write_text("[1]")
    (tmp_path / "wrong.yaml").write_text("type: strng")
    found = problems(f"steps: [{{id: a, prompt: x, vars: {{v: {{schema: {schema}}}}}}}]")
    assert [said in one.message for one in found] == ([True] if said else [])


def test_the_nearest_provider_is_named_once(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("limits: {opnai: 4}\nsteps: [{id: a, action: echo, parameters: {message: x}}]\n", encoding="utf-8")
    (problem,) = compile_file(path, tmp_path).problems.errors
    assert problem.render().count('did you mean "openai"') == 1


@pytest.mark.parametrize(
    ("keys", "code", "message"),
    [
        ('pool: "a b"', "dagster-name", '"a b" is no pool for Dagster'),
        ('pool: "p{{ s }}"', "dagster-name", "is no pool for Dagster"),
        ("pool: ab, tags: {dagster/concurrency_key: cd}", "dagster-name", "the tag `dagster/concurrency_key: cd`"),
        ("tags: {dagster/priority: high}", "dagster-name", 'as a whole number, found "high"'),
    ],
)
def test_pools_and_priorities_are_what_dagster_takes(only: Only, keys: str, code: str, message: str) -> None:
    found = only(f"steps: [{{id: s, prompt: x, {keys}}}]")
    assert found.code == code
    assert message in found.message
    assert found.hint


def test_a_pool_has_no_use_inside_a_loop(only: Only, compiled: Compile) -> None:
    found = only("steps: [{id: l, for_each: [1], steps: [{id: s, prompt: x, pool: ab}]}]")
    assert (found.code, found.step) == ("unused-key", "s")
    compiled("steps: [{id: l, for_each: [1], pool: ab, steps: [{id: s, prompt: x}]}]")
    compiled("steps: [{id: s, prompt: x, pool: ab, tags: {dagster/concurrency_key: ab, dagster/priority: '-3'}}]")
