"""The page of all codes."""

from __future__ import annotations

from generator.markdown import join, table
from orchestrator_dagster.language.diagnostics import CODES


def page() -> str:
    """Every code with its meaning."""
    return join(
        [
            "# Diagnostics",
            "What `orchestrator validate` and `orchestrator run` say of a pipeline file. Each problem has a code. The"
            " code stands in brackets after the severity, and as `code` in the output of `validate --json`. Codes do"
            " not change between releases. Errors stop the pipeline; warnings do not.",
            "All problems of a file are reported at once, in file order, each with line and column. How a message"
            " reads, and how to go on from it: [Start](../start.md#mistakes).",
            table(("code", "meaning"), ((f"`{code}`", meaning) for code, meaning in CODES.items())),
        ]
    )
