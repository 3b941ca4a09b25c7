"""The tool ``validation``: values checked by a JSON Schema, schemas found from values, tables checked by rules, and
structured data taken out of texts. No model is asked.
"""

from __future__ import annotations

from orchestrator_dagster.tools.tool import Tool
from orchestrator_dagster.tools.validation import checking, extraction, inference, quality

validation = Tool(
    "validation",
    summary="Checks values by a JSON Schema and tables by rules, infers schemas, takes structured data out of texts.",
)

validation.action(reads_only=True, default=True, aliases=("validate_schema", "validate_data", "check", "json_schema"))(
    checking.validate
)
validation.action(reads_only=True, aliases=("infer", "generate_schema"))(inference.infer_schema)
validation.action(reads_only=True, aliases=("quality", "check_quality", "data_quality"))(quality.quality_check)
validation.action(reads_only=True, aliases=("extract",))(extraction.extract_structured)

__all__ = ["validation"]
