"""Tables out of files and texts: csv, tsv, json, jsonl, parquet, xlsx."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from orchestrator_dagster.errors import ParametersError, SizeLimitError
from orchestrator_dagster.text import nearest
from orchestrator_dagster.tools.data.columns import cast, kind, require_columns, simplest
from orchestrator_dagster.tools.data.plain import frame_of, frame_of_rows, unique
from orchestrator_dagster.tools.data.types import Column, Frame
from orchestrator_dagster.tools.tool import require

#: Endings and spellings of each format.
FORMATS = {
    "csv": "csv", "txt": "csv", "tsv": "tsv", "tab": "tsv", "json": "json", "jsonl": "jsonl", "ndjson": "jsonl",
    "parquet": "parquet", "pq": "parquet", "xlsx": "xlsx", "excel": "xlsx",
}  # fmt: skip
#: An xlsx file is a zip: this many bytes may come out of it.
MAX_UNPACKED = 1024**3
_DELIMITERS = ",;\t|"
_LEADING_ZERO = re.compile(r"0[0-9]")


@dataclass(frozen=True)
class ReadOptions:
    """How a file or text is read; see the action ``load`` for the meaning of each."""

    delimiter: str | None = None
    encoding: str = "utf-8"
    sheet: str | int | None = None
    null_values: tuple[str, ...] = ()
    dtypes: dict[str, str] = field(default_factory=dict)


def format_name(name: str) -> str:
    """The format behind a spelling or a file ending.

    Raises:
        ParametersError: There is no such format.
    """
    found = FORMATS.get(name.strip().lower().lstrip("."))
    if found is None:
        raise ParametersError(
            f'there is no table format "{name}"{nearest(name, FORMATS)}',
            hint="use csv, tsv, json, jsonl, parquet or xlsx",
        )
    return found


def format_of_path(path: str) -> str:
    """The format that a file's ending says.

    Raises:
        ParametersError: It says none.
    """
    ending = path.rpartition(".")[2] if "." in path.rpartition("/")[2] else ""
    if ending.lower() not in FORMATS:
        raise ParametersError(
            f'the ending of "{path}" names no table format{nearest(ending, FORMATS) if ending else ""}',
            hint="name the `format`, or use .csv, .tsv, .json, .jsonl, .parquet or .xlsx",
        )
    return FORMATS[ending.lower()]


def read_bytes(data: bytes, kind_of_file: str, options: ReadOptions, what: str) -> Frame:
    """The table in the bytes of a file.

    Args:
        data: The file's content.
        kind_of_file: csv, tsv, json, jsonl, parquet or xlsx.
        options: Delimiter, encoding, sheet, null values and types.
        what: The file's name, for messages.

    Raises:
        ParametersError: The bytes are not a table in this format.
    """
    frame = _READERS[kind_of_file](data, options, what)
    for name in require_columns(frame, options.dtypes, f'"{what}"'):
        frame[name] = cast(frame[name], options.dtypes[name], name=name)
    return frame


def _decode(data: bytes, encoding: str, what: str) -> str:
    try:
        return data.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
    except UnicodeDecodeError as error:
        raise ParametersError(
            f'"{what}" is not {encoding} text (byte {error.start})', hint="name its `encoding`, such as latin-1"
        ) from None
    except LookupError:
        raise ParametersError(f'there is no encoding "{encoding}"', hint="use utf-8, latin-1, cp1252 …") from None


def _csv(data: bytes, options: ReadOptions, what: str) -> Frame:
    import pandas as pd

    if options.encoding.lower() not in ("utf-8", "utf8"):
        data = _decode(data, options.encoding, what).encode()
    if not data.strip():
        raise ParametersError(f'"{what}" is empty, a header line was expected')
    delimiter = options.delimiter or guess_delimiter(data)
    if len(delimiter) != 1:
        raise ParametersError(f"`delimiter` is {delimiter!r}, one character was expected")
    # Columns whose type is given are read as text first, so that the cast sees what stands in the file.
    typed: dict[Any, Any] = dict.fromkeys(options.dtypes, "str")

    form: dict[str, Any] = {"sep": delimiter, "keep_default_na": False, "na_values": ["", *options.null_values]}
    if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1):
        form["float_precision"] = "round_trip"  # later versions always read numbers to the last digit

    def read(**more: Any) -> Frame:
        return pd.read_csv(io.BytesIO(data), low_memory=False, index_col=False, **form, **more)

    try:
        frame = read(dtype=typed) if typed else read()
        names = [name for name in frame.columns if frame[name].dtype.kind in "iuf"]
        large = []
        for name in names:
            if _whole_with_gaps(frame[name]):
                # A float holds every whole number up to 2**53; longer ones are read again, as integers.
                if frame[name].abs().max() < 2**53:
                    frame[name] = frame[name].astype("Int64")
                else:
                    large.append(name)
        if large:
            whole = read(usecols=large, dtype_backend="numpy_nullable")
            for name in large:
                frame[name] = whole[name]
        if names and _may_have_leading_zeros(data, delimiter):
            texts = read(usecols=names, dtype="str")
            for name in names:
                if texts[name].str.match(_LEADING_ZERO).any():
                    frame[name] = texts[name]
    except UnicodeDecodeError as error:
        raise ParametersError(
            f'"{what}" is not {options.encoding} text (byte {error.start})',
            hint="name its `encoding`, such as latin-1",
        ) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ParametersError(
            f'"{what}" is no table with the delimiter {delimiter!r}: {str(error).strip()}',
            hint="check its quotes, or name the `delimiter`",
        ) from None
    for name in frame.columns:
        if frame[name].dtype == object and kind(frame[name]) == "boolean":
            frame[name] = frame[name].astype("boolean")
    return frame


def _whole_with_gaps(column: Column) -> bool:
    import numpy as np

    if column.dtype.kind != "f":
        return False
    values = column.to_numpy()
    missing = np.isnan(values)
    return bool(missing.any() and not missing.all() and (missing | (np.floor(values) == values)).all())


def _may_have_leading_zeros(data: bytes, delimiter: str) -> bool:
    # A quick look at the raw text; only where it finds something are the columns read a second time.
    return any(re.search(re.escape(before) + b"0[0-9]", data) for before in (delimiter.encode(), b"\n", b'"'))


def guess_delimiter(data: bytes) -> str:
    """The delimiter of CSV text: the most frequent of ``, ; tab |`` in its first line outside quotes."""
    header = data[:65536].lstrip(b"\r\n\xef\xbb\xbf").split(b"\n", 1)[0].decode("utf-8", "replace")
    bare = re.sub(r'"[^"]*"', "", header)
    return max(_DELIMITERS, key=lambda character: (bare.count(character), character == ","))


def _tsv(data: bytes, options: ReadOptions, what: str) -> Frame:
    from dataclasses import replace

    return _csv(data, replace(options, delimiter=options.delimiter or "\t"), what)


def _json(data: bytes, options: ReadOptions, what: str) -> Frame:
    text = _decode(data, options.encoding, what)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        try:
            return _jsonl(data, options, what)
        except ParametersError:
            raise ParametersError(f'"{what}" is not JSON: {error}') from None
    return frame_of_value(value, what)


def _jsonl(data: bytes, options: ReadOptions, what: str) -> Frame:
    rows = []
    for number, line in enumerate(_decode(data, options.encoding, what).split("\n"), 1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise ParametersError(f'line {number} of "{what}" is not JSON: {error}') from None
    return frame_of_rows(rows)


def frame_of_value(value: Any, what: str = "data") -> Frame:
    """A table from a plain value: rows, a map of columns, ``{columns, data}``, or one object (one row).

    Raises:
        ParametersError: It is none of these.
    """
    if isinstance(value, (list, tuple)):
        return frame_of_rows(value)
    if not isinstance(value, dict):
        raise ParametersError(
            f'"{what}" is {type(value).__name__}, a table was expected', hint="give a list of objects, or a file's path"
        )
    for key in ("data", "rows", "records"):
        rows = value.get(key)
        named = value.get("columns")
        split = isinstance(named, list) and all(isinstance(name, str) for name in named)
        if isinstance(rows, list) and (split or (len(value) == 1 and rows and isinstance(rows[0], dict))):
            # The column names of a result of this tool only matter where no row tells them.
            first = rows[0] if rows else None
            return frame_of_rows(rows, None if isinstance(first, dict) else named)
    if value and all(isinstance(cells, (list, tuple)) for cells in value.values()):
        lengths = {str(name): len(cells) for name, cells in value.items()}
        if len(set(lengths.values())) != 1:
            shown = ", ".join(f"{name}: {length}" for name, length in lengths.items())
            raise ParametersError(f'the columns of "{what}" have different lengths ({shown})')
        return frame_of(unique({name: list(cells) for name, cells in value.items()}))
    return frame_of_rows([value])


def _parquet(data: bytes, options: ReadOptions, what: str) -> Frame:
    import pandas as pd

    arrow, parquet = (
        require("pyarrow", "parquet", "data-processing"),
        require("pyarrow.parquet", "parquet", "data-processing"),
    )
    whole = {
        getattr(arrow, name.lower())(): getattr(pd, f"{name}Dtype")()
        for name in ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
    }
    whole[arrow.bool_()] = pd.BooleanDtype()
    try:
        table = parquet.read_table(io.BytesIO(data))
    except (arrow.ArrowException, OSError) as error:
        raise ParametersError(f'"{what}" is no parquet file: {error}') from None
    frame = table.to_pandas(types_mapper=whole.get, ignore_metadata=True)
    return frame.apply(simplest, axis=0) if len(frame.columns) else frame


def _xlsx(data: bytes, options: ReadOptions, what: str) -> Frame:
    openpyxl = require("openpyxl", "excel", "data-processing")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            unpacked = sum(item.file_size for item in packed.infolist())
        if unpacked > MAX_UNPACKED:
            raise SizeLimitError(f'"{what}" unpacks to {unpacked:,} bytes, {MAX_UNPACKED:,} are allowed')
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ParametersError(f'"{what}" is no xlsx file: {error}') from None
    names = book.sheetnames
    wanted = names[0] if options.sheet is None else options.sheet
    if isinstance(wanted, int):
        if not 0 <= wanted < len(names):
            raise ParametersError(f'"{what}" has {len(names)} sheets, `sheet` is {wanted} (the first is 0)')
        wanted = names[wanted]
    if wanted not in names:
        raise ParametersError(
            f'"{what}" has no sheet "{wanted}"{nearest(wanted, names)}', hint=f"its sheets: {', '.join(names)}"
        )
    lines = [list(cells) for cells in book[wanted].iter_rows(values_only=True)]
    book.close()
    while lines and all(cell is None for cell in lines[-1]):
        lines.pop()
    if not lines:
        raise ParametersError(f'the sheet "{wanted}" of "{what}" is empty, a header row was expected')
    header = [str(name) if name is not None else f"Unnamed: {place}" for place, name in enumerate(lines[0])]
    frame = frame_of_rows([line + [None] * (len(header) - len(line)) for line in lines[1:]], header)
    for name in frame.columns:
        if options.null_values and kind(frame[name]) in ("text", "mixed"):
            frame[name] = frame[name].where(~frame[name].isin(options.null_values), None)
    return frame


_READERS: dict[str, Callable[[bytes, ReadOptions, str], Frame]] = {
    "csv": _csv, "tsv": _tsv, "json": _json, "jsonl": _jsonl, "parquet": _parquet, "xlsx": _xlsx,
}  # fmt: skip
