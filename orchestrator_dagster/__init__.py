"""AI pipelines written as YAML, run as Dagster assets.

>>> import orchestrator_dagster as orc
>>> result = orc.compile("pipelines/report.yaml").run(topic="trees")  # doctest: +SKIP

Everything that is public is named here; it is imported when it is first used, so that ``import orchestrator_dagster``
costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from orchestrator_dagster.garbage import garbage_later

if TYPE_CHECKING:
    from orchestrator_dagster import log as log
    from orchestrator_dagster.api import Pipeline as Pipeline
    from orchestrator_dagster.api import Result as Result
    from orchestrator_dagster.api import compile as compile
    from orchestrator_dagster.api import load_result as load_result
    from orchestrator_dagster.definitions.executors.executor import (
        tuned_multiprocess_executor as tuned_multiprocess_executor,
    )
    from orchestrator_dagster.definitions.instance.home import open_instance as open_instance
    from orchestrator_dagster.definitions.io_managers import OutcomeIOManager as OutcomeIOManager
    from orchestrator_dagster.definitions.location.component import PipelinesComponent as PipelinesComponent
    from orchestrator_dagster.definitions.location.factory import build_definitions as build_definitions
    from orchestrator_dagster.definitions.pipelines.translator import PipelineAsset as PipelineAsset
    from orchestrator_dagster.definitions.pipelines.translator import PipelinesTranslator as PipelinesTranslator
    from orchestrator_dagster.definitions.resources import ModelEndpoint as ModelEndpoint
    from orchestrator_dagster.definitions.resources import ModelsResource as ModelsResource
    from orchestrator_dagster.definitions.resources import SearchConfig as SearchConfig
    from orchestrator_dagster.definitions.resources import ToolsResource as ToolsResource
    from orchestrator_dagster.definitions.resources import WorkspaceResource as WorkspaceResource
    from orchestrator_dagster.definitions.steps.audit import calls_on_record as calls_on_record
    from orchestrator_dagster.definitions.steps.progress import Progress as Progress
    from orchestrator_dagster.errors import AlignmentError as AlignmentError
    from orchestrator_dagster.errors import InputsError as InputsError
    from orchestrator_dagster.errors import OrchestratorError as OrchestratorError
    from orchestrator_dagster.errors import PipelineError as PipelineError
    from orchestrator_dagster.errors import TranslationError as TranslationError
    from orchestrator_dagster.library import Pipelines as Pipelines
    from orchestrator_dagster.library import load_pipelines as load_pipelines
    from orchestrator_dagster.tools.decorator import tool as tool
    from orchestrator_dagster.tools.settings import SearchSettings as SearchSettings
    from orchestrator_dagster.tools.settings import ToolSettings as ToolSettings
    from orchestrator_dagster.tools.tool import Tool as Tool
    from orchestrator_dagster.tools.tool import ToolContext as ToolContext

__version__ = "0.1.0"

_HOME = {
    "Pipeline": "api",
    "Result": "api",
    "Pipelines": "library",
    "compile": "api",
    "load_pipelines": "library",
    "load_result": "api",
    "log": "",
    "build_definitions": "definitions.location.factory",
    "calls_on_record": "definitions.steps.audit",
    "open_instance": "definitions.instance.home",
    "tuned_multiprocess_executor": "definitions.executors.executor",
    "PipelinesComponent": "definitions.location.component",
    "PipelineAsset": "definitions.pipelines.translator",
    "PipelinesTranslator": "definitions.pipelines.translator",
    "Progress": "definitions.steps.progress",
    "ModelEndpoint": "definitions.resources",
    "ModelsResource": "definitions.resources",
    "OutcomeIOManager": "definitions.io_managers",
    "SearchConfig": "definitions.resources",
    "ToolsResource": "definitions.resources",
    "WorkspaceResource": "definitions.resources",
    "AlignmentError": "errors",
    "InputsError": "errors",
    "OrchestratorError": "errors",
    "PipelineError": "errors",
    "TranslationError": "errors",
    "tool": "tools.decorator",
    "SearchSettings": "tools.settings",
    "ToolSettings": "tools.settings",
    "Tool": "tools.tool",
    "ToolContext": "tools.tool",
}

__all__ = sorted([*_HOME, "__version__"])


def __getattr__(name: str) -> Any:
    if name == "log":
        return import_module(f"{__name__}.log")
    if name in _HOME:
        with garbage_later():
            return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
