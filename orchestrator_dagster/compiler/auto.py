"""``<AUTO>`` values: where they may stand, whether their tags are whole, and whether something can decide them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from orchestrator_dagster.compiler.bodies import Body, Draft
from orchestrator_dagster.compiler.conditions import text_span
from orchestrator_dagster.compiler.kinds import Place
from orchestrator_dagster.language.auto_tags import has_auto, read_auto
from orchestrator_dagster.language.read import Reading
from orchestrator_dagster.language.template_names import texts_of

#: Keys of a step whose values may be decided when it runs.
STEP_PLACES = (
    "parameters", "prompt", "personality", "temperature", "max_tokens", "timeout", "condition", "while", "until",
    "for_each", "max_parallel", "max_iterations", "inputs",
)  # fmt: skip
#: Those of them that are numbers, or a duration.
_NUMBERS = ("temperature", "max_tokens", "timeout", "max_parallel", "max_iterations")
#: Keys of the header that stand for all steps.
_HEADER_PLACES = ("personality", "timeout")
#: Where the tag means "let the schema choose".
_MODELS = ("orchestrator", "model", "default_model", "experts", "expert", "selection_schema")
#: What looks like the tag and is none.
_SMALL = re.compile(r"<auto>(?=.*</auto>)", re.IGNORECASE | re.DOTALL)
#: Texts for people, which are read by nobody else.
_FOR_PEOPLE = ("name", "description", "metadata", "version")
_WHERE = (
    "it may stand in a step's parameters, prompt, personality, temperature, max_tokens, timeout, condition, while, "
    "until, for_each, max_parallel, max_iterations, inputs, fallbacks and paths of products"
)
_ROUTES = "routes are drawn before anything runs: give the steps that it may lead to a `condition` with the tag"


def check_auto(reading: Reading, top: Body, builtin: str = "builtin") -> None:
    """Note every ``<AUTO>`` that is not whole, stands where nothing decides it, or has no model to decide it.

    Args:
        reading: The file.
        top: Its steps.
        builtin: The provider of the model that cannot decide.
    """
    pipeline = reading.pipeline
    assert pipeline is not None
    first: tuple[Place, str | None] | None = None
    header = pipeline.model_dump(by_alias=True, exclude_unset=True, exclude={"steps", *_FOR_PEOPLE, *_MODELS})
    for path, text in texts_of(header):
        if has_auto(text):
            if path[0] in _HEADER_PLACES or (path[0] == "failure_handlers" and "fallback" in path):
                _check_tags(text, path, None, reading)
                first = first or (path, None)
            else:
                _misplaced(path, None, reading, _WHERE)
    _check_models(pipeline.model_dump(by_alias=True, exclude_unset=True, include=set(_MODELS)), (), None, reading)
    for draft in top.walk():
        values = draft.step.model_dump(by_alias=True, exclude_unset=True, include=set(_MODELS))
        _check_models(values, draft.place, draft.step.id, reading)
        for path, text in _texts(draft):
            place = (*draft.place, *path)
            if _may_stand(draft, path):
                _check_tags(text, place, draft.step.id, reading)
                _check_number(text, draft, path, reading)
                first = first or (place, draft.step.id)
            else:
                routes = path[0] in ("on_false", "on_success", "on_failure", "dependencies")
                _misplaced(place, draft.step.id, reading, _ROUTES if routes else _WHERE)
    _warn_of_small_letters(reading)
    if first is not None and not reading.lost((), "orchestrator"):
        _check_orchestrator(*first, builtin, reading)


def _texts(draft: Draft) -> Iterator[tuple[Place, str]]:
    """The texts of a step that have a tag, but for those of its models and of what is read by people alone."""
    skipped = {"name", "metadata", "steps", *_MODELS}
    if draft.work is None or draft.work.instruction_place != ("description",):
        skipped.add("description")
    values = draft.step.model_dump(by_alias=True, exclude_unset=True)
    for path, text in texts_of({key: value for key, value in values.items() if key not in skipped}):
        if has_auto(text) and path != ("parameters", "model"):
            yield path, text


def _may_stand(draft: Draft, path: Place) -> bool:
    if path[0] in STEP_PLACES:
        return True
    if path[0] in ("action", "description"):
        return draft.work is not None and draft.work.instruction_place == (path[0],)
    if path[0] == "products":
        return path[-1] == "path"
    return path[0] == "failure_handlers" and "fallback" in path


def _check_tags(text: str, place: Place, step: str | None, reading: Reading) -> None:
    """Note what is wrong with the tags of one text."""
    for problem in read_auto(text).problems:
        reading.problems.add(
            "auto-tag",
            f"{_of(step)}{problem.message}",
            text_span(reading.document, place, problem.start, problem.end),
            step=step,
            hint=problem.hint,
        )


def _check_models(values: dict[str, Any], place: Place, step: str | None, reading: Reading) -> None:
    """Note what is wrong with the tags on the keys that name models."""
    for path, text in texts_of(values):
        if has_auto(text):
            _check_tags(text, (*place, *path), step, reading)


def _check_number(text: str, draft: Draft, path: Place, reading: Reading) -> None:
    """Note a tag with text around it where a number is wanted: what comes of it is a text."""
    if len(path) != 1 or path[0] not in _NUMBERS:
        return
    read = read_auto(text)
    if not read.problems and read.whole is None and not any(isinstance(one, str) and "{{" in one for one in read.parts):
        reading.problems.add(
            "auto-tag",
            f'step "{draft.step.id}": `{path[0]}` is a number, and a tag with text around it makes a text',
            reading.document.span((*draft.place, *path)),
            step=draft.step.id,
            hint=f"write the tag alone: `{path[0]}: <AUTO>…</AUTO>`",
        )


def _warn_of_small_letters(reading: Reading) -> None:
    """Warn of ``<auto>``: only capitals make a tag, this is text."""
    assert reading.pipeline is not None
    values = reading.pipeline.model_dump(by_alias=True, exclude_unset=True, exclude=set(_FOR_PEOPLE))
    for path, text in texts_of(values):
        found = _SMALL.search(text)
        if found and not has_auto(text):
            reading.problems.add(
                "auto-tag",
                f"{found[0]} is text here, and decides nothing",
                text_span(reading.document, path, found.start(), found.end()),
                severity="warning",
                hint="write the tag in capitals: <AUTO>…</AUTO>",
            )


def _misplaced(place: Place, step: str | None, reading: Reading, hint: str) -> None:
    document = reading.document
    held = next(place[:end] for end in range(len(place), -1, -1) if document.has(place[:end]))
    reading.problems.add(
        "auto-place",
        f"{_of(step)}<AUTO> cannot stand here: nothing decides `{_key(place)}` when the pipeline runs",
        document.span(held),
        step=step,
        hint=hint,
    )


def _check_orchestrator(place: Place, step: str | None, builtin: str, reading: Reading) -> None:
    """Note that nothing can decide the tags of the file."""
    assert reading.pipeline is not None
    name, document = reading.pipeline.orchestrator, reading.document
    hint = "a run is refused until the header names a language model, such as `orchestrator: openai:gpt-5-mini`"
    if name is None:
        span, message = (
            document.span(place),
            f"{_of(step)}nothing decides this <AUTO>: the header has no `orchestrator`",
        )
    elif name.replace("/", ":").partition(":")[0] == builtin:
        span = document.span(("orchestrator",))
        message = f"{name} cannot decide the <AUTO> values of the steps: it only takes sentences from given text"
    else:
        return
    reading.problems.add("no-orchestrator", message, span, severity="warning", step=step, hint=hint)


def _of(step: str | None) -> str:
    return f'step "{step}": ' if step else ""


def _key(place: Place) -> str:
    names = [one for one in place if isinstance(one, str) and one != "steps"]
    return ".".join(names) or "steps"
