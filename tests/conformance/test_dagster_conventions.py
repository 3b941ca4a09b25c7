"""The conventions of Dagster's own integrations: a translator, resources, a component, each where one looks for it."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster.components.scaffold.scaffold import Scaffolder, get_scaffolder, has_scaffolder

import orchestrator_dagster as orc

PACKAGE = Path(orc.__file__).parent
DEFINITIONS = sorted((PACKAGE / "definitions").glob("*.py"))
CLASSES = [orc.PipelinesComponent, orc.PipelinesTranslator]
RESOURCES = [orc.WorkspaceResource, orc.ModelsResource, orc.ToolsResource]


def test_dg_finds_the_component() -> None:
    found = {one.name: one.value for one in entry_points(group="dagster_dg_cli.registry_modules")}
    assert found.get("orchestrator_dagster") == "orchestrator_dagster", "install the package anew: pip install -e ."
    assert "PipelinesComponent" in dir(orc)


def test_the_component_is_one_of_dagsters() -> None:
    component = orc.PipelinesComponent
    assert issubclass(component, dg.Component)
    assert issubclass(component, dg.Resolvable)
    assert has_scaffolder(component)
    assert isinstance(get_scaffolder(component), Scaffolder)
    schema = component.get_model_cls()
    assert schema is not None
    properties = schema.model_json_schema()["properties"]
    assert {"path", "translation", "executor"} <= set(properties)
    undescribed = [name for name, one in properties.items() if "description" not in str(one) and name != "translation"]
    assert not undescribed
    spec = component.get_spec()
    assert spec.description is None or "pipelines" in spec.description


def test_component_and_translator_take_the_same_question() -> None:
    """So that a subclass of either reads alike, as in dagster-sling, dagster-dlt and dagster-dbt."""
    for one in CLASSES:
        signature = inspect.signature(one.get_asset_spec, eval_str=True)
        assert list(signature.parameters) == ["self", "asset"]
        assert signature.parameters["asset"].annotation is orc.PipelineAsset
        assert signature.return_annotation is dg.AssetSpec


@pytest.mark.parametrize("one", RESOURCES, ids=lambda one: str(one.__name__))
def test_resources_are_configurable_and_described(one: Any) -> None:
    assert issubclass(one, dg.ConfigurableResource)
    assert one.__name__.endswith("Resource")
    assert all(field.description for field in one.model_fields.values())


@pytest.mark.parametrize("one", [*CLASSES, *RESOURCES], ids=lambda one: str(one.__name__))
def test_public_methods_say_what_they_do(one: Any) -> None:
    own = [member for name, member in vars(one).items() if not name.startswith("_") and inspect.isfunction(member)]
    for method in own:
        assert method.__doc__, f"{one.__name__}.{method.__name__}"
        named = [name for name in inspect.signature(method).parameters if name not in ("self", "context")]
        assert not named or "Args:" in method.__doc__, f"{one.__name__}.{method.__name__}"
    examples = [text for text in (one.__doc__, *(method.__doc__ for method in own)) if text and "Example" in text]
    assert examples or one is orc.ToolsResource


@pytest.mark.parametrize("function", [orc.build_definitions, orc.load_pipelines], ids=lambda one: str(one.__name__))
def test_public_functions_have_an_example(function: Any) -> None:
    assert all(f"{name}:" in function.__doc__ for name in inspect.signature(function).parameters)
    assert "Example:" in function.__doc__
    assert "Raises:" in function.__doc__


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: str(path.name))
def test_a_file_has_one_subject(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "a file says what it is about"
    assert text.count("\n") <= 420, "the models have files of some 400 lines"


def test_public_errors_are_of_one_family() -> None:
    errors = [getattr(orc, name) for name in orc.__all__ if name.endswith("Error")]
    assert orc.TranslationError in errors
    assert all(issubclass(one, orc.OrchestratorError) and one.__doc__ for one in errors)


def test_the_component_loads_nothing_heavy() -> None:
    """Every `dg` command imports it to list what there is."""
    code = (
        "import sys, orchestrator_dagster as orc; [getattr(orc, name) for name in dir(orc)]\n"
        "orc.PipelinesComponent.get_model_cls()\n"
        "print(sorted({'litellm', 'pandas', 'numpy', 'httpx', 'openai'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
