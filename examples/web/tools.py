"""What the tools of this project may reach: the site on this machine, which HTTP tools refuse otherwise."""

from orchestrator_dagster import ToolSettings

settings = ToolSettings(allowed_hosts=["127.0.0.1:8000"])
