"""People as a run sees them: at the terminal, or by answers that come later.

A question that nobody has answered is kept in the instance's storage, and its step fails with
:class:`~orchestrator_dagster.errors.WaitingForAnswerError`: the run ends, and holds no worker. ``orchestrator answer``
keeps the answer beside the question and resumes the run; the step is done again and finds the answer. One folder a
root run, two files a question, each written whole::

    <storage>/questions/<root run id>/<key>.json           what is asked, where, and since when
    <storage>/questions/<root run id>/<key>.answer.json    the answer
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.errors import ParametersError, StorageError, ToolError, WaitingForAnswerError
from orchestrator_dagster.files.stored_files import write_whole
from orchestrator_dagster.runtime.services import Services
from orchestrator_dagster.tools.people_access import PersonAnswer, PersonQuestion, Source

_ANSWER = ".answer.json"

#: Asks a person at the terminal of this process. It takes what is asked, where, and whether the run was stopped; it
#: gives the values, the comment and the name, or None when nobody answered in time.
Terminal = Callable[["OpenQuestion", Callable[[], bool]], "tuple[dict[str, Any], str | None, str | None] | None"]


class OpenQuestion(BaseModel):
    """A question in its run: where it was asked, and since when (UTC)."""

    model_config = ConfigDict(frozen=True)

    key: str
    root_run: str
    run: str
    pipeline: str
    step: str
    question: PersonQuestion
    asked_at: datetime

    @property
    def until(self) -> datetime | None:
        """When the time for an answer is over, None for never."""
        seconds = self.question.timeout
        return None if seconds is None else self.asked_at + timedelta(seconds=seconds)

    @property
    def is_over(self) -> bool:
        """Whether the time for an answer is over."""
        return self.until is not None and datetime.now(timezone.utc) >= self.until


class QuestionStore:
    """The questions and answers in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open_questions(self) -> list[OpenQuestion]:
        """Every question that has no answer, the oldest first."""
        found = [one for one in self._all() if not self._answer_path(one).exists()]
        return sorted(found, key=lambda one: one.asked_at)

    def due(self) -> list[OpenQuestion]:
        """Every question that nobody needs to wait for any longer: it is answered, or its time is over."""
        found = [one for one in self._all() if self._answer_path(one).exists() or one.is_over]
        return sorted(found, key=lambda one: one.asked_at)

    def asked(self, root_run: str, key: str) -> OpenQuestion | None:
        """A question that was asked before, None when there is none."""
        return _read_question(self.folder / root_run / f"{key}.json")

    def put(self, question: OpenQuestion) -> None:
        """Keep a question.

        Raises:
            StorageError: The folder cannot be written.
        """
        self._write(self.folder / question.root_run / f"{question.key}.json", question)

    def answer(self, question: OpenQuestion) -> PersonAnswer | None:
        """The answer to a question, None when there is none."""
        path = self._answer_path(question)
        try:
            return PersonAnswer.model_validate_json(path.read_bytes()) if path.exists() else None
        except (OSError, ValueError) as error:
            raise StorageError(f'the answer in "{path}" cannot be read: {error}') from None

    def put_answer(self, question: OpenQuestion, answer: PersonAnswer) -> None:
        """Keep an answer; a later one replaces it.

        Raises:
            StorageError: The folder cannot be written.
        """
        self._write(self._answer_path(question), answer)

    def _answer_path(self, question: OpenQuestion) -> Path:
        return self.folder / question.root_run / f"{question.key}{_ANSWER}"

    def _write(self, path: Path, value: BaseModel) -> None:
        try:
            write_whole(path, value.model_dump_json(indent=1))
        except OSError as error:
            raise StorageError(f'"{path.parent}" cannot be written: {error.strerror or error}') from None

    def _all(self) -> Iterator[OpenQuestion]:
        for path in sorted(self.folder.glob("*/*.json")):
            if not path.name.startswith(".") and not path.name.endswith(_ANSWER):
                found = _read_question(path)
                if found is not None:
                    yield found


def _read_question(path: Path) -> OpenQuestion | None:
    try:
        return OpenQuestion.model_validate_json(path.read_bytes())
    except (OSError, ValueError):  # gone, or of another release
        return None


def answer_now(values: Mapping[str, Any], source: Source, comment: str | None, by: str | None) -> PersonAnswer:
    """An answer that is given at this moment."""
    at = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return PersonAnswer(values=dict(values), comment=comment or None, by=by or None, at=at, source=source)


@dataclass(frozen=True)
class People:
    """The people of a run.

    Args:
        store: Where questions are kept.
        root_run: The id of the first run of a chain of resumed ones.
        run: The run's own id.
        waiting: Called with a step when the run ends with a question of it open.
    """

    store: QuestionStore
    root_run: str
    run: str
    waiting: Callable[[str], None] = lambda step: None

    #: The terminal of this process; None where nobody sits at one.
    terminal: ClassVar[Terminal | None] = None


class StepPeople:
    """A :class:`~orchestrator_dagster.tools.people_access.PeopleAccess` for one attempt at a step."""

    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, pipeline: CompiledPipeline, step: CompiledStep, services: Services) -> None:
        self._pipeline, self._services = pipeline, services
        self._place = services.occurrence or step.id
        self._count = 0

    def ask(self, question: PersonQuestion, given: Any = None) -> PersonAnswer:
        """See :meth:`PeopleAccess.ask`."""
        if given is not None and given != "":
            values = given if isinstance(given, Mapping) else {question.fields[0].id: given}
            approver = question.approvers[0] if question.approvers else None
            return answer_now(question.checked(values, approver), "given", None, None)
        people = self._services.people
        if people is None:
            raise ToolError("nobody can be asked here: this run has no place for questions", permanent=True)
        asked = self._asked(people, question)
        found = people.store.answer(asked)
        if found is None and People.terminal is not None:
            found = self._at_terminal(people, asked)
        if found is None and asked.is_over:
            found = self._default(people, asked)
        if found is None:
            people.store.put(asked)
            people.waiting(self._place)
            raise WaitingForAnswerError(
                f"waits for an answer: {question.message}",
                hint=f"orchestrator answer {people.run[:8]} {self._place} {_how(question)}",
            )
        self._services.log(f"answered by {found.by or found.source}: {json.dumps(found.values, ensure_ascii=False)}")
        return found

    def _asked(self, people: People, question: PersonQuestion) -> OpenQuestion:
        """The question in its run: as it was asked before, or new. Other words are another question."""
        question = PersonQuestion.model_validate(self._services.redactor.value(question.model_dump(mode="json")))
        self._count += 1
        basis = json.dumps([self._place, self._count, question.model_dump(mode="json")], sort_keys=True)
        key = hashlib.sha256(basis.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        before = people.store.asked(people.root_run, key)
        if before is not None:
            return before.model_copy(update={"run": people.run})
        return OpenQuestion(
            key=key,
            root_run=people.root_run,
            run=people.run,
            pipeline=self._pipeline.id,
            step=self._place,
            question=question,
            asked_at=datetime.now(timezone.utc),
        )

    def _at_terminal(self, people: People, asked: OpenQuestion) -> PersonAnswer | None:
        terminal = People.terminal
        assert terminal is not None
        with StepPeople._lock:  # one question at a time
            said = terminal(asked, self._services.interrupted)
        if said is None:
            return None
        values, comment, by = said
        answer = answer_now(asked.question.checked(values, by), "terminal", comment, by)
        people.store.put(asked)
        people.store.put_answer(asked, answer)
        return answer

    def _default(self, people: People, asked: OpenQuestion) -> PersonAnswer:
        question = asked.question
        if not question.has_default:
            raise ToolError(
                f"nobody answered within {question.timeout:g} seconds: {question.message}",
                hint="give more time, or a `default`",
                permanent=True,
            )
        answer = answer_now(question.defaults(), "default", None, None)
        people.store.put(asked)
        people.store.put_answer(asked, answer)
        return answer


def _how(question: PersonQuestion) -> str:
    if question.kind == "approval":
        return "--approve (or --reject)"
    return "--value …" if len(question.fields) == 1 else f"--value {question.fields[0].id}=…"


def find_open(questions: list[OpenQuestion], root_run: str, step: str | None) -> OpenQuestion:
    """The open question of a run, by its step where there are several.

    Raises:
        ParametersError: There is none, or several, with their steps.
    """
    found = [one for one in questions if one.root_run == root_run and step in (None, one.step)]
    if len(found) == 1:
        return found[0]
    steps = sorted(one.step for one in questions if one.root_run == root_run)
    if not steps:
        raise ParametersError("no question of this run is open", hint="`orchestrator answer` lists the open ones")
    if step is None or len(found) > 1:
        raise ParametersError(f"several questions of this run are open: {', '.join(steps)}", hint="name the step")
    raise ParametersError(f'step "{step}" asks nothing; open are: {", ".join(steps)}')
