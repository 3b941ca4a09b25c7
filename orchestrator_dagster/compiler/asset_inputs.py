"""Inputs that are loaded from assets: what can be told of them from the file that names them."""

from __future__ import annotations

from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.pipeline import Pipeline
from orchestrator_dagster.language.step import walk_steps

#: What Dagster refuses in a part of an asset key, or reads as something else.
REFUSED_IN_KEYS = frozenset('[]"*{}')
#: What a value that is loaded can be read as; anything else is the name of something.
_TYPES = "string, array, object, integer, number, boolean, path"


def check_asset_inputs(pipeline: Pipeline, document: Document, problems: Problems) -> None:
    """Check the keys and types of the inputs that are loaded from assets.

    Whether somebody makes such an asset is known where the whole folder is loaded:
    :mod:`orchestrator_dagster.compiler.across`.
    """
    made = {(pipeline.id, "run")} | {
        spec.key if spec.key is not None else (pipeline.id, name)
        for _, step in walk_steps(pipeline.steps)
        for name, spec in step.products.items()
    }
    for name, spec in pipeline.inputs.items():
        if spec.asset is None:
            continue
        at = document.span(("inputs", name, "asset"))
        if not spec.asset_key or any(not part.strip() or REFUSED_IN_KEYS & set(part) for part in spec.asset_key):
            problems.add(
                "wrong-value",
                f'the input "{name}": "{spec.asset}" is no asset key',
                at,
                hint="write its parts with / between them, for example `other_pipeline/table`",
            )
        elif spec.asset_key in made:
            problems.add(
                "asset-cycle",
                f'the input "{name}" is loaded from "{spec.asset}", which this pipeline makes itself',
                at,
                hint="in one pipeline, use the variable of the step: `{{ step.variable }}`",
            )
        elif spec.asset_key[0] == pipeline.id:
            problems.add(
                "unknown-asset",
                f'the input "{name}": this pipeline makes no asset "{spec.asset}", and could not load it either',
                at,
                hint="name a product of another pipeline, or an asset of your own",
            )
        if spec.type == "secret":
            problems.add(
                "wrong-value",
                f'the input "{name}" is loaded from an asset, and a secret is never stored in one',
                document.span(("inputs", name, "type")),
                hint=f"choose one of {_TYPES}",
            )
        if name == "output_dir":
            problems.add(
                "wrong-value",
                "the output folder cannot be loaded from an asset",
                at,
                hint="write the folder, or a template that reads another input",
            )
