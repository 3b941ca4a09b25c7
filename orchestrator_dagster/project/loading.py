"""The project around pipeline files: its root, its tools, its personalities; compiling files in it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from orchestrator_dagster.compiler.across import problems_across
from orchestrator_dagster.compiler.compile import Compilation, Known, compile_pipeline
from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.compiler.support import REFUSED
from orchestrator_dagster.errors import PipelineError, UnknownModelError
from orchestrator_dagster.language.diagnostics import Diagnostic, Problems, render_all
from orchestrator_dagster.language.document import read_file
from orchestrator_dagster.language.read import read_pipeline
from orchestrator_dagster.models.capabilities import why_no_tools
from orchestrator_dagster.models.known_models import KnownModels
from orchestrator_dagster.models.personalities import find_personality, home_folder
from orchestrator_dagster.project.models_file import own_models
from orchestrator_dagster.tools.registry import ToolRegistry

_MARKS = ("workspace.yaml", "pyproject.toml", "dagster.yaml", ".orchestrator", ".git")


@dataclass(frozen=True)
class LoadedFile:
    """A pipeline file of a folder: compiled, or None with its diagnostics; its key where it is kept.

    A ``stale`` one has errors: its pipeline is what the file last compiled to without any.
    """

    path: Path
    pipeline: CompiledPipeline | None
    diagnostics: tuple[Diagnostic, ...] = ()
    key: str | None = None
    stale: bool = False

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that stop it."""
        return tuple(one for one in self.diagnostics if one.severity == "error")


def find_project(start: Path) -> Path:
    """The project's folder: the nearest one upwards with a workspace.yaml or the like, else ``start``."""
    folder = start.resolve() if start.is_dir() else start.resolve().parent
    for candidate in (folder, *folder.parents):
        if any((candidate / mark).exists() for mark in _MARKS):
            return candidate
    return folder


def pipeline_files(folder: Path) -> Iterator[Path]:
    """Every pipeline file below a folder, by path; names that start with ``_`` or ``.`` are left out."""
    if not folder.is_dir():
        return
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(("_", ".")) for part in parts)
        if path.suffix.lower() in (".yaml", ".yml") and not hidden and not path.is_dir():
            yield path


@functools.lru_cache(maxsize=32)
def known(root: Path) -> Known:
    """What pipelines of the project may name."""
    registry = ToolRegistry()
    if (root / "tools.py").is_file():
        registry.load_file(root / "tools.py")
    registry.load_servers(root)
    folders = (root / "personalities", home_folder())
    mine = KnownModels(own_models(root))
    models = mine.parse
    personalities = functools.partial(find_personality, folders=folders)

    def is_priced(name: str) -> bool:
        """Also of a name that is no model's: that is said elsewhere."""
        try:
            return mine.price(models(name)) is not None
        except UnknownModelError:
            return True

    return Known(registry, models, personalities, root, lambda name: why_no_tools(models(name)), is_priced)


def compile_file(path: Path, root: Path, name: str | None = None) -> Compilation:
    """Compile one file.

    Args:
        path: The file.
        root: The workspace root.
        name: The file's name in messages, default its path relative to the root where it stands below it.
    """
    return compile_pipeline(read_pipeline(path, name or shown(path, root)), known(root))


def compile_or_raise(path: Path, root: Path) -> CompiledPipeline:
    """Compile one file.

    Raises:
        PipelineError: It has errors; ``diagnostics`` has all of them.
    """
    done = compile_file(path, root)
    if done.pipeline is None:
        raise PipelineError(render_all(done.problems), tuple(done.problems))
    return done.pipeline


def refuse_unsupported(pipeline: CompiledPipeline) -> None:
    """Refuse a pipeline that says what this release does not run.

    Raises:
        PipelineError: It does; the message has all of it with its places.
    """
    if pipeline.unsupported:
        count = len(pipeline.unsupported)
        closing = f"not run: {count} thing{'s' if count != 1 else ''} that this release does not run"
        raise PipelineError("\n".join([*pipeline.unsupported, closing]))


def refuse_broken(files: Sequence[LoadedFile]) -> None:
    """Refuse files with errors.

    Raises:
        PipelineError: There are any; the message has all problems of all of them with their places.
    """
    broken = [file for file in files if file.errors]
    if broken:
        count = f"{len(broken)} pipeline file{'s have' if len(broken) > 1 else ' has'} errors"
        found = tuple(one for file in broken for one in file.errors)
        raise PipelineError("\n".join([f"{count}:", *(one.render() for one in found)]), found)


def shown(path: Path, root: Path) -> str:
    """A path as messages show it: relative to the root where it stands below it."""
    resolved = path.resolve()
    return resolved.relative_to(root).as_posix() if resolved.is_relative_to(root) else str(path)


class Cache(Protocol):
    """Where pipelines are that were compiled before."""

    def get(self, file: Path, shown: str, text: bytes) -> tuple[str, CompiledPipeline] | None:
        """The key and the pipeline of a file with this text; None when it has to be compiled."""
        ...

    def put(self, file: Path, text: bytes, pipeline: CompiledPipeline) -> str | None:
        """Keep what a file with this text has compiled to; its key, None when it cannot be kept."""
        ...

    def last_good(self, file: Path) -> tuple[str, CompiledPipeline] | None:
        """The key and the pipeline that a file last compiled to without an error; None when it never did."""
        ...


def load_folder(folder: Path, root: Path, cache: Cache | None = None) -> list[LoadedFile]:
    """Compile every pipeline file of a folder; of two files with one id the later by path is the broken one.

    Args:
        folder: The folder.
        root: The workspace root.
        cache: Where files are looked up before they are compiled; those found there come without their warnings. Of a
            file with errors the last good pipeline is taken from there.
    """
    loaded: list[LoadedFile] = []
    ids: dict[str, str] = {}
    for path in pipeline_files(folder):
        file = load_file(path, root, cache)
        if file.pipeline is not None:
            first = ids.setdefault(file.pipeline.op.lower(), file.pipeline.file)
            if first != file.pipeline.file:
                file = LoadedFile(path, None, (*file.diagnostics, *_taken(file.pipeline, path, first)))
        loaded.append(file)
    loaded = [_last_good(file, cache, ids) for file in loaded] if cache else loaded
    across = problems_across([(file.path, file.pipeline) for file in loaded if file.pipeline is not None])
    return [_with_problems(file, across.get(file.path, ())) for file in loaded]


def _with_problems(file: LoadedFile, found: tuple[Diagnostic, ...]) -> LoadedFile:
    """The file with further problems.

    One that waits for itself, or makes the asset of another file, is left out. One that loads what nobody makes any
    more is served all the same: a change of one file must not take another one down.
    """
    if not found:
        return file
    diagnostics = (*file.diagnostics, *found)
    if any(one.code in ("asset-cycle", "product-collision") for one in found):
        return LoadedFile(file.path, None, diagnostics)
    return replace(file, diagnostics=diagnostics)


def _last_good(file: LoadedFile, cache: Cache, ids: dict[str, str]) -> LoadedFile:
    """A file with errors as it last was without, unless another file has its id by now."""
    found = cache.last_good(file.path) if file.pipeline is None else None
    if found is None or ids.setdefault(found[1].op.lower(), found[1].file) != found[1].file:
        return file
    return replace(file, pipeline=found[1], key=found[0], stale=True)


def load_file(path: Path, root: Path, cache: Cache | None = None) -> LoadedFile:
    """Compile one file as a folder has it: what this release does not run is an error of it.

    Args:
        path: The file.
        root: The workspace root.
        cache: As for :func:`load_folder`.
    """
    text = _bytes_of(path) if cache else None
    found = cache.get(path, shown(path, root), text) if cache and text is not None else None
    if found is not None:
        return LoadedFile(path, found[1], (), found[0])
    done = compile_file(path, root)
    if done.pipeline is not None and done.pipeline.unsupported:  # it can be checked, and not be served
        refused = [replace(one, severity="error") if one.code in REFUSED else one for one in done.problems]
        return LoadedFile(path, None, tuple(refused))
    key = None
    # The file may have changed while it was compiled: then nobody knows which text this was.
    if done.pipeline is not None and cache and text is not None and text == _bytes_of(path):
        key = cache.put(path, text, done.pipeline)
    return LoadedFile(path, done.pipeline, tuple(done.problems), key)


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.is_file() else None
    except OSError:
        return None


def _taken(pipeline: CompiledPipeline, path: Path, first: str) -> Problems:
    """The problem of a file whose id another file has."""
    document, _ = read_file(path, pipeline.file)
    problems = Problems(pipeline.file, document.text)
    problems.add(
        "duplicate-id",
        f'the pipeline id "{pipeline.id}" is taken by {first}',
        document.span(("id",)) if document.has(("id",)) else None,
        hint="give one of the two files another `id`",
    )
    return problems
