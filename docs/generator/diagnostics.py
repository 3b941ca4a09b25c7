"""The pages of the codes: one that lists them all, and one for each, whose output is what the command prints now."""

from __future__ import annotations

from generator.markdown import code, join, table
from generator.run_example import shown
from orchestrator_dagster.language.diagnostics import CODES
from orchestrator_dagster.language.explanations import (
    Block,
    Explanation,
    Role,
    explanation,
    topics,
)


def page() -> str:
    """Every code with its meaning, by topic."""
    parts = [
        "# Diagnostics",
        "What `orchestrator validate` and `orchestrator run` say of a pipeline file. Each problem has a code. The"
        " code stands in brackets after the severity, and as `code` in the output of `validate --json`. Codes do"
        " not change between releases. Errors stop the pipeline; warnings do not.",
        "All problems of a file are reported at once, in file order, each with line and column. How a message"
        " reads, and how to go on from it: [Start](../start.md#mistakes).",
        "Each code has a page with a wrong example, what is printed for it, and a right one."
        " `orchestrator explain CODE` shows the same in the terminal.",
    ]
    for topic, found in topics().items():
        rows = ((f"[`{one.code}`](diagnostics/{one.code}.md)", one.severity, one.meaning) for one in found)
        parts += [f"## {topic}", table(("code", "severity", "meaning"), rows)]
    return join(parts)


def code_pages() -> dict[str, str]:
    """The page of each code, by file name."""
    return {f"{name}.md": _page(explanation(name)) for name in CODES}


def _page(one: Explanation) -> str:
    kind = "An error: the pipeline does not run." if one.severity == "error" else "A warning: the pipeline runs."
    return join(
        [
            f"# {one.code}",
            f"**{one.meaning}** {kind}",
            one.why,
            "## Wrong",
            *_files(one, "wrong"),
            code(shown(one, "wrong"), "console"),
            "## Right",
            *_files(one, "right"),
            "## What to do",
            one.what_to_do,
            "[All codes](../diagnostics.md)",
        ]
    )


def _files(one: Explanation, role: Role) -> list[str]:
    parts = []
    for name, block in one.headed(role):
        text = _without_command(block)
        if text and name:
            parts.append(f"`{name}`:")
        if text:
            parts.append(code(text, block.language))
    return parts


def _without_command(block: Block) -> str:
    """A block's text; what is checked is shown with its output."""
    lines = block.text.splitlines()
    return "\n".join(line for line in lines if block.language != "bash" or not line.startswith("orchestrator "))
