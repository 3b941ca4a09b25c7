"""What to say when a text is not YAML: where, what, and the usual causes."""

from __future__ import annotations

import re

import yaml

from orchestrator_dagster.language.diagnostics import Problems, Span, lines_of

UNQUOTED = 'put the whole value in quotes, or write it as a block after "|": "… {} …"'

_SAID = {
    "found character '\\t' that cannot start any token": "a tab stands where the indentation is",
    "found character '%' that cannot start any token": "a value cannot start with %",
    "found character '@' that cannot start any token": "a value cannot start with @",
    "found character '`' that cannot start any token": "a value cannot start with a backtick",
    "found character that cannot start any token": "a value starts with a character that YAML keeps for itself",
    "mapping values are not allowed here": 'there is a ": " where a value goes on',
    "mapping values are not allowed in this context": 'there is a ": " where a value goes on',
    "could not find expected ':'": "a key has no colon",
    "did not find expected key": "this line stands at another depth than its neighbours, or a bracket is open",
    "did not find expected '-' indicator": "this line stands where a list goes on, and does not start with a dash",
    "did not find expected ',' or ']'": "a list in [ ] is not closed, or a comma is missing",
    "did not find expected ',' or '}'": "a map in { } is not closed, or a comma is missing",
    "did not find expected node content": "a value is missing here",
    "found unexpected end of stream": "a quote is not closed before the end of the file",
    "found unexpected document indicator": "a quote is not closed before the document's end",
    "did not find expected <document start>": "the text ends the map before it, and starts nothing",
    "block sequence entries are not allowed in this context": "a list cannot start here",
    "found undefined tag handle": "a value cannot start with !",
    "did not find expected alphabetic or numeric character": "a value that starts with * or & is an alias or anchor",
    "found unknown escape character": 'a \\ inside double quotes starts an escape, and this is none',
}  # fmt: skip
_HINTS = {
    "cannot start any token": "indent with blanks, never with tabs; quote values that start with a special character",
    "mapping values are not allowed": 'quote a value that has ": " in it; check the indentation',
    "could not find expected ':'": "a key is followed by a colon and a blank",
    "did not find expected key": "compare the indentation of this line and the one before it",
    "did not find expected '-'": "compare the indentation of this line and the one before it",
    "expected ',' or": "close the bracket, or quote the value that has brackets or commas in it",
    "unexpected end of stream": "close the quote",
    "sequence entries": "write the list below its key, each entry with a dash",
    "alphabetic or numeric": "quote the value",
    "unknown escape": "write \\\\ for one \\, or use single quotes",
    "<document start>": "compare the indentation of this line and the one before it",
}
_BLOCK_START = re.compile(r"(?:^|[:\-?]\s+|\s)(?:&\S+\s+|!\S+\s+)*[|>][-+0-9]{0,2}\s*(?:#.*)?$")
_TOKENS = (("{{", "{{ … }}"), ("{%", "{% … %}"), ("<AUTO", "<AUTO> tag"))


def note_syntax_error(error: yaml.MarkedYAMLError, text: str, problems: Problems) -> None:
    """Note a syntax error of the parser as a problem: an unquoted template when that is the cause."""
    # At the end of the text the parser has lost its place: then where the open bracket stands is the better one.
    marks = [mark for mark in (error.problem_mark, error.context_mark) if mark]
    mark = max(marks, key=lambda one: (one.line, one.column), default=None)
    lines = lines_of(text) or [""]
    said = str(error.problem or error.context or "the text is not YAML")
    where_it_starts = ("expected ',' or", "could not find expected ':'", "alphabetic or numeric")
    unclosed = (
        any(part in said for part in where_it_starts)
        or "unexpected end of stream" in said
        or (mark and mark.line >= len(lines))
    )
    if unclosed and error.context_mark and error.context_mark.line < len(lines):
        mark = error.context_mark  # where the bracket or quote opens
    line = min(mark.line, len(lines) - 1) if mark else 0
    column = min(mark.column, len(lines[line])) if mark else 0
    culprit = _unquoted_template(lines, line, error.context_mark.line if error.context_mark else line)
    if culprit:
        number, start, token, what = culprit
        problems.add(
            "yaml-unquoted-template",
            f"YAML cannot read this line with an unquoted {what}",
            Span(number + 1, start + 1, number + 1, start + 1 + len(token)),
            hint=UNQUOTED.format("{{ … }}" if token == "{{" else what),
        )
        return
    message = next((ours for theirs, ours in _SAID.items() if theirs in said), said)
    if "cannot start any token" in said and lines[line][column : column + 1] == "\t":
        message = _SAID["found character '\\t' that cannot start any token"]
    hint = next((ours for theirs, ours in _HINTS.items() if theirs in said), None)
    if "expected key" in said and lines[line][:column].strip():
        message, hint = "text follows a value that has already ended", "quote the whole value"
    problems.add("yaml-syntax", message, Span(line + 1, column + 1, line + 1, column + 2), hint=hint)


def _unquoted_template(lines: list[str], line: int, context_line: int) -> tuple[int, int, str, str] | None:
    """Where an unquoted ``{{`` or ``<AUTO>`` stands at, or just before, the place where YAML failed."""
    for number in dict.fromkeys((line, line - 1, context_line)):
        if not 0 <= number < len(lines) or _in_block(lines, number):
            continue
        bare = _without_quotes(lines[number])
        for token, what in _TOKENS:
            if token in bare:
                return number, bare.index(token), token, what
    return None


def _without_quotes(line: str) -> str:
    """A line with quoted values and comments blanked out, so that what is left is what YAML reads as plain."""
    signs = list(line)
    quote, start = "", True  # a quote opens a value only where a value can start
    number = 0
    while number < len(signs):
        sign = line[number]
        if quote:
            if (sign == "\\" and quote == '"') or (quote == "'" and line.startswith("''", number)):
                signs[number : number + 2] = "  "[: len(signs) - number]
                number += 2
                continue
            signs[number] = " "
            if sign == quote:
                quote = ""
                if line[number + 1 :].lstrip()[:1] not in ("", ",", "]", "}", ":", "#"):
                    return "".join(signs[:number])  # what follows a closed quote is another mistake
        elif sign in "'\"" and start:
            quote, signs[number] = sign, " "
        elif sign == "#" and (number == 0 or line[number - 1].isspace()):
            return "".join(signs[:number])
        elif not sign.isspace():
            start = sign in "[{,:-"
        number += 1
    return "".join(signs)


def _in_block(lines: list[str], number: int) -> bool:
    """Whether a line belongs to a block scalar: one of the less indented lines before it ends in ``|`` or ``>``."""
    indent = _indent(lines[number])
    for before in range(number - 1, -1, -1):
        if not lines[before].strip():
            continue
        here = _indent(lines[before])
        if here < indent:
            if _BLOCK_START.search(lines[before]):
                return True
            indent = here
        if indent == 0:
            break
    return False


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
