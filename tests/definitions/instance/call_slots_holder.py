"""A process of its own that holds a slot until it is killed, or told to let go."""

from __future__ import annotations

import sys

from dagster import DagsterInstance

from orchestrator_dagster.definitions.instance.call_slots import PoolSlots
from orchestrator_dagster.models.client import UNWATCHED

if __name__ == "__main__":
    home, run_id = sys.argv[1:]
    with DagsterInstance.from_config(home) as instance, PoolSlots(instance, run_id).hold("openai", UNWATCHED):
        print("held", flush=True)
        sys.stdin.readline()
    print("let go", flush=True)
