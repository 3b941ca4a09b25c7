"""The code location that ``workspace.yaml`` serves: every pipeline file of the folder ``pipelines/``.

Set ``ORCHESTRATOR_PIPELINES`` to serve another folder.
"""

from __future__ import annotations

import os

from orchestrator_dagster import build_definitions

defs = build_definitions(os.environ.get("ORCHESTRATOR_PIPELINES", "pipelines"))
