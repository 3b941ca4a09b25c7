"""Steps that run another pipeline: its file is compiled with the one that names it, its inputs are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator_dagster.compiler.bodies import Draft
from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.compiler.includes import find_include
from orchestrator_dagster.compiler.kinds import Place
from orchestrator_dagster.language.base import has_template
from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.read import Reading
from orchestrator_dagster.language.template_names import texts_of
from orchestrator_dagster.language.values import places_of_problems
from orchestrator_dagster.text import nearest_name

#: How deep pipelines may run each other.
DEEPEST = 8

#: How deep loops and pipelines may stand in each other, so that no stack overflows when they run.
MOST_LEVELS = 64


@dataclass(frozen=True)
class CompiledFile:
    """A file that steps run: the pipeline, or None, and its problems.

    ``files`` is the length of the longest chain of files from it, itself counted; ``levels`` says how deep loops and
    pipelines stand in each other in it.
    """

    pipeline: CompiledPipeline | None
    problems: Problems
    files: int = 1
    levels: int = 0


#: Compiles the file at a path for its place in a chain of files.
CompileFile = Callable[[Path, tuple[Path, ...]], CompiledFile]


def find_pipeline(
    draft: Draft, reading: Reading, root: Path | None, chain: tuple[Path, ...], compile_file: CompileFile
) -> CompiledFile | None:
    """The file that a step runs; None, with the problem noted, when it cannot be had.

    Args:
        draft: The step.
        reading: The file it stands in.
        root: The workspace root.
        chain: The files that lead here, the file itself at the end.
        compile_file: Compiles another file.
    """
    step, document, problems = draft.step, reading.document, reading.problems
    assert step.pipeline is not None
    place = (*draft.place, "pipeline")
    path, wrong, hint = find_include(step.pipeline, document, root)
    if path is None:
        message = f'step "{step.id}": the pipeline "{step.pipeline}" {wrong}'
        problems.add("include-missing", message, document.span(place), step=step.id, hint=hint)
        return None
    if path in chain:
        names = [one.name for one in (*chain[chain.index(path) :], path)]
        problems.add(
            "dependency-cycle",
            f'step "{step.id}": the pipeline runs itself: {" → ".join(names)}',
            document.span(place),
            step=step.id,
            hint="to repeat steps use a loop (`while`, `until`)",
        )
        return None
    done = compile_file(path, chain) if len(chain) < DEEPEST else None
    if done is None or len(chain) + done.files > DEEPEST:
        problems.add(
            "sub-pipeline",
            f'step "{step.id}": pipelines run each other {DEEPEST} deep at most: '
            f"{' → '.join(one.name for one in (*chain, path))}{' → …' if done and done.files > 1 else ''}",
            document.span(place),
            step=step.id,
            hint="put some of the steps into one file",
        )
        return None
    pipeline, found = done.pipeline, done.problems
    if pipeline is None:
        first = found.errors[0]
        more = f" and {len(found.errors) - 1} more" if len(found.errors) > 1 else ""
        problems.add(
            "sub-pipeline",
            f'step "{step.id}": the pipeline "{step.pipeline}" has errors: {first.location}: {first.message}{more}',
            document.span(place),
            step=step.id,
            hint=f"run `orchestrator validate {found.file}`",
        )
        return None
    if levels_around(draft) + 1 + done.levels > MOST_LEVELS:
        problems.add(
            "sub-pipeline",
            f'step "{step.id}": with the pipeline "{step.pipeline}", loops and pipelines stand in each other more than '
            f"{MOST_LEVELS} deep",
            document.span(place),
            step=step.id,
            hint="put fewer loops into each other",
        )
        return None
    _check_inputs(draft, pipeline, reading)
    _check_pools(draft, pipeline, reading)
    return done


def levels_around(draft: Draft) -> int:
    """How many loops a step stands in; a step that repeats stands in its own."""
    return sum(1 for _ in draft.home.around()) + draft.repeats


def _check_pools(draft: Draft, pipeline: CompiledPipeline, reading: Reading) -> None:
    """A pool holds ops of Dagster: of a pipeline that is run as a step only that step is one."""
    step = draft.step
    inside = {one.spec.pool: one.id for one in pipeline.steps if one.spec.pool not in (None, step.pool)}
    giving = "the outermost loop" if any(draft.home.around()) else "this step"
    for pool, name in inside.items():
        reading.problems.add(
            "unused-key",
            f'step "{step.id}": in the pipeline "{step.pipeline}" the step "{name}" has the pool "{pool}", which does'
            " not hold it here: run by another pipeline, its steps are no ops of Dagster",
            reading.document.span((*draft.place, "pipeline")),
            step=step.id,
            severity="warning",
            hint=f"give {giving} `pool: {pool}`, or hold calls of a provider by `limits` in the header",
        )


def _check_inputs(draft: Draft, pipeline: CompiledPipeline, reading: Reading) -> None:
    """Compare what a step gives with the inputs of the pipeline that it runs, as far as it is known before the run."""
    step, document, problems = draft.step, reading.document, reading.problems
    known = [name for name in pipeline.inputs if name != "output_dir"]
    for name, value in step.inputs.items():
        place: Place = (*draft.place, "inputs", name)
        spec = pipeline.inputs.get(name)
        if spec is None:
            problems.add(
                "unknown-key",
                f'step "{step.id}": the pipeline "{pipeline.id}" has no input "{name}"',
                document.key_span(place),
                step=step.id,
                suggestion=nearest_name(name, pipeline.inputs),
                hint=f"its inputs: {', '.join([*known, 'output_dir'])}",
            )
        elif value is not None and not any(has_template(text) for _, text in texts_of(value)):
            for inner, sentence in places_of_problems(spec.typed, value):
                problems.add(
                    "wrong-value",
                    f'step "{step.id}": the input "{name}" of "{pipeline.id}": {sentence}',
                    document.span((*place, *inner)),
                    step=step.id,
                    hint=f"see `inputs` in {pipeline.file}",
                )
    for name, spec in pipeline.inputs.items():
        if (
            (spec.is_required or spec.asset)
            and step.inputs.get(name) is None
            and not reading.lost((*draft.place, "inputs"), name)
        ):
            at = (*draft.place, "inputs")
            problems.add(
                "missing-key",
                f'step "{step.id}": the pipeline "{pipeline.id}" needs the input "{name}"',
                document.key_span(at) if document.has(at) else document.span((*draft.place, "pipeline")),
                step=step.id,
                hint=f"add it: `inputs: {{{name}: …}}`",
            )
