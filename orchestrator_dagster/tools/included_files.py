"""Files that a pipeline includes: templates and schemas, beside the pipeline file or in the workspace."""

from __future__ import annotations

from pathlib import Path

from orchestrator_dagster.errors import FileMissingError, PathError
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.tools.tool import ToolContext


def find_text(context: ToolContext, name: str) -> str:
    """A text file that a pipeline includes: looked up in the context's folders, then in the workspace.

    Raises:
        FileMissingError: It is nowhere.
        PathError: The name leaves the workspace.
    """
    for folder in context.folders:
        # Each folder is a workspace of its own here, so a name cannot lead out of it.
        beside = Workspace(Path(folder), max_file_bytes=context.workspace.max_file_bytes)
        try:
            return beside.read_text(name)
        except FileMissingError:
            continue
        except PathError:  # leaves that folder: it may still be a path of the workspace, which says so otherwise
            break
    return context.workspace.read_text(name)
