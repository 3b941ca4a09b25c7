"""The command ``orchestrator answer``: lists what runs wait for, keeps an answer, and goes on with the run."""

from __future__ import annotations

import getpass
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator_dagster.cli.common import stop
from orchestrator_dagster.errors import OrchestratorError, ParametersError, ResumeError
from orchestrator_dagster.text import visible

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from orchestrator_dagster.runtime.people import OpenQuestion


@click.command()
@click.argument("run_id", required=False)
@click.argument("step", required=False)
@click.option("--value", "values", multiple=True, metavar="VALUE", help="The answer; of a form ID=VALUE, once each.")
@click.option("--approve/--reject", "approve", default=None, help="The answer to an approval.")
@click.option("--comment", help="A word with the answer.")
@click.option("--by", metavar="NAME", help="Who answers; default the user of this machine.")
@click.option("--default", "with_default", is_flag=True, help="Answer with the defaults.")
@click.option("--no-resume", is_flag=True, help="Keep the answer only; the run goes on when it is resumed.")
@click.option(
    "--due", is_flag=True, help="Go on with every run that was answered, or whose time for an answer is over."
)
@click.option("--json", "as_json", is_flag=True, help="Without RUN_ID: list as JSON.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the result document here, not to stdout.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def answer(
    run_id: str | None,
    step: str | None,
    values: tuple[str, ...],
    approve: bool | None,
    comment: str | None,
    by: str | None,
    with_default: bool,
    no_resume: bool,
    due: bool,
    as_json: bool,
    output: Path | None,
    quiet: bool,
) -> None:
    """Answer the question of a STEP of the run RUN_ID and go on with the run; without RUN_ID list the open questions.

    STEP may be left out where one question is open.
    """
    from orchestrator_dagster.definitions.instance.home import open_instance
    from orchestrator_dagster.project.loading import find_project

    try:
        with open_instance(find_project(Path.cwd())) as instance:
            if due:
                _go_on(instance)
                return
            if run_id is None:
                _list(instance, as_json)
                return
            asked = _find(instance, run_id, step)
            given = {field.id: field.default for field in asked.question.fields} if with_default else {}
            if not with_default:
                given = _given(asked, values, approve)
            _keep(instance, asked, given, comment, by or _user())
    except OrchestratorError as error:
        stop(error)
    if not quiet:
        click.echo(f"answered: {asked.step} of {run_id}", err=True)
    if not no_resume:
        from orchestrator_dagster.cli.run import resume

        resume.callback(run_id=asked.run, file=None, output=output, quiet=quiet)  # type: ignore[misc]


def _store(instance: DagsterInstance) -> Any:
    from orchestrator_dagster.definitions.steps.step_context import QUESTIONS
    from orchestrator_dagster.runtime.people import QuestionStore

    return QuestionStore(Path(instance.storage_directory()) / QUESTIONS)


def _list(instance: DagsterInstance, as_json: bool) -> None:
    found: list[OpenQuestion] = _store(instance).open_questions()
    if as_json:
        click.echo(json.dumps([one.model_dump(mode="json") for one in found], ensure_ascii=False, indent=2))
        return
    if not found:
        click.echo("no question is open")
    for one in found:
        until = f", until {one.until:%Y-%m-%d %H:%M} UTC" if one.until else ""
        click.echo(f"{one.run[:8]}  {one.pipeline}: {one.step}  (since {one.asked_at:%Y-%m-%d %H:%M} UTC{until})")
        click.echo(f"  {visible(one.question.message)}")
        for field in one.question.fields:
            said = f"{field.id}: {field.question}" if len(one.question.fields) > 1 else field.type
            allowed = f" [{', '.join(field.choices)}]" if field.choices else ""
            default = "" if field.default is None else f", default {field.default}"
            click.echo(visible(f"    {said}{allowed}{default}"))
        if one.question.approvers:
            click.echo(f"    who may answer: {', '.join(one.question.approvers)}")


def _go_on(instance: DagsterInstance) -> None:
    """Resume every run that need not wait any longer, one after the other; what each comes to is one line."""
    from orchestrator_dagster.definitions.runs.resume import resume_run

    for run in dict.fromkeys(one.run for one in _store(instance).due()):
        try:
            document = resume_run(run, root=Path.cwd(), instance=instance)
        except ResumeError:  # it has been resumed, is going on, or is gone
            continue
        except OrchestratorError as error:
            click.echo(f"{run[:8]}: cannot go on: {error.message}", err=True)
            continue
        click.echo(f"{run[:8]}: went on as {document['execution_id'][:8]}: {document['status']}")


def _find(instance: DagsterInstance, run_id: str, step: str | None) -> OpenQuestion:
    from orchestrator_dagster.definitions.runs.recorded import find_run
    from orchestrator_dagster.runtime.people import find_open

    run = find_run(run_id, instance)
    return find_open(_store(instance).open_questions(), run.root_run_id or run.run_id, step)


def _given(asked: OpenQuestion, values: tuple[str, ...], approve: bool | None) -> dict[str, Any]:
    """The values by field, as the options have them.

    Raises:
        ParametersError: They are not those of this kind of question.
    """
    question = asked.question
    if question.kind == "approval":
        if approve is None or values:
            raise ParametersError("this is an approval", hint="answer with --approve or --reject, and --comment")
        return {question.fields[0].id: approve}
    if approve is not None:
        raise ParametersError("this is no approval", hint="answer with --value")
    if not values:
        raise ParametersError("no answer is given", hint="add --value")
    if len(question.fields) == 1 and len(values) == 1:
        field = question.fields[0].id
        return {field: values[0].removeprefix(f"{field}=")}
    found: dict[str, Any] = {}
    for one in values:
        name, sign, value = one.partition("=")
        if not sign:
            raise ParametersError(f'"{one}" does not say which question it answers', hint="write --value ID=VALUE")
        found[name.strip()] = value
    return found


def _keep(
    instance: DagsterInstance, asked: OpenQuestion, given: dict[str, Any], comment: str | None, by: str | None
) -> None:
    from orchestrator_dagster.runtime.people import answer_now

    checked = asked.question.checked(given, by)
    _store(instance).put_answer(asked, answer_now(checked, "command", comment, by))


def _user() -> str | None:
    with suppress(Exception):  # no name of a user is known here
        return getpass.getuser()
    return None
