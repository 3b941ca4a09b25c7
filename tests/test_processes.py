"""Finding and ending processes."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from orchestrator_dagster import processes

STUBBORN = "trap '' TERM; sleep 600 & echo $!; wait"


def test_a_tree_ends_whole_and_its_neighbour_does_not() -> None:
    with (
        subprocess.Popen(["sleep", "600"]) as neighbour,
        subprocess.Popen(["sh", "-c", STUBBORN], stdout=subprocess.PIPE, text=True) as root,
    ):
        assert root.stdout is not None
        below = int(root.stdout.readline())
        assert processes.descendants(root.pid) == [below]
        processes.end_trees([root.pid])
        assert root.wait() < 0
        assert below not in processes._table()
        assert neighbour.poll() is None
        neighbour.kill()


def test_what_is_below_is_asked_before_it_is_killed() -> None:
    script = "trap 'echo asked; exit' TERM; echo ready; while true; do sleep 0.05; done"
    with subprocess.Popen(["sh", "-c", f'sh -c "{script}"; echo $?'], stdout=subprocess.PIPE, text=True) as root:
        assert root.stdout is not None
        root.stdout.readline()
        processes.end_below(root.pid, 30.0)
        assert root.stdout.read().splitlines()[0] == "asked"


@pytest.mark.skipif(shutil.which("ps") is None, reason="there is no ps")
def test_systems_without_proc_are_asked_by_ps() -> None:
    by_ps = processes._table_by_ps()
    assert by_ps[os.getpid()][0] == os.getppid()
    assert processes._table().keys() & by_ps.keys()
