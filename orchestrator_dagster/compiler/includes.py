"""Files that a pipeline includes: found beside the pipeline file or at the workspace root, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestrator_dagster.compiler.kinds import Place
from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.shape_problems import step_of
from orchestrator_dagster.language.templates import MAX_OUTPUT


def read_includes(
    wanted: Mapping[str, Place], document: Document, root: Path | None, problems: Problems
) -> dict[str, str]:
    """The texts of all included files, to the byte.

    Args:
        wanted: For each name the first place that includes it.
        document: The pipeline file; its folder is looked in first.
        root: The workspace root, looked in second.
        problems: Where a file that is not there is noted.
    """
    folders = _folders(document, root)
    found: dict[str, str] = {}
    for name, place in wanted.items():
        text, wrong = _read(name, folders)
        if text is not None:
            found[name] = text
        else:
            hint = _looked_in(folders) if wrong == _MISSING else None
            span, step = document.place_in(place, name), step_of(place, document)
            problems.add("include-missing", f'the file "{name}" {wrong}', span, step=step, hint=hint)
    return found


def find_include(name: str, document: Document, root: Path | None) -> tuple[Path | None, str, str | None]:
    """Where an included file stands; else None, what is wrong, and the next step."""
    folders = _folders(document, root)
    path, wrong = _find(name, folders)
    return path, wrong, _looked_in(folders) if wrong == _MISSING else None


def included_text(name: str, file: Path, root: Path | None) -> str | None:
    """What a pipeline file would include now under a name, None when it cannot."""
    return _read(name, _around(file, root))[0]


_MISSING = "is not there"


def _folders(document: Document, root: Path | None) -> list[Path]:
    return _around(document.path, root)


def _around(file: Path | None, root: Path | None) -> list[Path]:
    folders = [file.parent.resolve()] if file else []
    return folders + ([root.resolve()] if root and root.resolve() not in folders else [])


def _looked_in(folders: list[Path]) -> str:
    return f"looked in {' and '.join(str(folder) for folder in folders)}"


def _find(name: str, folders: list[Path]) -> tuple[Path | None, str]:
    """The first folder's file of that name; else None and what is wrong."""
    wrong = _MISSING
    for folder in folders:
        try:
            path = (folder / name).resolve()
            if not any(path.is_relative_to(allowed) for allowed in folders):
                wrong = "lies outside the pipeline's folder and the workspace"
            elif path.is_file():
                return path, ""
        except (OSError, ValueError, RuntimeError) as error:  # a name that no file can have, a loop of links
            wrong = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    return None, wrong


def _read(name: str, folders: list[Path]) -> tuple[str | None, str]:
    """The text of the first folder's file of that name; else None and what is wrong."""
    path, wrong = _find(name, folders)
    if path is None:
        return None, wrong
    try:
        if path.stat().st_size > MAX_OUTPUT:
            return None, f"is larger than {MAX_OUTPUT:,} bytes"
        return path.read_bytes().decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return None, "is not UTF-8 text"
    except OSError as error:
        return None, f"cannot be read: {error.strerror or error}"
