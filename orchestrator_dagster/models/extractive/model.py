"""The client of ``builtin:extractive``: checks what is asked, reads the prompt, answers, counts tokens."""

from __future__ import annotations

import json
import re
import time

from orchestrator_dagster.errors import ModelAnswerError, ModelRequestError, ModelTimeoutError, UnknownModelError
from orchestrator_dagster.models.client import FinishReason, ModelAnswer, ModelRequest, Usage
from orchestrator_dagster.models.extractive.prompt import Prompt, read_prompt
from orchestrator_dagster.models.extractive.ranking import Corpus
from orchestrator_dagster.models.extractive.schema_filling import SchemaFiller, nothing_found
from orchestrator_dagster.models.extractive.schema_shape import Shapes
from orchestrator_dagster.models.extractive.schema_strings import Strings
from orchestrator_dagster.models.extractive.scope import Given
from orchestrator_dagster.models.extractive.wishes import Wishes, read_wishes
from orchestrator_dagster.models.extractive.words import count_tokens, language, listed, token_end
from orchestrator_dagster.models.extractive.writing import Writer

_CANNOT = (
    (r"translate|übersetze|traduis|traduce|traduzca", "translate"),
    (r"paraphrase|rewrite|rephrase|umformuliere", "rephrase"),
    (
        r"(?:write|create|generate|implement|compose|make)\b[^.\n]{0,40}?\b(?:python|javascript|sql|bash|code"
        r"|function|script|program|regex)\b",
        "write code",
    ),
    (
        r"(?:write|create|generate|compose|make up|tell)\b[^.\n]{0,40}?\b(?:poem|haiku|song|lyrics|joke"
        r"|short story|fairy tale|novel|limerick)\b",
        "invent",
    ),
    (r"(?:draw|paint|generate|create|make)\b[^.\n]{0,20}?\b(?:image|picture|photo|illustration|logo)\b", "make images"),
)
# Settings of sampling and effort: they have nothing to change where nothing is sampled.
_NO_EFFECT = listed(
    """seed top_p top_k min_p frequency_penalty presence_penalty repetition_penalty reasoning_effort n user
    response_format"""
)
_SHARES = (1.0, 0.75, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05)


class ExtractiveModel:
    """The built-in model; see the package for what it can do. It has no state, so threads may share it.

    Tokens are words and punctuation signs, each counted as one; a call costs 0.0 US dollars.
    """

    def complete(self, request: ModelRequest) -> ModelAnswer:
        """Answer from the text of the request's user messages.

        When the answer is longer than ``max_tokens`` a shorter one is made, down to a single sentence or item; only
        when that is still too long it is cut inside, and ``finish_reason`` is ``length``.

        Raises:
            UnknownModelError: The model is not ``builtin:extractive``.
            ModelRequestError: It is asked for something that it cannot do (tools, translation, code, a schema keyword).
            ModelAnswerError: There is no text to answer from, or the text does not have what is asked for (permanent).
            ModelTimeoutError: It took longer than ``request.timeout``.
        """
        started = time.monotonic()
        _check(request)
        prompt = read_prompt(request.messages)
        _refuse_what_it_cannot(prompt.instruction)
        if not prompt.sources:
            raise _no_text()
        _in_time(request, started)
        corpus = Corpus(prompt.sources.documents, language(prompt.instruction))
        given = Given(corpus, prompt)
        wishes = read_wishes(prompt.instruction).or_length_of(read_wishes(prompt.system) if prompt.system else Wishes())
        text = ""
        for share in _SHARES:
            _in_time(request, started)
            text = _answer(request, given, wishes, share)
            if request.max_tokens is None or count_tokens(text) <= request.max_tokens:
                break
        reason: FinishReason = "stop"
        if request.max_tokens is not None and count_tokens(text) > request.max_tokens:
            text, whole = _cut(text, request.max_tokens, is_json=request.schema is not None)
            reason = "stop" if whole else "length"
        text = text.encode("utf-8", "replace").decode("utf-8")  # half of a surrogate pair cannot be written to a file
        stops = request.settings.get("stop") or ()
        for stop in [stops] if isinstance(stops, str) else stops:
            text = text.split(stop, 1)[0] if stop else text
        return ModelAnswer(
            text=text,
            model=request.model,
            finish_reason=reason,
            usage=Usage(
                calls=1,
                input_tokens=sum(count_tokens(message.content) for message in request.messages),
                output_tokens=count_tokens(text),
                cost=0.0,
            ),
            latency=time.monotonic() - started,
        )


def _check(request: ModelRequest) -> None:
    if str(request.model) != "builtin:extractive":
        raise UnknownModelError(
            f'The built-in provider has no model "{request.model.name}"; its only one is "builtin:extractive".',
            hint="Write `model: builtin:extractive`.",
        )
    if request.tools:
        raise ModelRequestError(
            "builtin:extractive cannot call tools; it only answers from the text of the prompt.",
            hint="Name a language model in `model` (or `default_model`), or take `tools` out of the step.",
        )
    if any(message.images for message in request.messages):
        raise ModelRequestError(
            "builtin:extractive cannot look at pictures; it only answers from the text of the prompt.",
            hint="Name a model that sees pictures in `model` (or `default_model`).",
        )
    unknown = sorted(key for key in request.settings if key not in _NO_EFFECT and key != "stop")
    if unknown:
        raise ModelRequestError(
            f'builtin:extractive has no setting "{unknown[0]}".', hint=f"Take `{unknown[0]}` out of the step."
        )


def _refuse_what_it_cannot(instruction: str) -> None:
    head = instruction[:400]
    for pattern, what in _CANNOT:
        # Only where the instruction opens with it: a text about translation may well be summarised.
        if re.match(rf"(?i)\s*(?:please\s+)?(?:{pattern})", head):
            raise ModelRequestError(
                f"builtin:extractive cannot {what}: it only selects what stands in the text.",
                hint="Name a language model in `model` (or `default_model`) for this step.",
            )


def _no_text() -> ModelAnswerError:
    error = ModelAnswerError(
        "builtin:extractive has no text to answer from: it selects from the prompt's text and knows nothing itself.",
        hint="Put the text into the prompt (from a step that reads files, for example), or name a language model.",
    )
    error.permanent = True  # type: ignore[misc]  # the same prompt has no text the next time either
    return error


def _in_time(request: ModelRequest, started: float) -> None:
    if time.monotonic() - started > request.timeout:
        raise ModelTimeoutError(
            f"builtin:extractive did not finish within {request.timeout:g} s.",
            hint="Give it less text or a longer timeout.",
        )


def _answer(request: ModelRequest, given: Given, wishes: Wishes, share: float) -> str:
    prompt: Prompt = given.prompt
    spoken = language(prompt.instruction)

    def writer(wanted: Wishes) -> Writer:
        return Writer(given.corpus, prompt, wanted, spoken, share)

    if request.schema is None:
        text = writer(wishes).write()
        if not text:
            raise nothing_found(f'the question "{prompt.question}"' if prompt.question else "the instruction")
        return text
    shapes = Shapes(request.schema)
    value = SchemaFiller(given, shapes, Strings(given, shapes, wishes, writer), share).answer()
    return json.dumps(value, ensure_ascii=False)


def _cut(text: str, limit: int, is_json: bool) -> tuple[str, bool]:
    """Cut to a number of tokens; says whether the cut is at the end of a sentence or line."""
    cut = text[: token_end(text, limit)] if limit > 0 else ""
    ends = [] if is_json else [end.end() for end in re.finditer(r"[.!?。！？](?=\s|$)|(?<=\S)(?=\n)", cut)]
    return (cut[: ends[-1]], True) if ends else (cut, False)
