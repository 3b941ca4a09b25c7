"""The intention of a pipeline, written by the orchestrator model: what the pipeline is meant to do, from its steps."""

from __future__ import annotations

from typing import Any

from orchestrator_dagster.intelligence.asking import Asker
from orchestrator_dagster.intelligence.facts import Facts
from orchestrator_dagster.intelligence.prose import (
    length_problem,
    manner_problems,
    name_problems,
    sentences,
    step_problems,
)
from orchestrator_dagster.intelligence.structural import sentence_bounds

_LONGEST = 500  # characters of one sentence
_SYSTEM = (
    "You document data pipelines for people who have not seen them. You write in plain statements about the pipeline: "
    "no greeting, no question, no advice, no praise, and neither I, we nor you."
)
_SCHEMA = {
    "type": "object",
    "properties": {
        "sentences": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "text": {"type": "string", "description": "One sentence."},
                    "steps": {
                        "type": "array",
                        "items": {"type": "string"},
                        "description": "The steps that it sums up, by their `step`; none for one about inputs.",
                    },
                },
                "required": ["text", "steps"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["sentences"],
    "additionalProperties": False,
}


def ask_intention(facts: Facts, asker: Asker) -> str:
    """The intention as Markdown.

    Raises:
        ModelError: No model can be reached, it refuses, or what it writes is wrong after all repairs.
    """
    least, most = sentence_bounds(facts.pipeline)
    task = (
        f"Write the intention of this pipeline in {least} to {most} sentences: what it is meant to achieve, for what "
        "input, by which work, with which result. Take it from the steps (their instructions, tools and conditions), "
        "not only from the description in the header. For each sentence list the steps that it sums up; every step of "
        "the top level stands at one sentence at least. Put names of inputs, steps, products and outputs between "
        "backticks, spelt as they are; name nothing that is not there."
    )
    answer = asker.ask(
        "description/intention",
        _SYSTEM,
        task,
        {"pipeline": facts.text},
        _SCHEMA,
        lambda value: intention_problems(value, facts),
    )
    return " ".join(" ".join(one["text"].split()) for one in answer["sentences"])


def intention_problems(answer: Any, facts: Facts) -> list[str]:
    """What is wrong with an intention."""
    least, most = sentence_bounds(facts.pipeline)
    found: list[str] = []
    named: list[str] = []
    count = 0
    for number, one in enumerate(answer["sentences"], 1):
        where = f"sentence {number}"
        found += length_problem(one["text"], _LONGEST, where)
        found += manner_problems(one["text"], where)
        found += name_problems(one["text"], facts, where)
        count += len(sentences(one["text"]))
        named += one["steps"]
    if not least <= count <= most:
        found.append(f"there are {count} sentences; {least} to {most} are wanted")
    top = {step.id for step in facts.pipeline.steps}
    # A step of a loop stands for the loop.
    loops = [path.split("/")[0] for path in named if path in facts.steps]
    return [*found, *step_problems([*named, *loops], facts, top, "the steps of the sentences")]
