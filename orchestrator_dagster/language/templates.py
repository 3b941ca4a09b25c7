"""Templates: Jinja in an immutable sandbox, strict, with its names known before anything runs.

Differences from plain Jinja, all of them on purpose:

* a value that is one whole ``{{ expression }}`` keeps its type;
* a field wins over a Python method of the same name; ``.items()``, ``.keys()`` and ``.values()`` called are the methods;
* lists and maps print as JSON;
* an absent value is false, may be guarded by ``default``, and fails with its reason when it is used;
* what a render may produce is bounded in size and time.
"""

from __future__ import annotations

import functools
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import jinja2
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment, SecurityError

from orchestrator_dagster.errors import TemplateError
from orchestrator_dagster.language.absent import Absent
from orchestrator_dagster.language.base import whole_expression
from orchestrator_dagster.language.template_filters import FILTERS, json_value, now, to_text

MAX_OUTPUT = 10 * 1024 * 1024
MAX_SECONDS = 10.0

_METHODS = frozenset({"items", "keys", "values"})
_GROWING = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs", "join", "replace", "indent", "wordwrap"})
_INCLUDE = re.compile(r"\{\{-?\s*file:\s*(?P<braces>[^}\s]+)\s*-?\}\}|<<\s*(?P<arrows>[\w./-]+\.\w+)\s*>>")
_state = threading.local()


class Missing(jinja2.Undefined):
    """A value that is not there. It is false and can be guarded; any other use fails with the reason.

    Printing notes the reason and goes on, so that one render reports every missing name.
    """

    __slots__ = ()

    @property
    def reason(self) -> str:
        """Why it is not there."""
        if self._undefined_hint:
            return self._undefined_hint
        if self._undefined_obj is jinja2.utils.missing:
            return f'"{self._undefined_name}" does not exist'
        owner = self._undefined_obj
        fields = f"; it has {', '.join(map(str, list(owner)[:12]))}" if isinstance(owner, Mapping) and owner else ""
        kind = "the map" if isinstance(owner, Mapping) else f"the {type(owner).__name__}"
        return f'{kind} has no field "{self._undefined_name}"{fields}'

    def _fail(self, *args: Any, **kwargs: Any) -> Any:
        raise jinja2.UndefinedError(self.reason)

    def __str__(self) -> str:
        found = getattr(_state, "missing", None)
        if found is None:
            self._fail()
        elif self.reason not in found:
            found.append(self.reason)
        return ""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, key: Any) -> Any:
        return self

    def __bool__(self) -> bool:
        return False

    __iter__ = __len__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __call__ = _fail  # type: ignore[assignment]
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _fail
    __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = __pow__ = __rpow__ = __neg__ = __pos__ = _fail
    __int__ = __float__ = __complex__ = _fail
    __hash__ = object.__hash__


@runtime_checkable
class HasMainValue(Protocol):
    """A step as templates see it: a map of its fields that also stands for one value."""

    def main_value(self) -> Any:
        """What the step is when it is used without a field."""
        ...


def unwrap(value: Any) -> Any:
    """The value itself: of a step, its main value; of an absent value, something undefined that knows the reason."""
    if isinstance(value, Missing):
        return value
    if isinstance(value, HasMainValue):
        value = value.main_value()
    return Missing(hint=value.reason) if isinstance(value, Absent) else value


def _concat(*parts: Any) -> str:
    texts = [to_text(part) for part in parts]
    _check_size(sum(map(len, texts)))
    return "".join(texts)


def _tick(values: Any) -> Any:
    """Iterate with an eye on the clock: a loop is the only way a template can run for long."""
    for value in values:
        _check_time()
        yield value


def _check_time() -> None:
    if time.monotonic() > getattr(_state, "deadline", float("inf")):
        raise SecurityError(f"the template ran for more than {MAX_SECONDS:g} seconds")


def _check_size(size: int) -> None:
    if size > MAX_OUTPUT:
        raise SecurityError(f"a text of {size:,} characters; at most {MAX_OUTPUT:,} are allowed")


class Environment(ImmutableSandboxedEnvironment):
    """The sandbox that all templates of a pipeline are rendered in."""

    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def __init__(self, autoescape: bool = False) -> None:
        super().__init__(
            undefined=Missing,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=autoescape,
            finalize=_print,
            extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"],
        )
        self.filters.update(FILTERS)
        self.filters.update({"_unwrap": unwrap, "_tick": _tick})
        for name in _GROWING & self.filters.keys():
            self.filters[name] = _bounded(self.filters[name])
        self.globals = {
            "now": now,
            "range": self.globals["range"],
            "namespace": self.globals["namespace"],
            "dict": self.globals["dict"],
            "_concat": _concat,
        }

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        stored = {node.name for node in source.find_all(nodes.Name) if node.ctx != "load"}
        return super()._generate(_rewrite(source, stored), *args, **kwargs)

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self._field(obj, attribute, super().getattr)

    def getitem(self, obj: Any, argument: Any) -> Any:
        return self._field(obj, argument, super().getitem)

    def _field(self, obj: Any, name: Any, fallback: Callable[[Any, Any], Any]) -> Any:
        if isinstance(obj, (Missing, Absent)):
            return unwrap(obj)
        if isinstance(obj, Mapping):
            try:
                found = obj[name]
                return unwrap(found) if isinstance(found, Absent) else found
            except (KeyError, TypeError):
                if name not in ("get", *_METHODS):
                    return Missing(obj=obj, name=name)
        return fallback(obj, name)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator in ("*", "+"):
            sizes = [len(side) for side in (left, right) if isinstance(side, (str, list, tuple))]
            counts = [side for side in (left, right) if isinstance(side, int)]
            _check_size(sum(sizes) if operator == "+" else sum(sizes) * max(counts, default=1))
        if operator == "**" and (abs(right) > 1000 or isinstance(left, int) and abs(left) > 10**15):
            raise SecurityError("a power with such large numbers is not allowed")
        if operator == "%" and isinstance(left, str):
            raise SecurityError("formatting with % is not allowed; use ~ or the format filter")
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805, N807 - as in the base
        if getattr(__obj, "__name__", "") in _GROWING and isinstance(getattr(__obj, "__self__", None), str):
            return _bounded(super().call)(__context, __obj, *args, **kwargs)
        return super().call(__context, __obj, *args, **kwargs)


def _print(value: Any) -> Any:
    value = unwrap(value)
    return to_text(value) if isinstance(value, (Mapping, list, tuple)) else value


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """A text function whose numbers and result may not be larger than a render may be."""

    @functools.wraps(function)
    def check(*args: Any, **kwargs: Any) -> Any:
        for value in (*args, *kwargs.values()):
            if isinstance(value, int) and not isinstance(value, bool):
                _check_size(abs(value))
        texts = [value for value in args if isinstance(value, str)]
        if len(texts) >= 3:  # replace(text, old, new): every character may become the new text
            _check_size(len(texts[0]) * max(1, len(texts[-1])) if len(texts[-1]) > len(texts[-2]) else 0)
        return function(*args, **kwargs)

    return check




def _rewrite(node: Any, local: set[str]) -> Any:
    """The tree with our meaning of fields, concatenation and loops put into it."""
    for name, value in node.iter_fields():
        if isinstance(value, nodes.Node):
            setattr(node, name, _rewrite_child(node, name, value, local))
        elif isinstance(value, list):
            setattr(
                node,
                name,
                [_rewrite_child(node, name, item, local) if isinstance(item, nodes.Node) else item for item in value],
            )
    return node


def _rewrite_child(parent: nodes.Node, field: str, child: nodes.Node, local: set[str]) -> nodes.Node:
    line = child.lineno
    if (
        isinstance(child, nodes.Call)
        and isinstance(child.node, nodes.Getattr)
        and child.node.attr in _METHODS
        and not child.args
    ):
        # .items() called is the method, whatever fields the map has
        owner = _rewrite_child(child, "node", child.node.node, local)
        return nodes.Filter(owner, f"_{child.node.attr}", [], [], None, None, lineno=line)
    _rewrite(child, local)
    if isinstance(child, nodes.Concat):
        return nodes.Call(nodes.Name("_concat", "load", lineno=line), child.nodes, [], None, None, lineno=line)
    if isinstance(parent, nodes.For) and field == "iter":
        child = _unwrapped(child, local)
        return nodes.Filter(child, "_tick", [], [], None, None, lineno=line)
    if field == "node" and isinstance(parent, (nodes.Getattr, nodes.Getitem)):
        return child  # not the end of the chain yet
    if isinstance(parent, nodes.Call) and field == "node":
        return child
    return _unwrapped(child, local)


def _unwrapped(child: nodes.Node, local: set[str]) -> nodes.Node:
    """The end of a chain ``a.b.c`` is the value itself, also when the chain ends at a step."""
    root: Any = child
    while isinstance(root, (nodes.Getattr, nodes.Getitem)):
        root = root.node
    chain = isinstance(child, (nodes.Getattr, nodes.Getitem)) or isinstance(child, nodes.Name) and child.ctx == "load"
    if chain and not (isinstance(root, nodes.Name) and root.name in local):
        return nodes.Filter(child, "_unwrap", [], [], None, None, lineno=child.lineno)
    return child


@functools.lru_cache(maxsize=2)
def environment(autoescape: bool = False) -> Environment:
    """The shared sandbox; with ``autoescape`` for templates that make HTML."""
    made = Environment(autoescape)
    for name in _METHODS:
        made.filters[f"_{name}"] = functools.partial(_method, name)
    return made


def _method(name: str, value: Any) -> Any:
    value = unwrap(value)
    if isinstance(value, Missing):
        value._fail()
    if not isinstance(value, Mapping):
        raise jinja2.UndefinedError(f"only a map has .{name}(), this is a {type(value).__name__}")
    return list(getattr(value, name)())


def normalise(text: str, dashed: frozenset[str] = frozenset()) -> str:
    """The text as Jinja can read it: ``$name`` is ``name``, a dashed step id is a name, includes are calls.

    Args:
        text: The template.
        dashed: Step ids with ``-``; inside ``{{ }}`` and ``{% %}`` they stand for the step.
    """
    text = _INCLUDE.sub(lambda found: "{{ _include(%r) }}" % (found["braces"] or found["arrows"]), text)
    if "$" in text or any(name in text for name in dashed):
        text = _CODE.sub(lambda found: _code(found[0], dashed), text)
    return text


_CODE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_WORD = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|(?<![\w.])\$(?=[A-Za-z_])|(?<![\w.$-])[A-Za-z]\w*(?:-\w+)+""")


def _code(code: str, dashed: frozenset[str]) -> str:
    def replace(found: re.Match[str]) -> str:
        word = found[0]
        if word == "$":
            return ""
        return word.replace("-", "_") if word in dashed else word

    return _WORD.sub(replace, code)


@functools.lru_cache(maxsize=4096)
def _template(text: str, autoescape: bool) -> jinja2.Template:
    return environment(autoescape).from_string(text)


@functools.lru_cache(maxsize=4096)
def _expression(text: str) -> Any:
    return environment().compile_expression(text.strip(), undefined_to_none=False)


def render(text: str, names: Mapping[str, Any], *, dashed: frozenset[str] = frozenset(), autoescape: bool = False) -> Any:
    """Render one text.

    Args:
        text: The template. When it is one whole ``{{ expression }}`` the expression's own value is returned.
        names: Value of every name it may use; an :class:`Absent` for what is not there.
        dashed: See :func:`normalise`.
        autoescape: Whether printed values are escaped for HTML.

    Raises:
        TemplateError: With every missing name of the text, or the first other reason.
    """
    if "{" not in text and "<<" not in text:
        return text
    source = normalise(text, dashed)
    outer = getattr(_state, "missing", None), getattr(_state, "deadline", float("inf"))
    _state.missing, _state.deadline = [], time.monotonic() + MAX_SECONDS
    try:
        values = {name: Missing(hint=value.reason) if isinstance(value, Absent) else value for name, value in names.items()}
        whole = whole_expression(source)
        if whole is not None and not autoescape:
            result = unwrap(_expression(whole)(**values))
            result = _plain(result)
            _raise_missing()
            return result
        size, chunks = 0, []
        template = _template(source, autoescape)
        for chunk in template.root_render_func(template.new_context(values)):
            size += len(chunk)
            _check_size(size)
            chunks.append(chunk)
        _raise_missing()
        return "".join(chunks)
    except TemplateError:
        raise
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(f"the template cannot be parsed: {error.message}") from None
    except Exception as error:  # a filter or method got something it cannot take: the author's mistake, not ours
        missing = list(getattr(_state, "missing", None) or [])
        said = str(error) or type(error).__name__
        raise TemplateError("; ".join(dict.fromkeys([*missing, said]))) from None
    finally:
        _state.missing, _state.deadline = outer


def _raise_missing() -> None:
    if _state.missing:
        raise TemplateError("; ".join(_state.missing))


def _plain(value: Any) -> Any:
    """A rendered value as JSON values: nothing of Jinja's or ours gets out."""
    if isinstance(value, (str, int, float, bool)) or value is None:
        return str(value) if isinstance(value, str) else value
    if isinstance(value, Mapping):
        return {str(name): _plain(unwrap(item)) for name, item in value.items()}
    if isinstance(value, (list, tuple, range, set, frozenset)) or hasattr(value, "__next__"):
        items = []
        for item in value:
            _check_time()
            if len(items) >= 1_000_000:
                raise SecurityError("a list of more than 1,000,000 items")
            items.append(_plain(unwrap(item)))
        return items
    if isinstance(value, Missing):
        str(value)
        return None
    return json_value(value)


def render_tree(value: Any, names: Mapping[str, Any], *, dashed: frozenset[str] = frozenset()) -> Any:
    """Render every text in a tree of lists and maps; all problems of the tree are reported at once.

    Raises:
        TemplateError: See :func:`render`; with the place of each problem inside the tree.
    """
    problems: list[str] = []

    def walk(node: Any, place: str) -> Any:
        if isinstance(node, str):
            try:
                return render(node, names, dashed=dashed)
            except TemplateError as error:
                problems.append(f"`{place}`: {error.message}" if place else error.message)
                return None
        if isinstance(node, Mapping):
            return {walk(name, place): walk(item, f"{place}.{name}" if place else str(name)) for name, item in node.items()}
        if isinstance(node, (list, tuple)):
            return [walk(item, f"{place}[{number}]") for number, item in enumerate(node)]
        return node

    result = walk(value, "")
    if problems:
        raise TemplateError("; ".join(dict.fromkeys(problems)))
    return result
