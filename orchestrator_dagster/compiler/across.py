"""What the pipelines of one folder ask of each other: an asset has one maker, and none waits for itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from orchestrator_dagster.compiler.compiled import AssetPath, CompiledPipeline
from orchestrator_dagster.language.diagnostics import Diagnostic, Problems, Span
from orchestrator_dagster.language.document import Document, read_file
from orchestrator_dagster.text import nearest_name


def problems_across(pipelines: Sequence[tuple[Path, CompiledPipeline]]) -> dict[Path, tuple[Diagnostic, ...]]:
    """The problems that only show when all pipelines of a folder are known, by file.

    A key that begins with no pipeline's id may be anybody's asset. Where it looks like a product of the folder, that is
    a warning.

    Args:
        pipelines: Every pipeline that compiled, with its file.
    """
    found = _made_twice(pipelines)
    takes = [one for one in pipelines if one[1].asset_inputs and one[0] not in found]
    if not takes:
        return found
    made = makers(pipeline for _, pipeline in pipelines)
    ids = {pipeline.id for _, pipeline in pipelines}
    circles = _circles({pipeline.id: _before(pipeline, made) for _, pipeline in takes})
    for path, pipeline in takes:
        document, _ = read_file(path, pipeline.file)
        problems = Problems(pipeline.file, document.text)
        for name, spec in pipeline.asset_inputs.items():
            if spec.asset_key not in made:
                _unknown(name, spec.asset_key, made, ids, document, problems)
        if pipeline.id in circles:
            _circle(pipeline, circles[pipeline.id], made, document, problems)
        if list(problems):
            found[path] = tuple(problems)
    return found


def _made_twice(pipelines: Sequence[tuple[Path, CompiledPipeline]]) -> dict[Path, tuple[Diagnostic, ...]]:
    """The later files by path that make an asset of an earlier one."""
    found: dict[Path, tuple[Diagnostic, ...]] = {}
    first: dict[AssetPath, CompiledPipeline] = {}
    for path, pipeline in pipelines:
        keys = (pipeline.run_key, *(product.key for product in pipeline.products))
        taken = [key for key in keys if key in first and first[key] is not pipeline]
        if taken:
            found[path] = _taken(pipeline, path, {key: first[key] for key in taken})
            continue
        first.update(dict.fromkeys(keys, pipeline))
    return found


def _taken(
    pipeline: CompiledPipeline, path: Path, others: Mapping[AssetPath, CompiledPipeline]
) -> tuple[Diagnostic, ...]:
    document, _ = read_file(path, pipeline.file)
    problems = Problems(pipeline.file, document.text)
    for key, other in others.items():
        product = next((one for one in pipeline.products if one.key == key), None)
        step = pipeline.by_id[product.step] if product else None
        what = f'the product "{product.variable}"' if product else "the run"
        problems.add(
            "product-collision",
            f"{what} is the asset [{', '.join(key)}], which {other.file} makes",
            Span(step.line, step.column, step.line, step.column + 1) if step else None,
            step=step.id if step else None,
            hint="give one of the two another `key`",
        )
    return tuple(problems)


def makers(pipelines: Iterable[CompiledPipeline]) -> dict[AssetPath, str]:
    """The id of the pipeline that makes each asset."""
    return {
        key: pipeline.id
        for pipeline in pipelines
        for key in (pipeline.run_key, *(product.key for product in pipeline.products))
    }


def _before(pipeline: CompiledPipeline, made: Mapping[AssetPath, str]) -> list[str]:
    """The pipelines whose products one loads."""
    return [made[spec.asset_key] for spec in pipeline.asset_inputs.values() if spec.asset_key in made]


def _unknown(
    name: str, key: AssetPath, made: Mapping[AssetPath, str], ids: set[str], document: Document, problems: Problems
) -> None:
    at = document.span(("inputs", name, "asset"))
    text = "/".join(key)
    if key[0] in ids:
        own = ["/".join(one) for one in made if made[one] == key[0]]
        problems.add(
            "unknown-asset",
            f'the input "{name}": the pipeline "{key[0]}" makes no asset "{text}"',
            at,
            suggestion=nearest_name(text, own),
            hint=f"it makes {', '.join(own)}",
        )
        return
    near = nearest_name(text, ["/".join(one) for one in made])
    if near:
        problems.add(
            "unknown-asset",
            f'the input "{name}": no pipeline of this folder makes the asset "{text}"',
            at,
            severity="warning",
            suggestion=near,
            hint="this is right when an asset of your own has that key",
        )


def _circles(before: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """For each pipeline that waits for itself, the way round: its id, those between, its id."""
    found: dict[str, list[str]] = {}
    for start in before:
        came: dict[str, str] = {}
        waiting = [start]
        while waiting and start not in came:
            one = waiting.pop(0)
            for other in before.get(one, ()):
                if other not in came:
                    came[other] = one
                    waiting.append(other)
        if start in came:
            way = [start]
            while len(way) == 1 or way[-1] != start:
                way.append(came[way[-1]])
            found[start] = way[::-1]
    return found


def _circle(
    pipeline: CompiledPipeline,
    way: Sequence[str],
    made: Mapping[AssetPath, str],
    document: Document,
    problems: Problems,
) -> None:
    name = next(name for name, spec in pipeline.asset_inputs.items() if made.get(spec.asset_key) == way[1])
    problems.add(
        "asset-cycle",
        f'the pipeline "{pipeline.id}" waits for itself: {" → ".join(way)}',
        document.span(("inputs", name, "asset")),
        hint="move what both need into a pipeline of its own",
    )
