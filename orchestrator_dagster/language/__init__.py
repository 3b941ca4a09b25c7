"""The pipeline language: text becomes typed models, each with its place in the file. Knows neither Dagster nor models."""
