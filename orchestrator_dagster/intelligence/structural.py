"""The description that is made from the compiled pipeline alone: no model is asked, and it is the same every time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledProduct, CompiledStep
from orchestrator_dagster.compiler.routing import RoutePlan
from orchestrator_dagster.intelligence.step_words import (
    as_sentence,
    budget_words,
    builtin_words,
    calls,
    code,
    cut,
    does,
    flow,
    in_file_order,
    inline,
    joined,
    leaves,
    model_words,
    walk_paths,
    writes,
)

LABEL = "Structural description: made from the compiled pipeline alone, no model wrote it"
_SHOWN = 12
#: Most steps that one sentence of the intention goes through.
_IN_ONE = 5


def sentence_bounds(pipeline: CompiledPipeline) -> tuple[int, int]:
    """Fewest and most sentences of an intention, by the number of steps."""
    count = sum(1 for _ in walk_paths(pipeline.steps, pipeline.plan))
    if count <= 3:
        return 3, 6
    if count <= 8:
        return 3, 7
    return (4, 9) if count <= 15 else (5, 10)


def structural_intention(pipeline: CompiledPipeline) -> str:
    """What the pipeline is for, in 3 to 10 sentences: Markdown, with paragraphs of aim, steps, means and results."""
    return "\n\n".join(" ".join(sentences) for sentences in _intention(pipeline))


def _intention(pipeline: CompiledPipeline) -> list[list[str]]:
    aim, work = [_purpose(pipeline), _inputs(pipeline)], list(_work(pipeline))
    who = [one for one in (_models(pipeline), _decisions(pipeline)) if one]
    left = [one for one in (_results(pipeline), _when(pipeline)) if one]
    most = sentence_bounds(pipeline)[1] - len(aim) - len(work)
    if len(who) + len(left) > most:
        who = [_together(who)]
    return [aim, work, who, left if len(who) + len(left) <= most else [_together(left)]]


def _together(sentences: Sequence[str]) -> str:
    """Two sentences as one."""
    return as_sentence("; ".join(inline(one, 10_000) for one in sentences if one))


def _purpose(pipeline: CompiledPipeline) -> str:
    title = f"**{' '.join((pipeline.name or pipeline.id).split())}**"
    return (
        f"{title}: {inline(pipeline.description, 600)}." if pipeline.description else f"{title} does not say its aim."
    )


def _inputs(pipeline: CompiledPipeline) -> str:
    needed: list[str] = []
    others: list[str] = []
    for name, spec in pipeline.inputs.items():
        if name == "output_dir":
            continue
        about = f" ({inline(spec.description, 100)})" if spec.description else ""
        needs = spec.required if spec.required is not None else spec.default is None and not spec.asset
        (needed if needs else others).append(f"{code(name)}{about}")
    parts = [f"it needs {joined(needed)}"] if needed else []
    parts += [f"it takes {joined(_some(others))}, with defaults"] if others else []
    return as_sentence("; ".join(parts) or "it takes no inputs")


def _work(pipeline: CompiledPipeline) -> Iterator[str]:
    steps = in_file_order(pipeline.steps, pipeline.plan)
    parts = max(1, min(3, -(-len(steps) // _IN_ONE)))
    size = -(-len(steps) // parts)
    groups = [steps[start : start + size] for start in range(0, len(steps), size)]
    for number, group in enumerate(groups):
        lead = "First" if number == 0 else "Finally" if number == len(groups) - 1 else "Then"
        if len(groups) == 1:
            lead = f"Its {len(steps)} steps are" if len(steps) > 1 else "Its one step"
        more = f"; and {len(group) - _SHOWN} more steps" if len(group) > _SHOWN else ""
        yield as_sentence(f"{lead}: {'; '.join(_said(step) for step in group[:_SHOWN])}{more}")


def _said(step: CompiledStep) -> str:
    """What a step does, as a part of a sentence."""
    if step.spec.description:
        return f"{inline(step.spec.description)} ({code(step.id)})"
    if step.loop is not None and not step.loop.single:
        inside = joined([code(one.id) for one in step.loop.steps])
        return f"{code(step.id)} repeats {inside}"
    inner = step.loop.steps[0] if step.loop is not None else step
    again = " for each item" if step.loop is not None and step.loop.kind == "for_each" else ""
    if inner.pipeline is not None:
        return f"{code(step.id)} runs the pipeline {code(inner.pipeline.id)}{again}"
    if inner.kind == "tool":
        return f"{code(step.id)} {calls(inner)}{again}"
    if inner.kind == "model":
        about = f" (“{inline(inner.instruction, 80)}”)" if inner.instruction else ""
        return f"{code(step.id)} asks a model{again}{about}"
    return f"{code(step.id)} {builtin_words(inner.action)}{again}"


def _models(pipeline: CompiledPipeline) -> str:
    asked: dict[str, list[str]] = {}
    tools: dict[str, None] = {}
    for path, step in walk_paths(pipeline.steps, pipeline.plan):
        inner = step.loop.steps[0] if step.loop is not None and step.loop.single else step
        if inner.kind == "model":
            asked.setdefault(model_words(inner), []).append(code(path))
        elif inner.kind == "tool" and inner.tool:
            tools.setdefault(code(inner.tool))
    parts = [f"{joined(_some(steps))} ask{'s' if len(steps) == 1 else ''} {model}" for model, steps in asked.items()]
    parts = parts or ["no step asks a model itself"]
    if tools:
        parts.append(f"the tool{'s' if len(tools) > 1 else ''} in use {'are' if len(tools) > 1 else 'is'} ")
        parts[-1] += joined(list(tools))
    return as_sentence("; ".join(parts))


def _decisions(pipeline: CompiledPipeline) -> str:
    steps = list(walk_paths(pipeline.steps, pipeline.plan))
    conditional = [code(path) for path, step in steps if step.condition is not None]
    each = [code(path) for path, step in steps if step.loop is not None and step.loop.kind == "for_each"]
    again = [code(path) for path, step in steps if step.loop is not None and step.loop.kind == "while"]
    routes = pipeline.plan.routes
    handlers = list(dict.fromkeys(code(one.target) for one in routes if one.key == "on_failure" and one.target))
    parts = [f"{joined(_some(conditional))} run{'s' if len(conditional) == 1 else ''} only under a condition"]
    parts = parts if conditional else []
    others = list(dict.fromkeys(code(one.target) for one in routes if one.key != "on_failure" and one.target))
    if others:
        parts.append(f"{joined(_some(others))} run{'s' if len(others) == 1 else ''} only when another step leads there")
    if each:
        parts.append(f"{joined(_some(each))} go{'es' if len(each) == 1 else ''} through a list, item by item")
    if again:
        parts.append(f"{joined(_some(again))} repeat{'s' if len(again) == 1 else ''} until a condition ends it")
    if handlers:
        parts.append(f"{joined(_some(handlers))} handle{'s' if len(handlers) == 1 else ''} failures")
    return as_sentence("; ".join(parts)) if parts else ""


def _results(pipeline: CompiledPipeline) -> str:
    files = [_product(one) for one in pipeline.products]
    parts = [f"it writes {joined(_some(files))}"] if files else []
    if pipeline.outputs:
        names = [code(name) for name in pipeline.outputs]
        parts.append(f"its output{'s' if len(names) > 1 else ''}: {joined(_some(names))}")
    return as_sentence("; ".join(parts) or "it declares no product and no output")


def _product(product: CompiledProduct) -> str:
    about = f" ({inline(product.description, 100)})" if product.description else ""
    return f"{code(product.path)}{' for each item' if product.per_item else ''}{about}"


def _when(pipeline: CompiledPipeline) -> str:
    said = [f"by the clock ({code(one.cron)}, {one.timezone})" for one in pipeline.schedules]
    said += [
        f"for new files {code(one.files)}" if one.files else f"for each new {code(one.asset)}"
        for one in pipeline.triggers
    ]
    if pipeline.automation is not None:
        how = pipeline.automation if isinstance(pipeline.automation, str) else pipeline.automation.cron
        said.append(f"by automation ({code(how)})")
    if pipeline.on_change:
        said.append("when its file has changed")
    if pipeline.partitions is not None and pipeline.partitions.kind:
        said.append(f"for each {code(pipeline.partitions.kind)} partition")
    return f"It can start {joined(said, 'or')}." if said else ""


def _some(words: Sequence[str]) -> list[str]:
    return [*words[:_SHOWN], *([f"{len(words) - _SHOWN} more"] if len(words) > _SHOWN else [])]


def structural_architecture(pipeline: CompiledPipeline) -> str:
    """How the pipeline is built: its steps with their control flow, what waits for what, what is made. Markdown."""
    parts = [
        "**Steps**\n" + "\n".join(step_list(pipeline)),
        "**Order**\n" + "\n".join(order(pipeline)),
        "**Results**\n" + "\n".join(results(pipeline)),
    ]
    around = list(_around(pipeline))
    if around:
        parts.append("**Around the steps**\n" + "\n".join(around))
    return "\n\n".join(parts)


def step_list(pipeline: CompiledPipeline) -> list[str]:
    """The steps as a numbered list with what is inside them."""
    return list(_steps(pipeline.steps, pipeline.plan, ""))


def _steps(steps: Sequence[CompiledStep], plan: RoutePlan, indent: str) -> Iterator[str]:
    for number, step in enumerate(in_file_order(steps, plan), 1):
        about = f"{as_sentence(cut(step.spec.description, 300))} " if step.spec.description else ""
        name = f" ({' '.join(step.spec.name.split())})" if step.spec.name and step.spec.name != step.id else ""
        facts = [does(step), leaves(step), writes(step)]
        yield f"{indent}{number}. **{code(step.id)}**{name}: {about}{' '.join(fact for fact in facts if fact)}"
        inner = f"{indent}    "
        if step.dependencies and step.id in plan.by_id:
            yield f"{inner}- Waits for {joined([code(each) for each in step.dependencies])}."
        yield from (f"{inner}- {line}" for line in flow(step, plan))
        yield from _inside(step, inner)


def _inside(step: CompiledStep, indent: str) -> Iterator[str]:
    """What a step repeats, or the pipeline that it runs."""
    if step.loop is not None and not step.loop.single:
        yield f"{indent}- Each pass:"
        yield from _steps(step.loop.steps, step.loop.plan, f"{indent}    ")
        return
    run = (step.loop.steps[0] if step.loop is not None else step).pipeline
    if run is not None:
        about = f" {as_sentence(cut(run.description, 200))}" if run.description else ""
        yield f"{indent}- Inside {code(run.id)}:{about}"
        yield from _steps(run.steps, run.plan, f"{indent}    ")


def order(pipeline: CompiledPipeline) -> list[str]:
    """Which steps can run at once, and what each waits for."""
    lines = []
    for number, level in enumerate(pipeline.plan.levels or pipeline.levels, 1):
        waits = [code(one) for one in level]
        lines.append(f"{number}. {joined(waits)}{' (at the same time)' if len(waits) > 1 else ''}")
    lines += [
        f"- {code(one.source)} → {code(one.target)} ({one.key.replace('_', ' ')})"
        for one in pipeline.plan.routes
        if one.target
    ]
    return lines


def results(pipeline: CompiledPipeline) -> Iterator[str]:
    """The products, with what they are made from, and the outputs."""
    for one in pipeline.products:
        key = code("/".join(one.key))
        after = [code("/".join(each)) for each in one.upstream]
        from_ = f", made from {joined(after)}" if after else ""
        each_item = " for each item" if one.per_item else ""
        yield f"- Product {key}: {code(one.path)}{each_item} ({one.format}), by {code(one.step)}{from_}"
    for name, value in pipeline.outputs.items():
        yield f"- Output {code(name)}: {code(cut(value, 120))}"
    yield f"- The record of the run: {code('/'.join(pipeline.run_key))}"


def _around(pipeline: CompiledPipeline) -> Iterator[str]:
    if pipeline.budget is not None:
        yield f"- Budget of a run: {budget_words(pipeline.budget.model_dump(exclude_none=True))}"
    if pipeline.executor:
        yield f"- Executor: {code(pipeline.executor)}"
    if pipeline.orchestrator:
        yield f"- Orchestrator: {code(pipeline.orchestrator)}, for this description, `<AUTO>` values and quality"
    if when := _when(pipeline):
        yield f"- {when}"
