"""The structural description: right for every pipeline of this project, and the same every time."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.intelligence.description import structural_description
from orchestrator_dagster.intelligence.facts import Facts
from orchestrator_dagster.intelligence.prose import name_problems, sentences
from orchestrator_dagster.intelligence.structural import (
    sentence_bounds,
    structural_architecture,
    structural_intention,
)
from orchestrator_dagster.project.loading import compile_or_raise

Compile = Callable[[str], CompiledPipeline]
REPOSITORY = Path(__file__).resolve().parents[2]
NOT_PIPELINES = (
    "workspace.yaml",
    "dagster.yaml",
    "models.yaml",
    "celery.yaml",
    "mcp.yaml",
    "compose.yaml",
    "defs.yaml",
)
EVERY = [
    path.relative_to(REPOSITORY)
    for path in sorted((*REPOSITORY.glob("pipelines/*.yaml"), *REPOSITORY.glob("examples/**/*.yaml")))
    if path.name not in NOT_PIPELINES and not {"outputs", ".orchestrator"} & set(path.parts)
]


@pytest.mark.parametrize("file", EVERY, ids=lambda path: path.as_posix())
def test_every_pipeline_of_this_project_is_described_in_full(file: Path, tmp_path: Path) -> None:
    top = REPOSITORY / file.parts[0] / (file.parts[1] if file.parts[0] == "examples" else "")
    shutil.copytree(top, tmp_path / "copy", ignore=shutil.ignore_patterns("outputs", ".orchestrator"))
    pipeline = compile_or_raise(tmp_path / "copy" / (REPOSITORY / file).relative_to(top), tmp_path / "copy")
    intention, architecture = structural_intention(pipeline), structural_architecture(pipeline)
    least, most = sentence_bounds(pipeline)
    assert least <= len(sentences(intention)) <= most
    facts = Facts(pipeline)
    assert not list(name_problems(intention, facts, "intention"))
    for path, step in facts.steps.items():
        assert f"**`{step.id}`**" in architecture, path
        if "/" not in path:
            assert f"`{step.id}`" in intention
        for product in step.products:
            assert f"`{product.path}`" in architecture
    for name in pipeline.outputs:
        assert f"Output `{name}`" in architecture
    assert "`None`" not in intention + architecture
    assert structural_description(pipeline).source == "structure"


FLOW = """\
id: sorting
description: Sorts letters. Answers what can be answered.
inputs:
  - letters: {type: array, required: true, description: The letters.}
  - tone: warm
default_model: builtin:extractive
budget: {cost: 0.5, calls: 20}
schedule: {cron: "0 6 * * *", timezone: Europe/Berlin, inputs: {letters: [a]}}
steps:
  - id: each
    for_each: "{{ letters }}"
    as: letter
    max_parallel: 3
    on_item_failure: continue
    steps:
      - id: read
        action: echo
        parameters: {message: "{{ letter }}"}
      - id: answer
        condition: len(read) > 3
        prompt: Answer it.
        parameters: {letter: "{{ read }}"}
        retries: 4
  - id: polish
    until: len(text) < 10
    max_iterations: 5
    on_limit: continue
    action: echo
    parameters: {message: "{{ tone }}"}
    vars: {text: "{{ result }}"}
  - id: check
    dependencies: [polish, each]
    condition: "'x' in tone"
    on_false: plain
    on_failure: mend
    timeout: 30
    action: echo
    parameters: {message: checked}
  - id: plain
    action: echo
    parameters: {message: plain}
  - id: mend
    action: echo
    parameters: {message: "{{ error.message }}"}
outputs:
  all: "{{ each }}"
"""


def test_control_flow_is_said_where_it_stands(compiled: Compile) -> None:
    pipeline = compiled(FLOW)
    architecture = structural_architecture(pipeline)
    for line in (
        "    - Loop: once for each item of `{{ letters }}`, as `letter`, at most `3` at once.",
        "    - If an item fails, the others go on (`on_item_failure: continue`).",
        "    - Each pass:\n        1. **`read`**: Puts a text together: “{{ letter }}”\n        2. **`answer`**: Asks",
        "            - Condition: runs only if `len(read) > 3`; otherwise it is skipped.",
        "            - Retries: at most 4 after a failure.",
        "    - Loop: until `len(text) < 10`, tested after each pass.",
        "    - At most `5` passes, which then just ends the loop.",
        "    - Condition: runs only if `'x' in tone`; otherwise it goes to `plain`.",
        "    - If it fails, it goes to `mend`.",
        "    - Timeout: `30 s`.",
        "    - Runs only when `check` is skipped by its condition.",
        "    - Runs only when `check` fails.",
        "- `check` → `plain` (on false)",
        "- Budget of a run: $0.5 and 20 calls",
        "It can start by the clock (`0 6 * * *`, Europe/Berlin).",
    ):
        assert line in architecture, line
    intention = structural_intention(pipeline)
    assert intention.startswith("**sorting**: sorts letters; Answers what can be answered. It needs `letters`")
    assert "`check` and `each/answer` run only under a condition" in intention.replace(
        "`each/answer` and `check`", "`check` and `each/answer`"
    )
    assert "`mend` handles failures" in intention
    assert intention == structural_intention(pipeline)


def test_a_sub_pipeline_is_shown_inside(compiled: Compile, project: Path) -> None:
    (project / "pipelines" / "inner.yaml").write_text(
        "id: inner\ndescription: Says it\ninputs: [word: hi]\n"
        'steps: [{id: say, action: echo, parameters: {message: "{{ word }}"}}]',
        encoding="utf-8",
    )
    pipeline = compiled("id: outer\nsteps: [{id: call, pipeline: inner.yaml, inputs: {word: ho}}]")
    architecture = structural_architecture(pipeline)
    assert "**`call`**: Runs the pipeline `inner` (inner.yaml) with `word` = `ho`." in architecture
    assert "    - Inside `inner`: Says it.\n        1. **`say`**: Puts a text together" in architecture


def test_of_a_pipeline_of_many_steps_every_step_is_shown(compiled: Compile) -> None:
    steps = "".join(
        f"  - {{id: step_{number}, action: echo, parameters: {{message: '{'word ' * 300}'}}}}\n"
        for number in range(250)
    )
    pipeline = compiled(f"id: long\nsteps:\n{steps}")
    facts = Facts(pipeline)
    assert len(facts.text) <= 60_000
    assert all(f'"step_{number}"' in facts.text for number in range(250))
    least, most = sentence_bounds(pipeline)
    assert least <= len(sentences(structural_intention(pipeline))) <= most
