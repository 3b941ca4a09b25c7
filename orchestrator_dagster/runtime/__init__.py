"""The step runtime: one step, from rendering its parameters to its outcome. Does not import Dagster."""
