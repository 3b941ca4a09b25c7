"""What is wrong with a product: that its file can be read, holds something, and is what its variable declares."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic import TypeAdapter, ValidationError

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledProduct
from orchestrator_dagster.errors import ProductError
from orchestrator_dagster.language.types import TypeSpec, VariableSpec
from orchestrator_dagster.language.values import problems_of, python_type, sentences
from orchestrator_dagster.runtime.decoding import TABLES, value_of_bytes

Part = Literal["exists", "parses", "not empty", "schema", "unchanged"]
#: A file up to this size is read back when it is written, a larger one when it is checked on demand.
READ_BACK = 1024 * 1024
_DATA = frozenset(("json", "jsonl", "yaml"))


@dataclass(frozen=True)
class Fault:
    """What a product does not meet, and the next step."""

    part: Part
    message: str
    next: str

    @classmethod
    def of(cls, stored: tuple[str, str, str]) -> Fault:
        """The fault that an outcome has kept."""
        return cls(cast(Part, stored[0]), stored[1], stored[2])

    def __str__(self) -> str:
        return f"{self.part}: {self.message}; next: {self.next}"


def spec_of(pipeline: CompiledPipeline, product: CompiledProduct) -> VariableSpec | None:
    """The description of the variable that a product is made from."""
    for step in pipeline.by_id[product.step].walk():
        if product.variable in step.variables and any(one.key == product.key for one in step.products):
            return step.variables[product.variable]
    return None


def faults_of(data: bytes, product: CompiledProduct, spec: VariableSpec | None, name: str) -> list[Fault]:
    """What is wrong with the content of a product's file.

    Args:
        data: The content.
        product: The product.
        spec: The description of its variable.
        name: The file's name, for messages.
    """
    again = f"materialize {'/'.join(product.key)} again"
    if not data.strip():
        return [Fault("not empty", f'"{name}" is empty', f"look at what the step {product.step} leaves")]
    try:
        value = value_of_bytes(data, product.format, name)
    except ProductError as error:
        return [Fault("parses", error.message, again)]
    faults = []
    if product.format in (*_DATA, *TABLES) and value in ([], {}, None, ""):
        faults.append(Fault("not empty", f'"{name}" holds nothing', f"look at what the step {product.step} leaves"))
    elif spec is not None and product.template is None:
        wrong = _schema_problems(value, product.format, spec)
        if wrong:
            faults.append(Fault("schema", "; ".join(wrong[:5]), f"{again}, or change `vars.{product.variable}`"))
    return faults


def _schema_problems(value: Any, format: str, spec: VariableSpec) -> list[str]:
    """Where a value is not what its variable declares, as far as its format can tell."""
    if format == "jsonl" and spec.type == "object" and isinstance(value, list) and len(value) == 1:
        value = value[0]  # a single object is one line
    if format in _DATA:
        return problems_of(spec, value)
    fields = spec.items.properties if spec.items is not None else None
    if format in TABLES and fields and isinstance(value, list):
        return list(_column_problems(value, fields))
    return []


def _column_problems(rows: Sequence[Mapping[str, Any]], fields: Mapping[str, TypeSpec]) -> Iterable[str]:
    """Columns that are missing, and cells that do not fit. An empty cell is no value: "" looks the same."""
    columns = set(rows[0])
    if any(None in row for row in rows):
        yield "a line has more cells than the first one"
    for name, spec in fields.items():
        if name not in columns:
            yield f"the column {name} is missing"
            continue
        cells = [_cell(row[name], spec) for row in rows if row.get(name) not in (None, "")]
        adapter: TypeAdapter[Any] = TypeAdapter(list[python_type(spec)])  # type: ignore[misc, arg-type]
        try:
            adapter.validate_python(cells)
        except ValidationError as error:
            yield from (f"{name}{said}" for said in sentences(error, 3))


def _cell(value: Any, spec: TypeSpec) -> Any:
    """A cell as its type has it: lists and maps stand in a table as JSON."""
    if spec.type in ("array", "object") and isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value if spec.type != "string" or isinstance(value, str) else str(value)
