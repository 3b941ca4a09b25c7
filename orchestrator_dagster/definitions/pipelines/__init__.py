"""A compiled pipeline as Dagster has it: graph, assets, checks, job, config, partitions, schedules, triggers."""
