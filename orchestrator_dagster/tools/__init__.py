"""Tools: code that a step calls or a model may call. Knows neither Dagster nor models."""
