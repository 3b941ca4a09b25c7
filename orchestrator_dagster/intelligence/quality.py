"""How good products are, by the pipeline's own rubric: judged by the orchestrator model, after what can be checked
without it.

The judge is shown the intention, the rubric and the product, cut to size. Its quotes must stand in the product.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledProduct
from orchestrator_dagster.errors import StepError
from orchestrator_dagster.intelligence.asking import TIMEOUT, Asker, orchestrator_of
from orchestrator_dagster.intelligence.prose import length_problem
from orchestrator_dagster.language.settings import Qc
from orchestrator_dagster.language.step import BYTES_FORMATS
from orchestrator_dagster.runtime.decoding import value_of_bytes
from orchestrator_dagster.runtime.outcome import ModelUsage
from orchestrator_dagster.runtime.product_checks import Fault, faults_of, spec_of
from orchestrator_dagster.runtime.services import Services

#: Most characters that the judge is shown of all products of one judgement together.
LONGEST = 24_000
_IN_TAG = re.compile(r'[<>"\x00-\x1f]')
_TAIL = 4  # one part in so many is from the end
_MOST_FINDINGS, _LONGEST_TEXT, _LONGEST_QUOTE = 10, 600, 400
_BINARY = frozenset(("parquet", "xlsx"))
_SYSTEM = (
    "You judge the products of data pipelines by a rubric. You are strict, exact and brief. You judge what stands "
    "there, not what may be meant, and nothing that the rubric does not ask for."
)
_SCHEMA = {
    "type": "object",
    "properties": {
        "findings": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "what": {
                        "type": "string",
                        "description": "What the rubric asks for and the product does not meet.",
                    },
                    "quote": {
                        "type": "string",
                        "description": "The words of the product that show it, exactly; empty for what is missing.",
                    },
                    "fix": {"type": "string", "description": "How to mend it, as one instruction."},
                },
                "required": ["what", "quote", "fix"],
                "additionalProperties": False,
            },
        },
        "verdict": {"type": "string", "description": "The judgement in one sentence."},
        "score": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "description": "1 meets the rubric in full, 0 not at all.",
        },
    },
    "required": ["findings", "verdict", "score"],
    "additionalProperties": False,
}


class QualityFinding(BaseModel):
    """What a product does not meet: what, the words that show it (empty for what is missing), how to mend it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    quote: str = ""
    fix: str


class Judgement(BaseModel):
    """What was judged, and how.

    Args:
        products: The variables whose products were judged together.
        passed: Whether the score reaches the threshold; False where nothing could be judged.
        judged: Whether the model was asked and has answered.
        score: 0 to 1, None where nothing was judged.
        threshold: The smallest score that passes.
        verdict: The judgement in one sentence; else why there is none.
        findings: What does not meet the rubric.
        faults: What was wrong before the model was asked: each as ``part: what; next: …``.
        shown: Characters of the products that the judge was shown, and ``size`` how many there are.
        model: The judge.
        usage: What its calls took.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    products: tuple[str, ...]
    passed: bool
    judged: bool = True
    score: float | None = None
    threshold: float = 0.0
    verdict: str
    findings: tuple[QualityFinding, ...] = ()
    faults: tuple[str, ...] = ()
    shown: int = 0
    size: int = 0
    model: str | None = None
    usage: ModelUsage = Field(default_factory=ModelUsage)


class Quality(BaseModel):
    """The judgements of a run's products."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    judgements: tuple[Judgement, ...]

    @property
    def passed(self) -> bool:
        """Whether every product was judged and reaches the threshold."""
        return all(one.passed for one in self.judgements)

    @property
    def score(self) -> float | None:
        """The smallest score, None when nothing was judged."""
        return min((one.score for one in self.judgements if one.score is not None), default=None)

    @property
    def usage(self) -> ModelUsage:
        """What all calls took."""
        return sum((one.usage for one in self.judgements), ModelUsage())


@dataclass(frozen=True)
class Material:
    """A file of a product: its path for people, and its content; None with ``missing`` when it cannot be read."""

    product: CompiledProduct
    path: str
    data: bytes | None
    missing: Fault | None = None


def judged_together(pipeline: CompiledPipeline) -> list[tuple[str, ...]]:
    """The variables of each judgement: one for each product that ``qc`` names, else one for all that can be read."""
    qc = pipeline.qc
    assert qc is not None
    if qc.products:
        return [(name,) for name in dict.fromkeys(qc.products)]
    return [tuple(dict.fromkeys(one.variable for one in pipeline.products if one.format not in BYTES_FORMATS))]


def judge(
    pipeline: CompiledPipeline,
    variables: Sequence[str],
    materials: Sequence[Material],
    intention: str,
    services: Services,
    *,
    timeout: float = TIMEOUT,
) -> Judgement:
    """Judge products by the pipeline's rubric.

    Args:
        pipeline: With ``qc``.
        variables: The variables whose products these are.
        materials: Their files.
        intention: What the pipeline is meant to do.
        services: The models, and the record of calls.
        timeout: Seconds that the question may take with its repairs.
    """
    qc = pipeline.qc
    assert qc is not None
    names = tuple(variables)
    faults = [f"{one.path}: {fault}" for one in materials for fault in _faults(pipeline, one)]
    if not materials:
        faults = [f"exists: no product of {', '.join(names)} was made; next: run the pipeline"]
    if faults:
        said = "It was not judged: what can be checked without a model is not right."
        return _without(names, qc, said, faults=tuple(faults))
    place = f"qc/{'+'.join(names)}"
    within = services.within(qc.budget or pipeline.budget, place, "the quality check")
    try:
        asker = Asker(orchestrator_of(pipeline, services.known_models), within, timeout)
    except StepError as error:
        return _without(names, qc, f"It was not judged: {_said(error)}")
    texts = {one.path: _text(one) for one in materials}
    shown = _cut(texts)
    try:
        answer = asker.ask(
            place,
            _SYSTEM,
            _task(qc),
            {"intention": intention, **{_name(path): text for path, text in shown.items()}},
            _SCHEMA,
            lambda value: _problems(value, qc, list(shown.values())),
        )
    except StepError as error:
        said = f"It was not judged: {_said(error)}"
        return _without(names, qc, said, usage=asker.usage, model=str(asker.model))
    score = float(answer["score"])
    return Judgement(
        products=names,
        passed=score >= qc.threshold,
        score=score,
        threshold=qc.threshold,
        verdict=" ".join(answer["verdict"].split()),
        findings=tuple(QualityFinding(**one) for one in answer["findings"]),
        shown=sum(map(len, shown.values())),
        size=sum(map(len, texts.values())),
        model=str(asker.model),
        usage=asker.usage,
    )


def _without(names: tuple[str, ...], qc: Qc, verdict: str, **more: Any) -> Judgement:
    """A judgement that was none."""
    return Judgement(products=names, passed=False, judged=False, threshold=qc.threshold, verdict=verdict, **more)


def _said(error: StepError) -> str:
    return f"{error.message}{f'; next: {error.hint}' if error.hint else ''}"


def _name(path: str) -> str:
    """The name of a product's block: nothing in it can end the tag."""
    return "product " + _IN_TAG.sub("_", path)


def _task(qc: Qc) -> str:
    return (
        "Judge the product of a pipeline; all of its files together, when there are several. What the pipeline is "
        "meant to do stands in `intention`.\n\n"
        f"The rubric, by which you judge and by nothing else:\n{qc.rubric.strip()}\n\n"
        "First give what does not meet the rubric, each with the exact words of the product that show it (leave the "
        "quote empty only for what is missing), then the judgement in one sentence, then the score from 0 to 1. A "
        f"score below {qc.threshold:g} fails the product and needs a finding. Where a text says that it was cut, "
        "do not take what is left out for missing."
    )


def _faults(pipeline: CompiledPipeline, one: Material) -> list[Fault]:
    """What is wrong without a model."""
    if one.missing is not None or one.data is None:
        return [one.missing or Fault("exists", "it cannot be read", "materialize it again")]
    return faults_of(one.data, one.product, spec_of(pipeline, one.product), one.path.rpartition("/")[2])


def _text(one: Material) -> str:
    """The content as text; tables that are no text as lines of JSON."""
    assert one.data is not None
    if one.product.format in _BINARY:
        rows = value_of_bytes(one.data, one.product.format, one.path)
        return "\n".join(json.dumps(row, ensure_ascii=False, default=str) for row in rows)
    return one.data.decode("utf-8", "replace")


def _cut(texts: dict[str, str]) -> dict[str, str]:
    """The texts, each with its beginning and its end where all of them are too long."""
    left, shown = LONGEST, {}
    for number, (path, text) in enumerate(sorted(texts.items(), key=lambda one: len(one[1]))):
        share = max(left // (len(texts) - number), 200)
        if len(text) > share:
            tail = share // _TAIL
            dropped = len(text) - share
            text = f"{text[: share - tail]}\n… (cut here: {dropped:,} characters are left out)\n{text[-tail:]}"
        shown[path] = text
        left -= min(len(text), share)
    return {path: shown[path] for path in texts}


def _problems(answer: Any, qc: Qc, texts: Sequence[str]) -> list[str]:
    found: list[str] = []
    findings = answer["findings"]
    if len(findings) > _MOST_FINDINGS:
        found.append(f"there are {len(findings)} findings: give the {_MOST_FINDINGS} that matter most")
    if answer["score"] < qc.threshold and not findings:
        found.append(f"the score {answer['score']:g} fails the product, and there is no finding that says why")
    found += length_problem(answer["verdict"], _LONGEST_TEXT, "`verdict`")
    plain = [_plain(text) for text in texts]
    for number, one in enumerate(findings, 1):
        found += length_problem(one["what"], _LONGEST_TEXT, f"`what` of finding {number}")
        found += length_problem(one["fix"], _LONGEST_TEXT, f"`fix` of finding {number}")
        quote = _plain(one["quote"])
        if len(quote) > _LONGEST_QUOTE:
            found.append(f"the quote of finding {number} is too long: give the few words that show it")
        elif quote and not any(quote in text for text in plain):
            found.append(f"the quote of finding {number} does not stand in the product: “{quote[:80]}”; quote exactly")
    return found


def _plain(text: str) -> str:
    """A text without differences that a quote may have: blanks, and the shape of quotation marks."""
    for one, other in (("“", '"'), ("”", '"'), ("„", '"'), ("’", "'"), ("‘", "'")):
        text = text.replace(one, other)
    return " ".join(text.split())
