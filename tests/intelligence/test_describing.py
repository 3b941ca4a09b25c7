"""Descriptions by the orchestrator model, over HTTP: good, repaired, refused, and what is kept."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance

import orchestrator_dagster as orc
from orchestrator_dagster.errors import AlignmentError
from orchestrator_dagster.testing import Answer, faults


@pytest.fixture
def pipeline(project: Path, letters: str) -> orc.Pipeline:
    return compiled_as(project, letters)


def compiled_as(project: Path, text: str) -> orc.Pipeline:
    path = project / "pipelines" / "letters.yaml"
    path.write_text(text, encoding="utf-8")
    return orc.compile(path, root=project)


def changed(answer: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(answer), **changes}


def test_a_good_description_is_made_kept_and_shown(
    pipeline: orc.Pipeline, orchestrator: Any, instance: DagsterInstance, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pipeline.intention.startswith("*Structural description")
    assert not (project / ".orchestrator").exists()  # looking makes nothing
    found = pipeline.describe(resources=orchestrator.resources, instance=instance)
    assert orchestrator.asked() == ["intention", "architecture", "alignment"]
    assert found.complete
    assert found.source == "model"
    assert found.intention.text.startswith("Letters to a town library are answered where they ask something. The")
    assert found.alignment.state == "aligned"
    assert found.usage.calls == 3
    assert found.usage.cost is not None
    assert found.usage.cost > 0
    for line in (
        "1. **`pick`**: Goes through `letters` one by one.",
        "    - Loop: The body runs once for each letter.",
        "    1. **`question`**: Puts an answer together for a letter.",
        "        - Condition: A letter without a question mark is left out.",
        "2. **`gather`**: Counts the answers and writes `summary.md`.",
        "    - Waits for `pick`.",
        "- `gather` → `excuse` (on failure)",
        "- Product `letters/summary`: `summary.md` (md), by `gather`",
    ):
        assert line in found.architecture.text.splitlines()
    # The questions hold the compiled pipeline as data, with what is only in its steps.
    first, second, third = orchestrator.server.calls
    assert '<data name="pipeline">' in first.text
    assert "An answer to: {{ letter }}" in first.text
    assert "Letters to a town library are answered" in second.text
    assert "Answers the letters of a town library and files them" in third.text
    # It is kept: nobody is asked again, and the properties have it.
    assert pipeline.describe(resources=orchestrator.resources, instance=instance) == found
    assert len(orchestrator.asked()) == 3
    monkeypatch.setenv("DAGSTER_HOME", instance.root_directory)
    assert pipeline.intention == found.intention.text
    assert pipeline.architecture == found.architecture.text
    assert pipeline.describe(resources=orchestrator.resources, instance=instance, refresh=True).usage.calls == 3
    # Another text of the file, or another model, is another description.
    for one, other in (("counts", "adds up"), ("gpt-4o-mini", "gpt-4o")):
        text = (
            (project / "pipelines/letters.yaml").read_text().replace(one, other).replace("are answered.", "are done.")
        )
        assert compiled_as(project, text).intention.startswith("*Structural description")


WRONG: list[tuple[str, dict[str, Any], str]] = [
    (
        "invents a step",
        {"text": "The answers are sent by `publish_answers`.", "steps": ["gather"]},
        "`publish_answers` stands nowhere in the pipeline",
    ),
    ("names a step that is not there", {"text": "They are sent.", "steps": ["gather", "publish"]}, 'no step "publish"'),
    ("talks", {"text": "Sure, I can tell you what it does!", "steps": ["gather"]}, "speaks to the reader"),
    ("leaves a step out", {"text": "They are counted.", "steps": []}, "gather is not mentioned; every step must be"),
]


@pytest.mark.parametrize(("sentence", "said"), [one[1:] for one in WRONG], ids=[one[0] for one in WRONG])
def test_a_wrong_intention_is_sent_back_with_the_reason(
    pipeline: orc.Pipeline, orchestrator: Any, instance: DagsterInstance, good: Any, sentence: Any, said: str
) -> None:
    wrong = copy.deepcopy(good.INTENTION)
    wrong["sentences"][1] = sentence
    orchestrator.answers("intention", wrong, good.INTENTION)
    found = pipeline.describe(resources=orchestrator.resources, instance=instance)
    assert found.complete
    assert orchestrator.asked() == ["intention", "intention", "architecture", "alignment"]
    assert said in orchestrator.server.calls[1].prompt


def test_too_many_sentences_and_too_few_are_counted_not_believed(
    pipeline: orc.Pipeline, orchestrator: Any, instance: DagsterInstance, good: Any
) -> None:
    all_steps = ["pick", "gather", "excuse"]
    long = {"sentences": [{"text": "It answers. " * 9, "steps": all_steps}]}
    short = {"sentences": [{"text": "It answers letters.", "steps": all_steps}]}
    orchestrator.answers("intention", long, short, good.INTENTION)
    assert pipeline.describe(resources=orchestrator.resources, instance=instance).complete
    assert "there are 9 sentences; 3 to 7 are wanted" in orchestrator.server.calls[1].prompt
    assert "there are 1 sentences; 3 to 7 are wanted" in orchestrator.server.calls[2].prompt


def test_an_architecture_that_stays_wrong_is_structural_and_says_why(
    pipeline: orc.Pipeline, orchestrator: Any, instance: DagsterInstance, good: Any
) -> None:
    wrong = changed(
        good.ARCHITECTURE,
        steps=good.ARCHITECTURE["steps"][:3],
        control_flow=[*good.ARCHITECTURE["control_flow"][1:], {"step": "gather", "kind": "retry", "means": "Again."}],
    )
    orchestrator.answers("architecture", wrong)
    found = pipeline.describe(resources=orchestrator.resources, instance=instance)
    assert found.source == "both"
    assert found.intention.text.startswith("Letters to a town library")
    assert found.alignment.state == "aligned"  # judged with what there is
    shown = found.architecture.labelled
    assert shown.startswith("*Structural description: made from the compiled pipeline alone")
    assert "openai:gpt-4o-mini did not answer in the structure asked for, after 2 repairs" in shown
    for reason in (
        "`steps`: excuse is not mentioned; every step must be",
        "`control_flow`: gather has no retry; it has failure and route",
        "`control_flow`: the loop of pick is not mentioned",
    ):
        assert reason in shown
    # What is not whole is not kept: it is asked for again.
    orchestrator.answers("architecture", good.ARCHITECTURE)
    assert pipeline.describe(resources=orchestrator.resources, instance=instance).complete


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Answer(finish_reason="content_filter", text="no"), "the content filter of openai:gpt-4o-mini stopped"),
        (faults.expired_key(), "key"),
        (faults.hang(), "did not answer within"),
        (Answer("I cannot describe this."), "the answer is no JSON"),
        (Answer('{"sentences": ['), "the answer is no JSON"),
    ],
    ids=["refused", "key", "slow", "talk", "cut"],
)
def test_a_model_that_does_not_answer_leaves_the_structural_description(
    pipeline: orc.Pipeline, orchestrator: Any, instance: DagsterInstance, reply: Any, said: str
) -> None:
    for question in ("intention", "architecture", "alignment"):
        orchestrator.answers(question, reply)
    found = pipeline.describe(resources=orchestrator.resources, instance=instance, timeout=2)
    assert found.source == "structure"
    assert not found.complete
    assert said in (found.intention.reason or "")
    assert found.alignment.state == "not checked"
    assert said in (found.alignment.reason or "")
    if "JSON" not in said:  # nobody is asked twice who is not there
        assert set(orchestrator.asked()) == {"intention"}


def test_without_a_model_that_can_nobody_is_asked(
    project: Path, letters: str, orchestrator: Any, instance: DagsterInstance
) -> None:
    for line, said in (
        ("", "names no `orchestrator`"),
        ("orchestrator: builtin:extractive\n", "only takes sentences from given text; next: name a language model"),
        ("orchestrator: anthropic:claude-sonnet-4-5\n", "is not set; next: set ANTHROPIC_API_KEY"),
    ):
        text = letters.replace("orchestrator: openai:gpt-4o-mini\n", line)
        found = compiled_as(project, text).describe(resources=orchestrator.resources, instance=instance)
        assert found.source == "structure"
        assert said in (found.intention.reason or "")
    assert orchestrator.asked() == []


def test_a_fault_that_passes_is_waited_for(
    pipeline: orc.Pipeline, orchestrator: Any, instance: DagsterInstance, good: Any
) -> None:
    orchestrator.answers("intention", faults.server_error(), faults.server_error(), good.INTENTION)
    orchestrator.answers("alignment", faults.rate_limited(retry_after=0), good.ALIGNED)
    assert not pipeline.describe(resources=orchestrator.resources, instance=instance).complete  # twice is too often
    orchestrator.answers("intention", faults.server_error(), good.INTENTION)
    assert pipeline.describe(resources=orchestrator.resources, instance=instance).complete


def test_a_mismatch_is_an_error_that_names_the_step_and_can_be_accepted(
    project: Path,
    letters: str,
    orchestrator: Any,
    instance: DagsterInstance,
    good: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", instance.root_directory)
    monkeypatch.setenv("OPENAI_BASE_URL", orchestrator.server.url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-123456789")
    orchestrator.answers("alignment", good.MISALIGNED)
    path = project / "pipelines" / "letters.yaml"
    path.write_text(letters, encoding="utf-8")
    orc.compile(path, root=project)  # asks nobody, and says nothing
    assert orchestrator.asked() == []
    with pytest.raises(AlignmentError) as caught:
        orc.compile(path, root=project, describe=True)
    line = letters.splitlines().index("  - id: gather") + 1
    (finding,) = caught.value.findings
    assert finding.location == f"pipelines/letters.yaml:{line}:5"
    assert str(caught.value).splitlines() == [
        'the pipeline "letters" does not do what it is meant to do: 1 mismatch',
        f'  pipelines/letters.yaml:{line}:5: step "gather": It counts the answers and files none of them.',
        "    next: Put the answers into it.",
        "  next: change the step or the description; or accept it with `alignment: {ignore: <the reason>}`",
    ]
    with pytest.raises(AlignmentError):  # kept: the judgement as well
        orc.compile(path, root=project, describe=True)
    assert len(orchestrator.asked()) == 3
    path.write_text(f"alignment: {{ignore: The list is made by hand.}}\n{letters}", encoding="utf-8")
    accepted = orc.compile(path, root=project, describe=True).description
    assert accepted.alignment.state == "misaligned"
    assert accepted.alignment.ignored == "The list is made by hand."
    assert "The list is made by hand." in json.dumps(accepted.to_json())


def test_a_judgement_that_contradicts_itself_or_names_no_step_is_sent_back(
    pipeline: orc.Pipeline, orchestrator: Any, instance: DagsterInstance, good: Any
) -> None:
    elsewhere = copy.deepcopy(good.MISALIGNED)
    elsewhere["findings"][0]["step"] = "gathers"
    silent = {"aligned": False, "findings": []}
    orchestrator.answers("alignment", elsewhere, silent, good.MISALIGNED)
    found = pipeline.describe(resources=orchestrator.resources, instance=instance)
    assert [one.step for one in found.alignment.findings] == ["gather"]
    second, third = (call.prompt for call in orchestrator.server.calls[-2:])
    assert 'there is no step "gathers"; did you mean "gather"?' in second
    assert "there is no finding that says why" in third


def test_the_budget_bounds_a_description(
    project: Path, letters: str, orchestrator: Any, instance: DagsterInstance
) -> None:
    pipeline = compiled_as(project, f"budget: {{calls: 2}}\n{letters}")
    found = pipeline.describe(resources=orchestrator.resources, instance=instance)
    assert orchestrator.asked() == ["intention", "architecture"]
    assert found.alignment.state == "not checked"
    assert "the budget of the description does not allow another call: 2 of 2 calls" in (found.alignment.reason or "")


def test_no_secret_is_kept_or_sent(
    pipeline: orc.Pipeline, orchestrator: Any, instance: DagsterInstance, good: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIBRARY_PASSWORD", "Sundays-open")
    leaking = copy.deepcopy(good.INTENTION)
    leaking["sentences"][0]["text"] = "Letters with Sundays-open are answered."
    orchestrator.answers("intention", leaking)
    found = pipeline.describe(resources=orchestrator.resources, instance=instance)
    assert found.complete
    kept = next(Path(instance.storage_directory()).glob("descriptions/*.json")).read_text()
    assert "Letters with *** are answered." in kept
    assert "Sundays-open" not in kept
