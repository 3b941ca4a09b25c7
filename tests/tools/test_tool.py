from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING, Annotated

import pytest
from pydantic import BaseModel, Field

from orchestrator_dagster.errors import (
    MissingExtraError,
    ParametersError,
    StepTimeoutError,
    ToolError,
    UnknownToolError,
)
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.tools.decorator import tool
from orchestrator_dagster.tools.tool import Tool, ToolContext, require

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def context(tmp_path: Path) -> ToolContext:
    return ToolContext(Workspace(tmp_path))


def test_a_plain_function_is_a_tool_with_a_checked_schema(context):
    @tool
    def word_count(text: str, least: Annotated[int, Field(ge=1)] = 1) -> dict:
        """Count long words.

        More text.
        """
        return {"words": sum(len(word) >= least for word in text.split())}

    assert (word_count.name, word_count.summary, word_count.model_may_call) == ("word_count", "Count long words.", True)
    assert word_count.find(None).call(context, {"text": "a bb ccc", "least": "2"}) == {"words": 2}
    assert word_count("a bb") == {"words": 2}
    schema = word_count.find("execute").parameters.model_json_schema()
    assert list(schema["properties"]) == ["text", "least"]
    assert schema["required"] == ["text"]
    with pytest.raises(ParametersError, match='no parameter "txt"; did you mean "text"') as problem:
        word_count.find(None).call(context, {"txt": "x", "least": 0})
    assert '"text" is missing' in problem.value.message
    assert '"least"' in problem.value.message


def test_the_context_is_given_by_name_or_annotation(context):
    @tool("file-size", summary="Size.", model_may_call=False)
    def by_annotation(where: ToolContext, path: str) -> int:
        return len(where.workspace.read_bytes(path))

    @tool()
    def by_name(context, path):
        return context.workspace.read_text(path)

    context.workspace.write("a.txt", b"hello")
    assert (by_annotation.name, by_annotation.summary, by_annotation.model_may_call) == ("file_size", "Size.", False)
    assert by_annotation.find(None).call(context, {"path": "a.txt"}) == 5
    assert by_name.find(None).call(context, {"path": "a.txt"}) == "hello"
    assert list(by_annotation.find(None).parameters.model_fields) == ["path"]


def test_further_parameters_and_async_functions(context):
    @tool
    async def collect(first: int, **others: int) -> int:
        await asyncio.sleep(0)
        return first + sum(others.values())

    assert collect.find(None).call(context, {"first": 1, "x": 2, "y": 3}) == 6


def test_a_slow_coroutine_is_stopped_and_its_own_timeout_error_is_told_apart(tmp_path):
    stopped = []

    @tool
    async def slow(own: bool) -> None:
        try:
            if own:
                raise TimeoutError("the server said so")
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append(True)
            raise

    context = ToolContext(Workspace(tmp_path), timeout=0.05)
    with pytest.raises(StepTimeoutError, match=r"0\.05 seconds"):
        slow.find(None).call(context, {"own": False})
    assert stopped == [True]
    with pytest.raises(ToolError, match="the server said so"):
        slow.find(None).call(context, {"own": True})


def test_a_function_that_takes_values_by_position_only_is_refused():
    def positional(value, /):
        return value

    with pytest.raises(ToolError, match='takes "value" by position only') as problem:
        tool(positional)
    assert problem.value.location.startswith(__file__)


def test_parameters_may_have_names_of_pydantic_methods(context):
    @tool
    def check(schema: dict, copy: bool = False, model_name: str = "x") -> list:
        return [schema, copy, model_name]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check.find(None).call(context, {"schema": {"a": 1}, "copy": True}) == [{"a": 1}, True, "x"]


def test_actions_are_found_by_name_and_alias_and_results_are_plain(context):
    class Answer(BaseModel):
        value: int

    counter = Tool("My-Counter")

    @counter.action("add-one", aliases=("plus-one",))
    def add_one(context: ToolContext, value: int) -> Answer:
        return Answer(value=value + 1)

    add_one.__annotations__["return"] = Answer  # a local class is not in reach of its name
    assert counter.name == "my_counter"
    assert counter.find("Plus_One").name == "add-one"
    assert counter.find("add_one").call(context, {"value": 1}) == {"value": 2}
    with pytest.raises(UnknownToolError, match='did you mean "add-one"'):
        counter.find("add_on")
    with pytest.raises(UnknownToolError, match="needs an `action`"):
        counter.find(None)


def test_what_a_tool_raises_is_a_tool_error_with_the_cause(context):
    @tool
    def broken() -> None:
        raise KeyError("x")

    with pytest.raises(ToolError, match=r"broken\.execute failed: KeyError: 'x'") as problem:
        broken.find(None).call(context, {})
    assert isinstance(problem.value.__cause__, KeyError)
    assert not problem.value.permanent


def test_require_names_the_extra(tmp_path, monkeypatch):
    assert require("json", "excel", "any").loads("1") == 1
    with pytest.raises(MissingExtraError, match='"data_processing" needs the package "not_there_at_all"') as problem:
        require("not_there_at_all.sub", "excel", "data-processing")
    assert problem.value.hint == "pip install 'orchestrator-dagster[excel]'"
    (tmp_path / "half_installed.py").write_text("import not_there_either\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ToolError, match=r"installed but cannot be imported.*not_there_either"):
        require("half_installed", "excel", "data")


def test_further_parameters_may_be_for_one_parameter_only(tmp_path):
    greeter = Tool("greeter")

    @greeter.action(further_for="template")
    def greet(context: ToolContext, name: str, template: str | None = None, **values: str) -> dict[str, str]:
        return values

    action, context = greeter.find("greet"), ToolContext(Workspace(tmp_path))
    assert action.call(context, {"name": "a", "template": "t", "more": "b"}) == {"more": "b"}
    with pytest.raises(ParametersError, match='no parameter "nam"; did you mean "name"') as problem:
        action.call(context, {"name": "a", "nam": "b", "template": None})
    assert "`template`" in (problem.value.hint or "")
