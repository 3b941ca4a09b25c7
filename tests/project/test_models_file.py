"""``models.yaml``: what is read from it, and what is said of what is wrong in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import orchestrator_dagster as orc
from orchestrator_dagster.errors import UnknownModelError
from orchestrator_dagster.models.client import ModelReference
from orchestrator_dagster.models.references import parse_reference
from orchestrator_dagster.models.user_models import UserModel
from orchestrator_dagster.project.loading import known
from orchestrator_dagster.project.models_file import own_models
from orchestrator_dagster.project.models_schema import read_models_file

Write = Callable[[str, str], Path]

RIGHT = """\
models:
  qwen:
    provider: hosted_vllm
    model: Qwen/Qwen3-32B
    base_url: http://127.0.0.1:8000/v1
    api_key: env:VLLM_KEY
    input_price: 0.1
    output_price: 0.4
    context: 32768
    max_output: 8192
    capabilities: [function_calling, json_schema]
    quality: 1347
    size: 32b
    expertise: [coding]
  bare: {model: llama}
"""


def test_a_file_is_read(write: Write, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models, problems = read_models_file(write("models.yaml", RIGHT), "models.yaml")
    assert not list(problems)
    qwen = models["qwen"]
    assert (qwen.litellm_model, qwen.base_url, qwen.defined_at) == (
        "hosted_vllm/Qwen/Qwen3-32B",
        "http://127.0.0.1:8000/v1",
        "models.yaml:2:3",
    )
    assert qwen.input_price == pytest.approx(0.1e-6)
    assert qwen.output_price == pytest.approx(0.4e-6)
    assert qwen.capabilities == frozenset({"tools", "json_schema"})
    assert (qwen.expertise, qwen.size) == (frozenset({"code"}), 32.0)
    assert qwen.reference == ModelReference("own", "qwen")
    assert models["bare"] == UserModel("bare", "openai", "llama", defined_at="models.yaml:15:3")
    assert qwen.api_key() is None
    monkeypatch.setenv("VLLM_KEY", "abc")
    assert qwen.api_key() == "abc"
    assert "abc" not in repr(qwen)


WRONG = """\
models:
  bad one: {model: x}
  a:
    modl: x
    api_key: plain-text-key-0123
    base_url: http://user:hunter2@host/v1
    capabilities: [tols]
    context: many
    input_price: 1
  b: {model: y, output_price: 2}
  c: {model: z, size: large, apikey: other-text-key-0123, expertise: [cod]}
  d: [1]
other: 1
"""


def test_all_problems_are_said_at_their_places_and_no_key_is_shown(write: Write, project: Path) -> None:
    models, problems = read_models_file(write("models.yaml", WRONG), "models.yaml")
    assert models == {}
    found = [(one.location.removeprefix("models.yaml:"), one.code, one.suggestion) for one in problems]
    assert found == [
        ("3:3", "missing-key", None),
        ("4:5", "unknown-key", "model"),
        ("5:14", "wrong-value", None),
        ("6:15", "wrong-value", None),
        ("7:20", "wrong-value", "tools"),
        ("8:14", "wrong-type", None),
        ("10:17", "missing-key", None),
        ("11:23", "wrong-value", None),
        ("11:30", "unknown-key", "api_key"),
        ("11:71", "wrong-value", "code"),
        ("12:6", "wrong-type", None),
        ("13:1", "unknown-key", None),
    ]
    said = "\n".join(one.render() for one in problems)
    assert not [secret for secret in ("plain-text", "hunter2", "other-text") if secret in said]
    assert "write `api_key: env:MY_SERVER_KEY`" in said


@pytest.mark.parametrize("name", ["opnai", "own", "builtin"])
def test_a_provider_that_litellm_does_not_know_is_refused(write: Write, project: Path, name: str) -> None:
    file = write("models.yaml", f"models: {{m: {{provider: {name}, model: x}}}}")
    (one,) = read_models_file(file, "models.yaml")[1]
    assert (one.code, one.location) == ("unknown-model", "models.yaml:1:24")
    assert name != "opnai" or one.suggestion == "openai"


@pytest.mark.parametrize("name", ["openai", "hosted_vllm", "litellm_proxy", "openai_like", "lm_studio", "llamafile"])
def test_a_provider_without_prices_is_known(write: Write, project: Path, name: str) -> None:
    models, problems = read_models_file(write("models.yaml", f"models: {{m: {{provider: {name}, model: x}}}}"))
    assert not list(problems)
    assert models["m"].provider == name


def test_a_name_with_blanks_is_refused(write: Write, project: Path) -> None:
    _, problems = read_models_file(write("models.yaml", "models:\n  bad one: {model: x}\n"), "models.yaml")
    (one,) = problems
    assert (one.code, one.location) == ("wrong-id", "models.yaml:2:3")
    assert "own:bad-one" in str(one.hint)


def test_the_project_comes_before_home(write: Write, project: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "models.yaml").write_text("models: {one: {model: home}, two: {model: home}}")
    write("models.yaml", "models: {one: {model: here}}")
    found = own_models(project, home)
    assert {name: model.model for name, model in found.items()} == {"one": "here", "two": "home"}
    (home / "models.yaml").write_text("models: {one: {modle: home}}")
    with pytest.raises(orc.PipelineError, match=r"home/models\.yaml:1:1[0-9]: error"):
        own_models(project, home)


def test_references(write: Write, project: Path) -> None:
    own = {"qwen": UserModel("qwen", "openai", "x")}
    assert parse_reference("own:qwen", own) == parse_reference("own/qwen", own) == ModelReference("own", "qwen")
    with pytest.raises(UnknownModelError, match='no model "qwem"; did you mean "qwen"'):
        parse_reference("own:qwem", own)
    with pytest.raises(UnknownModelError) as caught:
        parse_reference("qwen", own)
    assert caught.value.hint == "write own:qwen for the model of models.yaml"


def test_a_pipeline_file_names_them(write: Write, project: Path) -> None:
    write("models.yaml", RIGHT)
    known.cache_clear()
    file = write("p.yaml", 'steps: [{id: a, prompt: Say hello, model: "own:qwen"}]')
    assert orc.compile(file).compiled.steps[0].models == ("own:qwen",)
    wrong = write("p.yaml", 'steps: [{id: a, prompt: Say hello, model: "own:qwem"}]')
    with pytest.raises(orc.PipelineError, match=r'p.yaml:1:43: error\[unknown-model\].*did you mean "qwen"'):
        orc.compile(wrong)
