"""Pipelines that were compiled before and whose sources have not changed since, so that a location loads faster.

An index in the storage folder says for each pipeline file which kept pipeline it was compiled to, and from what: the
file's text, the files it includes, its personalities, the versions of this package, Python and litellm. All of it is
looked at again before a pipeline is taken from here. What depends on more is never taken from here: a pipeline that
names a tool which is not built in, one that runs another pipeline, one whose output folder is an absolute path. The
index also says for each file the last pipeline that it compiled to without an error, whatever that depended on: it is
served while the file is broken.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.compiler.fingerprint import LANGUAGE_VERSION, digest
from orchestrator_dagster.compiler.includes import included_text
from orchestrator_dagster.errors import OrchestratorError
from orchestrator_dagster.files.stored_files import write_whole
from orchestrator_dagster.project.kept_pipelines import FOLDER, keep_pipeline, kept_pipeline

_PACKAGE = Path(__file__).parent.parent


class CompiledCache:
    """The compiled pipelines of one folder.

    Args:
        storage: The instance's storage folder.
        folder: The folder of pipeline files.
        root: The workspace root.
        personality: Finds a personality for a name, raises PersonalityError.
        builtin_tools: Names of the tools whose shape only changes with this package.
    """

    def __init__(
        self,
        storage: Path,
        folder: Path,
        root: Path,
        personality: Callable[[str], object],
        builtin_tools: frozenset[str],
    ) -> None:
        self.storage = storage
        self.root = root
        self.personality = personality
        self.builtin_tools = builtin_tools
        self.path = storage / FOLDER / f"index-{digest([str(folder.resolve()), str(root)])[:16]}.json"
        self.made_by = _made_by()
        self.before, self.good_before = self._read()
        self.now: dict[str, dict[str, Any]] = {}
        self.good: dict[str, str] = {}
        #: Why something could not be kept.
        self.problem: OSError | None = None

    def get(self, file: Path, shown: str, text: bytes) -> tuple[str, CompiledPipeline] | None:
        """The key and the pipeline that a file with this text compiles to; None when it has to be compiled."""
        entry = self.before.get(str(file))
        if not isinstance(entry, dict) or entry.get("text") != _digest(text):
            return None
        with contextlib.suppress(KeyError, TypeError, AttributeError):  # an index that another version wrote
            pipeline = kept_pipeline(self.storage, entry["key"])
            if pipeline is not None and pipeline.file == shown and self._is_current(pipeline, file, entry):
                self.now[str(file)] = entry
                self.good[str(file)] = entry["key"]
                return entry["key"], pipeline
        return None

    def put(self, file: Path, text: bytes, pipeline: CompiledPipeline) -> str | None:
        """Keep what a file with this text has compiled to; its key, None when the storage cannot be written."""
        try:
            key = keep_pipeline(self.storage, pipeline)
        except OSError as error:
            self.problem = error
            return None
        self.good[str(file)] = key
        if self._may_keep(pipeline):
            personalities = {name: self._prompt(name) for name in _personalities(pipeline)}
            self.now[str(file)] = {"text": _digest(text), "key": key, "personalities": personalities}
        return key

    def last_good(self, file: Path) -> tuple[str, CompiledPipeline] | None:
        """The key and the pipeline that the file last compiled to without an error; None when it never did."""
        key = self.good_before.get(str(file))
        pipeline = kept_pipeline(self.storage, key) if isinstance(key, str) else None
        if key is None or pipeline is None:
            return None
        self.good[str(file)] = key
        return key, pipeline

    def save(self) -> None:
        """Write the index, when it says something new.

        Raises:
            OSError: It, or one of the pipelines, cannot be written.
        """
        if self.problem is not None:
            raise self.problem
        if self.now != self.before or self.good != self.good_before:
            write_whole(self.path, json.dumps({"made_by": self.made_by, "files": self.now, "good": self.good}))

    def _read(self) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
        """The entries of files, which count for this version alone, and the keys of what was good."""
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(self.path.read_text(encoding="utf-8"))
            if isinstance(found, dict):
                files: Any = found.get("files") if found.get("made_by") == self.made_by else {}
                good: Any = found.get("good") or {}
                if isinstance(files, dict) and isinstance(good, dict):
                    return files, good
        return {}, {}

    def _is_current(self, pipeline: CompiledPipeline, file: Path, entry: dict[str, Any]) -> bool:
        return (
            pipeline.folder == str(file.resolve().parent)
            and all(included_text(name, file, self.root) == text for name, text in pipeline.includes.items())
            and {name: self._prompt(name) for name in _personalities(pipeline)} == entry["personalities"]
        )

    def _may_keep(self, pipeline: CompiledPipeline) -> bool:
        steps = [one for step in pipeline.steps for one in step.walk()]
        tools = {name for step in steps for name in (*([step.tool] if step.tool else []), *step.spec.tools)}
        folder = pipeline.inputs["output_dir"].default if "output_dir" in pipeline.inputs else None
        elsewhere = isinstance(folder, str) and Path(folder).is_absolute()
        return tools <= self.builtin_tools and not elsewhere and not any(step.pipeline for step in steps)

    def _prompt(self, name: str) -> str | None:
        """A digest of a personality's system prompt; None when it is nowhere."""
        try:
            return _digest(str(getattr(self.personality(name), "system_prompt", name)).encode())
        except OrchestratorError:
            return None


def _personalities(pipeline: CompiledPipeline) -> list[str]:
    """Every personality that the compiler has asked for."""
    steps = (one for step in pipeline.steps for one in step.walk())
    named = (pipeline.personality, *(one.personality for one in pipeline.experts.values()))
    return sorted({one for one in (*named, *(step.personality for step in steps)) if one})


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


@functools.lru_cache(maxsize=1)
def _made_by() -> str:
    """What compiled: this package as its files are now, which in development change without the version, and what it
    stands on."""
    return digest([LANGUAGE_VERSION, sys.version, *_state_of(_PACKAGE), *_litellm()])


def _state_of(folder: Path) -> Iterator[list[Any]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".py", ".yaml", ".json"):
            status = path.stat()
            yield [str(path), status.st_size, status.st_mtime_ns]


def _litellm() -> Iterator[list[Any]]:
    """The price map, which says which names are models."""
    spec = importlib.util.find_spec("litellm")
    if spec is not None and spec.origin:
        path = Path(spec.origin).with_name("model_prices_and_context_window_backup.json")
        with contextlib.suppress(OSError):
            yield [str(path), path.stat().st_size, path.stat().st_mtime_ns]
