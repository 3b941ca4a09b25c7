"""Whether the build of a pipeline does what it is meant to do: judged by the orchestrator model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator_dagster.intelligence.asking import Asker
from orchestrator_dagster.intelligence.description import WHOLE, Alignment, Finding, ignored_of
from orchestrator_dagster.intelligence.facts import Facts
from orchestrator_dagster.intelligence.prose import length_problem
from orchestrator_dagster.text import nearest

_LONGEST, _MOST = 600, 12
_SYSTEM = (
    "You review data pipelines before they run. You judge whether a pipeline as it is built does what it is meant to "
    "do. You report only what makes it miss its aim: a result that is promised and that no step makes, a step that "
    "works against the aim, a condition or route that leads the wrong way, a needed input that no step uses. You do "
    "not report taste, naming, style, speed, or what could be added."
)
_SCHEMA = {
    "type": "object",
    "properties": {
        "aligned": {"type": "boolean", "description": "Whether the build does what is intended."},
        "findings": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "step": {"type": "string", "description": 'The step, by its `step`; "pipeline" for the whole.'},
                    "what": {"type": "string", "description": "What does not fit the intention, in one sentence."},
                    "fix": {"type": "string", "description": "How to fix it, as one instruction."},
                },
                "required": ["step", "what", "fix"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["aligned", "findings"],
    "additionalProperties": False,
}
_TASK = (
    "Judge whether the architecture of this pipeline does what is intended. What is intended stands in `declared`, "
    "which is what its author says of it and of its steps, and in `intention`. What is built stands in `pipeline` and "
    "`architecture`. Where the two agree, answer `aligned: true` without findings; else give each mismatch with the "
    "step, what is wrong, and how to fix it."
)


def ask_alignment(facts: Facts, intention: str, architecture: str, asker: Asker) -> Alignment:
    """The judgement.

    Raises:
        ModelError: No model can be reached, it refuses, or its judgement is no judgement after all repairs.
    """
    data = {
        "declared": facts.header,
        "intention": intention,
        "architecture": architecture,
        "pipeline": facts.text,
    }
    answer = asker.ask(
        "description/alignment", _SYSTEM, _TASK, data, _SCHEMA, lambda value: list(_problems(value, facts))
    )
    findings = [
        Finding(step=one["step"], what=one["what"], fix=one["fix"], location=location_of(facts, one["step"]))
        for one in answer["findings"]
    ]
    return Alignment(
        state="aligned" if answer["aligned"] else "misaligned",
        findings=tuple(findings),
        ignored=ignored_of(facts.pipeline),
    )


def _problems(answer: Any, facts: Facts) -> Iterator[str]:
    findings: Sequence[dict[str, str]] = answer["findings"]
    if answer["aligned"] and findings:
        yield "`aligned` is true, and there are findings: either there are none, or `aligned` is false"
    if not answer["aligned"] and not findings:
        yield "`aligned` is false, and there is no finding that says why: give each mismatch"
    if len(findings) > _MOST:
        yield f"there are {len(findings)} findings: give the {_MOST} that matter most"
    for number, one in enumerate(findings, 1):
        if one["step"] != WHOLE and one["step"] not in facts.steps:
            yield f'finding {number}: there is no step "{one["step"]}"{nearest(one["step"], facts.steps)}'
        yield from length_problem(one["what"], _LONGEST, f"`what` of finding {number}")
        yield from length_problem(one["fix"], _LONGEST, f"`fix` of finding {number}")


def location_of(facts: Facts, path: str) -> str:
    """Where a step stands in the file; of the whole, the file."""
    step = facts.steps.get(path)
    return facts.pipeline.location(step) if step is not None else facts.pipeline.file
