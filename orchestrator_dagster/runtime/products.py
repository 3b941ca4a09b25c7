"""Products: a variable's value becomes a file in a format, written whole or not at all."""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledPipeline, CompiledProduct
from orchestrator_dagster.errors import ProductError, StepError
from orchestrator_dagster.files.remote_files import allowed_url, is_url, joined_url, local_path, write_url
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.language.template_filters import json_value, to_text
from orchestrator_dagster.language.templates import render
from orchestrator_dagster.language.types import type_of
from orchestrator_dagster.runtime.outcome import ProductFile
from orchestrator_dagster.runtime.previews import preview, table_rows
from orchestrator_dagster.runtime.product_checks import READ_BACK, faults_of, spec_of
from orchestrator_dagster.runtime.services import Services
from orchestrator_dagster.tables import markdown_table


def write_product(
    pipeline: CompiledPipeline,
    product: CompiledProduct,
    path: str,
    folder: str,
    value: Any,
    names: Mapping[str, Any],
    services: Services,
) -> ProductFile:
    """Write one product.

    Args:
        pipeline: The pipeline.
        product: What is to be written.
        path: Its rendered path, relative to ``folder``.
        folder: The output folder, relative to the workspace root; or a URL that the workspace allows.
        value: The variable's value.
        names: Names for the product's template.
        services: Where files go.

    Raises:
        ProductError: The value cannot be written in this format.
        PathError: The path leaves the output folder, or this leaves the workspace.
    """
    if product.template:
        value = render(
            pipeline.includes[product.template],
            {**names, "value": value},
            dashed=pipeline.dashed,
            autoescape=product.format == "html",
        )
    data = encode(value, product, _declared_columns(pipeline, product))
    workspace = services.workspace
    place, size, digest = _write(workspace, product, folder, path, data)
    rows = table_rows(value)
    columns = _columns(rows) if rows is not None else None
    return ProductFile(
        variable=product.variable,
        key=product.key,
        path=place,
        format=product.format,
        bytes=size,
        sha256=digest,
        rows=len(rows) if rows is not None else None,
        columns=tuple(columns) if columns is not None else None,
        column_types=_types(rows, columns) if rows is not None and columns is not None else None,
        preview=services.redactor.text(preview(value, product.format, data)),
        faults=_faults(pipeline, product, data, services),
    )


def _faults(
    pipeline: CompiledPipeline, product: CompiledProduct, data: bytes, services: Services
) -> tuple[tuple[str, str, str], ...]:
    """What is wrong with a file that has just been written, as far as it is small enough to be read back at once."""
    if len(data) > READ_BACK:
        return ()
    found = faults_of(data, product, spec_of(pipeline, product), PurePosixPath(product.path).name)
    return tuple((one.part, services.redactor.text(one.message), one.next) for one in found)


def _write(workspace: Workspace, product: CompiledProduct, folder: str, path: str, data: bytes) -> tuple[str, int, str]:
    """Put the file in place; gives its path (or URL), size and SHA-256."""
    relative = PurePosixPath(path)
    if relative.is_absolute() or path.startswith("~"):
        raise ProductError(
            f'the product "{product.variable}" has the path "{path}", which starts outside the output folder',
            hint="its path is relative to `output_dir`",
        )
    if is_url(folder):
        local = local_path(folder)
        if local is None:
            url = joined_url(allowed_url(folder, workspace.urls), path)
            workspace.check_size(len(data), url)
            return (url, *write_url(url, data))
        folder = local
    base = workspace.resolve(folder)
    written = workspace.write(base / relative, data, within=base)
    return workspace.relative(written.path), written.bytes, written.sha256


def _declared_columns(pipeline: CompiledPipeline, product: CompiledProduct) -> list[str]:
    """The columns that the variable declares, so that a table without rows has its head."""
    spec = spec_of(pipeline, product)
    fields = spec.items.properties if spec is not None and spec.items is not None else None
    return list(fields or ())


def encode(value: Any, product: CompiledProduct, columns: Sequence[str] = ()) -> bytes:
    """The bytes of a value in the product's format; ``columns`` are those of a table that has no rows.

    Raises:
        ProductError: The value has no such form, for example a number as CSV.
    """
    encoder = _ENCODERS.get(product.format)
    if encoder is None:
        raise ProductError(
            f'there is no product format "{product.format}"', hint=f"choose one of {', '.join(_ENCODERS)}"
        )
    try:
        if columns and isinstance(value, (list, tuple)) and not value:
            return _without_rows(product, columns)
        return encoder(value, product)
    except StepError:
        raise
    except Exception as error:  # a text that is no text, a list that holds itself, a type that a writer does not take
        raise ProductError(
            f'"{product.variable}" cannot be written as {product.format}: {type(error).__name__}: {error}'
        ) from error


def _columns(rows: list[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(str(name) for row in rows for name in row))


def _types(rows: list[Mapping[str, Any]], columns: list[str]) -> tuple[str, ...]:
    """The type of each column: that of its values where they agree, ``number`` for integers among numbers, else any."""
    found: list[str] = []
    for name in columns:
        kinds = {
            type_of(json_value(row[name]) if hasattr(row[name], "tolist") else row[name]) for row in rows if name in row
        } - {None}
        if kinds == {"integer", "number"}:
            kinds = {"number"}
        found.append(kinds.pop() or "any" if len(kinds) == 1 else "any")
    return tuple(found)


def _without_rows(product: CompiledProduct, columns: Sequence[str]) -> bytes:
    """A table that has columns and no rows; of other formats the empty list."""
    if product.format in ("csv", "tsv"):
        text = io.StringIO()
        csv.writer(text, delimiter="," if product.format == "csv" else "\t", lineterminator="\n").writerow(columns)
        return text.getvalue().encode()
    if product.format in ("parquet", "xlsx"):
        import pandas as pd

        return _ENCODERS[product.format](pd.DataFrame(columns=list(columns)), product)
    return _ENCODERS[product.format]([], product)


def _text(value: Any, product: CompiledProduct) -> bytes:
    if product.format == "md" and table_rows(value) is not None:
        return markdown_table(table_rows(value)).encode()
    return to_text(value).encode("utf-8")


def _json(value: Any, product: CompiledProduct) -> bytes:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):  # a text that is JSON already is not quoted once more
            value = json.loads(value)
    try:
        text = json.dumps(value, ensure_ascii=False, indent=2, default=json_value, allow_nan=False)
    except ValueError as error:
        raise ProductError(f'"{product.variable}" cannot be written as JSON: {error}') from None
    return f"{text}\n".encode()


def _jsonl(value: Any, product: CompiledProduct) -> bytes:
    items = value if isinstance(value, (list, tuple)) else [value]
    lines = [json.dumps(item, ensure_ascii=False, default=json_value, allow_nan=False) for item in items]
    return "".join(f"{line}\n" for line in lines).encode()


def _yaml(value: Any, product: CompiledProduct) -> bytes:
    from orchestrator_dagster.language.template_filters import to_yaml

    return to_yaml(value).encode()


def _rows(value: Any, product: CompiledProduct) -> list[Mapping[str, Any]]:
    rows = table_rows(value)
    if rows is None and isinstance(value, (list, tuple)):
        rows = [row if isinstance(row, Mapping) else {"value": row} for row in value]
    if rows is None and isinstance(value, Mapping):
        rows = [value]
    if rows is None:
        raise ProductError(
            f'"{product.variable}" is {type(value).__name__}, which is no table: {product.format} takes a list of maps',
            hint="make the variable a list of objects, or choose another format",
        )
    return rows


def _delimited(separator: str) -> Callable[[Any, CompiledProduct], bytes]:
    def encode_rows(value: Any, product: CompiledProduct) -> bytes:
        if isinstance(value, str):
            return value.encode()  # a text that is CSV already
        rows = _rows(value, product)
        text = io.StringIO()
        writer = csv.DictWriter(text, _columns(rows), delimiter=separator, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({str(name): _cell(item) for name, item in row.items()})
        return text.getvalue().encode()

    return encode_rows


def _cell(value: Any) -> Any:
    return to_text(value) if isinstance(value, (Mapping, list, tuple)) else value


def _frame(value: Any, product: CompiledProduct) -> Any:
    import pandas as pd

    return value if isinstance(value, pd.DataFrame) else pd.DataFrame([dict(row) for row in _rows(value, product)])


def _parquet(value: Any, product: CompiledProduct) -> bytes:
    from orchestrator_dagster.tools.registry import require

    require("pyarrow", "parquet", "product")
    data: bytes = _frame(value, product).to_parquet(index=False)
    return data


def _xlsx(value: Any, product: CompiledProduct) -> bytes:
    from orchestrator_dagster.tools.registry import require

    require("openpyxl", "excel", "product")
    buffer = io.BytesIO()
    _frame(value, product).to_excel(buffer, index=False)
    return buffer.getvalue()


def _bytes(value: Any, product: CompiledProduct) -> bytes:
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    if product.format == "svg" and isinstance(value, str) and "<svg" in value:
        return value.encode()
    if isinstance(value, Mapping) and isinstance(value.get("base64"), str):
        value = value["base64"]
    if isinstance(value, str):
        try:
            return base64.b64decode(value.partition("base64,")[2] or value, validate=True)
        except ValueError:
            pass  # said below
    kind = "PDF" if product.format == "pdf" else f"{product.format} image"
    raise ProductError(
        f'"{product.variable}" holds no {kind}: bytes or base64 text were expected',
        hint='take it from the tool by `"{{ result.base64 }}"`, which it gives where it has no `output_path`',
    )


_ENCODERS: dict[str, Callable[[Any, CompiledProduct], bytes]] = {
    "txt": _text,
    "md": _text,
    "html": _text,
    "json": _json,
    "jsonl": _jsonl,
    "yaml": _yaml,
    "csv": _delimited(","),
    "tsv": _delimited("\t"),
    "parquet": _parquet,
    "xlsx": _xlsx,
    "png": _bytes,
    "svg": _bytes,
    "pdf": _bytes,
}
