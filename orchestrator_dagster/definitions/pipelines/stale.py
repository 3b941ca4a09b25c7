"""How the UI shows a pipeline whose file has errors by now: its last good version is served, and marked."""

from __future__ import annotations

from typing import Any

import dagster as dg

from orchestrator_dagster.project.loading import LoadedFile

#: Tag of the assets and the job of a stale pipeline, by which the UI can filter.
STALE_TAG = "orchestrator/stale"


def errors_text(file: LoadedFile) -> str:
    """The errors of a file, as Markdown."""
    return f"**{file.path.name}**\n```\n" + "\n".join(one.render() for one in file.errors) + "\n```"


def stale_text(file: LoadedFile) -> str:
    """What is said beside everything of a stale pipeline, as Markdown."""
    return f"**Stale:** the file has errors, and this is its last version without any.\n\n{errors_text(file)}"


def stale_metadata(stale: str | None) -> dict[str, Any]:
    """Metadata of what is stale; none of what is not."""
    return {} if stale is None else {STALE_TAG: dg.MarkdownMetadataValue(stale)}


def stale_tags(stale: str | None) -> dict[str, str]:
    """Tags of what is stale."""
    return {} if stale is None else {STALE_TAG: "true"}


def with_stale(text: str, stale: str | None) -> str:
    """A description, after what makes it stale."""
    return text if stale is None else f"{stale}\n\n{text}"
