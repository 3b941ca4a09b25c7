"""Problems in a pipeline file: what is wrong, where, what was expected, one next step."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

Severity = Literal["error", "warning"]

#: Every code a diagnostic may carry, with what it means. Codes are stable: tools and people search for them.
CODES: dict[str, str] = {
    "file-missing": "There is no such file, or it cannot be read.",
    "file-encoding": "The file is not UTF-8 text.",
    "file-size": "The file is larger than 1 MiB.",
    "file-suffix": "A pipeline file ends in .yaml or .yml.",
    "yaml-empty": "The file has nothing in it.",
    "yaml-syntax": "The text is not YAML.",
    "yaml-unquoted-template": "A value with {{ … }} or <AUTO> must be quoted here.",
    "yaml-documents": "One pipeline a file: there is a second document.",
    "yaml-tag": "Custom YAML tags are not allowed.",
    "yaml-duplicate-key": "A key stands twice in one map.",
    "yaml-key": "A key must be text.",
    "yaml-depth": "The file is nested deeper than 64 levels.",
    "yaml-aliases": "Aliases expand to more than 100,000 nodes.",
    "yaml-alias": "An alias has no anchor before it.",
    "yaml-number": "A number that JSON cannot hold (infinite, not a number, thousands of digits).",
    "not-a-map": "A pipeline file is a map of keys.",
    "unknown-key": "No such key here.",
    "unused-key": "The key stands here and is not read.",
    "missing-key": "A required key is missing.",
    "wrong-type": "The value has another type than the key takes.",
    "wrong-value": "The value is not one that the key takes.",
    "wrong-id": "An id has letters, digits, _ and -, and starts with a letter.",
    "duplicate-id": "Two steps, pipelines, inputs, variables or products have one name.",
    "reserved-name": "The name belongs to the language.",
    "step-kind": "A step does exactly one thing: keys clash, or say nothing to do.",
    "wrong-default": "A default breaks its own type or constraints.",
    "unknown-step": "No step has this id.",
    "asset-cycle": "Pipelines load each other's products in a circle.",
    "dependency-cycle": "Steps wait for each other.",
    "unknown-tool": "No tool has this name.",
    "unknown-action": "The tool has no action of this name.",
    "unknown-parameter": "The tool's action has no parameter of this name.",
    "missing-parameter": "A parameter that the tool's action needs is missing.",
    "wrong-parameter": "A parameter's value does not fit the tool's schema.",
    "template-syntax": "The template cannot be parsed.",
    "unknown-name": "A template or condition uses a name that does not exist.",
    "unknown-field": "A template uses a field that its value does not have.",
    "unknown-filter": "There is no template filter or test of this name.",
    "guarded-name": "A name that does not exist is guarded by default(): it will always be the default.",
    "expression-syntax": "The condition cannot be parsed.",
    "expression-type": "The condition compares or answers something of the wrong type.",
    "unknown-variable": "A product names a variable that its step does not have.",
    "ambiguous-variable": "Two steps make a variable of this name: say which step's.",
    "product-path": "A product's path leaves the output folder, or is no file name.",
    "product-format": "No product format of this name, or the suffix tells none.",
    "product-collision": "Two products have one asset key or one path.",
    "output-path": "The output folder leaves the workspace.",
    "unknown-model": "A model reference names no known provider.",
    "no-model": "Nothing names a model for the step.",
    "unknown-asset": "An input is loaded from an asset that nobody makes.",
    "model-without-tools": "The model of a step that offers tools cannot call any.",
    "tool-permission": "A model may call this tool only where the `tools` resource allows it.",
    "auto-tag": "An <AUTO> tag is not whole, or stands inside a template's code.",
    "auto-place": "<AUTO> stands where nothing decides it.",
    "no-orchestrator": "Nothing can decide the <AUTO> values of the file.",
    "unknown-price": "A budget of cost alone, and a model whose price is unknown.",
    "unknown-expert": "No expert of this name in the header.",
    "unknown-personality": "No personality of this name.",
    "include-missing": "An included file is not there.",
    "sub-pipeline": "The pipeline that a step runs has errors, or stands too deep in others.",
    "dagster-name": "Dagster refuses this owner, tag, key or name.",
    "executor-missing": "The executor that the pipeline names is not installed here, or does not load.",
    "not-supported": "The language has this, this release does not run it.",
    "older-spelling": "The earlier dialect's spelling: it works, and the line shows today's.",
    "no-effect": "The key never had an effect.",
    "older-unsupported": "The earlier dialect's key would change what happens, and cannot be honoured.",
}


@dataclass(frozen=True)
class Span:
    """A place in a file: lines and columns count from 1; the end is one past the last character."""

    line: int = 1
    column: int = 1
    end_line: int = 1
    end_column: int = 2


@dataclass(frozen=True)
class Diagnostic:
    """One problem. ``suggestion`` is the nearest valid name, ``hint`` the one next step, ``step`` the step's id."""

    code: str
    message: str
    file: str
    span: Span = Span()
    severity: Severity = "error"
    step: str | None = None
    suggestion: str | None = None
    hint: str | None = None
    source_line: str | None = None

    @property
    def location(self) -> str:
        """``file:line:column``."""
        return f"{self.file}:{self.span.line}:{self.span.column}"

    def render(self) -> str:
        """The problem as people read it: message, the line with a caret, the next step."""
        asked = f'; did you mean "{self.suggestion}"?' if self.suggestion else ""
        lines = [f"{self.location}: {self.severity}[{self.code}] {self.message}{asked}"]
        if self.source_line is not None and self.source_line.strip():
            number = str(self.span.line)
            column, source = _window(self.span.column, self.source_line)
            end = self.span.end_column if self.span.end_line == self.span.line else len(self.source_line) + 1
            length = max(1, min(end - self.span.column, len(source) - column + 1))
            before, marked = _cells(source[: column - 1]), _cells(source[column - 1 : column - 1 + length])
            lines.append(f"  {number} | {source}")
            lines.append(f"  {' ' * len(number)} | {' ' * before}{'^' * max(1, marked)}")
        if self.hint:
            lines.append(f"  next: {self.hint}")
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """The fields that ``--json`` prints."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "file": self.file,
            "line": self.span.line,
            "column": self.span.column,
            "end_line": self.span.end_line,
            "end_column": self.span.end_column,
            "step": self.step,
            "suggestion": self.suggestion,
            "hint": self.hint,
        }


def _window(column: int, source: str, width: int = 160) -> tuple[int, str]:
    """A long line cut to the part around ``column``; tabs become blanks so that the caret stands right."""
    # A control character in a broken file must not reach the terminal.
    source = _CONTROL.sub("\ufffd", source.replace("\t", " ").rstrip("\r\n"))
    if len(source) <= width:
        return min(column, len(source) + 1), source
    start = max(0, column - 1 - width // 2)
    head = "… " if start else ""
    return column - start + len(head), head + source[start : start + width]


def _cells(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else not unicodedata.combining(sign) for sign in text)


def lines_of(text: str, ends: bool = False) -> list[str]:
    """The lines of a text as YAML counts them; ``str.splitlines`` knows more line ends than YAML does.

    Args:
        text: The text.
        ends: Whether each line keeps its line end.
    """
    parts = _LINE_END.split(text)
    lines = [line + (end if ends else "") for line, end in zip(parts[::2], [*parts[1::2], ""], strict=True)]
    return lines if lines[-1] else lines[:-1]


_LINE_END = re.compile("(\r\n|[\n\r\x85\u2028\u2029])")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def _usual_step(code: str, suggestion: str | None) -> str:
    """The next step of a problem that says none of its own."""
    return f'write "{suggestion}"' if suggestion else f"`orchestrator explain {code}` shows a wrong and a right example"


class Problems:
    """Collects the diagnostics of one file, fills in file and source line, gives them back in file order."""

    def __init__(self, file: str, text: str = "") -> None:
        self.file = file
        self._lines = lines_of(text)
        self._found: dict[tuple[Any, ...], Diagnostic] = {}

    def add(
        self,
        code: str,
        message: str,
        span: Span | None = None,
        *,
        severity: Severity = "error",
        step: str | None = None,
        suggestion: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Note a problem; the same one at the same place is noted once."""
        assert code in CODES, code
        span = span or Span()
        hint = hint or _usual_step(code, suggestion)
        line = self._lines[span.line - 1] if 0 < span.line <= len(self._lines) else None
        found = Diagnostic(code, message, self.file, span, severity, step, suggestion, hint, line)
        # One place has one syntax problem, however many ways the parser stumbled over it.
        key = (code, "" if code.startswith("yaml") else message, span.line, span.column)
        self._found.setdefault(key, found)

    def has_syntax_problem(self, span: Span) -> bool:
        """Whether the text itself is wrong where ``span`` begins."""
        return any(
            one.code.startswith("yaml") and (one.span.line, one.span.column) == (span.line, span.column)
            for one in self._found.values()
        )

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(sorted(self._found.values(), key=lambda found: (found.span.line, found.span.column)))

    def __len__(self) -> int:
        return len(self._found)

    @property
    def errors(self) -> list[Diagnostic]:
        """Those that stop the pipeline."""
        return [found for found in self if found.severity == "error"]

    @property
    def warnings(self) -> list[Diagnostic]:
        """Those that do not."""
        return [found for found in self if found.severity == "warning"]


def render_all(diagnostics: Iterable[Diagnostic], file: str | None = None) -> str:
    """All problems and a closing line that counts them."""
    found = [replace(item, file=file) if file else item for item in diagnostics]
    errors = sum(item.severity == "error" for item in found)
    warnings = len(found) - errors
    counts = [f"{n} {word}{'s' if n != 1 else ''}" for n, word in ((errors, "error"), (warnings, "warning")) if n]
    return "\n".join([*(item.render() for item in found), ", ".join(counts)])
