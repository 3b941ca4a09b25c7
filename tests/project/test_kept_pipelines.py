"""Pipelines kept by fingerprint."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import orchestrator_dagster as orc
from orchestrator_dagster.project.kept_pipelines import keep_pipeline, kept_pipeline

Write = Callable[[str, str], Path]

RICH = """
id: rich-one
description: everything the compiler keeps
inputs:
  topic: {type: string, default: heat, enum: [heat, cold]}
  count: {type: integer, minimum: 1, default: 3}
  extra: {type: object, default: {a: [1, {b: null}]}}
constants: {limit: 3}
schedule: {cron: "0 6 * * *", inputs: {topic: cold}}
partitions: {static: [a, b]}
automation: eager
steps:
  - id: list-it
    action: echo
    parameters: {message: [1, 2, 3]}
    vars: {all: {type: array, items: integer}}
  - id: each
    for_each: "{{ list_it.all }}"
    as: number
    max_parallel: 2
    on_item_failure: continue
    steps:
      - id: one
        action: echo
        parameters: {message: "{{ number }}"}
        condition: number > 1
  - id: maybe
    condition: topic == "heat"
    tool: filesystem
    action: write
    parameters: {path: "out/{{ topic }}.txt", content: "{{ file:part.md }}"}
    on_failure: skip
    retries: {max: 2, delay: 0.5}
    products: {size: "{{ partition.key }}/sizes.json"}
    vars: {size: "{{ result.size }}"}
outputs:
  said: "{{ maybe.size }}"
"""


def compiled(project: Path, write: Write, text: str = RICH) -> orc.Pipeline:
    write("pipelines/part.md", "part of {{ topic }}")
    return orc.compile(write("pipelines/p.yaml", text), root=project)


def test_a_pipeline_comes_back_as_it_was_kept(project: Path, write: Write, tmp_path: Path) -> None:
    made = compiled(project, write).compiled
    key = keep_pipeline(tmp_path, made)
    for name in (key, made.fingerprint, made.fingerprint[:16]):
        back = kept_pipeline(tmp_path, name)
        assert back == made
        assert back is not None
        assert back.to_json() == made.to_json()
        assert back.by_id["maybe"].parameters == made.by_id["maybe"].parameters


def test_a_kept_pipeline_runs(project: Path, write: Write, tmp_path: Path) -> None:
    made = compiled(project, write).compiled
    back = kept_pipeline(tmp_path, keep_pipeline(tmp_path, made))
    assert back is not None
    result = orc.api.Pipeline(back, project).run(topic="heat", partition="a")
    assert result.success, result.error
    assert result.outputs["said"] == 19  # what is included is taken as it is
    assert (project / "out/heat.txt").read_text() == "part of {{ topic }}"


def test_a_kept_file_is_written_once(project: Path, write: Write, tmp_path: Path) -> None:
    made = compiled(project, write).compiled
    keep_pipeline(tmp_path, made)
    (path,) = (tmp_path / "pipelines").iterdir()
    before = path.stat().st_ino
    keep_pipeline(tmp_path, made)
    assert [one.stat().st_ino for one in (tmp_path / "pipelines").iterdir()] == [before]


def test_of_one_fingerprint_the_one_kept_last_is_found(project: Path, write: Write, tmp_path: Path) -> None:
    here = compiled(project, write).compiled
    there = here.model_copy(update={"folder": "/elsewhere"})
    first, second = keep_pipeline(tmp_path, here), keep_pipeline(tmp_path, there)
    assert kept_pipeline(tmp_path, first) == here
    assert kept_pipeline(tmp_path, second) == there
    path = tmp_path / "pipelines" / f"{first}.json"
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime + 60))
    found = kept_pipeline(tmp_path, here.fingerprint)
    assert found is not None
    assert found.folder == here.folder


def test_what_is_not_there_or_not_readable_is_none(project: Path, write: Write, tmp_path: Path) -> None:
    made = compiled(project, write).compiled
    assert kept_pipeline(tmp_path, made.fingerprint) is None
    key = keep_pipeline(tmp_path, made)
    (tmp_path / "pipelines" / f"{key}.json").write_text('{"id": "half')
    assert kept_pipeline(tmp_path, key) is None
    assert kept_pipeline(tmp_path, made.fingerprint) is None


def test_a_name_that_is_no_fingerprint_reads_no_file(tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    for name in ("../secret", "", "*", "a" * 15, f"{'a' * 16}-../../x", "A" * 16):
        assert kept_pipeline(tmp_path, name) is None


def _keep(storage: str, text: str) -> None:
    from orchestrator_dagster.compiler.compiled import CompiledPipeline

    for _ in range(20):
        keep_pipeline(Path(storage), CompiledPipeline.from_json(text))


def test_many_processes_keep_one_pipeline(project: Path, write: Write, tmp_path: Path) -> None:
    made = compiled(project, write).compiled
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_keep, args=(str(tmp_path), made.to_json())) for _ in range(3)]
    for one in processes:
        one.start()
    while any(one.is_alive() for one in processes):
        assert kept_pipeline(tmp_path, made.fingerprint) in (None, made)
    assert [one.exitcode for one in processes] == [0, 0, 0]
    assert kept_pipeline(tmp_path, made.fingerprint) == made
    assert len(list((tmp_path / "pipelines").iterdir())) == 1
