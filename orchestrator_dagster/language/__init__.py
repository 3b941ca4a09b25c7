"""The pipeline language: text becomes typed models, each with its place. Knows neither Dagster nor models."""
