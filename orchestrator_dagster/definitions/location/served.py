"""The pipelines that a location serves, and those that the process of one of its runs takes instead.

A location that loads compiles its pipeline files, or takes those from the store that have not changed. What it serves
it keeps in the store and names in its reconstruction metadata. The processes of a run are given that metadata back and
take from the store what was served when the run was launched, whatever the files have become since; and of that only
the pipelines that the run executes.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType
from dagster._core.instance.ref import InstanceRef

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.instance.home import HOME_NAME, instance_home
from orchestrator_dagster.definitions.location.run_process import Purpose, purpose_of_process
from orchestrator_dagster.definitions.pipelines.jobs import job_name
from orchestrator_dagster.definitions.pipelines.translation import Specs, Translated, translate
from orchestrator_dagster.definitions.pipelines.translator import PipelinesTranslator
from orchestrator_dagster.errors import OrchestratorError
from orchestrator_dagster.project.compiled_cache import CompiledCache
from orchestrator_dagster.project.kept_pipelines import keep_list, keep_pipeline, kept_list, kept_pipeline
from orchestrator_dagster.project.loading import LoadedFile, find_project, known, load_file, load_folder
from orchestrator_dagster.tools.registry import BUILTIN

_log = logging.getLogger(__name__)
_METADATA = "orchestrator/served/"
#: In the environment of a fork server: what the location that it loads beforehand is to serve, as in the metadata.
SERVED_VARIABLE = "ORCHESTRATOR_SERVED"


@dataclass(frozen=True)
class Served:
    """What a location serves.

    Args:
        pipelines: The pipelines.
        broken: Files that were left out.
        stale: Files with errors, whose last good pipelines are among those served.
        metadata: Reconstruction metadata: where the processes of its runs find these pipelines.
        specs: What a translator says of their assets.
        flawed: Files with errors that are served as they are: they load a product that nobody makes.
    """

    pipelines: Sequence[CompiledPipeline]
    broken: Sequence[LoadedFile] = ()
    stale: Sequence[LoadedFile] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    specs: Specs = field(default_factory=dict)
    flawed: Sequence[LoadedFile] = ()


def load_served(folder: Path, root: Path, translator: PipelinesTranslator | None = None) -> Served:
    """The pipelines of a folder: in the process of a run those that it was launched with.

    Args:
        folder: The folder of pipeline files.
        root: The workspace root.
        translator: Says how the assets look. What is kept has its keys already, so a run's process asks it nothing.

    Raises:
        TranslationError: The translator fails, or says what runs could not keep to.
    """
    # By its whole path: one process may load locations of several projects.
    name = f"{_METADATA}{folder.resolve()}"
    told = _told(name)
    if told is not None:
        pipelines = _kept(told)
        if pipelines is not None:
            return Served(pipelines, metadata={name: told})
        _log.warning(
            "what the location served when this run was launched is no longer in the store: its files are read"
        )
    try:
        storage = storage_of(root)
    except OrchestratorError as error:
        return _not_kept(_translated(load_folder(folder, root), translator), error)
    cache = CompiledCache(storage, folder, root, known(root).personalities, frozenset(BUILTIN))
    loaded = load_folder(folder, root, cache)
    done = _translated(loaded, translator)
    if any(file.key is None for file in loaded if file.pipeline is not None) and cache.problem is None:
        return _not_kept(done, "a file changed while it was read")
    try:
        cache.save()
        entries = [_entry(file, storage, before) for file, before in zip(done.files, loaded, strict=True)]
        listed = keep_list(storage, [one for one in entries if one is not None])
    except OSError as error:
        return _not_kept(done, error)
    told = json.dumps({"storage": str(storage), "list": listed})
    DefinitionsLoadContext.get().add_to_pending_reconstruction_metadata(name, told)
    return _serve(done, {name: told})


def _translated(loaded: list[LoadedFile], translator: PipelinesTranslator | None) -> Translated:
    return Translated(loaded) if translator is None else translate(loaded, translator)


def compile_again(folder: Path, root: Path, only: Sequence[Path] | None = None) -> list[LoadedFile]:
    """The pipeline files as they are now, also what is broken about them; what compiles is kept for the next load.

    Args:
        folder: The folder of pipeline files.
        root: The workspace root.
        only: Compile only these files, each by itself, and keep nothing.
    """
    known.cache_clear()  # the project's own tools and models may be among what has changed
    if only is not None:
        return [load_file(path, root) for path in only]
    try:
        storage = storage_of(root)
    except OrchestratorError:
        return load_folder(folder, root)
    cache = CompiledCache(storage, folder, root, known(root).personalities, frozenset(BUILTIN))
    loaded = load_folder(folder, root, cache)
    with contextlib.suppress(OSError):  # the load that follows says it
        cache.save()
    return loaded


def _not_kept(done: Translated, why: object) -> Served:
    _log.warning("what is served cannot be kept (%s): runs will read the pipeline files anew", why)
    return _serve(done, {})


def _serve(done: Translated, metadata: Mapping[str, str]) -> Served:
    return Served(
        [file.pipeline for file in done.files if file.pipeline is not None],
        [file for file in done.files if file.pipeline is None],
        [file for file in done.files if file.stale],
        metadata,
        done.specs,
        [file for file in done.files if file.pipeline is not None and file.errors and not file.stale],
    )


def storage_of(root: Path) -> Path:
    """The storage folder of the instance that records the project's runs.

    Raises:
        OrchestratorError: The project has none yet, and it cannot be made.
    """
    home = instance_home(find_project(root))
    return Path(InstanceRef.from_dir(str(home)).local_artifact_storage.storage_dir)


def storage_if_there(root: Path) -> Path | None:
    """The storage folder of the project's instance, None when the project has none yet: nothing is made."""
    project = find_project(root)
    if not os.environ.get("DAGSTER_HOME") and not (project / HOME_NAME).is_dir():
        return None
    try:
        return storage_of(root)
    except OrchestratorError:
        return None


@contextlib.contextmanager
def told_to_fork_server(metadata: Mapping[str, Any]) -> Iterator[None]:
    """While this lasts, a process that is started loads what the reconstruction metadata names."""
    ours = {name: getattr(value, "data", value) for name, value in metadata.items() if name.startswith(_METADATA)}
    if not ours:
        yield
        return
    os.environ[SERVED_VARIABLE] = json.dumps(ours)
    try:
        yield
    finally:
        os.environ.pop(SERVED_VARIABLE, None)


def _told(name: str) -> str | None:
    """What the location served when it was first loaded, None when this is the first time."""
    context = DefinitionsLoadContext.get()
    if context.load_type is DefinitionsLoadType.RECONSTRUCTION:
        found = context.reconstruction_metadata.get(name)
    else:
        found = json.loads(os.environ.get(SERVED_VARIABLE, "{}")).get(name)
    return found if isinstance(found, str) else None


def _kept(told: str) -> list[CompiledPipeline] | None:
    """The pipelines that were served, or those of them that this process needs; None when one is gone."""
    place = json.loads(told)
    storage = Path(place["storage"])
    entries = kept_list(storage, place["list"])
    if entries is None:
        return None
    found = [kept_pipeline(storage, one["key"]) for one in _needed(entries, purpose_of_process())]
    return None if None in found else [one for one in found if one is not None]


def _needed(entries: Sequence[Mapping[str, Any]], purpose: Purpose | None) -> Sequence[Mapping[str, Any]]:
    """The served pipelines that a process needs: all of them, unless its job is known to be made of some."""
    if purpose is None:
        return entries
    own = [one for one in entries if one["job"] == purpose.job]
    if own:
        return [*own, *_loaded_by(own, entries)]
    if purpose.assets is None:
        return entries
    made = ["/".join(key) for key in purpose.assets]
    some = [one for one in entries if not set(one["assets"]).isdisjoint(made)]
    # An asset that is not ours may come from anywhere: then all of them are built.
    if not some or not {key for one in some for key in one["assets"]}.issuperset(made):
        return entries
    return [*some, *_loaded_by(some, entries)]


def _loaded_by(some: Sequence[Mapping[str, Any]], entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The further pipelines whose products some load: Dagster has to know their partitions and IO managers."""
    loads = {key for one in some for key in one.get("loads", ())}
    return [one for one in entries if one not in some and not loads.isdisjoint(one["assets"])]


def _entry(file: LoadedFile, storage: Path, before: LoadedFile) -> dict[str, Any] | None:
    """What is noted of a file that is served: where its pipeline is kept, what it makes and loads.

    Raises:
        OSError: A pipeline with other asset keys than ``before`` cannot be kept.
    """
    pipeline = file.pipeline
    if pipeline is None:
        return None
    key = file.key if pipeline is before.pipeline else keep_pipeline(storage, pipeline)
    keys = [pipeline.run_key, *(product.key for product in pipeline.products)]
    return {
        "key": key,
        "job": job_name(pipeline),
        "assets": ["/".join(key) for key in keys],
        "loads": [spec.asset for spec in pipeline.asset_inputs.values()],
    }
