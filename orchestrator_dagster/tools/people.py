"""The tools that ask people: ``user-prompt``, ``approval-gate`` and ``feedback-collection``.

On a terminal they ask there. Elsewhere the run ends with the question open, without holding a worker, and goes on when
it is answered: see :mod:`orchestrator_dagster.runtime.people`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, Field, ValidationError

from orchestrator_dagster.errors import ApprovalRejectedError, ParametersError, ToolError
from orchestrator_dagster.language.base import Duration
from orchestrator_dagster.language.values import sentences
from orchestrator_dagster.tools.people_access import FieldType, FormField, PeopleAccess, PersonQuestion, Source
from orchestrator_dagster.tools.tool import Tool, ToolContext

user_prompt = Tool("user-prompt", summary="Asks a person for a value.", model_may_call=False)
approval_gate = Tool(
    "approval-gate", summary="Waits until a person approves; a rejection is a failure.", model_may_call=False
)
feedback_collection = Tool(
    "feedback-collection", summary="Asks a person several questions, with ratings.", model_may_call=False
)

Wait = Annotated[
    Duration | None,
    Field(description="How long an answer may take: 30, 10m, 2d. Then the default applies, or the step fails."),
]
Given = Annotated[
    Any, Field(description="The answer, when the launch has given one (an input for example); empty: ask.")
]
Details = Annotated[Any, Field(description="Material for who answers, shown below the question.")]


class PromptResult(BaseModel):
    """What was answered, by whom, when, and how it came."""

    answer: Any
    comment: str | None
    by: str | None
    at: str
    source: Source


class ApprovalResult(BaseModel):
    """An approval, or with ``on_rejection: answer`` a rejection. ``content`` is what it is about, changed or not."""

    approved: bool
    content: Any
    comment: str | None
    by: str | None
    at: str
    source: Source


class FeedbackResult(BaseModel):
    """The answers by question; ``average`` is the mean of the ratings, null when there are none."""

    responses: dict[str, Any]
    average: float | None
    comment: str | None
    by: str | None
    at: str
    source: Source


@user_prompt.action(aliases=("prompt", "input", "confirm", "choose"), default=True, in_run=True)
def ask(
    context: ToolContext,
    prompt: Annotated[
        str, Field(description="The question.", validation_alias=AliasChoices("prompt", "message", "question", "text"))
    ],
    type: Annotated[
        FieldType | None,
        Field(
            description="Type of the answer; default text, or choice with `choices`.",
            validation_alias=AliasChoices("type", "input_type"),
        ),
    ] = None,
    choices: Annotated[
        list[str],
        Field(description="The answers that are allowed.", validation_alias=AliasChoices("choices", "options")),
    ] = [],  # noqa: B006 - it is never changed
    pattern: Annotated[str | None, Field(description="Regular expression that a text must match as a whole.")] = None,
    minimum: Annotated[float | None, Field(description="Least number, or characters of a text.")] = None,
    maximum: Annotated[float | None, Field(description="Greatest number, or characters of a text.")] = None,
    default: Annotated[
        Any, Field(description="What an empty answer means, and what applies when `timeout` is over.")
    ] = None,
    timeout: Wait = None,
    details: Details = None,
    answer: Given = None,
) -> PromptResult:
    """Ask a person one question."""
    kind = type or ("choice" if choices else "text")
    field = _field(
        id="answer",
        question=prompt,
        type=kind,
        choices=choices,
        pattern=pattern,
        minimum=minimum,
        maximum=maximum,
        default=default,
    )
    question = PersonQuestion(
        kind="prompt",
        message=prompt,
        details=details,
        fields=(field,),
        timeout=_seconds(timeout),
        has_default=default is not None,
    )
    found = _people(context).ask(question, answer)
    return PromptResult(answer=found.values["answer"], **found.model_dump(exclude={"values"}))


@approval_gate.action(aliases=("approve", "request_approval", "review"), default=True, in_run=True)
def request(
    context: ToolContext,
    message: Annotated[
        str,
        Field(
            description="What is to be approved.",
            validation_alias=AliasChoices("message", "prompt", "title", "request", "description"),
        ),
    ],
    details: Annotated[
        Any,
        Field(
            description="Material for who decides, shown below the message.",
            validation_alias=AliasChoices("details", "content", "context"),
        ),
    ] = None,
    approvers: Annotated[list[str], Field(description="Who may decide, by the name given with the answer.")] = [],  # noqa: B006
    default: Annotated[
        Literal["approve", "reject"] | None, Field(description="What applies when `timeout` is over.")
    ] = None,
    timeout: Wait = None,
    answer: Given = None,
    allow_modifications: Annotated[
        bool, Field(description="Whether the answer may give the details in a changed form, as `content`.")
    ] = False,
    on_rejection: Annotated[
        Literal["fail", "answer"], Field(description="Whether a rejection fails the step, or is its answer.")
    ] = "fail",
) -> ApprovalResult:
    """Ask a person to approve; a rejection fails the step, and can be routed by `on_failure`."""
    field = _field(
        id="approved",
        question=message,
        type="boolean",
        default=None if default is None else default == "approve",
    )
    question = PersonQuestion(
        kind="approval",
        message=message,
        details=details,
        fields=(field.model_copy(update={"required": True}), *(_CHANGED if allow_modifications else ())),
        approvers=tuple(approvers),
        timeout=_seconds(timeout),
        has_default=default is not None,
    )
    found = _people(context).ask(question, answer)
    approved = found.values["approved"] is True
    if not approved and on_rejection == "fail":
        who = found.by or ("nobody answered in time" if found.source == "default" else "the answer")
        raise ApprovalRejectedError(
            f"not approved ({who}){f': {found.comment}' if found.comment else ''}: {message}",
            hint="a step can go on from here: `on_failure: STEP`",
        )
    changed = found.values.get("content")
    return ApprovalResult(
        approved=approved,
        content=details if changed is None else changed,
        **found.model_dump(exclude={"values"}),
    )


@feedback_collection.action(aliases=("collect_feedback", "survey"), default=True, in_run=True)
def collect(
    context: ToolContext,
    questions: Annotated[
        list[dict[str, Any] | str],
        Field(
            description="The questions: texts, or maps with `id`, `question`, `type` (text, rating, integer, number, "
            "boolean, choice, choices), `choices`, `minimum`, `maximum`, `required`, `default`."
        ),
    ],
    message: Annotated[
        str, Field(description="What it is about.", validation_alias=AliasChoices("message", "title", "prompt"))
    ] = "Your feedback",
    details: Details = None,
    timeout: Wait = None,
    answer: Given = None,
    save_to: Annotated[
        str | None,
        Field(
            description="A JSON file that the answers are written to as well.",
            validation_alias=AliasChoices("save_to", "save_to_file", "output_path"),
        ),
    ] = None,
    anonymous: Annotated[bool, Field(description="Whether who answers is left out of the result.")] = False,
) -> FeedbackResult:
    """Ask a person several questions; ratings are whole numbers from 1 to 5 unless said otherwise."""
    fields, ratings = _form(questions)
    question = PersonQuestion(
        kind="feedback",
        message=message,
        details=details,
        fields=fields,
        timeout=_seconds(timeout),
        has_default=all(one.default is not None or not one.required for one in fields),
    )
    found = _people(context).ask(question, answer)
    rated = [found.values[name] for name in ratings if found.values[name] is not None]
    result = FeedbackResult(
        responses=found.values,
        average=sum(rated) / len(rated) if rated else None,
        **found.model_dump(exclude={"values"}),
    )
    if anonymous:
        result = result.model_copy(update={"by": None})
    if save_to is not None:
        context.workspace.write(save_to, result.model_dump_json(indent=2).encode())
    return result


_CHANGED = (FormField(id="content", question="The content, where it is to be changed", required=False),)


def _form(questions: list[dict[str, Any] | str]) -> tuple[tuple[FormField, ...], list[str]]:
    """The fields, and the ids of those that are ratings."""
    if not questions:
        raise ParametersError("feedback-collection needs a question", hint="add one to `questions`")
    fields, ratings = [], []
    for number, one in enumerate(questions, 1):
        made: dict[str, Any] = {"question": one} if isinstance(one, str) else dict(one)
        made.setdefault("id", f"q{number}")
        made.setdefault("question", made["id"])
        if made.get("type") == "rating":
            made["type"] = "integer"
            made.setdefault("minimum", 1)
            made.setdefault("maximum", 5)
            ratings.append(str(made["id"]))
        if made.get("choices") and "type" not in made:
            made["type"] = "choice"
        fields.append(_field(f"question {number}", **made))
    ids = [one.id for one in fields]
    if twice := next((one for one in ids if ids.count(one) > 1), None):
        raise ParametersError(f'two questions have the id "{twice}"')
    return tuple(fields), ratings


def _field(what: str = "the question", /, **values: Any) -> FormField:
    try:
        return FormField(**values)
    except ValidationError as error:
        raise ParametersError(f"{what} cannot be asked: {'; '.join(sentences(error))}") from None


def _seconds(timeout: Any) -> float | None:
    return None if timeout is None else float(timeout)


def _people(context: ToolContext) -> PeopleAccess:
    if context.people is None:
        raise ToolError("people can only be asked by a step of a run", permanent=True)
    return context.people
