"""A tool that models may not call without permission."""

from orchestrator_dagster import tool


@tool(model_may_call=False)
def restart(service: str) -> dict[str, str]:
    """Restart a service."""
    return {"restarted": service}
