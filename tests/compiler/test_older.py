"""Files of the earlier dialect are compiled: what they mean has no error, only warnings of their spelling."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator_dagster.compiler.compile import Compilation
from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.language.older.tool_forms import FORMS
from orchestrator_dagster.project.loading import compile_file
from orchestrator_dagster.tools.registry import ToolRegistry

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = sorted((Path(__file__).parent / "older").glob("*.yaml"))
#: What a release that does not run everything says.
LATER = {"not-supported", "no-orchestrator", "no-model"}


def test_no_older_spelling_is_a_parameter_of_today() -> None:
    registry = ToolRegistry()
    for name, tool in FORMS.items():
        for action in registry.find(name).actions.values():
            form, today = tool.form(action.name), set(action.parameters.model_fields)
            assert not today & (form.rename.keys() - set(form.rename.values())), f"{name}.{action.name}"
            assert not today & {*form.settings, *form.lift, *form.sections}, f"{name}.{action.name}"


def compiled(name: str) -> CompiledPipeline:
    done = compile_file(Path(__file__).parent / "older" / f"{name}.yaml", REPOSITORY)
    assert done.pipeline is not None, [one.render() for one in done.problems.errors]
    return done.pipeline


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_is_compiled_with_warnings_of_its_spelling_only(path: Path) -> None:
    done: Compilation = compile_file(path, REPOSITORY)
    assert [one.render() for one in done.problems.errors if one.code not in LATER] == []
    assert {one.code for one in done.problems} - LATER <= {"older-spelling", "no-effect"}
    if done.pipeline is not None:
        assert CompiledPipeline.from_json(done.pipeline.to_json()) == done.pipeline


def test_there_are_fifty() -> None:
    assert len(FILES) == 50


def test_a_queue_is_a_loop_with_its_steps() -> None:
    check, table = compiled("parallel_queue").steps
    assert check.loop is not None
    assert (check.loop.over, check.loop.max_parallel) == ("{{ claims }}", 4)
    assert [(one.id, one.dependencies) for one in check.body] == [("find", ()), ("judge", ("find",))]
    assert table.dependencies == ("check",)
    assert [one.path for one in table.products] == ["outputs/table.md"]


def test_a_named_loop_gives_its_item_to_the_loops_inside() -> None:
    pipeline = compiled("nested_loops")
    per_language = pipeline.by_id["per_language"]
    assert per_language.loop is not None
    assert per_language.loop.item == "language_item"
    per_file, until_good = per_language.body
    assert "{{ language_item }}" in (per_file.body[0].instruction or "")
    assert per_language.dependencies == ("files",)
    assert until_good.dependencies == ("per_file",)
    assert until_good.loop is not None
    assert until_good.loop.until == "{{ look_again.result == 'yes' }}"


def test_handlers_by_type_for_all_steps_and_in_prose() -> None:
    pipeline = compiled("retry_and_fallback")
    load = pipeline.by_id["load"]
    assert [(one.errors, one.goto) for one in load.failure_handlers] == [
        (("FileNotFoundError",), None),
        (("PermissionError",), "report_problem"),
        ((), "load_failed"),
        (("TimeoutError", "ConnectionError"), "report_problem"),
    ]
    assert {one.target for one in pipeline.plan.routes if one.source == "load"} == {"report_problem", "load_failed"}
    assert load.retries.max == 2
    assert pipeline.by_id["clean"].on_failure == "continue"


def test_a_loop_goes_on_by_what_its_last_pass_has_said() -> None:
    improve = compiled("iterative_review").by_id["improve"]
    assert improve.loop is not None
    assert improve.loop.while_ == "{{ review.score | default(0) < threshold }}"
    assert [(one.id, one.dependencies) for one in improve.body] == [("rewrite", ()), ("review", ("rewrite",))]


def test_what_a_body_reads_outside_its_loop_waits_for() -> None:
    pipeline = compiled("outside_steps")
    assert pipeline.by_id["every_name"].dependencies == ("settings", "style")
    assert pipeline.levels == (("settings", "style"), ("every_name",), ("all",))


def test_branches_are_routes() -> None:
    pipeline = compiled("branching")
    assert {(one.key, one.target) for one in pipeline.plan.routes} == {
        ("on_success", "quick"),
        ("on_false", "thorough"),
    }
