"""How the UI shows the description of a pipeline: one text for its job and for the asset of its run."""

from __future__ import annotations

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.intelligence.description import Description, structural_description
from orchestrator_dagster.intelligence.step_words import as_sentence


def described_text(pipeline: CompiledPipeline, description: Description | None = None) -> str:
    """A description as Markdown.

    Args:
        pipeline: The pipeline.
        description: What was kept of it, None for the structural one.
    """
    found = description or structural_description(pipeline)
    parts = [found.intention.labelled, "**Architecture**", found.architecture.text, _alignment(found)]
    return "\n\n".join(part for part in parts if part)


def _alignment(found: Description) -> str:
    """What was judged, where something was."""
    judged = found.alignment
    if judged.state == "not checked":
        return ""
    if judged.state == "aligned":
        return "**Alignment:** the build does what is intended."
    lines = [f"- `{one.step}`: {as_sentence(one.what)} *Next:* {as_sentence(one.fix)}" for one in judged.findings]
    ignored = f" It is accepted: {as_sentence(judged.ignored)}" if judged.ignored else ""
    return f"**Alignment:** the build does not do what is intended.{ignored}\n" + "\n".join(lines)
