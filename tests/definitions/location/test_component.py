"""The component in Dagster's own sandbox of a project, and under the real ``dg`` commands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster import AssetKey, DagsterInstance
from dagster.components.testing.utils import DefsFolderSandbox, create_defs_folder_sandbox
from pydantic import ValidationError

import orchestrator_dagster as orc
from orchestrator_dagster.definitions.location import component_settings
from orchestrator_dagster.definitions.location.component import PipelinesComponent
from orchestrator_dagster.definitions.resources import ModelsResource, ToolsResource, WorkspaceResource
from orchestrator_dagster.errors import ExecutorError, PathError

REPOSITORY = Path(__file__).resolve().parents[3]
TYPE = "orchestrator_dagster.PipelinesComponent"
SAY = """\
id: {name}
tags: {{domain: words}}
inputs: [{{place: {{default: hill, description: Where}}}}]
steps:
  - {{id: say, action: echo, parameters: {{message: "{{{{ place }}}}"}}, products: [{{say: say.txt}}]}}
"""


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[DefsFolderSandbox]:
    with create_defs_folder_sandbox(project_name="farm") as made:
        yield made


def add(sandbox: DefsFolderSandbox, name: str, more: dict[str, Any] | None = None, **attributes: Any) -> Path:
    """A component with a pipeline of its name."""
    body = {"type": TYPE, "attributes": attributes, **(more or {})}
    place = sandbox.scaffold_component(PipelinesComponent, name, defs_yaml_contents=body)
    (place / "pipelines" / f"{name}.yaml").write_text(SAY.format(name=name))
    return place


def test_what_is_scaffolded_runs_as_it_is(sandbox: DefsFolderSandbox, instance: DagsterInstance) -> None:
    place = sandbox.scaffold_component(PipelinesComponent, "weekly-report")
    assert yaml.safe_load((place / "defs.yaml").read_text())["attributes"] == {"path": "pipelines"}
    with sandbox.build_all_defs() as definitions:
        dg.Definitions.validate_loadable(definitions)
        done = definitions.resolve_job_def("weekly_report_job").execute_in_process(instance=instance)
    assert done.success
    report = (sandbox.project_root / "outputs/weekly_report/report.md").read_text()
    assert report.startswith("# Trees\n")
    assert "Young trees need water in their first three summers." in report
    assert sandbox.scaffold_component(PipelinesComponent, "other", scaffold_params={"path": "../mine"})
    assert not list((sandbox.defs_folder_path / "other").rglob("pipelines"))


def test_translation_and_post_processing(sandbox: DefsFolderSandbox) -> None:
    translation = {
        "key": "ai/{{ spec.key.path | join('/') }}",
        "group_name": "{{ pipeline.tags.domain }}",
        "owners": ["team:{{ asset.name }}"],
        "tags": {"step": "{{ step.id if step else 'none' }}"},
        "metadata": {"format": "{{ product.format if product else 'run' }}"},
        "kinds": ["voice"],
        "description": "{{ asset.name }} of {{ pipeline.id }}",
    }
    post = {"assets": [{"target": "key:ai/hello/say", "attributes": {"tags": {"late": "yes"}, "group_name": "picked"}}]}
    add(sandbox, "hello", {"post_processing": post}, translation=translation)
    with sandbox.build_all_defs() as definitions:
        graph = definitions.resolve_asset_graph()
        say, run = (graph.get(AssetKey(["ai", "hello", name])) for name in ("say", "run"))
        assert (say.group_name, run.group_name) == ("picked", "words")
        assert list(say.owners) == ["team:say"]
        assert say.tags["step"] == "say"
        assert say.tags["late"] == "yes"
        assert set(say.kinds) == {"voice"}
        assert say.metadata["format"] == "txt"
        assert "dagster/code_references" in say.metadata
        assert run.description == "run of hello"


def test_several_components_and_assets_beside_them(sandbox: DefsFolderSandbox, instance: DagsterInstance) -> None:
    settings = {"workspace": {"environment": ["CITY"]}, "executor": "in_process"}
    add(sandbox, "one", **settings)
    add(sandbox, "two", **settings)
    (sandbox.defs_folder_path / "own.py").write_text(
        "import dagster as dg\n\n"
        "@dg.asset(ins={'said': dg.AssetIn(key=['one', 'say'], input_manager_key='orchestrator_products')})\n"
        "def louder(said):\n    return said.upper()\n"
    )
    with sandbox.build_all_defs() as definitions:
        dg.Definitions.validate_loadable(definitions)
        assert {one.name for one in definitions.sensors or ()} == {
            "recompile_src_farm_defs_one_pipelines",
            "recompile_src_farm_defs_two_pipelines",
        }
        done = definitions.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
        assert done.output_for_node("louder") == "HILL"


def test_the_component_of_the_guide(sandbox: DefsFolderSandbox) -> None:
    """With every attribute that there is, and as a folder of the project's own."""
    text = (REPOSITORY / "docs/guides/library.md").read_text(encoding="utf-8")
    shown = yaml.safe_load(re.findall(r"<!-- component -->\n```yaml\n(.*?)```", text, re.DOTALL)[0])
    model = PipelinesComponent.get_model_cls()
    assert model is not None
    assert set(shown["attributes"]) == set(model.model_fields)
    place = add(sandbox, "hello")
    (sandbox.project_root / "pipelines").mkdir()
    shutil.move(place / "pipelines/hello.yaml", sandbox.project_root / "pipelines/hello.yaml")
    shown["attributes"]["path"] = "{{ context.project_root }}/pipelines"
    (place / "defs.yaml").write_text(yaml.safe_dump(shown))
    with sandbox.build_all_defs() as definitions:
        dg.Definitions.validate_loadable(definitions)
        node = definitions.resolve_asset_graph().get(AssetKey(["ai", "hello", "say"]))
        assert (node.group_name, list(node.owners)) == ("words", ["team:office"])
        assert node.metadata["step"] == "say"
        assert {one.name for one in definitions.sensors or ()} == {"recompile_pipelines"}
        resources = definitions.resources or {}
        assert resources["workspace"].environment == ["CITY"]
        assert resources["models"].endpoints[0].provider == "openai"
        assert resources["models"].stream_from == ModelsResource().stream_from
        assert resources["tools"].allowed_hosts == ["intranet.local"]


class Owned(PipelinesComponent):
    """A subclass of somebody's project."""

    def get_asset_spec(self, asset: orc.PipelineAsset) -> dg.AssetSpec:
        return super().get_asset_spec(asset).replace_attributes(owners=["team:research"])


def test_a_subclass_says_more_and_translation_comes_after(sandbox: DefsFolderSandbox) -> None:
    add(sandbox, "hello")
    context = dg.ComponentTree.for_test().load_context
    folder = str(sandbox.defs_folder_path / "hello/pipelines")
    attributes = {"path": folder, "root": str(sandbox.project_root)}
    plain, more = (
        Owned.from_attributes_dict(attributes={**attributes, **extra}, context=context)
        for extra in ({}, {"translation": {"owners": ["team:late"], "tags": {"a": "b"}}})
    )
    for component, owner in ((plain, "team:research"), (more, "team:late")):
        node = component.build_defs(context).resolve_asset_graph().get(AssetKey(["hello", "say"]))
        assert list(node.owners) == [owner]


def test_every_setting_of_the_resources_is_there(tmp_path: Path) -> None:
    """Beside the root, which the component itself has."""
    pairs = {
        WorkspaceResource: component_settings.WorkspaceSettings,
        ModelsResource: component_settings.ModelsSettings,
        ToolsResource: component_settings.ToolsSettings,
        orc.ModelEndpoint: component_settings.EndpointSettings,
        component_settings.SearchConfig: component_settings.SearchBackend,
    }
    for resource, settings in pairs.items():
        assert set(resource.model_fields) - {"root"} == set(settings.model_fields)
    models = component_settings.ModelsSettings.model_validate(
        {
            "endpoints": [{"provider": "openai", "base_url": "http://127.0.0.1:1/v1", "api_key": {"env": "MY_KEY"}}],
            "retries": 1,
        }
    )
    tools = component_settings.ToolsSettings.model_validate(
        {"search": {"backend": "folder", "folder": "notes"}, "allowed_hosts": ["a.example"]}
    )
    made = component_settings.resources_of(tmp_path, None, models, tools)
    assert made["models"].endpoints[0].api_key == dg.EnvVar("MY_KEY")
    assert (made["models"].retries, made["models"].stall) == (1, ModelsResource().stall)
    assert made["tools"].search.folder == "notes"
    assert component_settings.resources_of(tmp_path, None, models, None)["models"] is made["models"]
    with pytest.raises(ValidationError):
        component_settings.EndpointSettings.model_validate({"provider": "openai", "api_key": "sk-in-the-file"})


@pytest.mark.parametrize(
    ("attributes", "error", "said"),
    [
        ({"path": "nowhere"}, PathError, r'"nowhere" of the component in .* is no folder'),
        ({"executor": "rockets"}, ExecutorError, "rockets"),
        ({"translation": {"deps": ["a/b"]}}, orc.TranslationError, "it changes the dependencies"),
        ({"translation": {"group_name": "a-b"}}, orc.TranslationError, "a-b"),
    ],
)
def test_what_is_wrong_is_said(
    sandbox: DefsFolderSandbox, attributes: dict[str, Any], error: type[Exception], said: str
) -> None:
    add(sandbox, "hello", **attributes)
    with pytest.raises(Exception, match="Error while building definitions") as found, sandbox.build_all_defs():
        pass
    cause: BaseException | None = found.value
    while cause is not None and not isinstance(cause, error):
        cause = cause.__cause__ or cause.__context__
    assert re.search(said, str(cause))


def dg_command(*words: str, folder: Path, code: int = 0) -> str:
    """What a real ``dg`` command prints."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("dg")), *words],
        cwd=folder, capture_output=True, text=True, timeout=150,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_the_dg_commands(sandbox: DefsFolderSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    root = sandbox.project_root
    (root / "src/farm/definitions.py").write_text(
        "from pathlib import Path\nfrom dagster import definitions, load_from_defs_folder\n\n"
        "@definitions\ndef defs():\n    return load_from_defs_folder(path_within_project=Path(__file__).parent)\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(root / "src")])))
    assert TYPE in dg_command("list", "components", "--json", folder=root)
    dg_command("scaffold", "defs", TYPE, "reports", folder=root)
    place = sandbox.defs_folder_path / "reports"
    assert (place / "pipelines/reports.yaml").is_file()
    dg_command("check", "yaml", folder=root)
    said = dg_command("list", "defs", "--json", folder=root)
    assert all(name in said for name in ("reports/findings", "reports/report", "reports/run", "reports_job"))
    assert "loaded successfully" in dg_command("check", "defs", folder=root)

    (place / "pipelines/broken.yaml").write_text("id: broken\nsteps: [{id: a, tool: filesystm, action: read}]\n")
    said = dg_command("check", "defs", folder=root, code=1)
    assert "pipelines/broken.yaml:2:23: error[unknown-tool]" in said
    assert 'did you mean "filesystem"?' in said
    assert "reports/report" in dg_command("list", "defs", "--json", folder=root), "it takes no other file down"

    (place / "defs.yaml").write_text(f"type: {TYPE}\nattributes:\n  pth: pipelines\n")
    assert "pth" in dg_command("check", "yaml", folder=root, code=1)


@pytest.mark.slow
def test_this_repository_is_a_dg_project() -> None:
    said = dg_command("list", "defs", "--json", folder=REPOSITORY)
    assert "research_report/report" in said
    assert "loaded successfully" in dg_command("check", "defs", folder=REPOSITORY)
