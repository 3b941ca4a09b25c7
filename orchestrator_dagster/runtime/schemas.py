"""JSON Schemas that stand in files of their own."""

from __future__ import annotations

import json

import yaml

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.errors import VariablesError
from orchestrator_dagster.language.types import VariableSpec


def resolved(pipeline: CompiledPipeline, spec: VariableSpec) -> VariableSpec:
    """The type with the schema file that it names read in.

    Raises:
        VariablesError: The file is not YAML or JSON, or no JSON Schema.
    """
    if not isinstance(spec.schema_, str):
        return spec
    text = pipeline.includes[spec.schema_]
    try:
        schema = json.loads(text) if spec.schema_.endswith(".json") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise VariablesError(f'the schema file "{spec.schema_}" cannot be read: {error}') from None
    if not isinstance(schema, dict):
        raise VariablesError(f'the schema file "{spec.schema_}" holds no JSON Schema')
    return spec.model_copy(update={"schema_": schema})
