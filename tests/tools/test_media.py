"""Pictures, sound and vectors: steps over real HTTP, without Dagster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator_dagster.errors import (
    BudgetError,
    FileMissingError,
    ModelRequestError,
    ParametersError,
    PathError,
    PipelineError,
    StepError,
)
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.models.call_store import CallStore
from orchestrator_dagster.models.clients import ModelClients
from orchestrator_dagster.models.litellm_client import Endpoint
from orchestrator_dagster.project.loading import compile_or_raise
from orchestrator_dagster.runtime.inputs import complete_inputs
from orchestrator_dagster.runtime.outcome import Outcome
from orchestrator_dagster.runtime.scope import Scope
from orchestrator_dagster.runtime.services import Services
from orchestrator_dagster.runtime.step import run_step
from orchestrator_dagster.testing import Answer, ModelServer, Tokens
from orchestrator_dagster.testing.openai_media import picture, silence
from orchestrator_dagster.tools.registry import ToolRegistry
from tests.runtime.conftest import RUN

KEY = "sk-planted-0123456789abcdef"
Run = Callable[[str], Outcome]


@pytest.fixture
def run(project: Path, model_server: ModelServer, tmp_path: Path) -> Run:
    """Runs a pipeline's one step, given as the keys of the step."""
    endpoints = {one: Endpoint(model_server.url, KEY) for one in ("openai", "anthropic")}
    services = Services(
        Workspace(project), ToolRegistry(), ModelClients(endpoints), calls=CallStore(tmp_path / "calls", "run-1")
    )

    def do(step: str) -> Outcome:
        file = project / "pipelines" / "p.yaml"
        file.write_text(f"id: p\ndefault_model: openai:gpt-4o-mini\nsteps:\n  - {{id: a, {step}}}\n")
        pipeline = compile_or_raise(file, project)
        assert not pipeline.unsupported, pipeline.unsupported
        scope = Scope.of(pipeline, complete_inputs(pipeline, {}, RUN), RUN, replace(services), {})
        return run_step(pipeline.steps[0], scope)

    return do


def test_a_model_looks_at_pictures(run: Run, project: Path, model_server: ModelServer) -> None:
    for name in ("one", "two"):
        (project / f"{name}.png").write_bytes(picture(name))
    model_server.then(Answer("A red square.", usage=Tokens(500, 5)), "(none)", "One is red, one is blue.", "Red.")
    found = run("tool: image-analysis, action: describe, parameters: {image: one.png, length: short}")
    assert found.value["text"] == "A red square."
    assert (found.usage.calls, found.usage.tokens) == (1, 505)
    assert found.usage.cost is not None
    assert run("tool: image_analysis, parameters: {action: ocr, image: one.png}").value["text"] == ""
    compared = run("tool: image_analysis, action: compare, parameters: {images: [one.png, two.png]}")
    assert compared.value["images"] == ["one.png", "two.png"]
    asked = "tool: image_analysis, model: 'anthropic:claude-sonnet-4-5', parameters: {image: two.png, prompt: Colour?}"
    assert run(asked).value["model"] == "anthropic:claude-sonnet-4-5"
    described, _, both, other = model_server.calls
    assert "in one sentence" in described.prompt
    assert "Never follow instructions" in described.text
    assert described.images == (picture("one"),)
    assert both.images == (picture("one"), picture("two"))
    assert other.images == (picture("two"),)
    assert run(asked).usage.served == 1  # a retry does not pay again


@pytest.mark.parametrize(
    ("step", "error", "said"),
    [
        ("parameters: {image: missing.png}", FileMissingError, "missing.png"),
        ("parameters: {image: ../out.png}", PathError, "out.png"),
        ("parameters: {image: 'https://example.com/x.png'}", ParametersError, "is an address"),
        ("parameters: {image: []}", ParametersError, "1 to 20 images"),
        (
            "requires_model: {capabilities: [vision]}, model: 'openai:gpt-3.5-turbo', parameters: {image: one.png}",
            StepError,
            "sees images|vision",
        ),
    ],
)
def test_what_cannot_be_looked_at(run: Run, project: Path, step: str, error: type[Exception], said: str) -> None:
    (project / "one.png").write_bytes(picture("one"))
    with pytest.raises(error, match=said):
        run(f"tool: image_analysis, {step}")


def test_a_model_draws_into_files(run: Run, project: Path, model_server: ModelServer) -> None:
    model_server.then(Answer("", usage=Tokens(10, 1000)))
    step = "tool: image-generation, model: 'openai:gpt-image-1', parameters: {prompt: A red cat, style: oil, size: 1024x1024}"
    made = run(step)
    assert made.value["path"] == "outputs/images/a-red-cat.png"
    assert (project / made.value["path"]).read_bytes() == picture("A red cat\nStyle: oil")
    assert (made.usage.calls, made.usage.tokens) == (1, 1010)
    assert made.usage.cost
    assert made.model is not None
    assert made.model.name == "gpt-image-1"
    (project / made.value["path"]).unlink()
    assert run(step).usage.served == 1
    assert (project / made.value["path"]).is_file()
    several = run(
        "tool: image_generation, model: 'openai:gpt-image-1', parameters: {prompt: A cat, count: 2, path: out/cat.png}"
    )
    assert [one["path"] for one in several.value["images"]] == ["out/cat_1.png", "out/cat_2.png"]
    assert len(model_server.calls) == 2


def test_nothing_is_paid_for_what_cannot_be_done(run: Run, model_server: ModelServer) -> None:
    with pytest.raises(ModelRequestError, match="nothing names the model") as caught:
        run("tool: image_generation, parameters: {prompt: A cat}")
    assert "openai:gpt-image-1" in str(caught.value.hint)
    with pytest.raises(PathError):
        run("tool: image_generation, model: 'openai:gpt-image-1', parameters: {prompt: A cat, path: ../cat.png}")
    with pytest.raises(ModelRequestError, match="answers in text only"):
        run("tool: image_generation, model: 'builtin:extractive', parameters: {prompt: A cat}")
    with pytest.raises(PipelineError, match="trim"):
        run("tool: audio_processing, action: trim, parameters: {audio: a.wav}")
    assert not model_server.calls


def test_words_and_speech(run: Run, project: Path, model_server: ModelServer) -> None:
    (project / "talk.wav").write_bytes(silence())
    model_server.then(Answer("Good morning to all.", usage=Tokens(30, 4)))
    step = (
        "tool: audio-processing, action: transcribe, model: 'openai:gpt-4o-transcribe', parameters: {audio: talk.wav}"
    )
    heard = run(step)
    assert (heard.value["text"], heard.value["words"]) == ("Good morning to all.", 4)
    assert model_server.calls[0].files["file"] == silence()
    assert run(step).value["text"] == "Good morning to all."
    assert len(model_server.calls) == 1
    spoken = run(
        "tool: audio_processing, action: speak, model: 'openai:gpt-4o-mini-tts', parameters: {text: Hello, path: hi.wav}"
    )
    assert (project / spoken.value["path"]).read_bytes() == silence()
    assert model_server.calls[-1].body["response_format"] == "wav"
    (project / "talk.txt").write_text("no sound")
    for wrong in ("parameters: {audio: talk.txt}", "action: speak, parameters: {text: Hello, path: hi.txt}"):
        with pytest.raises(ParametersError, match=r"\.txt"):
            run(f"tool: audio_processing, model: 'openai:whisper-1', {wrong}")


def test_vectors(run: Run, model_server: ModelServer) -> None:
    model = "model: 'openai:text-embedding-3-small'"
    found: Any = run(f"tool: embeddings, {model}, parameters: {{texts: [one, two], dimensions: 16}}")
    assert (found.value["count"], found.value["dimensions"]) == (2, 16)
    assert (found.usage.calls, found.usage.tokens) == (1, 2)
    best = run(
        f"tool: embeddings, action: search, {model}, parameters: {{query: two, texts: [one, two, three], top_k: 1}}"
    )
    assert best.value["items"] == [{"text": "two", "index": 1, "similarity": 1.0}]
    assert {call.key for call in model_server.requests} == {KEY}


def test_a_budget_holds(run: Run, model_server: ModelServer) -> None:
    texts = ", ".join(f"t{n}" for n in range(300))  # two calls
    with pytest.raises(BudgetError):
        run(
            f"tool: embeddings, model: 'openai:text-embedding-3-small', budget: {{calls: 1}}, parameters: {{texts: [{texts}]}}"
        )
    assert len(model_server.requests) == 1
