"""Product files read back into values: the bytes of a file, in its format."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator_dagster.errors import FileMissingError, ProductError, SizeLimitError, StepError
from orchestrator_dagster.files.remote_files import is_url, read_url
from orchestrator_dagster.files.stored_files import shown
from orchestrator_dagster.language.step import BYTES_FORMATS

#: Formats whose files are tables.
TABLES = frozenset(("csv", "tsv", "parquet", "xlsx"))
_NOT_TEXT = frozenset((*BYTES_FORMATS, "parquet", "xlsx"))


def read_file(place: str, most: int | None = None) -> bytes:
    """The content of a product file.

    Args:
        place: Its absolute path, or its URL.
        most: The most bytes that are read, None for any number.

    Raises:
        FileMissingError: The file is not there.
        ProductError: It cannot be read.
        SizeLimitError: It is larger than ``most``.
    """
    try:
        if is_url(place):
            return read_url(place, most)
        path = Path(place)
        if most is not None and path.stat().st_size > most:
            raise SizeLimitError(f'the product file "{place}" has more than {most:,} bytes')
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, FileMissingError):
        raise FileMissingError(
            f'the product file "{shown(place)}" is not there any more', hint="materialize its asset again"
        ) from None
    except OSError as error:
        raise ProductError(f'the product file "{place}" cannot be read: {error.strerror}') from None


def decode(file: str, format: str, *, as_frame: bool = False, types: Mapping[str, str] | None = None) -> Any:
    """The value of a product file, as a data frame where one is wanted; ``types`` are those of its columns.

    Raises:
        FileMissingError: The file is not there.
        ProductError: Its content is not of this format.
    """
    data = read_file(file)
    name = Path(file).name
    return frame_of_bytes(data, format, name, types) if as_frame else value_of_bytes(data, format, name)


def value_of_bytes(data: bytes, format: str, name: str, types: Mapping[str, str] | None = None) -> Any:
    """The value of a file: what JSON and YAML hold, a list of objects for tables, bytes for png and pdf, else the text.

    Args:
        data: The file's content.
        format: Its product format.
        name: The file's name, for messages.
        types: For each column of a csv or tsv its type, for values that are no texts; None for texts only.

    Raises:
        ProductError: The content is not of this format.
    """
    try:
        return _value(data, format, name, types)
    except StepError:
        raise
    except Exception as error:  # a parser's own error, or one of pandas
        raise ProductError(f'"{name}" is not {format}: {type(error).__name__}: {error}') from None


def _value(data: bytes, format: str, name: str, types: Mapping[str, str] | None) -> Any:
    if format == "pdf" and not data.startswith(b"%PDF-"):
        raise ProductError(f'"{name}" is no PDF: it does not begin as one')
    if format in BYTES_FORMATS:
        return data
    if format in TABLES and (types is not None or format in _NOT_TEXT):
        from orchestrator_dagster.tools.data.plain import rows_of

        return rows_of(_frame(data, format, name, types)) if data.strip() else []
    text = text_of_bytes(data, format, name)
    if format == "json":
        return json.loads(text)
    if format == "jsonl":
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    if format == "yaml":
        import yaml

        return yaml.safe_load(text)
    if format in ("csv", "tsv"):
        return list(csv.DictReader(text.splitlines(keepends=True), delimiter=_SEPARATORS[format]))
    return text


def text_of_bytes(data: bytes, format: str, name: str) -> str:
    """The text of a file.

    Raises:
        ProductError: It is none.
    """
    if format in _NOT_TEXT:
        raise ProductError(f'"{name}" is {format}, which is no text', hint="load it as `path`, or as a table")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProductError(f'"{name}" is no UTF-8 text (byte {error.start})') from None


def frame_of_bytes(data: bytes, format: str, name: str, types: Mapping[str, str] | None = None) -> Any:
    """The table of a file as a pandas data frame. What is a text by its column's type stays one: "007" is no 7.

    Raises:
        ProductError: It is none.
    """
    if format not in (*TABLES, "json", "jsonl"):
        raise ProductError(f'"{name}" is {format}, which is no table', hint="annotate the input as `str`")
    import io

    import pandas as pd

    texts: Any = {column: "str" for column, kind in (types or {}).items() if kind == "string"}
    readers: dict[str, Any] = {
        "json": pd.read_json,
        "jsonl": lambda file: pd.read_json(file, lines=True),
        "parquet": pd.read_parquet,
        "xlsx": pd.read_excel,
        "csv": lambda file: pd.read_csv(file, dtype=texts),
        "tsv": lambda file: pd.read_csv(file, sep="\t", dtype=texts),
    }
    if not data.strip():
        return pd.DataFrame()
    try:
        return readers[format](io.BytesIO(data))
    except Exception as error:
        raise ProductError(f'"{name}" is no {format} table: {type(error).__name__}: {error}') from None


_SEPARATORS = {"csv": ",", "tsv": "\t"}


def _frame(data: bytes, format: str, name: str, types: Mapping[str, str] | None) -> Any:
    from orchestrator_dagster.tools.data.reading import ReadOptions, read_bytes

    # A column of texts stays one, also where they look like numbers.
    texts = {column: "string" for column, kind in (types or {}).items() if kind == "string"}
    options = ReadOptions(delimiter=_SEPARATORS.get(format), dtypes=texts if format in _SEPARATORS else {})
    return read_bytes(data, format, options, name)
