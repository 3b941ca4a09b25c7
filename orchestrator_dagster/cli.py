"""The command ``orchestrator``. What a command does not need is not imported: ``validate`` never imports Dagster."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from orchestrator_dagster.cli_answer import answer
from orchestrator_dagster.cli_compile import compile
from orchestrator_dagster.cli_limits import limits
from orchestrator_dagster.cli_log import log
from orchestrator_dagster.cli_models import models
from orchestrator_dagster.cli_plan import plan
from orchestrator_dagster.cli_prune import pruned_text, seconds
from orchestrator_dagster.cli_report import report
from orchestrator_dagster.cli_signals import end_without_threads, leading
from orchestrator_dagster.errors import InputsError, OrchestratorError, PipelineError, ResumeError

if TYPE_CHECKING:
    from orchestrator_dagster.language.diagnostics import Diagnostic

# A command makes many objects that stay until its end: looking through them often is a tenth of `validate`.
gc.set_threshold(50_000, 20, 20)

EXIT_FAILED, EXIT_WRONG, EXIT_INTERRUPTED = 1, 2, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="orchestrator-dagster", prog_name="orchestrator")
def main() -> None:
    """AI pipelines written as YAML, run as Dagster assets."""


main.add_command(answer)
main.add_command(limits)
main.add_command(compile)
main.add_command(log)
main.add_command(models)
main.add_command(plan)
main.add_command(report)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-i", "--input", "given", multiple=True, metavar="KEY=VALUE", help="An input; may be given many times.")
@click.option("--inputs-file", type=click.Path(path_type=Path), help="A YAML or JSON file with inputs.")
@click.option("--partition", metavar="KEY", help="The partition to make, of a pipeline with partitions.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the result document here, not to stdout.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def run(
    file: Path,
    given: tuple[str, ...],
    inputs_file: Path | None,
    partition: str | None,
    output: Path | None,
    quiet: bool,
) -> None:
    """Run a pipeline FILE here and print its result document."""
    from orchestrator_dagster.project import compile_or_raise, find_project

    root = Path.cwd()
    output = output and output.absolute()  # a tool may change the current folder
    if output is not None and not _writable(output):
        _stop(OrchestratorError(f'the result cannot be written to "{output}"', hint="give a file in a folder of yours"))
    try:
        pipeline = compile_or_raise(file, root)
        inputs = _inputs(given, inputs_file)
    except (PipelineError, InputsError) as error:
        _stop(error)
    from orchestrator_dagster.cli_progress import progress_view
    from orchestrator_dagster.definitions.execution import run_pipeline
    from orchestrator_dagster.definitions.instance import open_instance

    try:
        with (
            leading() as end_processes,
            open_instance(find_project(root)) as instance,
            progress_view(pipeline, quiet) as on_progress,
        ):
            document = run_pipeline(
                pipeline, inputs, root=root, instance=instance, partition=partition, on_progress=on_progress
            )
            if document["status"] == "canceled":
                end_processes()
    except (InputsError, PipelineError) as error:
        _stop(error)
    except OrchestratorError as error:
        _stop(error, EXIT_FAILED)
    _finish(document, output, quiet)


@main.command()
@click.argument("run_id")
@click.option(
    "--file", type=click.Path(path_type=Path), help="The pipeline as it is now, instead of as it was launched."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the result document here, not to stdout.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def resume(run_id: str, file: Path | None, output: Path | None, quiet: bool) -> None:
    """Go on with the run RUN_ID, which failed or was stopped: what is done stays done, the rest runs.

    With --file, the steps that were changed since run again too, with what comes after them.
    """
    from orchestrator_dagster.project import compile_or_raise, find_project

    root = Path.cwd()
    output = output and output.absolute()  # a tool may change the current folder
    if output is not None and not _writable(output):
        _stop(OrchestratorError(f'the result cannot be written to "{output}"', hint="give a file in a folder of yours"))
    try:
        pipeline = compile_or_raise(file, root) if file is not None else None
    except PipelineError as error:
        _stop(error)
    from orchestrator_dagster.cli_progress import progress_view
    from orchestrator_dagster.definitions.instance import open_instance
    from orchestrator_dagster.definitions.resume import pipeline_of, resume_run

    try:
        with open_instance(find_project(root)) as instance:
            shown = pipeline or pipeline_of(run_id, instance)
            with leading() as end_processes, progress_view(shown, quiet) as on_progress:
                document = resume_run(run_id, root=root, instance=instance, pipeline=pipeline, on_progress=on_progress)
                if document["status"] == "canceled":
                    end_processes()
    except (ResumeError, InputsError, PipelineError) as error:
        _stop(error)
    except OrchestratorError as error:
        _stop(error, EXIT_FAILED)
    _finish(document, output, quiet)


def _finish(document: dict[str, Any], output: Path | None, quiet: bool) -> NoReturn:
    """Print the result document, or write it; end with the code that says how the run went."""
    code = EXIT_INTERRUPTED if document["status"] == "canceled" else 0 if document["success"] else EXIT_FAILED
    end_without_threads(code)
    text = json.dumps(document, ensure_ascii=False, indent=2, default=str)
    try:
        if output is not None:
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:  # what the run came to is never lost
        _say(f'error: "{output}" cannot be written ({error.strerror}); the result follows')
        output = None
    if output is None:
        with suppress(ValueError):  # a tool has closed stdout; the run is recorded all the same
            click.echo(text)
    failure = document["error"]
    waits = failure is not None and failure["type"] == "WaitingForAnswerError"
    next_ = f"next: orchestrator {'answer' if waits else 'resume'} {document['execution_id'][:8]}"
    if document["status"] == "canceled":
        _say(f"interrupted\n{next_}")
        sys.exit(code)
    if failure and (quiet or failure["step"] not in document["steps"]):  # what no step has shown
        where = f"{failure['step']}: " if failure["step"] else ""
        _say(f"error: {where}{failure['message']}")
    elif failure:
        _say(f"the run {'waits for an answer' if waits else 'failed'}: {failure['step']}")
    if not document["success"]:
        _say(next_)
    sys.exit(code)


def _say(line: str) -> None:
    with suppress(ValueError, OSError):  # a tool has closed stderr, or who reads it is gone
        click.echo(line, err=True)


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "form", flag_value="json", help="Print the diagnostics as JSON.")
@click.option("--sarif", "form", flag_value="sarif", help="Print them as SARIF 2.1.0, for code hosts.")
def validate(files: tuple[Path, ...], form: str | None) -> None:
    """Check pipeline FILES (or folders of them): every problem of every file, in file order."""
    from orchestrator_dagster.language.diagnostics import render_all

    root = Path.cwd()
    try:
        found = _validated(files, root)
    except OrchestratorError as error:  # the project's own tools.py or personalities cannot be read
        _stop(error)
    if not found:
        _stop(OrchestratorError(f"there is no pipeline file in {', '.join(map(str, files))}", hint="check the path"))
    every = [diagnostic for _, problems in found for diagnostic in problems]
    wrong = sum(any(one.severity == "error" for one in problems) for _, problems in found)
    if form == "json":
        click.echo(json.dumps([one.as_json() for one in every], ensure_ascii=False, indent=2))
    elif form == "sarif":
        from orchestrator_dagster.language.sarif import sarif

        click.echo(json.dumps(sarif(every), ensure_ascii=False, indent=2))
    else:
        for path, problems in found:
            if problems:
                click.echo(render_all(problems), err=True)
            if not any(one.severity == "error" for one in problems):
                click.echo(f"{path}: valid")
        if len(found) != 1:
            click.echo(f"{len(found)} files, {wrong} with errors")
        if wrong and sys.stderr.isatty():
            code = next(one.code for one in every if one.severity == "error")
            click.echo(f"what a code means: orchestrator explain {code}", err=True)
    sys.exit(EXIT_WRONG if wrong else 0)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["mermaid", "svg"]), default="mermaid", help="Default mermaid.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the picture here, not to stdout.")
def graph(file: Path, form: str, output: Path | None) -> None:
    """Draw a pipeline FILE: steps, what they wait for, where they may go, products. Nothing runs."""
    from orchestrator_dagster.drawing.from_pipeline import picture_of
    from orchestrator_dagster.drawing.mermaid import mermaid
    from orchestrator_dagster.drawing.svg import svg
    from orchestrator_dagster.project import compile_or_raise

    try:
        picture = picture_of(compile_or_raise(file, Path.cwd()))
    except OrchestratorError as error:
        _stop(error)
    text = svg(picture) if form == "svg" else mermaid(picture)
    if output is None:
        click.echo(text, nl=False)
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")


@main.command()
@click.argument("name", required=False)
def tools(name: str | None) -> None:
    """List the tools, or show the actions and parameters of the tool NAME."""
    from orchestrator_dagster.cli_tools import list_tools, show_tool
    from orchestrator_dagster.project import known

    try:
        registry: Any = known(Path.cwd()).tools
        click.echo(show_tool(registry.find(name), Path.cwd()) if name else list_tools(registry))
    except OrchestratorError as error:
        _stop(error)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
def init(folder: Path) -> None:
    """Write a first pipeline into FOLDER (default here): it runs as it is."""
    from orchestrator_dagster.starter import write_starter

    try:
        written = write_starter(folder)
    except OrchestratorError as error:
        _stop(error)
    for path in written:
        click.echo(f"wrote {path}")
    enter = "" if folder == Path() else f"cd {folder} && "
    click.echo(f"\nRun it: {enter}orchestrator run pipelines/first.yaml\nLook at it: {enter}orchestrator dev")


@main.command()
@click.argument("code", required=False)
def explain(code: str | None) -> None:
    """Say what the CODE of a problem means, with a wrong and a right example; without CODE, list all codes."""
    from orchestrator_dagster.language.diagnostics import CODES
    from orchestrator_dagster.language.explanations import as_list, as_text, explanation
    from orchestrator_dagster.text import nearest

    if code is None:
        click.echo(as_list())
    elif code in CODES:
        click.echo(as_text(explanation(code)))
    else:
        _stop(
            OrchestratorError(
                f'there is no code "{code}"{nearest(code, CODES)}', hint="`orchestrator explain` lists all codes"
            )
        )


@main.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the schema here, not to stdout.")
def schema(output: Path | None) -> None:
    """Print the JSON Schema of a pipeline file, for editors; the names of this project's tools are suggestions."""
    from orchestrator_dagster.editor_schema import schema_text
    from orchestrator_dagster.project import known

    try:
        registry: Any = known(Path.cwd()).tools
        text = schema_text(registry, registry.names())
    except OrchestratorError as error:  # the project's own tools.py cannot be read
        _stop(error)
    if output is None:
        click.echo(text, nl=False)
    elif not _writable(output):
        _stop(OrchestratorError(f'the schema cannot be written to "{output}"', hint="give a file in a folder of yours"))
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")


@main.command()
@click.option(
    "--older-than", default="30d", callback=seconds, metavar="DURATION", help="How old is too old; default 30d."
)
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option("--call-store", metavar="FOLDER", help="Folder or URL of `call_store`, where `models` has one.")
@click.option(
    "--outcomes", metavar="FOLDER", help="Folder or URL of `base_path`, where `orchestrator_outcomes` has one."
)
def prune(older_than: float, dry_run: bool, call_store: str | None, outcomes: str | None) -> None:
    """Remove old outcomes, stored calls and kept pipelines.

    Runs in progress, what locations serve, products and records of runs are left alone.
    """
    from orchestrator_dagster.definitions.instance import open_instance
    from orchestrator_dagster.definitions.prune import prune as prune_files
    from orchestrator_dagster.project import find_project

    try:
        with open_instance(find_project(Path.cwd())) as instance:
            pruned = prune_files(instance, older_than, call_store=call_store, outcomes=outcomes, dry_run=dry_run)
    except OrchestratorError as error:
        _stop(error)
    click.echo(pruned_text(pruned, dry_run))
    for problem in pruned.problems:
        click.echo(f"error: {problem}", err=True)
    sys.exit(EXIT_FAILED if pruned.problems else 0)


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def dev(arguments: tuple[str, ...]) -> None:
    """Open the Dagster UI on this project's runs; ARGUMENTS go to `dagster dev`, for example `--port 3001`."""
    from orchestrator_dagster.definitions.instance import instance_home
    from orchestrator_dagster.project import find_project

    project = find_project(Path.cwd())
    workspace = project / "workspace.yaml"
    if not workspace.is_file():
        _stop(
            OrchestratorError(
                f'there is no workspace.yaml in "{project}"',
                hint="write one that loads the module orchestrator_dagster.code_location",
            )
        )
    os.environ["DAGSTER_HOME"] = str(instance_home(project))
    os.chdir(project)
    command = [sys.executable, "-m", "dagster", "dev", "-w", "workspace.yaml", *arguments]
    os.execv(sys.executable, command)


def _writable(path: Path) -> bool:
    """Whether a file can be written there, as far as can be told without writing it."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    return not path.is_dir() and folder.is_dir() and os.access(folder, os.W_OK)


def _validated(files: Iterable[Path], root: Path) -> list[tuple[str, list[Diagnostic]]]:
    """The diagnostics of every file, by its name; the files of a folder are checked against each other too."""
    from orchestrator_dagster.project import compile_file, load_folder, shown

    found: list[tuple[str, list[Diagnostic]]] = []
    for path in files:
        if path.is_dir():
            found += [(shown(one.path, root), list(one.diagnostics)) for one in load_folder(path, root)]
        else:
            found.append((str(path), list(compile_file(path, root, str(path)).problems)))
    return found


def _inputs(given: tuple[str, ...], inputs_file: Path | None) -> dict[str, Any]:
    """Inputs from a file and from ``-i``, which wins.

    Raises:
        InputsError: The file cannot be read, or an option is no KEY=VALUE.
    """
    values: dict[str, Any] = {}
    if inputs_file is not None:
        from orchestrator_dagster.language.diagnostics import render_all
        from orchestrator_dagster.language.document import read_file

        document, problems = read_file(inputs_file)
        if problems.errors:
            raise InputsError("the inputs file is wrong", [render_all(problems)])
        if not isinstance(document.value(), dict):
            raise InputsError("the inputs file is wrong", [f"{inputs_file}: a map of names and values was expected"])
        values.update(document.value())
    for item in given:
        name, found, value = item.partition("=")
        if not found or not name.strip():
            raise InputsError("the inputs are wrong", [f'"{item}" is no KEY=VALUE'])
        values[name.strip()] = _typed(value)
    return values


def _typed(text: str) -> Any:
    """A list or map when the text is JSON for one; any other text stays text, its input's type decides."""
    if text[:1] in "[{" and text:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _stop(error: OrchestratorError, code: int = EXIT_WRONG) -> Any:
    click.echo(str(error) if isinstance(error, PipelineError) else f"error: {error}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
