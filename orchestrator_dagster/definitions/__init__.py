"""Compiled pipelines become Dagster definitions. The only layer that imports Dagster.

From the ground up: ``instance`` (where runs are recorded), ``steps`` (a step as ops), ``pipelines`` (a pipeline as
graph, assets, checks, job, schedules), ``executors`` (where steps run), ``location`` (a folder that Dagster loads and
follows), ``runs`` (led by the command and Python, read back, resumed). ``resources`` and ``io_managers`` are what
people configure.
"""
