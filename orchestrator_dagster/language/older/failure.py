"""What is done when a step fails: `on_error` with texts and handlers, `continue_on_error`, the header's handlers."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator_dagster.language.diagnostics import Span
from orchestrator_dagster.language.nodes import MappingNode, Node, ScalarNode, SequenceNode, plain
from orchestrator_dagster.language.older.notes import Notes, identifier
from orchestrator_dagster.language.older.retries import USUAL_RETRIES, retries_of
from orchestrator_dagster.language.older.tree import Keys, line, mapping, same, scalar, sequence, text_of
from orchestrator_dagster.language.step import FAILURE_POLICIES
from orchestrator_dagster.language.template_text import whole_expression
from orchestrator_dagster.text import nearest_name

_POLICIES = {
    **{word: word for word in FAILURE_POLICIES}, "ignore": "continue", "stop": "fail", "abort": "fail", "raise": "fail",
}  # fmt: skip
_ROUTES = ("handler_task_id", "handler_step", "goto")
_ACTIONS = ("handler_action", "action", "policy")
_MESSAGES = ("message", "error_message")
_HANDLER_KEYS = (
    "error_types",
    "fallback_value",
    "retry_with_handler",
    "continue_on_error",
    *_ROUTES,
    *_ACTIONS,
    *_MESSAGES,
)
#: How often the step is tried again before the handler takes over.
_TRIES = ("retry_count", "max_handler_retries", "max_retries", "retries")
_ALL_ERRORS = ("*", "Exception", "BaseException", "all", "any", "Error")
_SAYS_NOTHING = {
    "log_level": "a failure is always on the record",
    "log_error": "a failure is always on the record",
    "priority": "the first handler that fits is taken",
    "enabled": "a handler that stands here is used",
    "continue_on_handler_failure": "when the handler fails too, the run says so at its end",
    "handler_type": "its other keys say what it does",
}
_LOGGING = ("log", "debug", "echo")


def rewrite_failure(keys: Keys, notes: Notes) -> list[MappingNode]:
    """Make `on_error` and `continue_on_error` of a step `on_failure`, `failure_handlers` and `retries`.

    Returns:
        Steps that handle the failure and were written inside it, to stand after the step.
    """
    added: list[MappingNode] = []
    written = keys.value("on_failure")
    for old in ("on_error", "on_failure"):
        value = keys.value(old)
        if value is None or (old == "on_failure" and _is_of_today(value)):
            continue
        if old == "on_error" and written is not None and not same(value, written):
            notes.unsupported(
                keys.key(old),
                "`on_error` is an older spelling of `on_failure`, and both stand here and say different things",
                hint="keep one of the two",
            )
            keys.remove(old)
        elif isinstance(value, ScalarNode):
            _rewrite_text(keys, value, notes)
        else:
            _rewrite_handlers(keys, old, value, notes, added)
    if "continue_on_error" in keys:
        _rewrite_switch(keys, notes)
    return added


def _is_of_today(value: Node) -> bool:
    """Whether `on_failure` has a text, or a list of texts, which is wrong in both dialects."""
    return isinstance(value, ScalarNode) or (
        isinstance(value, SequenceNode) and all(isinstance(one, ScalarNode) for one in value.items)
    )


def rewrite_global_handlers(header: Keys, notes: Notes) -> list[MappingNode]:
    """Make `global_error_handlers` the header's `failure_handlers`; gives the steps that were written inside it."""
    old = "global_error_handlers"
    value = header.value(old)
    added: list[MappingNode] = []
    if value is None:
        return added
    made = []
    for name, one in _global_handlers(value):
        handler = _handler(one, notes, added, "pipeline")
        if handler is None:
            continue
        retries = handler.value("retries")
        if retries is not None:
            handler.remove("retries")
            notes.unsupported(
                retries,
                "a handler for all steps cannot have a failed step tried again",
                hint=f"write `{line('retries', USUAL_RETRIES)}` in the header: the default of all steps",
            )
        if name is not None and "errors" not in handler and name.text.endswith(("Error", "Exception")):
            handler.set("errors", sequence([scalar(name.text, name.span)], name.span), name)
        made.append(handler.done())
    notes.rename(header, old, "failure_handlers", sequence(made, value.span))
    return added


def _global_handlers(value: Node) -> Iterable[tuple[ScalarNode | None, Node]]:
    """The handlers of a list, of a map by names, or the one handler that it is."""
    if isinstance(value, SequenceNode):
        return [(None, one) for one in value.items]
    if isinstance(value, MappingNode) and not any(name in _HANDLER_KEYS for name in value.pairs):
        return list(value.pairs.values())
    return [(None, value)]


def _rewrite_text(keys: Keys, value: ScalarNode, notes: Notes) -> None:
    """`on_error: text`: a step, a policy, or the message that is kept with the failure."""
    text = text_of(value)
    if text is None:
        if value.value is None:
            notes.no_effect(keys.key("on_error"), "`on_error` says nothing")
        else:
            notes.unsupported(
                value, f"`on_error` is a text or a map, found {value.text}", hint="write `on_failure: continue`"
            )
        keys.remove("on_error")
        return
    word = text.strip()
    policy = _POLICIES.get(word.lower())
    if word in notes.ids or policy:
        notes.rename(
            keys, "on_error", "on_failure", scalar(policy or word, value.span) if policy or word != text else value
        )
        return
    if whole_expression(word) is not None:
        notes.unsupported(
            value,
            "what is done when a step fails has to be known before the run",
            hint="name a step, or a policy: fail, continue, skip, retry",
        )
        keys.remove("on_error")
        return
    handlers = sequence([mapping({"message": value}, value.span)], value.span)
    more = "the text is kept with the failure"
    if " " not in word:
        near = nearest_name(word, [*notes.ids, *FAILURE_POLICIES])
        more += f", no step is called so{f' (did you mean {chr(34)}{near}{chr(34)}?)' if near else ''}"
    if "failure_handlers" in keys:
        notes.unsupported(
            keys.key("on_error"), "`on_error` and `failure_handlers` both stand here", hint="keep one of the two"
        )
        keys.remove("on_error")
        return
    notes.older(keys.key("on_error"), "on_error", "failure_handlers", line("failure_handlers", handlers), more)
    keys.replace("on_error", {"failure_handlers": handlers})


def _rewrite_handlers(keys: Keys, old: str, value: Node, notes: Notes, added: list[MappingNode]) -> None:
    key, wrong = keys.key(old), len(notes.problems.errors)
    if "failure_handlers" in keys:
        notes.unsupported(key, f"`{old}` and `failure_handlers` both stand here", hint="keep one of the two")
        keys.remove(old)
        return
    made, retries = [], None
    for one in value.items if isinstance(value, SequenceNode) else [value]:
        handler = _handler(one, notes, added, notes.step or "step")
        if handler is not None:
            retries = handler.value("retries") or retries
            handler.remove("retries")
            if handler.pairs:
                made.append(handler.done())
    today: dict[str, Node] = {}
    if len(made) == 1 and set(made[0].pairs) == {"goto"}:
        today["on_failure"] = made[0].pairs["goto"][1]
    elif made:
        today["failure_handlers"] = sequence(made, value.span)
    if retries is not None and not _tries_again(keys):
        today["retries"] = retries
    if (
        "on_failure" in today
        and old == "on_error"
        and not same(keys.value("on_failure") or today["on_failure"], today["on_failure"])
    ):
        today.pop("on_failure")
    if today:
        shown = "`, `".join(line(name, item) for name, item in today.items())
        more = f"its action is a step of its own, `{text_of(added[-1].pairs['id'][1])}`" if added else ""
        first = next(iter(today))
        notes.older(key, f"{old}: {{…}}" if old == first else old, first, shown, more)
    elif len(notes.problems.errors) == wrong:
        notes.no_effect(key, f"`{old}` says nothing that has an effect here")
    keys.replace(old, today)


def _tries_again(keys: Keys) -> bool:
    return any(name in keys for name in ("retries", "retry", "retry_config", "max_retries"))


def _handler(node: Node, notes: Notes, added: list[MappingNode], owner: str) -> Keys | None:
    """One handler as today's map: `errors`, `goto`, `fallback`, `message`, and `retries` for the step that failed."""
    if isinstance(node, ScalarNode) and isinstance(node.value, str):
        node = MappingNode({"handler_action": (node, node)}, node.span)
    if not isinstance(node, MappingNode):
        notes.unsupported(node, "a handler of failures is a map", hint="write `failure_handlers: [{fallback: …}]`")
        return None
    made = Keys(MappingNode({}, node.span))
    for name, (key, value) in node.pairs.items():
        if name == "error_types":
            if not _means_all(value):
                made.set("errors", value, key)
        elif name == "fallback_value":
            made.set("fallback", value, key)
        elif name in _MESSAGES:
            made.set("message", value, key)
        elif name == "retry_with_handler" and isinstance(plain(value), bool):
            if plain(value):
                made.set("retries", scalar(USUAL_RETRIES, value.span), key)
        elif name in _TRIES and isinstance(plain(value), int):
            made.set("retries", scalar(retries_of(plain(value)), value.span) if name == "max_retries" else value, key)
        elif name in _SAYS_NOTHING:
            notes.no_effect(key, f"`{name}` has no effect: {_SAYS_NOTHING[name]}")
        elif name == "continue_on_error" and isinstance(plain(value), bool):
            if plain(value) and "fallback_value" in node.pairs:
                notes.no_effect(key, "`continue_on_error` says what `fallback_value` does: the step succeeds with it")
            elif plain(value):
                _go(made, key, scalar("continue", value.span), notes)
        elif name in _ROUTES:
            _go(made, key, value, notes)
        elif name in _ACTIONS:
            _act(made, key, value, notes, added, owner)
        else:
            notes.unsupported(
                key,
                f"a handler of failures has no `{name}`",
                suggestion=nearest_name(name, _HANDLER_KEYS),
                hint=f"it has {', '.join(_HANDLER_KEYS[:5])} and handler_action",
            )
    if "goto" in made and "fallback" in made:
        notes.unsupported(
            made.key("goto"),
            f"the handler goes to a step, by `{made.key('goto').text}`, and goes on with a value, by `fallback_value`",
            hint="keep one of the two",
        )
        made.remove("fallback")
    return made


def _means_all(errors: Node) -> bool:
    """Whether the types of errors are all there are."""
    said = plain(errors)
    return any(one in _ALL_ERRORS for one in (said if isinstance(said, list) else [said]))


def _go(handler: Keys, key: ScalarNode, target: Node, notes: Notes) -> None:
    if text_of(target) is None:
        notes.unsupported(key, f"`{key.text}` is the id of a step", hint="name the step that handles the failure")
        return
    if "goto" in handler and not same(handler.value("goto"), target):
        notes.unsupported(
            key, f"the handler goes to two places; `{key.text}` is the second", hint="keep one of the two"
        )
        return
    handler.set("goto", target, key)


def _act(handler: Keys, key: ScalarNode, value: Node, notes: Notes, added: list[MappingNode], owner: str) -> None:
    """A handler's action: a policy, a step, a word that logs, or prose that a model is asked to do."""
    text = text_of(value)
    word = (text or "").strip()
    if word in notes.ids or word.lower() in _POLICIES:
        _go(handler, key, scalar(_POLICIES.get(word.lower(), word), value.span), notes)
        return
    if " " not in word and word.lower() not in _LOGGING:
        notes.unsupported(
            value,
            f'`{key.text}`: "{word}" is no step, no policy, and no sentence that a model could follow',
            suggestion=nearest_name(word, [*notes.ids, *FAILURE_POLICIES]),
            hint="name a step that handles the failure",
        )
        return
    name = notes.new_id(identifier(f"{owner}_failed", "step_failed"))
    _go(handler, key, scalar(name, value.span), notes)
    added.append(_handling_step(name, word, value.span))


def _handling_step(name: str, action: str, span: Span) -> MappingNode:
    said = scalar("{{ error.message }}", span)
    failed = scalar("{{ error.step }}", span)
    if action.lower() in _LOGGING:
        text = scalar("{{ error.step }} failed: {{ error.message }}", span)
        does: dict[str, Node] = {"action": scalar(action.lower(), span), "parameters": mapping({"message": text}, span)}
    else:
        does = {"prompt": scalar(action, span), "parameters": mapping({"failed_step": failed, "error": said}, span)}
    return mapping({"id": scalar(name, span), **does}, span)


def _rewrite_switch(keys: Keys, notes: Notes) -> None:
    """`continue_on_error: true` is `on_failure: continue`; false is the default."""
    key, said = keys.key("continue_on_error"), plain(keys.value("continue_on_error"))
    if said is True:
        notes.rename(
            keys, "continue_on_error", "on_failure", scalar("continue", keys.pairs["continue_on_error"][1].span)
        )
        return
    if said is False or said is None:
        shown = keys.text("on_failure") or "fail"
        notes.older(key, "continue_on_error", "on_failure", line("on_failure", shown), "false is the default")
    else:
        notes.unsupported(key, "`continue_on_error` must be true or false", hint="write `on_failure: continue`")
    keys.remove("continue_on_error")
