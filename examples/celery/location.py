"""The code location of the UI. What is materialized from the asset pages goes to Celery too."""

from pathlib import Path

import orchestrator_dagster as orc

defs = orc.build_definitions("pipelines", root=Path(__file__).parent, executor="on_celery:executor")
