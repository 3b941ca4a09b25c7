"""Product files read back into values."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from orchestrator_dagster.errors import FileMissingError


def decode(file: str, format: str, *, as_frame: bool = False) -> Any:
    """The value of a product file.

    Args:
        file: Absolute path.
        format: Its product format.
        as_frame: Whether a table is wanted as a pandas data frame instead of a list of rows.

    Raises:
        FileMissingError: The file is not there.
    """
    path = Path(file)
    if not path.is_file():
        raise FileMissingError(f'the product file "{file}" is not there any more', hint="materialize its asset again")
    if as_frame or format in ("parquet", "xlsx"):
        frame = _frame(path, format)
        return frame if as_frame else frame.to_dict("records")
    if format in ("png",):
        return path.read_bytes()
    text = path.read_text(encoding="utf-8")
    if format == "json":
        return json.loads(text)
    if format == "jsonl":
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    if format == "yaml":
        import yaml

        return yaml.safe_load(text)
    if format in ("csv", "tsv"):
        return list(csv.DictReader(text.splitlines(keepends=True), delimiter="\t" if format == "tsv" else ","))
    return text


def _frame(path: Path, format: str) -> Any:
    import pandas as pd

    if format == "json":
        return pd.read_json(path)
    if format == "jsonl":
        return pd.read_json(path, lines=True)
    if format == "parquet":
        return pd.read_parquet(path)
    if format == "xlsx":
        return pd.read_excel(path)
    return pd.read_csv(path, sep="\t" if format == "tsv" else ",")
