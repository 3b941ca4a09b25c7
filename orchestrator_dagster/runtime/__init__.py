"""The step runtime: one occurrence of one step, from rendering its parameters to its outcome. Does not import Dagster."""
