"""Questions to people: what is asked, what an answer must look like, and how a run lends a tool its people."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator

from orchestrator_dagster.errors import ParametersError
from orchestrator_dagster.text import nearest

FieldType = Literal["text", "integer", "number", "boolean", "choice", "choices"]
Source = Literal["terminal", "command", "given", "default"]

_YES = frozenset(("true", "yes", "y", "1", "approve", "approved"))
_NO = frozenset(("false", "no", "n", "0", "reject", "rejected"))


class FormField(BaseModel):
    """One thing that a person is asked: its type, and which values it takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    question: str
    type: FieldType = "text"
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    required: bool = True
    default: Any = None

    @model_validator(mode="after")
    def _fits(self) -> FormField:
        if (self.type in ("choice", "choices")) != bool(self.choices):
            raise ValueError("`choices` go with the types choice and choices")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(f"`pattern` is no regular expression: {error}") from None
        if self.default is not None:
            value, problem = self.read(self.default)
            if problem:
                raise ValueError(f"`default` {problem}")
            object.__setattr__(self, "default", value)
        return self

    def read(self, value: Any) -> tuple[Any, str | None]:
        """The value as it is kept, or what is wrong with it."""
        if value is None or (isinstance(value, str) and not value.strip()):
            return (self.default, None) if self.default is not None or not self.required else (None, "is missing")
        if self.type == "boolean":
            word = str(value).strip().lower()
            return (word in _YES, None) if word in _YES | _NO else (None, f"{value!r} is neither yes nor no")
        if self.type in ("integer", "number"):
            return self._number(value)
        if self.type == "choice":
            return self._choice(value)
        if self.type == "choices":
            found = [self._choice(one) for one in self._many(value)]
            wrong = next((problem for _, problem in found if problem), None)
            return (None, wrong) if wrong else ([one for one, _ in found], None)
        text = str(value)
        if self.pattern is not None and not re.fullmatch(self.pattern, text):
            return None, f"{text!r} does not match {self.pattern}"
        if self.minimum is not None and len(text) < self.minimum:
            return None, f"has {len(text)} characters, at least {self.minimum:g} are needed"
        if self.maximum is not None and len(text) > self.maximum:
            return None, f"has {len(text)} characters, at most {self.maximum:g} are allowed"
        return text, None

    def _number(self, value: Any) -> tuple[Any, str | None]:
        try:
            number: float = int(str(value)) if self.type == "integer" else float(str(value))
        except ValueError:
            return None, f"{value!r} is no {'whole number' if self.type == 'integer' else 'number'}"
        if number != number or number in (float("inf"), float("-inf")):
            return None, f"{value!r} is no number"
        if self.minimum is not None and number < self.minimum:
            return None, f"{number:g} is less than {self.minimum:g}"
        if self.maximum is not None and number > self.maximum:
            return None, f"{number:g} is more than {self.maximum:g}"
        return number, None

    def _many(self, value: Any) -> list[Any]:
        if isinstance(value, (list, tuple)):
            return list(value)
        text = str(value)
        if text.startswith("["):
            try:
                return list(json.loads(text))
            except ValueError:
                pass
        return [one.strip() for one in text.split(",") if one.strip()]

    def _choice(self, value: Any) -> tuple[Any, str | None]:
        text = str(value).strip()
        by_word = {one.lower(): one for one in self.choices}
        if text in self.choices:
            return text, None
        if text.lower() in by_word:
            return by_word[text.lower()], None
        return None, f"{text!r} is none of {', '.join(self.choices)}{nearest(text, self.choices)}"


class PersonQuestion(BaseModel):
    """What people are asked in one go.

    Args:
        kind: ``prompt``, ``approval`` or ``feedback``.
        message: What it is about.
        details: Further material for who answers.
        fields: What is to be answered.
        approvers: Who may answer, empty for anybody.
        timeout: Seconds after which the default applies, or the step fails; None for never.
        has_default: Whether the defaults of the fields are the answer when time is over.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["prompt", "approval", "feedback"]
    message: str
    details: Any = None
    fields: tuple[FormField, ...]
    approvers: tuple[str, ...] = ()
    timeout: float | None = None
    has_default: bool = False

    def checked(self, values: Mapping[str, Any], by: str | None) -> dict[str, Any]:
        """The values of an answer as they are kept.

        Raises:
            ParametersError: They do not fit; all problems are named.
        """
        known = {one.id: one for one in self.fields}
        problems = [f'there is no question "{name}"{nearest(name, known)}' for name in values if name not in known]
        found: dict[str, Any] = {}
        for name, field in known.items():
            found[name], problem = field.read(values.get(name))
            if problem:
                problems.append(problem if len(known) == 1 else f'"{name}": {problem}')
        if self.approvers and (by or "") not in self.approvers:
            said = f'"{by}" may not answer' if by else "nobody is named who answers"
            problems.append(f"{said}; these may: {', '.join(self.approvers)}")
        if problems:
            raise ParametersError(f"the answer does not fit: {'; '.join(problems)}")
        return found

    def defaults(self) -> dict[str, Any]:
        """The answer that applies when nobody gives one."""
        return {field.id: field.default for field in self.fields}


class PersonAnswer(BaseModel):
    """An answer: the values by field, who gave it, when (ISO 8601), and how it came."""

    model_config = ConfigDict(frozen=True)

    values: dict[str, Any]
    comment: str | None = None
    by: str | None = None
    at: str
    source: Source


class PeopleAccess(Protocol):
    """The people of a run: at the terminal, or whoever answers later."""

    def ask(self, question: PersonQuestion, given: Any = None) -> PersonAnswer:
        """The answer to a question.

        Args:
            question: What is asked.
            given: An answer that the launch has given, None for none: one value, or a map by field.

        Raises:
            ParametersError: The given answer does not fit.
            WaitingForAnswerError: Nobody has answered yet. The run ends, and goes on when somebody has.
            ToolError: The time for an answer is over, and there is no default.
        """
        ...
