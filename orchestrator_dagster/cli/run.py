"""``orchestrator run`` and ``resume``: a run in this process, its progress on stderr, its result document on stdout."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from orchestrator_dagster.cli.common import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    given_inputs,
    say,
    stop,
    writable,
)
from orchestrator_dagster.cli.signals import end_without_threads, leading
from orchestrator_dagster.errors import InputsError, OrchestratorError, PipelineError, ResumeError

if TYPE_CHECKING:
    from orchestrator_dagster.compiler.compiled import CompiledPipeline


@click.command()
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
    from orchestrator_dagster.project.loading import compile_or_raise, find_project, refuse_unsupported
    from orchestrator_dagster.runtime.inputs import complete_inputs
    from orchestrator_dagster.runtime.names import RunInfo

    root = Path.cwd()
    output = output and output.absolute()  # a tool may change the current folder
    if output is not None and not writable(output):
        stop(OrchestratorError(f'the result cannot be written to "{output}"', hint="give a file in a folder of yours"))
    try:
        pipeline = compile_or_raise(file, root)
        inputs = given_inputs(given, inputs_file)
        refuse_unsupported(pipeline)
        completed = None
        if pipeline.partitions is None:  # which Dagster knows; what is wrong without is said before it is imported
            completed = complete_inputs(pipeline, inputs, RunInfo("", datetime.now(timezone.utc), None))
    except (PipelineError, InputsError) as error:
        stop(error)
    from orchestrator_dagster.cli.progress import progress_view
    from orchestrator_dagster.compiler.packages import missing_packages
    from orchestrator_dagster.definitions.instance.home import open_instance
    from orchestrator_dagster.definitions.runs.execution import run_pipeline

    for line in missing_packages(pipeline):  # said before anything is done, or paid
        say(f"warning: {line}")

    try:
        with (
            leading() as end_processes,
            open_instance(find_project(root)) as instance,
            progress_view(pipeline, quiet) as on_progress,
        ):
            document = run_pipeline(
                pipeline,
                inputs,
                root=root,
                instance=instance,
                partition=partition,
                completed=completed,
                on_progress=on_progress,
            )
            if document["status"] == "canceled":
                end_processes()
    except (InputsError, PipelineError) as error:
        stop(error)
    except OrchestratorError as error:
        stop(error, EXIT_FAILED)
    _finish(document, output, quiet)


@click.command()
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
    from orchestrator_dagster.project.loading import compile_or_raise, find_project

    root = Path.cwd()
    output = output and output.absolute()  # a tool may change the current folder
    if output is not None and not writable(output):
        stop(OrchestratorError(f'the result cannot be written to "{output}"', hint="give a file in a folder of yours"))
    try:
        pipeline = compile_or_raise(file, root) if file is not None else None
    except PipelineError as error:
        stop(error)
    from orchestrator_dagster.cli.progress import progress_view
    from orchestrator_dagster.definitions.instance.home import open_instance
    from orchestrator_dagster.definitions.runs.resume import pipeline_of, resume_run

    try:
        with open_instance(find_project(root)) as instance:
            shown = pipeline or pipeline_of(run_id, instance)
            changed = None if pipeline else _changed(shown, root)
            if changed is not None:
                say(f"note: {changed} has changed since the launch, and the run goes on with it as it was then")
                say(f"  next: `--file {shlex.quote(changed)}` takes it as it is now")
            with leading() as end_processes, progress_view(shown, quiet) as on_progress:
                document = resume_run(run_id, root=root, instance=instance, pipeline=pipeline, on_progress=on_progress)
                if document["status"] == "canceled":
                    end_processes()
    except (ResumeError, InputsError, PipelineError) as error:
        stop(error)
    except OrchestratorError as error:
        stop(error, EXIT_FAILED)
    _finish(document, output, quiet, changed)


def _changed(launched: CompiledPipeline, root: Path) -> str | None:
    """The pipeline's file, when it says something else than at the launch; None also where it is not here any more."""
    from orchestrator_dagster.project.loading import compile_file

    if not (root / launched.file).is_file():
        return None
    now = compile_file(root / launched.file, root).pipeline
    return None if now is not None and now.fingerprint == launched.fingerprint else launched.file


def _finish(document: dict[str, Any], output: Path | None, quiet: bool, changed: str | None = None) -> NoReturn:
    """Print the result document, or write it; end with the code that says how the run went.

    ``changed`` is the pipeline's file when it is not any more what was run.
    """
    code = EXIT_INTERRUPTED if document["status"] == "canceled" else 0 if document["success"] else EXIT_FAILED
    end_without_threads(code)
    text = json.dumps(document, ensure_ascii=False, indent=2, default=str)
    try:
        if output is not None:
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:  # what the run came to is never lost
        say(f'error: "{output}" cannot be written ({error.strerror}); the result follows')
        output = None
    if output is None:
        with suppress(ValueError):  # a tool has closed stdout; the run is recorded all the same
            click.echo(text)
    failure = document["error"]
    waits = failure is not None and failure["type"] == "WaitingForAnswerError"
    next_ = f"next: orchestrator {'answer' if waits else 'resume'} {document['execution_id'][:8]}"
    if changed is not None and not waits:
        next_ += f" --file {shlex.quote(changed)}"
    if document["status"] == "canceled":
        say(f"interrupted\n{next_}")
        sys.exit(code)
    if failure and (quiet or failure["step"] not in document["steps"]):  # what no step has shown
        where = f"{failure['step']}: " if failure["step"] else ""
        say(f"error: {where}{failure['message'] if waits else _placed(failure)}")
        if failure["hint"] and not waits:
            say(f"  next: {failure['hint']}")
    elif failure:
        say(f"the run {'waits for an answer' if waits else 'failed'}: {failure['step']}")
    if not document["success"]:
        say(next_)
    sys.exit(code)


def _placed(failure: Mapping[str, Any]) -> str:
    """The message of a failure, with the place of its step in front; where several failed, it has theirs."""
    return f"{failure['location']}: {failure['message']}" if failure["location"] else str(failure["message"])
