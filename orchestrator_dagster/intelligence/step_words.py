"""A compiled step in words: what it does, when it runs, where it goes, how often it is tried."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledStep
from orchestrator_dagster.compiler.routing import RoutePlan
from orchestrator_dagster.language.auto_tags import auto_in

_LONGEST_PROMPT, _LONGEST_VALUE, _MOST_VALUES = 200, 80, 4
#: What is done with the `path` of a file tool.
_FILE_WORDS = {
    "filesystem.read": "reads the file",
    "filesystem.read_many": "reads the files of",
    "filesystem.list": "lists the files of",
    "filesystem.write": "writes the file",
}
_SAID = {"on_success": "succeeds", "on_false": "is skipped by its condition", "on_failure": "fails"}


def walk_paths(steps: Sequence[CompiledStep], plan: RoutePlan, around: str = "") -> Iterator[tuple[str, CompiledStep]]:
    """Every step of a body and of its loops, with its path (``each_document/read``); not those of other pipelines."""
    for step in in_file_order(steps, plan):
        path = f"{around}{step.id}"
        yield path, step
        if step.loop is not None and not step.loop.single:
            yield from walk_paths(step.loop.steps, step.loop.plan, f"{path}/")


def code(text: object) -> str:
    """A text as Markdown code on one line; its own backticks are taken out."""
    return f"`{' '.join(str(text).replace('`', '').split())}`"


def joined(words: Sequence[str], last: str = "and") -> str:
    """Words as a list in a sentence.

    >>> joined(["a", "b", "c"])
    'a, b and c'
    """
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else "".join(words)


def cut(text: object, most: int) -> str:
    """A text on one line, cut at a word."""
    line = " ".join(str(text).split())
    if len(line) <= most:
        return line
    return f"{line[:most].rsplit(' ', 1)[0]} …"


def inline(text: object, most: int = 160) -> str:
    """A text as a part of a sentence: cut, without a stop, and with a small letter where it began a sentence."""
    line = re.sub(r"[.!?]\s+(?=\S)", "; ", cut(text, most)).rstrip(". ")
    begins = line[:1].isupper() and (line[1:2].islower() or (line[1:2] == " " and line[0] != "I"))
    return f"{line[:1].lower()}{line[1:]}" if begins else line


def in_file_order(steps: Sequence[CompiledStep], plan: RoutePlan) -> list[CompiledStep]:
    """The steps as they stand in the file, when that is an order in which they can run; else as the plan has them."""
    by_line = sorted(steps, key=lambda step: (step.line, step.column))
    place = {step.id: number for number, step in enumerate(by_line)}
    if all(place[before] < place[one.id] for one in plan.steps for before in one.predecessors if before in place):
        return by_line
    by_id = {step.id: step for step in steps}
    return [by_id[one.id] for one in plan.steps]


def as_sentence(text: str) -> str:
    """A text that begins with a capital and ends with a stop."""
    text = " ".join(text.split())
    text = f"{text[:1].upper()}{text[1:]}"
    return text if text.endswith((".", "!", "?", "…", "”")) else f"{text}."


def does(step: CompiledStep) -> str:
    """What a step does, as a sentence: how it works, and what it works on."""
    if step.loop is not None and not step.loop.single:
        count = len(step.loop.steps)
        return f"Repeats {count} step{'s' if count != 1 else ''}."
    inner = step.loop.steps[0] if step.loop is not None else step
    if inner.pipeline is not None:
        given = _values({name: value for name, value in inner.spec.inputs.items() if name != "output_dir"})
        return f"Runs the pipeline {code(inner.pipeline.id)} ({inner.pipeline.file.rpartition('/')[2]}){given}."
    if inner.kind == "tool":
        return f"Calls {code('.'.join(filter(None, (inner.tool, inner.action))))}{_values(inner.parameters)}."
    if inner.kind == "model":
        tools = f" (may call {joined([code(one) for one in inner.spec.tools])})" if inner.spec.tools else ""
        about = f": “{cut(inner.instruction, _LONGEST_PROMPT)}”" if inner.instruction else ""
        data = _names(inner.parameters)
        return as_sentence(f"asks {model_words(inner)}{tools}{f' about {data}' if data else ''}{about}")
    value = inner.parameters.get("message", inner.parameters.get("value"))
    said = f": “{cut(value, _LONGEST_VALUE)}”" if isinstance(value, str) and value else ""
    return as_sentence(f"{builtin_words(inner.action)}{said}")


def calls(step: CompiledStep) -> str:
    """What a step does that calls a tool, in a few words."""
    name, path = f"{step.tool}.{step.action}", step.parameters.get("path")
    words = _FILE_WORDS.get(name)
    if words is not None and isinstance(path, str) and len(path) <= _LONGEST_VALUE:
        return f"{words} {code(path)}"
    return f"calls {code(name)}"


def builtin_words(action: str | None) -> str:
    """What a step does that calls neither a tool nor a model."""
    return "puts a text together" if action == "echo" else f"does {code(action)}"


def model_words(step: CompiledStep) -> str:
    """Which model a step asks."""
    if step.choice is not None and step.choice.catalogue:
        return f"a model of the catalogue (schema {code(step.choice.selection.strategy)})"
    if len(step.models) == 1:
        return code(step.models[0])
    if step.models:
        schema = step.choice.selection.strategy if step.choice else "balanced"
        return f"{joined([code(one) for one in step.models], 'or')} (schema {code(schema)})"
    return "a model"


def _values(parameters: Mapping[str, Any]) -> str:
    """The short ones of what is given to a tool, as `` with `path` = `{{ mail }}` ``."""
    said = []
    for name, value in parameters.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        if len(text) <= _LONGEST_VALUE and "\n" not in text.strip():
            said.append(f"{code(name)} = {code(text)}")
    more = len(parameters) - len(said[:_MOST_VALUES])
    rest = [f"{more} more"] if more and said else []
    return f" with {joined([*said[:_MOST_VALUES], *rest])}" if said else ""


def _names(parameters: Mapping[str, Any]) -> str:
    return joined([code(one) for one in parameters])


def leaves(step: CompiledStep) -> str:
    """The variables that a step leaves, those with a description of their own."""
    inner = step.loop.steps[0] if step.loop is not None and step.loop.single else step
    names = [
        f"{code(name)} ({spec.description.strip().rstrip('.')})" if spec.description else code(name)
        for name, spec in inner.variables.items()
        if inner.spec.vars
    ]
    return f"Leaves {joined(names)}." if names else ""


def writes(step: CompiledStep) -> str:
    """The files that a step writes itself."""
    inner = step.loop.steps if step.loop is not None and step.loop.single else ()
    files = [*step.products, *(product for one in inner for product in one.products)]
    said = [f"{code(one.path)}{' for each item' if one.per_item else ''}" for one in files]
    return f"Writes {joined(said)}." if said else ""


def flow(step: CompiledStep, plan: RoutePlan) -> list[str]:
    """What decides whether, how often and until when a step runs, and where it goes: a sentence each.

    Args:
        step: The step.
        plan: The plan of the body that it stands in.
    """
    return [*_loop(step), *_reached(step, plan), *_condition(step), *_goes(step), *_tried(step)]


def _loop(step: CompiledStep) -> Iterator[str]:
    loop = step.loop
    if loop is None:
        return
    if loop.kind == "for_each":
        named = f", as {code(loop.item)}" if loop.item else ""
        at_once = f", at most {code(loop.max_parallel)} at once" if loop.max_parallel is not None else ""
        yield f"Loop: once for each item of {code(_list(loop.over))}{named}{at_once}."
        if loop.on_item_failure != "fail":
            rest = "the others go on" if loop.on_item_failure == "continue" else "it is left out"
            yield f"If an item fails, {rest} (`on_item_failure: {loop.on_item_failure}`)."
        return
    if loop.while_ is not None:
        yield f"Loop: as long as {code(loop.while_)}, tested before each pass."
    if loop.until is not None:
        yield f"Loop: until {code(loop.until)}, tested after each pass."
    most = loop.max_iterations if loop.max_iterations is not None else 10
    end = "which then just ends the loop" if loop.on_limit == "continue" else "after which it fails"
    yield f"At most {code(most)} passes, {end}."


def _list(value: Any) -> str:
    return cut(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str), 120)


def _reached(step: CompiledStep, plan: RoutePlan) -> Iterator[str]:
    routes = [one for one in plan.routes if one.target == step.id]
    if not routes:
        return
    ways = joined([f"{code(one.source)} {_SAID[one.key]}" for one in routes], "or")
    own = plan.by_id.get(step.id)
    joins = joined([code(one) for one in own.joins], "or") if own is not None and own.joins else ""
    yield f"Runs only when {ways}{f', or when {joins} has run' if joins else ''}."


def _condition(step: CompiledStep) -> Iterator[str]:
    inner = step.loop.steps[0] if step.loop is not None and step.loop.single else None
    if inner is not None and inner.condition is not None:
        yield f"Condition of each item: {code(inner.condition)}; others are skipped."
    if step.condition is not None:
        target = step.spec.on_false
        otherwise = f"otherwise it goes to {code(target)}" if target else "otherwise it is skipped"
        yield f"Condition: runs only if {code(step.condition)}; {otherwise}."


def _goes(step: CompiledStep) -> Iterator[str]:
    spec, failure = step.spec, step.on_failure
    if spec.on_success:
        yield f"After success it goes to {code(spec.on_success)}; other steps behind it are bypassed."
    policies = {
        "continue": "If it fails, the steps after it run all the same, and the run ends as failed.",
        "skip": "If it fails, everything after it is skipped, and the run can succeed.",
    }
    if failure in policies:
        yield policies[failure]
    elif failure and failure not in ("fail", "retry"):
        yield f"If it fails, it goes to {code(failure)}."
    for one in step.failure_handlers:
        kinds = joined([code(kind) for kind in one.errors], "or") or "any error"
        if one.goto and one.goto != failure:
            yield f"On {kinds} it goes to {code(one.goto)}."
        if "fallback" in one.model_fields_set:
            yield f"On {kinds} its value is {code(cut(one.fallback, _LONGEST_VALUE))} instead."


def _tried(step: CompiledStep) -> Iterator[str]:
    inner = step.loop.steps[0] if step.loop is not None and step.loop.single else step
    times = inner.retries.max
    if times:
        yield f"Retries: at most {times} after a failure."
    if inner.timeout is not None:
        unit = " s" if isinstance(inner.timeout, (int, float)) else ""
        yield f"Timeout: {code(f'{inner.timeout:g}{unit}' if unit else inner.timeout)}."
    if inner.spec.budget is not None:
        yield f"Budget: {budget_words(inner.spec.budget.model_dump(exclude_none=True))}."
    if decides(inner):
        yield "The orchestrator model decides its `<AUTO>` values just before they are used."


def decides(step: CompiledStep) -> bool:
    """Whether something of the step is left to the orchestrator."""
    left = {"steps", "name", "description", "metadata", "model", "expert"}
    values = step.spec.model_dump(exclude=left, exclude_defaults=True)
    return bool(auto_in(values))


def budget_words(budget: Mapping[str, Any]) -> str:
    """A budget in words."""
    said = [f"${value:g}" if name == "cost" else f"{value:,} {name}" for name, value in budget.items()]
    return joined(said)


def kinds_of_flow(step: CompiledStep, plan: RoutePlan) -> set[str]:
    """Which kinds of control flow a step has: condition, route, loop, retry, failure, pipeline."""
    found = set()
    inner = step.loop.steps[0] if step.loop is not None and step.loop.single else step
    if step.condition is not None or inner.condition is not None:
        found.add("condition")
    if any(step.id in (one.source, one.target) for one in plan.routes):
        found.add("route")
    if step.loop is not None:
        found.add("loop")
    if inner.retries.max:
        found.add("retry")
    routed = step.on_failure is not None and step.on_failure not in ("fail", "retry")
    handled = bool(step.failure_handlers) or (step.loop is not None and step.loop.on_item_failure != "fail")
    if routed or handled or any(one.key == "on_failure" and one.target == step.id for one in plan.routes):
        found.add("failure")
    if inner.pipeline is not None:
        found.add("pipeline")
    return found


def plan_of(pipeline: CompiledPipeline, path: str) -> RoutePlan:
    """The plan of the body in which the step with this path stands."""
    plan, steps = pipeline.plan, pipeline.by_id
    for name in path.split("/")[:-1]:
        loop = steps[name].loop
        assert loop is not None
        plan, steps = loop.plan, {one.id: one for one in loop.steps}
    return plan
