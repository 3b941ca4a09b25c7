"""The documentation is true: its pages are up to date, its pipelines compile, its commands and its Python run."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

import orchestrator_dagster as orc
from orchestrator_dagster.cli import main
from orchestrator_dagster.definitions.instance.home import open_instance
from orchestrator_dagster.language.read import read_pipeline_text
from orchestrator_dagster.project.loading import compile_file, known

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted([REPOSITORY / "README.md", *DOCS.rglob("*.md"), *REPOSITORY.glob("examples/*/README.md")])
#: Pages whose blocks are run in order, in one temporary project each.
RUN = [page for page in PAGES if DOCS / "reference" not in page.parents and page.parent != DOCS / "decisions"]
#: Pages whose pipelines are right. The pages of the codes show wrong ones as well: test_codes.py has them.
RIGHT = [page for page in PAGES if page.parent != DOCS / "reference" / "diagnostics"]
#: How a page shows the id of a run.
RUN_ID = r"(?<=orchestrator resume |orchestrator answer )[0-9a-f]{8}\b"


def _blocks_module() -> Any:
    spec = importlib.util.spec_from_file_location("docs_blocks", Path(__file__).with_name("blocks.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["docs_blocks"] = module
    spec.loader.exec_module(module)
    return module


parse = _blocks_module()


def name(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


@pytest.mark.slow
def test_the_reference_is_up_to_date() -> None:
    ran = subprocess.run(
        [sys.executable, str(DOCS / "generate.py"), "--check"], capture_output=True, text=True, cwd=REPOSITORY
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in parse.links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name(page)}: {link}"
        assert target.is_relative_to(REPOSITORY), f"{name(page)}: {link} leaves the repository"
        if anchor and target.suffix == ".md":
            assert anchor in parse.anchors(target), f"{name(page)}: {link}"


@pytest.mark.parametrize("page", RIGHT, ids=name)
def test_pipelines_compile(page: Path, project: Path) -> None:
    found = parse.blocks(page)
    for block in found:
        if block.mark == "file":
            _write(block, project)
    for number, block in enumerate(found):
        whole = block.language == "yaml" and re.search(r"^steps:", block.text, re.MULTILINE)
        if not whole or block.mark == "wrong-file":
            continue
        path = project / f"block_{number}.yaml"
        path.write_text(block.text, encoding="utf-8")
        known.cache_clear()
        problems = list(compile_file(path, project).problems)
        assert not problems, f"{name(page)}:{block.line}\n" + "\n".join(one.render() for one in problems)


def test_example_steps_of_the_tools_page_compile(project: Path) -> None:
    """Each example of an action is a list with one step."""
    found = [block for block in parse.blocks(DOCS / "reference" / "tools.md") if block.language == "yaml"]
    assert len(found) > 20
    for block in found:
        text = "steps:\n" + block.text
        assert not read_pipeline_text(text).problems.errors
        path = project / "step.yaml"
        path.write_text(text, encoding="utf-8")
        problems = list(compile_file(path, project).problems)
        assert not problems, f"tools.md:{block.line}\n" + "\n".join(one.render() for one in problems)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in RUN if parse.blocks(page)], ids=name)
def test_a_page_does_what_it_shows(page: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if page.parent.parent == REPOSITORY / "examples":
        shutil.copytree(page.parent, project, dirs_exist_ok=True)
    else:
        shutil.copytree(REPOSITORY / "data", project / "data")
        shutil.copy(REPOSITORY / "pipelines" / "research_report.yaml", project / "pipelines")
    monkeypatch.setenv("COLUMNS", "200")
    names: dict[str, Any] = {"__name__": "__docs__"}
    for block in parse.blocks(page):
        where = f"{name(page)}:{block.line}"
        if block.mark == "no-run":
            assert block.said, f"{where}: the reason is missing"
        elif block.mark in ("file", "wrong-file"):
            _write(block, project)
        elif block.language == "python":
            exec(compile(block.text, where, "exec"), names)
        elif block.language == "console":
            _run_console(block.text, where, project)
        elif block.language == "bash":
            for line in block.text.splitlines():
                if line.startswith("orchestrator "):
                    code, output = _command(line, project)
                    assert code == 0, f"{where}: {line}\n{output}"


def _write(block: Any, project: Path) -> None:
    path = project / block.said
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, encoding="utf-8")


def _run_console(text: str, where: str, project: Path) -> None:
    """Each ``$ command`` with the output below it."""
    commands = re.split(r"^\$ ", text, flags=re.MULTILINE)
    assert not commands[0].strip(), f"{where}: a console block starts with a command"
    for part in commands[1:]:
        command, _, shown = part.partition("\n")
        code, output = _command(command, project)
        if (named := re.search(RUN_ID, shown)) is not None:  # no two runs have one
            output = re.sub(RUN_ID, named[0], output)
        if shown.strip():
            fits = parse.expected(shown).fullmatch(output.rstrip("\n") + "\n")
            assert fits, f"{where}: $ {command}\n--- shown\n{shown}\n--- is\n{output}"
        else:
            assert code == 0, f"{where}: $ {command}\n{output}"


def _command(line: str, project: Path) -> tuple[int, str]:
    """Exit code and output of a command. The product's own command is called here: a process would import all anew."""
    words = shlex.split(line)
    if words[0] != "orchestrator" or "|" in words:
        return _shell(line, project)
    if words[1] == "resume" or (
        words[1] == "answer" and len(words) > 2
    ):  # the id that a page shows is that of the last run
        with open_instance(project) as instance:
            words[2] = instance.get_runs(limit=1)[0].run_id[:8]
    known.cache_clear()  # in a process of its own, it would see the files as they are now
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            main.main(words[1:], prog_name="orchestrator")
        except SystemExit as end:
            return int(end.code or 0), output.getvalue()
    raise AssertionError("the command did not end")


def _shell(command: str, project: Path) -> tuple[int, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=project,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout


def test_the_metadata_table_is_whole() -> None:
    from orchestrator_dagster.definitions.steps.decision_metadata import DecisionMetadata
    from orchestrator_dagster.definitions.steps.metadata import ProductMetadata

    shown = set(re.findall(r"^\| `orchestrator/(\w+)`", (DOCS / "guides" / "dagster.md").read_text(), re.MULTILINE))
    assert set(ProductMetadata.model_fields) <= shown <= {*ProductMetadata.model_fields, *DecisionMetadata.model_fields}


def test_the_launch_configs_fit(project: Path) -> None:
    """Those of the Dagster guide: the job's, and the one that the asset pages take."""
    found = parse.blocks(DOCS / "guides" / "dagster.md")
    for block in found:
        if block.mark == "file":
            _write(block, project)
    definitions = orc.build_definitions("pipelines", root=project)
    (flat,) = (yaml.safe_load(one.text) for one in found if one.text.startswith("threshold:"))
    (nested,) = (yaml.safe_load(one.text) for one in found if one.text.startswith("ops:"))
    assert dg.validate_run_config(definitions.resolve_job_def("means_job"), flat)
    assert dg.validate_run_config(definitions.resolve_implicit_global_asset_job_def(), nested)
    with pytest.raises(dg.DagsterInvalidConfigError):
        dg.validate_run_config(definitions.resolve_job_def("means_job"), nested)


def test_the_settings_of_the_instance_are_dagsters(project: Path) -> None:
    (block,) = (one for one in parse.blocks(DOCS / "guides" / "dagster.md") if one.said.endswith("dagster.yaml"))
    _write(block, project)
    with dg.DagsterInstance.from_config(str((project / block.said).parent)) as instance:
        limits = instance.get_concurrency_config().run_queue_config.tag_concurrency_limits
    assert limits[0]["key"] == "orchestrator/pipeline"
    pipeline = orc.compile(REPOSITORY / "pipelines" / "research_report.yaml")
    job = pipeline.definitions().resolve_job_def("research_report_job")
    assert job.run_tags["orchestrator/pipeline"] == "research_report"


def test_the_public_names_are_listed() -> None:
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    assert all(f"`{one}`" in text for one in orc.__all__ if not one.startswith("__"))


@pytest.mark.parametrize(
    ("shown", "output", "fits"),
    [
        ("a: completed (… s)\n", "a: completed (0.21 s)\n", True),
        ("a\n…\nz\n", "a\nb\nc\nz\n", True),
        ("a\n…\nz\n", "a\nb\nc\ny\n", False),
        ("a\n", "a\nb\n", False),
    ],
)
def test_shown_output_is_compared(shown: str, output: str, fits: bool) -> None:
    """The tests above would pass on anything if the comparison did."""
    assert bool(parse.expected(shown).fullmatch(output)) is fits
