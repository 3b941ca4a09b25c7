"""Templates: Jinja in an immutable sandbox, strict, with its names known before anything runs.

Differences from plain Jinja, all of them on purpose:

* a value that is one whole ``{{ expression }}`` keeps its type;
* a field wins over a Python method of its name; ``.items()``, ``.keys()``, ``.values()`` called are the methods;
* lists and maps print as JSON;
* an absent value is false, may be guarded by ``default``, and fails with its reason when it is used;
* what a render may produce is bounded in size and time.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

import jinja2
from jinja2.exceptions import SecurityError

from orchestrator_dagster.errors import TemplateError
from orchestrator_dagster.language import template_limits as limits
from orchestrator_dagster.language.absent import Absent
from orchestrator_dagster.language.missing import NOTED, Missing, MissingValueError, unwrap
from orchestrator_dagster.language.template_environment import environment
from orchestrator_dagster.language.template_filters import json_value
from orchestrator_dagster.language.template_text import parts_of, whole_expression

MAX_OUTPUT = limits.MAX_TEXT
MAX_SECONDS = 10.0
_MOST_ITEMS = 1_000_000

_FILE = re.compile(r"\{\{-?\s*file:\s*(?P<path>[^}\s]+)\s*-?\}\}\Z")
_ARROWS = re.compile(r"<<\s*(?P<path>[\w./-]+\.\w+)\s*>>")
# A string, a `$` before a name, or a name with dashes: by itself, or behind `steps.` and its like.
_WORD = re.compile(
    r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\""""
    r"""|(?<![\w.$-])\$?(?:(?:steps|results|previous_results)\s*\.\s*)?[A-Za-z]\w*(?:-\w+)+"""
    r"""|(?<![\w.])\$(?=[A-Za-z_])"""
)


@functools.lru_cache(maxsize=4096)
def normalise(text: str, dashed: frozenset[str] = frozenset()) -> str:
    """The text as Jinja can read it: ``$name`` is ``name``, a dashed step id is a name, includes are calls.

    Args:
        text: The template.
        dashed: Step ids with ``-``; inside ``{{ }}`` and ``{% %}`` they stand for the step.
    """
    made: list[str] = []
    after_block = False
    for kind, part in parts_of(text):
        if kind == "text":
            made.append(_plain_text(part, after_block))
        elif kind == "{{" and (found := _FILE.match(part)):
            made.append(_include(found))
        elif kind in ("{{", "{%"):
            made.append(_code(part, dashed))
        else:
            made.append(part)
        after_block = kind not in ("text", "{{")
    return "".join(made)


def _include(found: re.Match[str]) -> str:
    return f"{{{{ _include({found['path']!r}) }}}}"


def _plain_text(text: str, after_block: bool) -> str:
    """Text between code: includes become calls, and carriage returns, which Jinja would drop, are kept."""
    if "\r" in text:
        text = text[1:] if after_block and text.startswith("\r\n") else text
        text = text.replace("\r", "{{ '\\r' }}")
    return _ARROWS.sub(_include, text)


def _code(code: str, dashed: frozenset[str]) -> str:
    if "$" not in code and not (dashed and "-" in code):
        return code

    def replace(found: re.Match[str]) -> str:
        word = found[0]
        if word[0] in "'\"":
            return word
        word = word.removeprefix("$")
        head, dot, name = word.rpartition(".")
        return f"{head}{dot}{_underscored(name, dashed)}" if word else ""

    return _WORD.sub(replace, code)


def _underscored(word: str, dashed: frozenset[str]) -> str:
    bare = word.lstrip()
    return word.replace("-", "_") if bare in dashed else word


@functools.lru_cache(maxsize=4096)
def _template(text: str, autoescape: bool) -> jinja2.Template:
    return environment(autoescape).from_string(text)


@functools.lru_cache(maxsize=4096)
def _expression(text: str) -> Any:
    return environment().compile_expression(text.strip(), undefined_to_none=False)


def render(
    text: str, names: Mapping[str, Any], *, dashed: frozenset[str] = frozenset(), autoescape: bool = False
) -> Any:
    """Render one text.

    Args:
        text: The template. When it is one whole ``{{ expression }}`` the expression's own value is returned.
        names: Value of every name it may use; an :class:`Absent` for what is not there.
        dashed: See :func:`normalise`.
        autoescape: Whether printed values are escaped for HTML.

    Raises:
        TemplateError: With every missing name of the text, or the first other reason.
    """
    if not any(mark in text for mark in ("{{", "{%", "{#", "<<")):
        return text
    reasons, spent = NOTED.reasons, limits.start(MAX_SECONDS)
    NOTED.reasons = []
    try:
        source = normalise(text, dashed)
        values = {
            name: Missing(hint=value.reason) if isinstance(value, Absent) else value for name, value in names.items()
        }
        whole = None if autoescape else whole_expression(source)
        if whole is None:
            result: Any = _text(source, values, autoescape)
        else:
            result = _plain(unwrap(_expression(whole)(**values)))
            if isinstance(result, str):
                result = _with_blanks(source, result)
        if NOTED.reasons:
            raise _missing(NOTED.reasons)
        return result
    except TemplateError:
        raise
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(f"the template cannot be parsed: {error.message}") from None
    except SyntaxError:  # of the Python that Jinja made: it has a limit of blocks inside each other
        raise TemplateError("too many blocks of the template stand in each other") from None
    except MissingValueError as error:
        raise _missing([*NOTED.reasons, str(error)]) from None
    except RecursionError:
        raise TemplateError("the template, or a value in it, is nested too deeply") from None
    except Exception as error:  # a filter or method got something it cannot take: the author's mistake, not ours
        said = str(error) or type(error).__name__
        raise _missing(NOTED.reasons, [*NOTED.reasons, said]) from None
    finally:
        NOTED.reasons = reasons
        limits.restore(spent)


def _missing(reasons: Iterable[str], said: Iterable[str] | None = None) -> TemplateError:
    """The error of values that are not there; its message is what is said of them, by default the reasons."""
    reasons = tuple(dict.fromkeys(reasons))
    error = TemplateError("; ".join(dict.fromkeys(reasons if said is None else said)))
    error.missing = reasons
    return error


def _with_blanks(source: str, text: str) -> str:
    """A text with the white space that stands around its expression, unless that says ``-``."""
    before = source[: len(source) - len(source.lstrip())]
    after = source[len(source.rstrip()) :]
    inside = source.strip()
    return ("" if inside.startswith("{{-") else before) + text + ("" if inside.endswith("-}}") else after)


def _text(source: str, values: dict[str, Any], autoescape: bool) -> str:
    """The output of a template."""
    size, chunks = 0, []
    template = _template(source, autoescape)
    for chunk in template.root_render_func(template.new_context(values)):
        size += len(chunk)
        if size > MAX_OUTPUT:
            raise SecurityError(f"the output has more than {MAX_OUTPUT:,} characters")
        chunks.append(chunk)
    return "".join(chunks)


def _plain(value: Any) -> Any:
    """A rendered value as JSON values: nothing of Jinja's or ours gets out."""
    return _Plain().of(value)


class _Plain:
    """Copies a value, counting what it is made of: a list may stand in it many times over."""

    def __init__(self) -> None:
        self.count = 0
        self.characters = 0

    def of(self, value: Any) -> Any:
        if isinstance(value, str):
            self.characters += len(value)
            if self.characters > limits.MAX_CHARACTERS:
                raise SecurityError(f"a value with texts of more than {limits.MAX_CHARACTERS:,} characters together")
            return str(value)
        if isinstance(value, (int, float)) or value is None:
            return value
        if isinstance(value, Missing):
            str(value)
            return None
        if isinstance(value, Mapping):
            return {str(name): self.item(item) for name, item in value.items()}
        if isinstance(value, (list, tuple, range, set, frozenset)) or hasattr(value, "__next__"):
            items: list[Any] = []
            for item in sorted(value, key=str) if isinstance(value, (set, frozenset)) else value:
                if len(items) >= _MOST_ITEMS:
                    raise SecurityError(f"a list of more than {_MOST_ITEMS:,} items")
                items.append(self.item(item))
            return items
        if callable(value):
            raise jinja2.UndefinedError(f'"{getattr(value, "__name__", "it")}" is a function, not a value: call it')
        return self.of(json_value(value))

    def item(self, value: Any) -> Any:
        self.count += 1
        if self.count > limits.MAX_VALUES:
            raise SecurityError(f"a value of more than {limits.MAX_VALUES:,} parts")
        if self.count % 256 == 0:
            limits.check_time()
        return self.of(unwrap(value))


def render_tree(value: Any, names: Mapping[str, Any], *, dashed: frozenset[str] = frozenset()) -> Any:
    """Render every text in a tree of lists and maps; all problems of the tree are reported at once.

    Raises:
        TemplateError: See :func:`render`; with the place of each problem inside the tree.
    """
    problems: list[str] = []
    missing: list[str] = []

    def walk(node: Any, place: str) -> Any:
        if isinstance(node, str):
            try:
                return render(node, names, dashed=dashed)
            except TemplateError as error:
                problems.append(f"`{place}`: {error.message}" if place else error.message)
                missing.extend(error.missing)
                return None
        if isinstance(node, Mapping):
            return {
                str(walk(name, place)): walk(item, f"{place}.{name}" if place else str(name))
                for name, item in node.items()
            }
        if isinstance(node, (list, tuple)):
            return [walk(item, f"{place}[{number}]") for number, item in enumerate(node)]
        return node

    result = walk(value, "")
    if problems:
        raise _missing(missing, problems)
    return result
