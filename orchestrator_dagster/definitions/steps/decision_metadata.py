"""How a model was chosen, as metadata of a product and of a step's outcome."""

from __future__ import annotations

from typing import Any, Optional

import dagster as dg
from dagster._core.definitions.metadata.metadata_set import NamespacedMetadataSet

from orchestrator_dagster.runtime.outcome import CandidateInfo, DecisionInfo, ModelUse


class DecisionMetadata(NamespacedMetadataSet):
    """The candidates as a table, and figures that plot: of the model that was asked, and how many were considered."""

    model_strategy: Optional[str] = None  # noqa: UP045 - Dagster reads these annotations on Python 3.10 too
    model_candidates: Optional[dg.MarkdownMetadataValue] = None  # noqa: UP045
    model_considered: Optional[int] = None  # noqa: UP045
    model_fitting: Optional[int] = None  # noqa: UP045
    model_score: Optional[float] = None  # noqa: UP045
    model_quality: Optional[float] = None  # noqa: UP045
    model_price: Optional[float] = None  # noqa: UP045
    model_fallbacks: Optional[int] = None  # noqa: UP045

    @classmethod
    def namespace(cls) -> str:
        """The namespace of all metadata of this package."""
        return "orchestrator"


def decision_metadata(model: ModelUse | None) -> dict[str, Any]:
    """Metadata of how a model was chosen; only what is known of it where one was named and asked."""
    if model is None or model.decision is None:
        return {}
    made = model.decision
    used = next((one for one in made.candidates if one.model == made.taken), CandidateInfo(model=made.taken, fits=True))
    if len(made.candidates) + made.left_out + len(made.fell_back) <= 1:  # nothing was chosen
        return dict(DecisionMetadata(model_quality=used.quality, model_price=used.price or None))
    return dict(
        DecisionMetadata(
            model_strategy=made.strategy,
            model_candidates=dg.MarkdownMetadataValue(candidates_table(made)),
            model_considered=len(made.candidates) + made.left_out,
            model_fitting=sum(one.fits for one in made.candidates),
            model_score=used.score,
            model_quality=used.quality,
            model_price=used.price,
            model_fallbacks=len(made.fell_back) or None,
        )
    )


def candidates_table(made: DecisionInfo) -> str:
    """The candidates as a Markdown table, the one that was asked in bold, with what was refused and why."""
    lines = ["| model | score | quality | $ / 1M tokens | why not |", "| --- | ---: | ---: | ---: | --- |"]
    for one in made.candidates:
        name = f"**{_cell(one.model)}**" if one.model == made.taken else _cell(one.model)
        figures = [_figure(one.score, ".3f"), _figure(one.quality, "g"), _figure(one.price, ".3f")]
        why = one.refused or one.notes or ""
        lines.append(f"| {name} | {' | '.join(figures)} | {_cell(why)} |")
    if made.left_out:
        lines.append(f"\nand {made.left_out} more")
    for failure in made.fell_back:
        lines.append(f"\nfallback: {_cell(failure)}")
    return "\n".join(lines)


def _figure(value: float | None, form: str) -> str:
    return "unknown" if value is None else format(value, form)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
