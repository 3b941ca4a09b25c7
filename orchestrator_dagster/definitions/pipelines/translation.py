"""A translator at work: it is asked for every asset once, and what it says is checked before anything is built."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import dagster as dg

from orchestrator_dagster.compiler.across import problems_across
from orchestrator_dagster.compiler.asset_inputs import REFUSED_IN_KEYS
from orchestrator_dagster.compiler.compiled import AssetPath, CompiledPipeline
from orchestrator_dagster.compiler.renaming import renamed
from orchestrator_dagster.definitions.pipelines.translator import PipelineAsset, PipelinesTranslator
from orchestrator_dagster.errors import TranslationError
from orchestrator_dagster.project.loading import LoadedFile

Specs = dict[dg.AssetKey, dg.AssetSpec]


@dataclass
class Translated:
    """The files with the keys that a translator gives, and its specs by these keys."""

    files: list[LoadedFile]
    specs: Specs = field(default_factory=dict)


def translate(files: Sequence[LoadedFile], translator: PipelinesTranslator) -> Translated:
    """Ask the translator for every asset.

    A file whose assets get keys that those of another file have, or whose new keys make it wait for itself, is left out
    like one with errors.

    Args:
        files: The files of a folder.
        translator: The translator.

    Raises:
        TranslationError: The translator fails, or says what runs could not keep to.
    """
    problems: list[str] = []
    keys: dict[AssetPath, AssetPath] = {}
    specs: list[tuple[CompiledPipeline, list[dg.AssetSpec]]] = []
    for pipeline in (file.pipeline for file in files if file.pipeline is not None):
        own = []
        for asset in _assets_of(pipeline):
            before = asset.product.key if asset.product is not None else pipeline.run_key
            spec = _asked(translator, asset, problems)
            if spec is not None:
                own.append(spec)
                if tuple(spec.key.path) != before:
                    keys[before] = tuple(spec.key.path)
        problems += _taken_twice(pipeline, own)
        specs.append((pipeline, own))
    if problems:
        raise TranslationError(f"the translator {type(translator).__name__} cannot be used:", problems)
    made = _renamed(files, keys) if keys else list(files)
    good = {file.pipeline.id for file in made if file.pipeline is not None}
    return Translated(made, {one.key: one for pipeline, own in specs if pipeline.id in good for one in own})


def translate_one(pipeline: CompiledPipeline, translator: PipelinesTranslator | None) -> tuple[CompiledPipeline, Specs]:
    """One pipeline with the keys that a translator gives, and its specs; as it is where there is no translator.

    Raises:
        TranslationError: As for :func:`translate`.
    """
    if translator is None:
        return pipeline, {}
    done = translate([LoadedFile(Path(pipeline.folder) / Path(pipeline.file).name, pipeline)], translator)
    (file,) = done.files
    if file.pipeline is None:
        problems = [one.render() for one in file.errors]
        raise TranslationError(f"the translator {type(translator).__name__} cannot be used:", problems)
    return file.pipeline, done.specs


def _assets_of(pipeline: CompiledPipeline) -> Iterator[PipelineAsset]:
    for product in pipeline.products:
        yield PipelineAsset(pipeline, product)
    yield PipelineAsset(pipeline)


def _asked(translator: PipelinesTranslator, asset: PipelineAsset, problems: list[str]) -> dg.AssetSpec | None:
    """What the translator says of an asset; None, with the problems, when it cannot be kept to."""
    where = _where(asset)
    try:
        spec = translator.get_asset_spec(asset)
    except Exception as error:  # whatever the location's own code raises
        problems.append(f"{where}: it raised {type(error).__name__}: {error}")
        return None
    if not isinstance(spec, dg.AssetSpec):
        problems.append(f"{where}: it gave {type(spec).__name__}; get_asset_spec returns a dagster.AssetSpec")
        return None
    found = [f"{where}: {problem}" for problem in _refused(spec, asset)]
    problems += found
    return None if found else spec


def _refused(spec: dg.AssetSpec, asset: PipelineAsset) -> Iterator[str]:
    """What a spec says that runs could not keep to."""
    before = PipelinesTranslator().get_asset_spec(asset)
    if any(not part.strip() or (REFUSED_IN_KEYS | {"/"}) & set(part) for part in spec.key.path):
        yield f'the key {list(spec.key.path)} has a part that is empty or has one of / [ ] " *'
    if {dep.asset_key for dep in spec.deps} != {dep.asset_key for dep in before.deps}:
        yield "it changes the dependencies; they come from the file: declare an input, `inputs: {x: {asset: a/key}}`"
    if spec.partitions_def != before.partitions_def:
        yield "it changes the partitions; they come from the file: declare `partitions` there"
    if spec.skippable != before.skippable:
        yield "it changes `skippable`; whether a step runs comes from the file: give it a `condition`"
    required = sorted(name for name, one in asset.pipeline.inputs.items() if one.is_required)
    if spec.automation_condition is not None and required:
        yield (
            f"it gives an automation condition, but the pipeline requires {', '.join(required)} and automation starts"
            " runs without inputs: give defaults in the file"
        )


def _taken_twice(pipeline: CompiledPipeline, specs: Sequence[dg.AssetSpec]) -> Iterator[str]:
    seen: set[dg.AssetKey] = set()
    for spec in specs:
        if spec.key in seen:
            yield f"{pipeline.file}: two of its assets get the key {spec.key.to_user_string()}"
        seen.add(spec.key)


def _renamed(files: Sequence[LoadedFile], keys: dict[AssetPath, AssetPath]) -> list[LoadedFile]:
    """The files with new keys; those that the new keys bring into conflict without a pipeline."""
    made = [
        replace(file, pipeline=renamed(file.pipeline, keys)) if file.pipeline is not None else file for file in files
    ]
    across = problems_across([(file.path, file.pipeline) for file in made if file.pipeline is not None])
    wrong = {
        path: [one for one in found if one.code in ("product-collision", "asset-cycle")]
        for path, found in across.items()
    }
    return [
        LoadedFile(file.path, None, (*file.diagnostics, *wrong[file.path])) if wrong.get(file.path) else file
        for file in made
    ]


def _where(asset: PipelineAsset) -> str:
    if asset.product is None or asset.step is None:
        return f"{asset.pipeline.file}: the run"
    return f'{asset.pipeline.location(asset.step)}: the product "{asset.product.variable}"'
