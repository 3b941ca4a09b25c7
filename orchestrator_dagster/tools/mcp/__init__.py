"""The tool ``mcp``: calls tools of Model Context Protocol servers that the project names in ``mcp.yaml``.

Importing this imports nothing of the SDK, and no server is started before a step calls one.
"""

from orchestrator_dagster.tools.mcp.actions import mcp

__all__ = ["mcp"]
