"""Models: how one is chosen, asked, checked and paid for. Knows neither Dagster nor the tools."""
