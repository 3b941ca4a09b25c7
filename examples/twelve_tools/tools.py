"""This project's own tool, and what its HTTP tools may reach."""

from typing import Annotated, Any

from pydantic import Field

from orchestrator_dagster import ToolSettings, tool

settings = ToolSettings(allowed_hosts=["127.0.0.1:8000"])


@tool("felt-temperature")
def felt_temperature(
    rows: Annotated[list[dict[str, Any]], Field(description="Rows with air_temperature_c and humidity_percent.")],
) -> dict[str, Any]:
    """Add the humidex of Environment Canada to each row: how warm moist air feels, as a temperature in °C."""
    made = []
    for row in rows:
        air, humidity = row["air_temperature_c"], row["humidity_percent"]
        felt = None
        if air is not None and humidity is not None:
            # Magnus' formula: the pressure of the vapour, in hPa.
            vapour = humidity / 100 * 6.112 * 2.71828 ** (17.62 * air / (243.12 + air))
            felt = round(air + 5 / 9 * (vapour - 10), 1)
        made.append({**row, "felt_c": felt})
    return {"rows": made, "highest": max(row["felt_c"] for row in made if row["felt_c"] is not None)}
