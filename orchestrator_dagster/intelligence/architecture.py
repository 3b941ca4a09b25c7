"""The architecture of a pipeline, written by the orchestrator model: its logic step by step, and how it serves the aim.

The model writes what the steps do and why, and what the control flow means. What waits for what, and what is made, is
taken from the compiled pipeline: that is known exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestrator_dagster.intelligence.asking import Asker
from orchestrator_dagster.intelligence.facts import Facts
from orchestrator_dagster.intelligence.prose import length_problem, manner_problems, name_problems, step_problems
from orchestrator_dagster.intelligence.step_words import as_sentence, code, joined
from orchestrator_dagster.intelligence.structural import order, results

_LONGEST = 600  # characters of one text
_KINDS = ("condition", "route", "loop", "retry", "failure", "pipeline")
_SYSTEM = (
    "You document the architecture of data pipelines for engineers. You write in plain statements about the pipeline: "
    "no greeting, no question, no advice, no praise, and neither I, we nor you."
)
_TEXT = {"type": "string"}


def _list_of(**properties: Any) -> dict[str, Any]:
    item = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "array", "items": item}


_SCHEMA = {
    "type": "object",
    "properties": {
        "overview": {"type": "string", "description": "The logic of the whole in one to three sentences."},
        "steps": _list_of(
            step={"type": "string", "description": "The step, by its `step`."},
            does={"type": "string", "description": "What it does, and with what, in one or two sentences."},
        ),
        "control_flow": _list_of(
            step={"type": "string", "description": "The step, by its `step`."},
            kind={"type": "string", "enum": list(_KINDS)},
            means={"type": "string", "description": "When it happens and what follows, in one sentence."},
        ),
        "serves": {"type": "string", "description": "How this build serves the intention, in one to three sentences."},
    },
    "required": ["overview", "steps", "control_flow", "serves"],
    "additionalProperties": False,
}
_TASK = (
    "Describe the architecture of this pipeline. Say for every step, in the order in which they are given, what it "
    "does; the steps of loops have a path such as `loop/step`. Say for every entry of `kinds_of_control_flow` of every "
    "step what it means here: under which condition it runs, where a route leads, what a loop repeats and what ends "
    "it, what a failure and a retry do, what an inner pipeline is for. Say at last how the build serves the "
    "intention. Put names between backticks, spelt as they are; name nothing that is not there."
)


def ask_architecture(facts: Facts, intention: str, asker: Asker) -> str:
    """The architecture as Markdown.

    Raises:
        ModelError: No model can be reached, it refuses, or what it writes is wrong after all repairs.
    """
    data = {"pipeline": facts.text, "intention": intention}
    answer = asker.ask(
        "description/architecture", _SYSTEM, _TASK, data, _SCHEMA, lambda value: architecture_problems(value, facts)
    )
    return _markdown(answer, facts)


def architecture_problems(answer: Any, facts: Facts) -> list[str]:
    """What is wrong with an architecture."""
    found = [*_text_problems(answer["overview"], facts, "`overview`")]
    named = [one["step"] for one in answer["steps"]]
    found += step_problems(named, facts, set(facts.steps), "`steps`")
    found += [f'`steps`: "{name}" stands twice' for name in dict.fromkeys(named) if named.count(name) > 1]
    for one in answer["steps"]:
        found += _text_problems(one["does"], facts, f"`does` of {one['step']}")
    found += _flow_problems(answer["control_flow"], facts)
    return [*found, *_text_problems(answer["serves"], facts, "`serves`")]


def _text_problems(text: str, facts: Facts, where: str) -> Iterator[str]:
    yield from length_problem(text, _LONGEST, where)
    yield from manner_problems(text, where)
    yield from name_problems(text, facts, where)


def _flow_problems(entries: list[dict[str, str]], facts: Facts) -> Iterator[str]:
    said: dict[str, set[str]] = {}
    yield from step_problems([one["step"] for one in entries], facts, set(), "`control_flow`")
    for one in entries:
        path, kind = one["step"], one["kind"]
        if path in facts.steps:
            said.setdefault(path, set()).add(kind)
            if kind not in facts.flow[path]:
                has = joined(sorted(facts.flow[path])) or "no control flow"
                yield f"`control_flow`: {path} has no {kind}; it has {has}"
            yield from _text_problems(one["means"], facts, f"`control_flow` of {path} ({kind})")
    for path, kinds in facts.flow.items():
        missing = sorted(kinds - said.get(path, set()))
        if missing:
            are = "is" if len(missing) == 1 else "are"
            yield f"`control_flow`: the {joined(missing)} of {path} {are} not mentioned"


def _markdown(answer: Any, facts: Facts) -> str:
    does = {one["step"]: as_sentence(one["does"]) for one in answer["steps"]}
    means: dict[str, list[str]] = {}
    for one in answer["control_flow"]:
        means.setdefault(one["step"], []).append(f"{one['kind'].capitalize()}: {as_sentence(one['means'])}")
    lines, numbers = [], [0]
    for path in facts.steps:
        depth = path.count("/")
        numbers = [*numbers[: depth + 1], *([0] * (depth + 1 - len(numbers)))]
        numbers[depth] += 1
        indent, step = "    " * depth, facts.steps[path]
        lines.append(f"{indent}{numbers[depth]}. **{code(step.id)}**: {does[path]}")
        if step.dependencies:
            lines.append(f"{indent}    - Waits for {joined([code(one) for one in step.dependencies])}.")
        lines += [f"{indent}    - {one}" for one in means.get(path, ())]
    return "\n\n".join(
        (
            as_sentence(answer["overview"]),
            "**Steps**\n" + "\n".join(lines),
            "**Order**\n" + "\n".join(order(facts.pipeline)),
            "**Results**\n" + "\n".join(results(facts.pipeline)),
            f"**How it serves the intention**\n{as_sentence(answer['serves'])}",
        )
    )
