"""Retries of the earlier dialect: attempts become retries, its maps become today's map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator_dagster.language.nodes import MappingNode, Node, ScalarNode, plain
from orchestrator_dagster.language.older.notes import Notes
from orchestrator_dagster.language.older.products import asks_a_model
from orchestrator_dagster.language.older.tree import Keys, line, mapping, same, scalar

#: Keys that say how often a step is tried.
KEYS = ("max_retries", "retry", "retry_config")
_ATTEMPTS = ("attempts", "max_attempts", "max_retries", "count")
_DELAYS = ("delay", "initial_delay", "retry_delay")
_FACTORS = ("backoff_factor", "backoff_multiplier", "multiplier")
_BACKOFFS = {"fixed": "constant", "none": "constant"}
#: What the policy `retry` means, and so a map that does not say how often.
USUAL_RETRIES = 2


@dataclass
class _Found:
    """What one older key says: today's values by their names, and the key it stands under."""

    key: ScalarNode
    parts: dict[str, Node]


def take_from_parameters(keys: Keys, notes: Notes) -> None:
    """`max_retries` and `timeout` beside the prompt among a model step's parameters are the step's own."""
    parameters = keys.value("parameters")
    if not isinstance(parameters, MappingNode) or not asks_a_model(keys) or "prompt" in keys or "instruction" in keys:
        return
    for name in ("max_retries", "timeout"):
        if name not in parameters.pairs:
            continue
        key, value = parameters.pairs[name]
        parameters = MappingNode(
            {other: pair for other, pair in parameters.pairs.items() if other != name}, parameters.span
        )
        keys.set("parameters", parameters, keys.key("parameters"))
        if name in keys and not same(keys.value(name), value):
            notes.unsupported(
                key, f"`{name}` stands here and at the step, with another value", hint="keep one of the two"
            )
        elif name in keys or name == "timeout":
            notes.older(key, f"parameters.{name}", name, line(name, value), "it stands beside `parameters`")
        if name not in keys:
            keys.set(name, value, key)


def rewrite_retries(keys: Keys, notes: Notes) -> None:
    """Make `max_retries`, `retry` and `retry_config` one `retries`."""
    if "retry_delay" in keys:
        _take_delay(keys, notes)
    found = []
    for name in KEYS:
        value = keys.value(name)
        if value is not None:
            parts = (
                _from_map(value, notes)
                if isinstance(value, MappingNode)
                else _from_number(keys.key(name), value, notes)
            )
            if parts is None:
                keys.remove(name)
            else:
                found.append(_Found(keys.key(name), parts))
    if not found:
        return
    first = found[0]
    together = dict(first.parts)
    for other in found[1:]:
        for name, node in other.parts.items():
            if name in together and not same(together[name], node):
                notes.unsupported(
                    other.key,
                    f"`{other.key.text}` and `{first.key.text}` say different things about `{name}`",
                    hint="keep one of the two",
                )
            together.setdefault(name, node)
    value = _today(together, first)
    names = [name for name in KEYS if name in keys]
    stands = keys.value("retries")
    if stands is not None:
        if not same(stands, value):
            notes.unsupported(
                first.key,
                f"`{first.key.text}` is an older spelling of `retries`, which stands here too with another value",
                hint="keep `retries`; it counts what comes after the first attempt",
            )
        else:
            notes.older(first.key, first.key.text, "retries", line("retries", stands))
        keys.remove(*names)
        return
    for one in found:
        more = "" if "max" not in one.parts else _counted(one.parts["max"])
        notes.older(one.key, one.key.text, "retries", line("retries", value), more)
    keys.replace(names[0], {"retries": value})
    keys.remove(*names[1:])


def _take_delay(keys: Keys, notes: Notes) -> None:
    """`retry_delay` beside a number of attempts is the delay between them."""
    key, delay = keys.key("retry_delay"), keys.value("retry_delay")
    assert delay is not None
    name = next((one for one in (*KEYS, "retries") if isinstance(keys.value(one), ScalarNode)), None)
    keys.remove("retry_delay")
    if name is None and asks_a_model(keys):  # which is tried again also where nothing says so
        today = mapping({"max": scalar(USUAL_RETRIES, delay.span), "delay": delay}, delay.span)
        notes.older(key, "retry_delay", "retries.delay", line("retries", today))
        keys.set("retries", today, key)
        return
    if name is None:
        notes.no_effect(key, "`retry_delay` has no effect: the step is not tried again")
        return
    number = keys.value(name)
    assert number is not None
    count = "max" if name == "retries" else "attempts"
    notes.older(key, "retry_delay", "retries.delay", line("retries", {"max": "…", "delay": plain(delay)}))
    keys.set(name, mapping({count: number, "delay": delay}, number.span), keys.key(name))


def _counted(node: Node) -> str:
    number = plain(node)
    retries = "1 retry" if number == 1 else f"{number} retries"
    return f"it bounds the attempts, and {number + 1} of them are {retries}" if number else "one attempt is no retry"


def _today(parts: Mapping[str, Node], found: _Found) -> Node:
    span = next(iter(parts.values())).span if parts else found.key.span
    most = parts.get("max") or scalar(USUAL_RETRIES, span)
    if set(parts) <= {"max"}:
        return most
    rest = {name: parts[name] for name in ("delay", "backoff", "jitter") if name in parts}
    return mapping({"max": most, **rest}, span)


def _from_number(key: ScalarNode, value: Node, notes: Notes) -> dict[str, Node] | None:
    number = plain(value)
    if number is True:
        return {"max": scalar(USUAL_RETRIES, value.span)}
    if number is False or number is None:
        return {"max": scalar(0, value.span)}
    if not isinstance(number, int) or number < 0:
        notes.unsupported(
            value,
            f"`{key.text}` must be a number of attempts that is known before the run",
            hint="write a number, for example `retries: 2`",
        )
        return None
    return {"max": scalar(retries_of(number), value.span)}


def retries_of(attempts: int) -> int:
    """How often a step is tried again that is tried ``attempts`` times."""
    return max(attempts - 1, 0)


def _from_map(value: MappingNode, notes: Notes) -> dict[str, Node] | None:
    parts: dict[str, Node] = {}
    for name, (key, item) in value.pairs.items():
        if name in _ATTEMPTS:
            parts.update(_from_number(key, item, notes) or {})
        elif name == "max":
            parts["max"] = item
        elif name in _DELAYS:
            parts["delay"] = item
        elif name == "jitter":
            _jitter(item, parts)
        elif name in ("backoff", "backoff_strategy", *_FACTORS):
            _backoff(key, item, parts, notes)
        elif name == "exponential_backoff" and isinstance(plain(item), bool):
            parts["backoff"] = scalar("exponential" if plain(item) else "constant", item.span)
        else:
            notes.unsupported(
                key, f"retries have no `{name}`", hint="they have `max`, `delay`, `backoff` and `jitter`; remove it"
            )
    return parts


def _backoff(key: ScalarNode, item: Node, parts: dict[str, Node], notes: Notes) -> None:
    """A word says how the pause grows; a factor says it too, as far as today's words can."""
    said = plain(item)
    if isinstance(said, bool) or not isinstance(said, (int, float)):
        word = str(said).lower()
        parts["backoff"] = scalar(_BACKOFFS.get(word, word), item.span) if word in _BACKOFFS else item
        return
    grows = said > 1
    parts["backoff"] = scalar("exponential" if grows else "constant", item.span)
    if grows and said != 2:
        notes.older(
            key, f"{key.text}: {said}", "backoff: exponential", "backoff: exponential", "the pause doubles each time"
        )


def _jitter(item: Node, parts: dict[str, Node]) -> None:
    """`jitter: true` is a pause spread over all of its length; false is the default."""
    said = plain(item)
    if said is True:
        parts["jitter"] = scalar("full", item.span)
    elif said is not False:
        parts["jitter"] = item
