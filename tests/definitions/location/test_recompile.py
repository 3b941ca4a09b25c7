"""Changed pipeline files: what a location serves of them, and what the recompile sensor does about them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterInstance, build_sensor_context

import orchestrator_dagster as orc
from orchestrator_dagster.definitions.location import recompile, reloading

Write = Callable[[str, str], Path]
PIPELINE = """\
id: {id}
{more}
steps:
  - id: say
    action: echo
    parameters: {{message: {said}}}
    vars: {{text: "{{{{ result }}}}"}}
    products: {{text: {id}.txt}}
"""
BROKEN = "id: {id}\nsteps: [{{id: say, tool: filesytem}}]\n"


def text(id: str, said: str = "hello", more: str = "") -> str:
    return PIPELINE.format(id=id, said=said, more=more)


@pytest.fixture
def place(project: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Writes a pipeline file as it was left alone for a while."""

    def at(name: str, content: str) -> Path:
        path = write(f"pipelines/{name}", content)
        left_alone(path)
        return path

    return at


def left_alone(path: Path) -> None:
    past = time.time() - 60
    os.utime(path, (past, past))


def sensor_of(defs: dg.Definitions) -> dg.SensorDefinition:
    return next(one for one in defs.sensors or () if one.name == "recompile_pipelines")  # type: ignore[union-attr,return-value]


class Location:
    """A location that is loaded anew as the sensor asks for it, without a server around it."""

    def __init__(self, root: Path, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.instance, self.reloads, self.cursor = root, instance, 0, None
        monkeypatch.setattr(recompile, "reload_through_proxy", self._asked)
        self.load()

    def _asked(self, origin: object, instance: DagsterInstance) -> bool:
        self.reloads += 1
        return True

    def load(self) -> None:
        self.defs = orc.build_definitions("pipelines", root=self.root)

    def tick(self) -> Any:
        context = build_sensor_context(
            instance=self.instance, cursor=self.cursor, repository_def=self.defs.get_repository_def()
        )
        found = sensor_of(self.defs).evaluate_tick(context)
        self.cursor = found.cursor
        return found

    def groups(self) -> set[str]:
        return {key.path[0] for key in self.defs.resolve_asset_graph().get_all_asset_keys()}


@pytest.fixture
def location(place: Write, project: Path, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Location:
    place("a.yaml", text("a"))
    place("b.yaml", text("b"))
    return Location(project, instance, monkeypatch)


def test_nothing_changed_is_said_and_nothing_is_loaded(location: Location) -> None:
    assert location.tick().skip_message == "2 pipelines are served as their files say"
    assert location.tick().skip_message == "2 pipelines are served as their files say"
    assert location.reloads == 0


def test_changed_added_removed_and_broken_files_are_one_reload(location: Location, place: Write, project: Path) -> None:
    location.tick()
    place("a.yaml", text("a", "other"))
    place("b.yaml", BROKEN.format(id="b"))
    for number in range(50):
        place(f"n{number}.yaml", text(f"n{number}"))
    said = location.tick().skip_message
    assert "and 42 more files changed" in said
    assert 'pipelines/b.yaml:2:25: error[unknown-tool] step "say" names the tool "filesytem"' in said
    assert "its last good version is served" in said
    assert "is being loaded anew" in location.tick().skip_message
    assert location.reloads == 1
    location.load()
    assert location.groups() == {"a", "b", *(f"n{number}" for number in range(50))}
    (project / "pipelines/a.yaml").unlink()
    assert "pipelines/a.yaml changed" in location.tick().skip_message
    location.load()
    assert "a" not in location.groups()


def test_a_file_that_is_being_written_is_left_until_it_is_done(location: Location, write: Write) -> None:
    path = write("pipelines/a.yaml", text("a", "half"))
    os.utime(path)
    assert "changed just now" in location.tick().skip_message
    assert location.reloads == 0
    left_alone(path)
    location.tick()
    assert location.reloads == 1


def test_a_file_that_was_only_touched_is_no_change(location: Location, project: Path) -> None:
    left_alone(project / "pipelines/a.yaml")
    os.utime(project / "pipelines/b.yaml", (time.time() - 30, time.time() - 30))
    assert "as their files say" in location.tick().skip_message


def test_what_a_pipeline_includes_counts(
    place: Write, write: Write, project: Path, instance: DagsterInstance, monkeypatch
) -> None:  # type: ignore[no-untyped-def]
    left_alone(write("pipelines/note.md", "one"))
    left_alone(write("personalities/terse.md", "Be terse."))
    place("a.yaml", text("a", '"{{ file:note.md }}"', "personality: terse"))
    place("inner.yaml", text("inner"))
    place("outer.yaml", "id: outer\nsteps: [{id: x, pipeline: inner.yaml}]\n")
    location = Location(project, instance, monkeypatch)
    for name in ("pipelines/note.md", "personalities/terse.md", "pipelines/inner.yaml"):
        path = project / name
        path.write_text(path.read_text().replace("one", "two").replace("terse.", "very terse.").replace("hello", "bye"))
        left_alone(path)
        assert f"{name} changed" in location.tick().skip_message
        location.load()
    assert location.reloads == 3


def test_a_missing_include_that_comes_mends_the_file(
    place: Write, write: Write, project: Path, instance: DagsterInstance, monkeypatch
) -> None:  # type: ignore[no-untyped-def]
    place("a.yaml", text("a", '"{{ file:late.md }}"'))
    location = Location(project, instance, monkeypatch)
    assert "left out, with errors: pipelines/a.yaml" in location.tick().skip_message
    assert location.reloads == 0
    left_alone(write("pipelines/late.md", "here"))
    assert "pipelines/a.yaml changed" in location.tick().skip_message
    location.load()
    assert location.groups() == {"a"}


def test_two_files_with_one_id_are_no_endless_reload(location: Location, place: Write) -> None:
    place("z.yaml", text("a"))
    location.tick()
    location.load()
    assert "left out, with errors: pipelines/z.yaml" in location.tick().skip_message
    assert location.reloads == 1


def test_a_stale_pipeline_is_marked_everywhere_and_recovers(location: Location, place: Write) -> None:
    place("b.yaml", BROKEN.format(id="b"))
    location.load()
    metadata = location.defs.metadata or {}
    assert "unknown-tool" in str(metadata["orchestrator/stale"].value)
    spec = location.defs.resolve_asset_graph().get(dg.AssetKey(["b", "text"]))
    assert spec.tags["orchestrator/stale"] == "true"
    assert "unknown-tool" in str(spec.metadata["orchestrator/stale"].value)
    assert "Stale" in str(spec.description)
    job = location.defs.resolve_job_def("b_job")
    assert "Stale" in str(job.description)
    result = job.execute_in_process(instance=location.instance)
    assert result.success, "the last good version runs"
    place("b.yaml", text("b", "mended"))
    location.load()
    spec = location.defs.resolve_asset_graph().get(dg.AssetKey(["b", "text"]))
    assert "orchestrator/stale" not in spec.tags


def test_a_new_process_without_the_last_good_version_leaves_the_file_out(
    place: Write, project: Path, instance: DagsterInstance, monkeypatch
) -> None:  # type: ignore[no-untyped-def]
    place("a.yaml", BROKEN.format(id="a"))
    place("b.yaml", text("b"))
    assert Location(project, instance, monkeypatch).groups() == {"b"}


def test_on_change_starts_the_changed_pipeline_once(location: Location, place: Write) -> None:
    place("a.yaml", text("a", more="on_change: run"))
    place("b.yaml", text("b", more="on_change: run"))
    location.load()
    location.tick()  # the first tick of all only notes what is served
    place("a.yaml", text("a", "other", "on_change: run"))
    location.tick()
    location.load()
    (request,) = location.tick().run_requests
    assert request.job_name == "a_job"
    assert not location.tick().run_requests
    run = location.defs.resolve_job_def("a_job").execute_in_process(
        run_config=request.run_config, instance=location.instance
    )
    assert run.success


def test_on_change_of_a_pipeline_that_needs_an_input_is_refused(write: Write, project: Path) -> None:
    path = write("pipelines/c.yaml", text("c", more="on_change: run\ninputs: {topic: null}"))
    with pytest.raises(orc.PipelineError, match='a change starts the pipeline without inputs, and it requires "topic"'):
        orc.compile(path)


def test_without_proxy_and_webserver_the_tick_says_what_to_do(location: Location, place: Write, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(recompile, "reload_through_proxy", reloading.reload_through_proxy)
    monkeypatch.setenv(reloading.WEBSERVER_VARIABLE, "http://127.0.0.1:9")
    place("a.yaml", text("a", "other"))
    said = location.tick().skip_message
    assert "no webserver answers at http://127.0.0.1:9" in said
    assert "ORCHESTRATOR_WEBSERVER" in said


def test_a_cursor_that_is_none_starts_nothing(location: Location) -> None:
    for cursor in ("", "not json", json.dumps([1])):
        location.cursor = cursor
        assert not location.tick().run_requests
