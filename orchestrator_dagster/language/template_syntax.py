"""What to say when a template cannot be parsed: which of its `{{ }}` and `{% %}` it is, and why."""

from __future__ import annotations

import re

import jinja2

from orchestrator_dagster.language.template_environment import environment
from orchestrator_dagster.language.template_text import Region, code_regions

_WORD = re.compile(r"\{%[-+]?\s*(\w*)")
_OPENING = ("if", "for", "macro", "call", "filter", "with", "set", "block")
_KNOWN = (*_OPENING, "else", "elif", "do", "break", "continue", "include", "import", "from", "extends", "raw")
_TAGS = "the tags are if, for, set, macro, call, filter, with, raw, do; names of steps and inputs stand in {{ }}"


def syntax_error(text: str, message: str) -> tuple[int | None, str, str | None]:
    """Find the part of a template that is wrong.

    Args:
        text: The template.
        message: What Jinja says about it.

    Returns:
        The number of the part among :func:`~.template_text.code_regions` (None when it is none of them), what is wrong,
        and the next step.
    """
    regions = list(code_regions(text))
    open_blocks: list[tuple[int, str]] = []
    for number, region in enumerate(regions):
        found = _of_part(text, region, open_blocks, number)
        if found:
            return (number, *found)
    if open_blocks:
        number, tag = open_blocks[-1]
        return number, f"{{% {tag} %}} has no {{% end{tag} %}}", f"write {{% end{tag} %}} where it ends"
    return None, _said(message), None


def _of_part(
    text: str, region: Region, open_blocks: list[tuple[int, str]], number: int
) -> tuple[str, str | None] | None:
    """What is wrong with one part, by itself or where it stands."""
    part = text[region.start : region.end]
    closing = "}}" if region.opening == "{{" else "%}"
    if not region.closed:
        return f"{region.opening} is never closed", f"write {closing} where it ends"
    if region.opening == "{{":
        return _of_code(part)
    found = _WORD.match(part)
    tag = found[1] if found else ""
    if tag.startswith("end"):
        if not open_blocks or open_blocks[-1][1] != tag[3:]:
            wanted = f"; {{% end{open_blocks[-1][1]} %}} is expected" if open_blocks else ""
            return f"{{% {tag} %}} closes nothing{wanted}", "close what was opened last, each with its own end"
        open_blocks.pop()
        return None
    if tag in ("else", "elif"):
        if not open_blocks or open_blocks[-1][1] not in ("if", "for"):
            return f"{{% {tag} %}} stands in no {{% if %}}", None
        return _of_code(f"{{% if x %}}{part}{{% endif %}}") if tag == "elif" else None
    if tag not in _KNOWN:
        return f'there is no tag "{tag}"' if tag else "a tag has no name", _TAGS
    wrong = _of_code(part) if tag not in _OPENING else _of_code(f"{part}{{% end{tag} %}}")
    if tag == "set" and wrong:  # with and without a value
        wrong = _of_code(part) and wrong
    elif tag in _OPENING and not (tag == "set" and _of_code(part) is None):
        open_blocks.append((number, tag))
    return wrong


def _of_code(code: str) -> tuple[str, str | None] | None:
    """What is wrong with a part that can be parsed by itself."""
    try:
        environment().parse(code)
    except jinja2.TemplateSyntaxError as error:
        said = str(error.message)
        if "got '='" in said:
            return "a single = compares nothing", "compare with =="
        if "||" in code or "&&" in code:
            return "there is no || and no &&", "write or and and"
        return _said(said), None
    except RecursionError:
        return "it is nested too deeply", None
    return None


def _said(message: str) -> str:
    """Jinja's words in ours."""
    message = message.removesuffix(".")
    found = re.match(r"expected token '(.+)', got '(.+)'", message)
    if not found:
        return message[:1].lower() + message[1:]
    names = {"end of print statement": "}}", "end of statement block": "%}", "name": "a name"}
    wanted, got = (names.get(part, f'"{part}"') for part in found.groups())
    return f"{wanted} is expected, found {got}"
