"""JSON Schemas of inputs and variables, inline or in files: checked before anything runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator_dagster.compiler.bodies import Body
from orchestrator_dagster.compiler.kinds import Place
from orchestrator_dagster.frozen import thaw
from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.json_schema import implied_type
from orchestrator_dagster.language.pipeline import Pipeline
from orchestrator_dagster.language.types import TypeSpec
from orchestrator_dagster.language.values import places_of_problems


def check_schemas(
    pipeline: Pipeline, top: Body, includes: Mapping[str, str], document: Document, problems: Problems
) -> None:
    """Note every schema that is no JSON Schema."""
    places: list[tuple[Place, TypeSpec, str | None]] = [
        (("inputs", name), spec, None) for name, spec in pipeline.inputs.items()
    ]
    for draft in top.walk():
        places += [((*draft.place, "vars", name), spec, draft.step.id) for name, spec in draft.step.vars.items()]
    for place, spec, step in places:
        if spec.example is not None and spec.schema_ is None and (spec.type or implied_type(spec)):
            bare = spec.model_copy(update={"example": None})
            for inner, found in places_of_problems(bare, spec.example):
                problems.add(
                    "wrong-value",
                    f"the example is none of its type: {found}",
                    document.span((*place, "example", *inner)),
                    step=step,
                    hint="change the example or the type",
                )
        for inner, schema in _schemas(spec, place):
            wrong = _problem(schema, includes)
            if wrong:
                problems.add(
                    "wrong-value",
                    f"`schema` is no JSON Schema: {wrong}",
                    document.span((*inner, "schema")),
                    step=step,
                    hint="a schema is a map such as {type: array, items: {type: string}}",
                )


def _schemas(spec: TypeSpec, place: Place) -> Iterator[tuple[Place, Any]]:
    """Every schema in a type, with the place of the type that has it."""
    if spec.schema_ is not None:
        yield place, spec.schema_
    if spec.items is not None:
        yield from _schemas(spec.items, (*place, "items"))
    for name, field in (spec.properties or {}).items():
        yield from _schemas(field, (*place, "properties", name))


def _problem(schema: Any, includes: Mapping[str, str]) -> str | None:
    """What is wrong with a schema, None when nothing is. A file that is missing is noted elsewhere."""
    if isinstance(schema, str):
        if schema not in includes:
            return None
        text = includes[schema]
        try:
            if schema.endswith(".json"):
                schema = json.loads(text)
            else:
                import yaml

                schema = yaml.safe_load(text)
        except (ValueError, RecursionError) as error:
            return f"the file cannot be read: {error}"
        except yaml.YAMLError as error:
            return f"the file cannot be read: {str(error).splitlines()[0]}"
        if not isinstance(schema, dict):
            return "the file holds no map"
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    plain = thaw(dict(schema))
    try:
        validator_for(plain).check_schema(plain)
    except SchemaError as error:
        where = ".".join(str(part) for part in error.absolute_path)
        return f"`{where}`: {error.message[:200]}" if where else error.message[:200]
    except Exception as error:  # a `$schema` or reference that nothing can read
        return f"{type(error).__name__}: {str(error)[:200]}"
    return None
