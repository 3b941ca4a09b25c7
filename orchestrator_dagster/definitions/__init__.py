"""Compiled pipelines become Dagster definitions. The only layer that imports Dagster."""
