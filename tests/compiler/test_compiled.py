"""The compiled pipeline: immutable, the same after a trip through JSON, with fingerprints that say what changed."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_dagster.compiler.compile import compile_pipeline
from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.frozen import FrozenDict, freeze, thaw
from orchestrator_dagster.language.read import read_pipeline_text
from orchestrator_dagster.project.loading import compile_or_raise, known

REPOSITORY = Path(__file__).resolve().parents[2]
Compile = Callable[[str], CompiledPipeline]

TYPES = st.sampled_from(
    [
        "text", "number", None, {"type": "integer", "range": [0, 9]}, {"type": "array", "items": {"t": "string", "type": "string"}},
        {"schema": {"type": "array", "items": {"type": "string"}}}, {"example": [{"a": 1}]}, {"enum": ["a", 1, True]},
        {"type": "array", "items": {"schema": {"type": "object"}}}, {"properties": {"schema": "string", "items": "integer"}},
        {"type": "string", "format": "date", "description": "when"}, {"type": "string", "pattern": "^a"},
    ]
)  # fmt: skip
INPUTS = st.one_of(
    st.sampled_from(["None", "a", 1, 1.5, True, [1, {"a": None}], {"a": [1]}, {"type": "path"}, {"required": False}]),
    st.fixed_dictionaries(
        {"type": st.just("integer"), "default": st.integers(), "description": st.text("ab", max_size=3)}
    ),
)
RETRIES = st.sampled_from([1, {"max": 2, "delay": "2s", "backoff": "linear"}, {"max": 0, "jitter": "full"}])


@st.composite
def pipelines(draw: Any) -> dict[str, Any]:
    steps: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 5))):
        step: dict[str, Any] = {"id": draw(st.sampled_from(["s{}", "s-{}"])).format(number)}
        before = [one["id"] for one in steps]
        refers = (
            "".join(f" {{{{ {one} }}}}" for one in draw(st.lists(st.sampled_from(before), max_size=2)))
            if before
            else ""
        )
        if draw(st.booleans()):
            step |= {"prompt": f"ask{refers}", "parameters": {"deep": [{"er": refers}, 1, None, 1.5]}}
            step["vars"] = draw(st.dictionaries(st.sampled_from([f"v{number}", f"w{number}"]), TYPES, max_size=2))
            if draw(st.booleans()):
                step |= {"temperature": 0.5, "timeout": draw(st.sampled_from([30, "2m"]))}
        else:
            step |= {"tool": "filesystem", "action": "list", "parameters": {"path": f"data{refers}"}}
        if draw(st.booleans()):
            names = list(step.get("vars") or {}) or [f"p{number}"]
            step["products"] = [{names[0]: {"path": f"{number}.json", "tags": {"a": "b"}, "description": "d"}}]
        if draw(st.booleans()):
            step |= {
                "retries": draw(RETRIES),
                "tags": {"a": "b"},
                "name": "N",
            }
        if before and draw(st.booleans()):
            step["depends_on"] = before[0]
        steps.append(step)
    return {
        "id": "p",
        "default_model": "builtin:extractive",
        "version": draw(st.sampled_from([1.10, "2"])),
        "inputs": draw(st.dictionaries(st.sampled_from(["a", "b"]), INPUTS)),
        "experts": {"e": {"model": ["openai:gpt-5"], "temperature": 0.1}},
        "steps": steps,
        "outputs": {"r": [f"{{{{ {steps[0]['id']} }}}}", {"k": 1}]},
    }


@given(pipelines())
@settings(max_examples=120, deadline=None)
def test_json_and_back_is_the_same_pipeline(data: dict[str, Any]) -> None:
    done = compile_pipeline(read_pipeline_text(yaml.safe_dump(data, sort_keys=False)), known(REPOSITORY))
    assert done.pipeline is not None, [one.render() for one in done.problems]
    text = done.pipeline.to_json()
    again = CompiledPipeline.from_json(text)
    assert again == done.pipeline
    assert again.to_json() == text
    assert [spec.is_required for spec in again.inputs.values()] == [
        spec.is_required for spec in done.pipeline.inputs.values()
    ]
    assert copy.deepcopy(again) == pickle.loads(pickle.dumps(again)) == again


def test_the_main_pipeline_survives_json() -> None:
    pipeline = compile_or_raise(REPOSITORY / "pipelines" / "research_report.yaml", REPOSITORY)
    assert CompiledPipeline.from_json(pipeline.to_json()) == pipeline


def test_nothing_in_it_can_be_changed(compiled: Compile) -> None:
    pipeline = compiled(
        "inputs: {a: [1, {b: 2}]}\nsteps: [{id: s, prompt: x, parameters: {d: {e: [1]}}, products: {v: v.md}}]\noutputs: {r: [1, {k: 2}]}"
    )
    step = pipeline.steps[0]
    changes: list[Callable[[], Any]] = [
        lambda: setattr(pipeline, "id", "q"),
        lambda: setattr(step, "op", "q"),
        lambda: step.parameters.update(z=1),
        lambda: step.parameters["d"].pop("e"),
        lambda: step.parameters["d"]["e"].append(2),
        lambda: step.settings.setdefault("z", 1),  # empty, and still not to be changed
        lambda: step.variables.clear(),
        lambda: step.spec.vars.update(z=1),
        lambda: step.products[0].tags.update(z=1),
        lambda: pipeline.outputs["r"].append(1),
        lambda: pipeline.outputs["r"][1].update(z=1),
        lambda: pipeline.inputs.pop("a"),
        lambda: pipeline.inputs["a"].default[1].update(z=1),
        lambda: pipeline.includes.__setitem__("a", "b"),
        lambda: pipeline.output_steps.popitem(),
        lambda: pipeline.tags.__ior__({"a": "b"}),
    ]
    before = pipeline.to_json()
    for change in changes:
        with pytest.raises((TypeError, ValueError, AttributeError)):
            change()
    assert pipeline.to_json() == before


def test_frozen_values() -> None:
    value = {"a": [1, {"b": (2,)}], "c": "x"}
    frozen = freeze(value)
    assert isinstance(frozen, FrozenDict)
    assert frozen == {"a": (1, {"b": (2,)}), "c": "x"}
    assert thaw(frozen) == {"a": [1, {"b": [2]}], "c": "x"}
    assert pickle.loads(pickle.dumps(frozen)) == frozen
    assert hash(freeze({"b": 1, "a": 2})) == hash(freeze({"a": 2, "b": 1}))
    with pytest.raises(TypeError, match="cannot be changed"):
        del frozen["a"]


BASE = """\
inputs: {topic: trees, unused: 1}
experts: {e: {model: openai:gpt-5, temperature: 0.5}}
steps:
  - id: a
    name: A
    prompt: about {{ topic }}
    vars: {v: {type: string, description: what}}
    products: {v: {path: v.md, description: d}}
  - {id: b, prompt: "{{ a }}", parameters: {x: 1}}
  - {id: c, tool: filesystem, action: list, description: prose, parameters: {path: data}}
  - {id: d, prompt: "{{ b }} {{ c }}", expert: e}
"""


def versions(pipeline: CompiledPipeline) -> dict[str, str]:
    return {step.id: step.code_version for step in pipeline.steps}


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        # What is only for people, or only says how often and how long it is tried.
        ("name: A", "name: Another name", ""),
        ("description: prose", "description: other prose", ""),
        ("description: d}", "description: e, owners: [team:x], tags: {q: r}}", ""),
        ("    name: A\n", "    tags: {q: r}\n    metadata: {m: 1}\n    retries: 3\n    timeout: 2m\n    pool: x\n", ""),
        ("inputs: {topic: trees, unused: 1}", "name: P\nversion: 3\ninputs: [topic: trees, unused: 1]", ""),
        ("topic: trees", "topic: {default: trees, description: what about}", ""),
        ("unused: 1", "unused: 2", ""),
        ("steps:\n", "# a comment\nsteps:\n", ""),
        ('prompt: "{{ a }}"', 'depends_on: a, prompt: "{{ a }}"', ""),
        ('prompt: "{{ a }}"', 'instruction: "{{ a }}"', ""),
        # What is done.
        ("prompt: about", "prompt: write about", "abd"),
        ("topic: trees", "topic: shade", "abd"),
        ("description: what}", "description: which}", "abd"),  # a model is told this
        ("path: v.md", "path: w.md", "abd"),
        ("parameters: {x: 1}", "parameters: {x: 2}", "bd"),
        ("path: data", "path: other", "cd"),
        ("action: list", "action: info", "cd"),
        ("expert: e", "model: openai:gpt-5", "d"),
        ("temperature: 0.5", "temperature: 0.6", "d"),
        ("expert: e", "expert: e, temperature: 0.1", "d"),
        ("expert: e", "expert: e, depends_on: a", "d"),
        ("expert: e", "expert: e, personality: Be brief.", "d"),
        ("expert: e", "expert: e, repair: 1", "d"),
        ("inputs:", "personality: Be brief.\ninputs:", "abd"),
    ],
)
def test_a_code_version_changes_when_the_meaning_does(compiled: Compile, old: str, new: str, changed: str) -> None:
    assert old in BASE
    before, after = compiled(BASE), compiled(BASE.replace(old, new))
    found = [name for name, version in versions(before).items() if versions(after)[name] != version]
    assert "".join(sorted(found)) == changed
    assert before.fingerprint != after.fingerprint


def test_what_is_included_counts(compiled: Compile, tmp_path: Path) -> None:
    text = 'steps: [{id: a, prompt: "{{ file:p.md }}"}, {id: b, prompt: x}]'
    (tmp_path / "p.md").write_text("one")
    before = compiled(text)
    (tmp_path / "p.md").write_text("two")
    after = compiled(text)
    assert before.fingerprint != after.fingerprint
    assert versions(before)["a"] != versions(after)["a"]
    assert versions(before)["b"] == versions(after)["b"]


def test_a_personality_counts_by_what_it_says(compiled: Compile, tmp_path: Path) -> None:
    (tmp_path / "personalities").mkdir()
    file = tmp_path / "personalities" / "mine.md"
    file.write_text("Be brief.")
    before = compiled("personality: mine\nsteps: [{id: a, prompt: x}]")
    file.write_text("Be long.")
    assert versions(compiled("personality: mine\nsteps: [{id: a, prompt: x}]")) != versions(before)


def test_compiling_twice_gives_the_same(compiled: Compile) -> None:
    assert compiled(BASE) == compiled(BASE)
