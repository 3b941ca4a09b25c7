"""A project whose tool notes its calls, and fails while a file says so; its runs and their resumes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagster import DagsterInstance

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.runs.execution import run_pipeline
from orchestrator_dagster.definitions.runs.resume import resume_run
from orchestrator_dagster.project.loading import compile_or_raise

TOOLS = '''
import os
import signal
import time
from pathlib import Path
from orchestrator_dagster import tool


def said(what, name):
    file = Path(what)
    return file.exists() and name in file.read_text().split()


@tool
def note(name: str) -> dict:
    """Notes that it was called; does what the files `broken`, `killed`, `stopped` and `held` say of its name."""
    with open("calls.log", "a") as log:
        log.write(f"{name}\\n")
    if said("killed", name):
        os.kill(os.getpid(), signal.SIGKILL)
    if said("stopped", name):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)
    while said("held", name):
        time.sleep(0.01)
    if said("broken", name):
        raise RuntimeError(f"{name} is broken")
    return {"name": name}
'''


class Lab:
    """A project, the calls of its tool since the last look, and its runs."""

    def __init__(self, folder: Path, instance: DagsterInstance) -> None:
        self.folder, self.instance = folder, instance
        (folder / "tools.py").write_text(TOOLS, encoding="utf-8")

    def break_(self, *names: str) -> None:
        """Let the tool fail for these names, and for no others."""
        self.let("broken", *names)

    def let(self, what: str, *names: str) -> None:
        """Let it be `broken`, `killed`, `stopped` or `held` for these names, and for no others."""
        new = self.folder / f".{what}"
        new.write_text(" ".join(names), encoding="utf-8")
        new.replace(self.folder / what)

    def elsewhere(self, text: str) -> None:
        """Run a pipeline in this process, which has been forked for it: with an instance of its own."""
        with DagsterInstance.from_config(self.instance.root_directory) as instance:
            run_pipeline(self.compiled(text), {}, root=self.folder, instance=instance)

    def calls(self) -> list[str]:
        """The calls since the last look, sorted."""
        log = self.folder / "calls.log"
        found = sorted(log.read_text(encoding="utf-8").split()) if log.exists() else []
        log.unlink(missing_ok=True)
        return found

    def products(self) -> dict[str, str]:
        """Every file below the output folder."""
        folder = self.folder / "outputs"
        return {
            str(one.relative_to(folder)): one.read_text(encoding="utf-8")
            for one in sorted(folder.rglob("*"))
            if one.is_file()
        }

    def compiled(self, text: str, name: str = "p") -> CompiledPipeline:
        path = self.folder / "pipelines" / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return compile_or_raise(path, self.folder)

    def run(self, text: str, inputs: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        return run_pipeline(self.compiled(text), inputs or {}, root=self.folder, instance=self.instance, **more)

    def resume(self, document: Mapping[str, Any], text: str | None = None) -> dict[str, Any]:
        """Go on with the run of a document; with ``text``, with the pipeline as it is now."""
        pipeline = self.compiled(text) if text is not None else None
        return resume_run(document["execution_id"], root=self.folder, instance=self.instance, pipeline=pipeline)


def statuses(document: Mapping[str, Any]) -> dict[str, str]:
    """The status of every step."""
    return {name: step["status"] for name, step in document["steps"].items()}
