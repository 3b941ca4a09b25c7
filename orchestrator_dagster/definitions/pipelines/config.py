"""A pipeline's inputs as Dagster config, so that the launchpad shows every one with type, default and description."""

from __future__ import annotations

from typing import Any

import dagster as dg

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.frozen import thaw
from orchestrator_dagster.language.base import has_template
from orchestrator_dagster.language.template_names import texts_of
from orchestrator_dagster.language.types import InputSpec, TypeSpec

_SCALARS: dict[str, Any] = {
    "string": dg.String,
    "path": dg.String,
    "secret": dg.String,
    "integer": dg.Int,
    "boolean": dg.Bool,
}


def config_schema(pipeline: CompiledPipeline) -> dict[str, dg.Field]:
    """The config of a launch: one field an input."""
    return {name: _field(pipeline, name, spec) for name, spec in pipeline.inputs.items() if not spec.asset}


def _field(pipeline: CompiledPipeline, name: str, spec: InputSpec) -> dg.Field:
    kind = _config_type(f"{pipeline.op}__{name}", spec, spec.kind)
    default = thaw(spec.default)
    description = _describe(name, spec)
    templated = any(has_template(text) for _, text in texts_of(default))
    if default is None or templated:
        # A default that is a template is rendered when the run starts, with the other inputs.
        said = f"{description} (default: {default})".strip() if templated else description
        return dg.Field(kind, is_required=spec.is_required, description=said)
    return dg.Field(kind, is_required=False, default_value=default, description=description)


def _config_type(name: str, spec: TypeSpec, kind: str | None) -> Any:
    if spec.enum and all(isinstance(option, str) and option.isidentifier() for option in spec.enum):
        return dg.Enum(f"{name}__options", [dg.EnumValue(option) for option in spec.enum])
    if kind == "array":
        return dg.Array(_config_type(name, spec.items, spec.items.type) if spec.items else dg.Any)
    if kind == "object":
        return dg.Permissive()  # type: ignore[no-untyped-call]  # untyped in Dagster
    return _SCALARS.get(kind or "", dg.Any)


def _describe(name: str, spec: InputSpec) -> str:
    """The description with the constraints that Dagster's types cannot show."""
    low, high = spec.limits
    parts = [spec.description or ("Folder of the products." if name == "output_dir" else "")]
    if low is not None and high is not None:
        parts.append(f"from {low:g} to {high:g}")
    elif low is not None or high is not None:
        parts.append(f"at least {low:g}" if low is not None else f"at most {high:g}")
    if spec.pattern:
        parts.append(f"matching {spec.pattern}")
    if spec.kind == "secret":
        parts.append("the name of an environment variable, never the secret itself")
    return "; ".join(part for part in parts if part)
