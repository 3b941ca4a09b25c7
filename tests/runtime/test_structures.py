"""Variables that models answer with: how they are asked for, what is taken, what is sent back, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.errors import (
    ModelAnswerError,
    ModelAnswerTruncatedError,
    ModelRefusalError,
    ModelRequestError,
)
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.language.json_schema import object_schema
from orchestrator_dagster.language.types import VariableSpec
from orchestrator_dagster.language.values import values_model
from orchestrator_dagster.models.clients import ModelClients
from orchestrator_dagster.models.litellm_client import Endpoint
from orchestrator_dagster.models.strict_schema import strict_schema, without_absent
from orchestrator_dagster.runtime.inputs import complete_inputs
from orchestrator_dagster.runtime.names import RunInfo
from orchestrator_dagster.runtime.outcome import Outcome
from orchestrator_dagster.runtime.scope import Scope
from orchestrator_dagster.runtime.services import Services
from orchestrator_dagster.runtime.step import run_step
from orchestrator_dagster.testing import Answer, ModelServer, Tokens, ToolUse, faults, schema_instance
from orchestrator_dagster.tools.registry import ToolRegistry

RUN = RunInfo("run-1", datetime(2026, 1, 31, tzinfo=timezone.utc))
Compile = Callable[[str], CompiledPipeline]
Ask = Callable[..., Outcome]

#: A model of each way, as litellm's price map has them; the last one is in no list.
NATIVE, CALLS, PLAIN = "openai:gpt-4o-mini", "openai:gpt-4", "openai:our-own-model"
#: A server of one's own that holds any model to a schema.
SERVER = "hosted_vllm:our-own-model"

VARS = """
      - mood: {type: string, enum: [glad, sad]}
      - day: {type: string, format: date}
      - mail: {type: string, format: email}
      - link: {type: string, format: uri}
      - table: {type: string, format: csv, description: The rows.}
      - raw: {type: string, format: json}
      - who: {type: object, properties: {name: string, tags: {type: array, items: string}}}
      - shape: {example: {x: 1, label: a}}
      - inline: {schema: {type: object, properties: {n: {type: integer, multipleOf: 5}, note: {type: string}}, required: [n]}}
      - filed: {schema: schemas/size.json}
      - note: What you noticed
"""
GOOD: dict[str, Any] = {
    "mood": "glad", "day": "2026-01-31", "mail": "a@example.com", "link": "https://example.com", "table": "a,b\n1,2",
    "raw": '{"a": [1]}', "who": {"name": "Ana", "tags": ["x"]}, "shape": {"x": 2, "label": "b"},
    "inline": {"n": 10, "note": None}, "filed": "small", "note": "Nothing {{ special }}",
}  # fmt: skip
MEANT = {**GOOD, "inline": {"n": 10}}


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def ask(compiled: Compile, project: Path, model_server: ModelServer, said: list[str]) -> Ask:
    """Runs a step with these variables against the server."""
    (project / "schemas").mkdir()
    (project / "schemas" / "size.json").write_text('{"type": "string", "enum": ["small", "large"]}', encoding="utf-8")
    here = Endpoint(model_server.url, "sk-any")
    clients = ModelClients({"openai": here, "hosted_vllm": here})
    services = Services(Workspace(project), ToolRegistry(), clients, log=said.append)

    def run(variables: str = VARS, model: str = NATIVE, more: str = "") -> Outcome:
        text = f"id: p\nsteps:\n  - id: a\n    model: {model}\n    prompt: Judge.\n{more}    vars:{variables}"
        pipeline = compiled(text)
        (step,) = pipeline.steps
        return run_step(step, Scope.of(pipeline, complete_inputs(pipeline, {}, RUN), RUN, services))

    return run


@pytest.mark.parametrize(("model", "way"), [(NATIVE, "schema"), (SERVER, "schema"), (CALLS, "tool"), (PLAIN, "prompt")])
def test_the_way_follows_what_the_model_can(ask: Ask, model_server: ModelServer, model: str, way: str) -> None:
    answer = Answer(tool_calls=[ToolUse("final_answer", GOOD)]) if way == "tool" else json.dumps(GOOD)
    wrong = {**GOOD, "day": "tomorrow", "inline": {"n": 3}, "filed": "huge", "raw": "{", "shape": {"x": "a"}}
    first = Answer(tool_calls=[ToolUse("final_answer", wrong)]) if way == "tool" else json.dumps(wrong)
    model_server.then(first, answer)
    outcome = ask(model=model)
    assert outcome.variables == MEANT
    assert outcome.model is not None
    assert outcome.model.structure == way
    sent, again = (call.body for call in model_server.calls)
    assert ("response_format" in sent, "tools" in sent) == (way == "schema", way == "tool")
    if way == "schema":
        asked = sent["response_format"]["json_schema"]
    elif way == "tool":
        asked = {"strict": sent["tools"][0]["function"]["strict"], "schema": sent["tools"][0]["function"]["parameters"]}
        assert sent["tool_choice"] == {"type": "function", "function": {"name": "final_answer"}}
        assert again["messages"][-1]["role"] == "tool"
    if way != "prompt":
        assert asked["strict"] is True
        fields = asked["schema"]["properties"]
        assert fields["inline"]["properties"]["note"]["type"] == ["string", "null"]
        assert fields["table"]["description"] == "The rows (CSV text with a header line)"
        assert fields["day"]["format"] == "date"
        assert fields["link"] == {"type": "string", "description": "(format: uri)"}
        assert fields["filed"]["enum"] == ["small", "large"]
    else:
        assert '"required": ["n"]' in sent["messages"][-1]["content"]
    told = again["messages"][-1]["content"]
    assert all(part in told for part in ("day: ", "inline: ", "filed: ", "raw: ", "shape: "))
    assert "mood" not in told


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{json.dumps(GOOD, indent=2)}\n```",
        f"Of course! Here is the object:\n{json.dumps(GOOD)}\nLet me know.",
        json.dumps(GOOD)[:-1] + ",}",
    ],
)
@pytest.mark.parametrize("model", [NATIVE, CALLS, PLAIN])
def test_a_provider_that_ignores_the_form(ask: Ask, model_server: ModelServer, text: str, model: str) -> None:
    model_server.then(text)
    assert ask(model=model).variables == MEANT
    assert len(model_server.calls) == 1


@pytest.mark.parametrize(
    ("message", "ways"),
    [
        ("Invalid schema for response_format 'answer': 'multipleOf' is not permitted.", ["schema", "tool"]),
        ("This model does not support structured outputs", ["schema", "tool"]),
    ],
)
def test_a_refused_schema_takes_the_next_way(
    ask: Ask, model_server: ModelServer, said: list[str], message: str, ways: list[str]
) -> None:
    model_server.then(
        faults.bad_parameter(message),
        faults.bad_parameter("tools are not supported"),
        Answer(json.dumps(GOOD), usage=Tokens(7, 3)),
    )
    outcome = ask()
    assert outcome.variables == MEANT
    assert outcome.model is not None
    assert outcome.model.structure == "prompt"
    assert ["response_format" in call.body for call in model_server.calls] == [True, False, False]
    assert ["tools" in call.body for call in model_server.calls] == [False, True, False]
    assert (outcome.usage.calls, outcome.usage.tokens) == (3, 10)
    assert [message in line for line in said if "the structure is asked for" in line] == [True, False]
    model_server.then(json.dumps(GOOD))
    assert ask().variables == MEANT  # what was refused is not asked for again
    assert len(model_server.calls) == 4


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.bad_parameter("temperature is out of range"), ModelRequestError),
        (faults.context_too_long(), ModelRequestError),
        (faults.content_policy(), ModelRefusalError),
        (Answer('{"mood": "gl', finish_reason="length"), ModelAnswerTruncatedError),
        (Answer("", finish_reason="content_filter"), ModelRefusalError),
        (Answer(text="", refusal="I cannot help with that."), ModelRefusalError),
    ],
)
def test_another_error_is_no_reason_for_another_way(
    ask: Ask, model_server: ModelServer, fault: Any, error: type[Exception]
) -> None:
    model_server.then(fault, json.dumps(GOOD))
    with pytest.raises(error):
        ask()
    assert len(model_server.calls) == 1


@pytest.mark.parametrize("repair", [0, 1, 3])
def test_repairs_are_bounded_and_all_calls_count(ask: Ask, model_server: ModelServer, repair: int) -> None:
    for number in range(9):
        model_server.then(Answer(json.dumps({**GOOD, "mood": f"mood {number}"}), usage=Tokens(10, 5, cached=2)))
    with pytest.raises(ModelAnswerError, match=rf"after {repair} repairs: mood: ") as caught:
        ask(more=f"    repair: {repair}\n")
    usage = caught.value.usage
    assert usage is not None
    assert len(model_server.calls) == usage.calls == repair + 1
    assert (usage.input_tokens, usage.output_tokens, usage.cached_tokens) == tuple(n * (repair + 1) for n in (10, 5, 2))
    # gpt-4o-mini: 0.15, 0.075 (cached) and 0.60 US dollars a million tokens, litellm's price map
    assert usage.cost == pytest.approx((repair + 1) * (8 * 0.15e-6 + 2 * 0.075e-6 + 5 * 0.60e-6))


def test_five_hundred_objects(ask: Ask, model_server: ModelServer) -> None:
    rows = [{"id": n, "name": f"row {n}", "day": "2026-01-31", "kind": "a" if n % 2 else "b"} for n in range(500)]
    variables = """
      - rows:
          type: array
          items: {id: integer, name: string, day: {type: string, format: date}, kind: {enum: [a, b]}}
"""
    wrong = [{**row, "kind": "c"} if row["id"] == 321 else row for row in rows]
    model_server.then(json.dumps({"rows": wrong}), json.dumps({"rows": rows}))
    assert ask(variables).value == rows
    assert "rows[321].kind: " in model_server.calls[1].prompt
    assert model_server.calls[1].prompt.count("rows[") == 1


def test_a_map_of_any_names_is_not_held_strictly(ask: Ask, model_server: ModelServer) -> None:
    value = {"counts": {"red": 2, "blue": None}, "anything": [1, "a", None]}
    model_server.then(json.dumps(value))
    outcome = ask("\n      - counts: object\n      - anything: array\n")
    assert outcome.variables == value
    assert model_server.calls[0].body["response_format"]["json_schema"]["strict"] is False


def test_values_are_not_guessed(ask: Ask, model_server: ModelServer) -> None:
    variables = "\n      - n: integer\n      - flag: {type: boolean}\n"
    model_server.then('{"n": 1.5, "flag": false}', '{"n": 1, "n": 2, "flag": false}', '{"n": 2, "flag": false}')
    assert ask(variables).variables == {"n": 2, "flag": False}
    assert "n: " in model_server.calls[1].prompt
    assert '"n" stands twice' in model_server.calls[2].prompt


NAMES = st.sampled_from(["a", "title", "type", "items", "x1"])
SCALARS = st.sampled_from(
    [
        "string", "integer", "number", "boolean", {"type": "integer", "minimum": 3, "maximum": 5}, {"enum": ["a", 2]},
        {"type": "number", "range": [0, 1]}, {"type": "string", "format": "date"}, {"type": "string", "format": "email"},
        {"type": "string", "pattern": "^[a-c]{2}$"}, {"example": {"k": 1, "l": ["x"]}}, {"type": "string", "description": "A text"},
        {"schema": {"type": "object", "properties": {"n": {"type": "integer"}, "m": {"type": "string"}}, "required": ["n"]}},
    ]
)  # fmt: skip
TYPES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        inner.map(lambda one: {"type": "array", "items": one}),
        st.dictionaries(NAMES, inner, min_size=1, max_size=3).map(lambda one: {"type": "object", "properties": one}),
    ),
    max_leaves=6,
)


@given(st.dictionaries(NAMES, TYPES, min_size=1, max_size=4))
def test_what_fits_the_schema_that_is_sent_fits_the_variables(types: dict[str, Any]) -> None:
    specs = {name: VariableSpec.model_validate(one) for name, one in types.items()}
    schema = object_schema(specs)
    strict = strict_schema(schema)
    assert strict is not None
    answer = schema_instance(strict)
    Draft202012Validator(strict).validate(answer)
    value = without_absent(json.loads(json.dumps(answer)), schema)
    model = values_model("answer", specs)
    assert model.model_validate(value).model_dump(mode="python") == value
    assert without_absent(value, schema) == value
