"""Runs a step's Python code in its process: gives it its inputs, and takes its ``result``.

Run as a script with the folder of the call as its argument: ``code.py`` and ``inputs.json`` are in it, ``result.json``
or ``problem.txt`` is written there. It imports nothing of the package, so the code finds what any program finds.
"""

import contextlib
import json
import linecache
import math
import sys
import traceback
import types
from pathlib import Path

DEEPEST = 100
"""Levels that a result may have."""


def main() -> int:
    """Run the code; the exit code of the process."""
    folder = Path(sys.argv[1])
    name = sys.argv[2]
    code = (folder / "code.py").read_text(encoding="utf-8")
    inputs = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))
    sys.argv = [name]
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    module = types.ModuleType("__main__")
    vars(module).update({**inputs, "inputs": inputs, "__file__": name})
    sys.modules["__main__"] = module  # where pickle and dataclasses look the code's names up
    ended = 0
    try:
        exec(compile(code, name, "exec"), vars(module))  # noqa: S102 - what it is for
    except SystemExit as leaving:
        if isinstance(leaving.code, str):
            sys.stderr.write(f"{leaving.code}\n")
        ended = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException as error:
        _tell(error, name)
        return 1
    if ended == 0:
        _keep(folder, vars(module).get("result"))
    return ended


def _tell(error: BaseException, name: str) -> None:
    """The traceback from the code's first line on: what stands above it is not the user's."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename != name:
        frames = frames.tb_next
    traceback.print_exception(type(error), error, frames)


def _keep(folder: Path, result: object) -> None:
    try:
        text = json.dumps(_plain(result, 0), ensure_ascii=False, allow_nan=False)
        (folder / "result.json").write_text(text, encoding="utf-8")
    except (TypeError, ValueError) as error:
        (folder / "problem.txt").write_text(str(error), encoding="utf-8")


def _plain(value: object, depth: int) -> object:
    """A value as JSON has it; a number that JSON has no spelling for is null."""
    if depth > DEEPEST:
        raise TypeError(f"it has more than {DEEPEST} levels, or holds itself")
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(item, depth + 1) for item in value), key=repr)
    if hasattr(value, "to_dict") and hasattr(value, "columns"):  # a data frame: its rows
        return _plain(value.to_dict("records"), depth + 1)
    for method in ("tolist", "isoformat", "model_dump"):  # numpy and pandas; dates and times; Pydantic
        if hasattr(value, method):
            with contextlib.suppress(ValueError):
                return _plain(getattr(value, method)(), depth + 1)
    if hasattr(value, "__dataclass_fields__"):
        return {field: _plain(getattr(value, field), depth + 1) for field in value.__dataclass_fields__}
    if isinstance(value, Path) or type(value).__name__ in ("Decimal", "UUID"):
        return str(value)
    raise TypeError(f"a value of the type {type(value).__name__} has no spelling in JSON")


if __name__ == "__main__":
    sys.exit(main())
