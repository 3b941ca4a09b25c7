"""A code location: a folder of pipeline files that Dagster loads, and that follows its files."""
