"""Diagnostics as SARIF 2.1.0, the format in which code hosts take annotations of a pull request."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from orchestrator_dagster.language.diagnostics import CODES, Diagnostic
from orchestrator_dagster.language.explanations import as_markdown, as_text, explanation

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"error": "error", "warning": "warning"}


def sarif(diagnostics: Iterable[Diagnostic]) -> dict[str, Any]:
    """The SARIF log of one run of ``orchestrator validate``.

    Args:
        diagnostics: Of all files. A relative file name is taken as relative to the repository's root.
    """
    found = list(diagnostics)
    codes = sorted({one.code for one in found})
    try:
        release = version("orchestrator-dagster")
    except PackageNotFoundError:  # run from a tree that is not installed
        release = "0"
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "orchestrator",
                        "version": release,
                        "rules": [_rule(code) for code in codes],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(one, codes) for one in found],
            }
        ],
    }


def _rule(code: str) -> dict[str, Any]:
    """A code as code hosts show it; ``help`` is what ``orchestrator explain`` prints."""
    explained = explanation(code)
    return {
        "id": code,
        "shortDescription": {"text": CODES[code]},
        "help": {"text": as_text(explained), "markdown": as_markdown(explained)},
        "defaultConfiguration": {"level": _LEVELS[explained.severity]},
    }


def _result(one: Diagnostic, codes: list[str]) -> dict[str, Any]:
    asked = f'; did you mean "{one.suggestion}"?' if one.suggestion else ""
    text = f"{one.message}{asked}" + (f"\nNext: {one.hint}" if one.hint else "")
    return {
        "ruleId": one.code,
        "ruleIndex": codes.index(one.code),
        "level": _LEVELS[one.severity],
        "message": {"text": text},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(PurePath(one.file).as_posix())},
                    "region": {
                        "startLine": one.span.line,
                        "startColumn": one.span.column,
                        "endLine": one.span.end_line,
                        "endColumn": one.span.end_column,
                    },
                }
            }
        ],
    }
