"""AI pipelines written as YAML, run as Dagster assets."""
