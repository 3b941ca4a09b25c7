"""The compiler: a pipeline as written becomes what will run. Knows the language, neither Dagster nor models."""
