"""Tools that ask models: ``multi-model-routing``, ``task-delegation`` and ``prompt-optimization``."""

from orchestrator_dagster.tools.asking.delegation import task_delegation
from orchestrator_dagster.tools.asking.prompts import prompt_optimization
from orchestrator_dagster.tools.asking.routing import multi_model_routing

__all__ = ["multi_model_routing", "prompt_optimization", "task_delegation"]
