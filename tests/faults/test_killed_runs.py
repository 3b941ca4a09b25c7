"""Runs that are killed at random moments and resumed: the same products, nothing half, nothing done or paid twice."""

from __future__ import annotations

import random
from pathlib import Path

import killing
import pytest

#: Kills in this test; `python tests/faults/killing.py 200` does as many as one likes.
KILLS = 6


@pytest.mark.slow
def test_a_killed_run_is_resumed_to_the_same_end(tmp_path: Path) -> None:
    with killing.serve(tmp_path / "calm.calls") as (url, calls):
        calm = tmp_path / "calm"
        calm.mkdir()
        undisturbed = killing.run_until_done(calm, url, None)
        needed = len(calls())
    expected = killing.products_of(calm)
    assert sorted(expected) == [
        "killed/each/a.txt", "killed/each/b.txt", "killed/each/c.txt", "killed/each/d.txt", "killed/each/e.txt",
        "killed/each/f.txt", "killed/report.md", "killed/score.json",
    ]  # fmt: skip
    assert undisturbed.document["steps"]["never"]["status"] == "skipped"
    assert set(undisturbed.begun.values()) == {1}
    assert needed == 7

    kills, seed = 0, 0
    while kills < KILLS:
        seed += 1
        project = tmp_path / f"killed-{seed}"
        project.mkdir()
        with killing.serve(tmp_path / f"{seed}.calls") as (url, calls):
            course = killing.run_until_done(project, url, random.Random(seed), undisturbed.seconds)
            asked = len(calls())
        assert course.document["success"], course.document["error"]
        assert killing.products_of(project) == expected
        assert course.document["outputs"] == undisturbed.document["outputs"]
        # Only what a kill has hit in the moment between its end and its record is done again.
        done_twice = sum(count - 1 for count in course.ended.values())
        assert done_twice <= 4 * course.kills
        assert asked - needed <= 4 * course.kills
        kills += course.kills
