"""Other asset keys for a compiled pipeline: a code location may name its assets otherwise than their files do.

Every place that holds a key is changed together: products and what they are made from, the run, the inputs that are
loaded from assets, triggers, and the same of the pipelines that steps run. What the pipeline does stays as it is, and
so do the code versions of its steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from orchestrator_dagster.compiler.compiled import (
    AssetPath,
    Compiled,
    CompiledPipeline,
    CompiledProduct,
    CompiledStep,
)
from orchestrator_dagster.compiler.fingerprint import digest
from orchestrator_dagster.frozen import FrozenDict
from orchestrator_dagster.language.types import InputSpec

Keys = Mapping[AssetPath, AssetPath]
_Some = TypeVar("_Some", bound=Compiled)


def renamed(pipeline: CompiledPipeline, keys: Keys) -> CompiledPipeline:
    """The pipeline with other asset keys; the same object where none of them is in it.

    Its fingerprint changes too, so that a run that was launched with these keys finds this very pipeline again.

    Args:
        pipeline: The pipeline.
        keys: New keys by those of the files; a part of a key has no ``/``.
    """
    changes: dict[str, Any] = {}
    if pipeline.run_key in keys:
        changes["run_asset"] = keys[pipeline.run_key]
    steps = tuple(_step(step, keys) for step in pipeline.steps)
    if any(new is not old for new, old in zip(steps, pipeline.steps, strict=True)):
        changes["steps"] = steps
    inputs = {name: _input(spec, keys) for name, spec in pipeline.inputs.items()}
    if any(inputs[name] is not spec for name, spec in pipeline.inputs.items()):
        changes["inputs"] = FrozenDict(inputs)
    triggers = tuple(
        one.model_copy(update={"asset": _text(one.asset, keys)}) if _text(one.asset, keys) != one.asset else one
        for one in pipeline.triggers
    )
    if triggers != pipeline.triggers:
        changes["triggers"] = triggers
    if not changes:
        return pipeline
    used = sorted([list(one), list(keys[one])] for one in _keys_in(pipeline) & keys.keys())
    return _with(pipeline, {**changes, "fingerprint": digest([pipeline.fingerprint, used])})


def _keys_in(pipeline: CompiledPipeline) -> set[AssetPath]:
    """Every asset key that a pipeline names."""
    found = {pipeline.run_key, *(spec.asset_key for spec in pipeline.asset_inputs.values())}
    found |= {tuple(one.asset.split("/")) for one in pipeline.triggers if one.asset}
    for step in pipeline.steps:
        for one in step.walk():
            found |= _keys_in(one.pipeline) if one.pipeline else set()
            found |= {key for product in one.products for key in (product.key, *product.upstream)}
    return found


def _step(step: CompiledStep, keys: Keys) -> CompiledStep:
    changes: dict[str, Any] = {}
    products = tuple(_product(one, keys) for one in step.products)
    if products != step.products:
        changes["products"] = products
    if step.loop is not None:
        body = tuple(_step(one, keys) for one in step.loop.steps)
        if any(new is not old for new, old in zip(body, step.loop.steps, strict=True)):
            changes["loop"] = _with(step.loop, {"steps": body})
    if step.pipeline is not None:
        inside = renamed(step.pipeline, keys)
        if inside is not step.pipeline:
            changes["pipeline"] = inside
    return _with(step, changes) if changes else step


def _product(product: CompiledProduct, keys: Keys) -> CompiledProduct:
    key = keys.get(product.key, product.key)
    upstream = tuple(keys.get(one, one) for one in product.upstream)
    if (key, upstream) == (product.key, product.upstream):
        return product
    return _with(product, {"key": key, "upstream": upstream})


def _input(spec: InputSpec, keys: Keys) -> InputSpec:
    text = _text(spec.asset, keys)
    return spec if text == spec.asset else spec.model_copy(update={"asset": text})


def _text(asset: str | None, keys: Keys) -> str | None:
    key = keys.get(tuple(asset.split("/"))) if asset else None
    return "/".join(key) if key is not None else asset


def _with(model: _Some, changes: Mapping[str, Any]) -> _Some:
    """A copy with other values, and without what was computed from the old ones."""
    made = model.model_copy(update=changes)
    for name in made.__dict__.keys() - type(model).model_fields.keys():
        del made.__dict__[name]
    return made
