"""`produces`, `location`, `template` and `requires_model` of the earlier dialect."""

from __future__ import annotations

import re
from collections.abc import Mapping

from orchestrator_dagster.language.nodes import MappingNode, Node, ScalarNode, SequenceNode, plain
from orchestrator_dagster.language.older.notes import Notes
from orchestrator_dagster.language.older.tree import Keys, line, mapping, scalar, text_of

#: Words for formats, without `-file`: as a variable's format, as a product's format.
_FORMATS: dict[str, tuple[str | None, str | None]] = {
    "md": ("markdown", "md"), "markdown": ("markdown", "md"), "json": ("json", "json"), "csv": ("csv", "csv"),
    "txt": (None, "txt"), "text": (None, "txt"), "string": (None, "txt"), "html": (None, "html"),
    "yaml": (None, "yaml"), "yml": (None, "yaml"), "tsv": (None, "tsv"), "jsonl": (None, "jsonl"),
    "parquet": (None, "parquet"), "xlsx": (None, "xlsx"), "excel": (None, "xlsx"), "png": (None, "png"),
    "svg": (None, "svg"),
}  # fmt: skip
_FILE_WORD = re.compile(r"[-_ ]?(file|document|format)\Z")
_BELOW = re.compile(r"\s*\{\{\s*(?:inputs\.|parameters\.)?(?:output_dir|output_path)\s*\}\}/+")
_OWN_PATHS = (
    "path",
    "file_path",
    "output_path",
    "output_file",
    "filename",
    "file",
    "destination",
    "location",
    "target",
)
_LEVELS = {
    "low": "cost", "basic": "cost", "medium": "balanced", "intermediate": "balanced", "high": "performance",
    "very-high": "performance", "expert": "performance", "advanced": "performance",
}  # fmt: skip
_EVERY_MODEL = frozenset("text_generation text chat completion generation generate analysis".split())
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_MODEL_ACTION = re.compile(r"(generate|analy[sz]e|llm|ask_model|text_generation)", re.IGNORECASE)


def rewrite_product(keys: Keys, notes: Notes, folder: str | None, header_id: str) -> None:
    """Make `produces` and `location` a product, or the format of what the step leaves behind.

    Args:
        keys: The step.
        notes: Takes what is said of it.
        folder: The literal output folder of the file, when it declares one.
        header_id: Id of the pipeline.
    """
    if "location" in keys:
        _rewrite_location(keys, notes, folder, header_id)
    elif "produces" in keys:
        _rewrite_format(keys, notes)


def _rewrite_location(keys: Keys, notes: Notes, folder: str | None, header_id: str) -> None:
    key, location = keys.key("location"), keys.text("location")
    if location is None or "products" in keys:
        message = "`location` is a path" if location is None else "`location` and `products` both name a file"
        notes.unsupported(key, message, hint="write `products:` and below it `- name: path`")
        keys.remove("location", "produces")
        return
    if _writes_itself(keys, location):
        why = "the tool writes this file itself (its parameters name the path); no second one is made of its result"
        for name in ("produces", "location"):
            if name in keys:
                notes.no_effect(keys.key(name), f"`{name}`: {why}")
        keys.remove("produces", "location")
        return
    variable = _variable(keys, notes)
    if variable is None:
        notes.unsupported(
            key, "the step has several variables, and `location` does not say which is written", hint="use `products`"
        )
        keys.remove("location", "produces")
        return
    value = keys.pairs["location"][1]
    path, more = _path(location, key, notes, folder)
    spec: dict[str, Node] = {"path": value if path == location else scalar(path, value.span)}
    word = keys.text("produces")
    if word is not None:
        variable_format, product_format = _FORMATS.get(_format_word(word), (None, None))
        if product_format and not re.search(r"\.\w+\s*\Z", path):
            spec["format"] = scalar(product_format, keys.pairs["produces"][1].span)
        if variable_format and "vars" not in keys and asks_a_model(keys):
            _set_vars(keys, variable, variable_format, keys.key("produces"))
    if variable != _own_variable(notes):
        spec["key"] = SequenceNode([scalar(header_id, value.span), scalar(notes.step, value.span)], value.span)
    made: Node = spec["path"] if len(spec) == 1 else mapping(spec, value.span)
    products = mapping({variable: made}, value.span)
    notes.older(key, "location", "products", line("products", products), more)
    if "produces" in keys:
        notes.older(keys.key("produces"), "produces", "products", line("products", products))
        keys.remove("produces")
    keys.replace("location", {"products": products})


def _path(location: str, key: ScalarNode, notes: Notes, folder: str | None) -> tuple[str, str]:
    """A location as a product's path, which is relative to the output folder, and what is to be said about it."""
    below = _BELOW.match(location)
    if below:
        return location[below.end() :], ""
    prefix = (folder or "").strip().removeprefix("./").rstrip("/")
    bare = location.strip().removeprefix("./")
    if prefix and prefix != "." and bare.startswith(f"{prefix}/"):
        return bare[len(prefix) + 1 :], ""
    if not notes.names_folder:
        notes.output_dir.append(key)
        return location, ""
    return location, "it stands below the output folder that the file declares"


def _rewrite_format(keys: Keys, notes: Notes) -> None:
    """`produces` alone: the format that a model is to answer in."""
    key, word = keys.key("produces"), keys.text("produces")
    keys_before = keys.pairs
    keys.remove("produces")
    if word is None:
        notes.unsupported(
            key, "`produces` is the name of a format", hint="write `products:` and below it `- name: path`"
        )
    elif "vars" in keys:
        notes.no_effect(key, "`produces`: the step's `vars` say what it leaves behind")
    elif not asks_a_model(keys):
        notes.no_effect(key, "`produces`: what a tool gives is decided by its parameters")
    else:
        known = _FORMATS.get(_format_word(word), (None, None))
        keys.pairs = keys_before
        made = _set_vars(keys, _own_variable(notes), known[0] or ("" if known[1] == "txt" else word), key)
        notes.older(key, "produces", "vars", line("vars", made))


def _set_vars(keys: Keys, variable: str, said: str, key: ScalarNode) -> Node:
    """Declare the one variable of a step, with its format or with a description."""
    span = keys.pairs[key.text][1].span if key.text in keys else key.span
    spec: Node
    if said in ("markdown", "json", "csv"):
        spec = mapping({"format": scalar(said, span)}, span)
    else:
        spec = scalar(f"What the step is asked for, as {said}" if said else "What the step is asked for", span)
    made = mapping({variable: spec}, span)
    keys.replace(
        "produces", {"produces": keys.pairs["produces"][1], "vars": made} if "location" in keys else {"vars": made}
    )
    return made


def _format_word(word: str) -> str:
    return _FILE_WORD.sub("", word.strip().lower()).lstrip(".")


def _own_variable(notes: Notes) -> str:
    """A step's own name as a variable: the product's key is then `[<pipeline>, <step>]`."""
    return (notes.step or "").replace("-", "_")


def _variable(keys: Keys, notes: Notes) -> str | None:
    """The variable that a step's one product is made from; None when there are several."""
    declared = keys.value("vars")
    names: list[str] = []
    if isinstance(declared, MappingNode):
        names = list(declared.pairs)
    elif isinstance(declared, SequenceNode):
        names = [name for item in declared.items if isinstance(item, MappingNode) for name in item.pairs]
    if len(names) > 1:
        return _own_variable(notes) if _own_variable(notes) in names else None
    return names[0] if names else _own_variable(notes)


def asks_a_model(keys: Keys) -> bool:
    """Whether a step asks a model, as far as its keys tell."""
    if "tool" in keys or "pipeline" in keys or "steps" in keys:
        return False
    parameters = keys.value("parameters")
    if (
        "prompt" in keys
        or "instruction" in keys
        or (isinstance(parameters, MappingNode) and "prompt" in parameters.pairs)
    ):
        return True
    action = (keys.text("action") or "").strip()
    return " " in action or "<AUTO" in action or bool(_MODEL_ACTION.match(action)) or not action


def _writes_itself(keys: Keys, location: str) -> bool:
    """Whether a tool step's own parameters name the file that `location` names."""
    parameters = keys.value("parameters")
    if "tool" not in keys or not isinstance(parameters, MappingNode):
        return False
    said = (text_of(parameters.pairs[name][1]) for name in _OWN_PATHS if name in parameters.pairs)
    return any(path is not None and _as_path(path) == _as_path(location) for path in said)


def _as_path(text: str) -> str:
    return re.sub(r"\s+", "", text).removeprefix("./")


def rewrite_model(keys: Keys, notes: Notes) -> None:
    """`requires-model` is `requires_model`, a model's name in it `model`; `template` is the prompt or a parameter."""
    if "requires-model" in keys:
        notes.rename(keys, "requires-model", "requires_model")
    needs = keys.value("requires_model")
    if needs is not None and not isinstance(needs, MappingNode):
        key, said = keys.key("requires_model"), plain(needs)
        if isinstance(said, (bool, type(None))):
            notes.no_effect(key, f"`{key.text}: {str(said).lower()}` never had an effect: a prompt asks a model")
            keys.remove("requires_model")
        else:
            notes.rename(keys, "requires_model", "model")
    if isinstance(keys.value("requires_model"), MappingNode):
        _rewrite_level(keys, notes)
    if isinstance(keys.value("requires_model"), MappingNode):
        _rewrite_needs(keys, notes)
    if "template" in keys:
        _rewrite_template(keys, notes)
    _rewrite_response_format(keys, notes)
    if schema_of(keys.pairs) is not None:
        _rewrite_schema(keys, notes)


def _rewrite_level(keys: Keys, notes: Notes) -> None:
    """`expertise` as a level says how the schema chooses."""
    needs = keys.value("requires_model")
    assert isinstance(needs, MappingNode)
    said = (text_of(needs.pairs["expertise"][1]) if "expertise" in needs.pairs else None) or ""
    schema = _LEVELS.get(said.strip().lower().replace("_", "-"))
    if schema is None:
        return
    key, value = needs.pairs["expertise"]
    notes.older(
        key, f"expertise: {said}", "selection_schema", line("selection_schema", schema), "it stands at the step"
    )
    pairs = {name: one for name, one in needs.pairs.items() if name != "expertise"}
    if pairs:
        keys.set("requires_model", MappingNode(pairs, needs.span), keys.key("requires_model"))
    else:
        keys.remove("requires_model")
    if "selection_schema" not in keys and "model" not in keys:
        keys.set("selection_schema", scalar(schema, value.span), key)


def _rewrite_needs(keys: Keys, notes: Notes) -> None:
    """Capabilities that every model has are none that a model must have."""
    needs = keys.value("requires_model")
    assert isinstance(needs, MappingNode)
    pair = needs.pairs.get("capabilities")
    said = pair[1].items if pair and isinstance(pair[1], SequenceNode) else []
    left = [one for one in said if (text_of(one) or "").strip().lower().replace("-", "_") not in _EVERY_MODEL]
    if pair is None or len(left) == len(said):
        return
    notes.no_effect(pair[0], "every model generates text: it is no capability that has to be asked for")
    pairs = {name: one for name, one in needs.pairs.items() if name != "capabilities"}
    if left:
        pairs["capabilities"] = (pair[0], SequenceNode(left, pair[1].span))
    if pairs:
        keys.set("requires_model", MappingNode(pairs, needs.span), keys.key("requires_model"))
    else:
        keys.remove("requires_model")


def _rewrite_response_format(keys: Keys, notes: Notes) -> None:
    """`response_format` among the parameters: the shape of the answer, or that it is JSON."""
    parameters = keys.value("parameters")
    if "tool" in keys or not isinstance(parameters, MappingNode) or "response_format" not in parameters.pairs:
        return
    key, value = parameters.pairs["response_format"]
    left = {name: pair for name, pair in parameters.pairs.items() if name != "response_format"}
    inner = value.pairs if isinstance(value, MappingNode) else {}
    word = (text_of(inner["type"][1]) if "type" in inner else text_of(value)) or ""
    schema: Node | None = inner.get("schema", (key, None))[1]
    described = inner.get("json_schema", (key, None))[1]
    if isinstance(described, MappingNode):
        schema = described.pairs.get("schema", (key, described))[1]
    if isinstance(schema, MappingNode):
        left.setdefault("schema", (key, schema))
        notes.older(key, "response_format", "vars", "vars: …", "the schema is the shape of the step's variables")
    elif "vars" in keys or "schema" in left or word.lower() in ("text", "markdown"):
        notes.no_effect(key, "`response_format` has no effect: the step's variables say what it answers")
    elif word.lower() in ("json", "json_object"):
        made = mapping({_own_variable(notes): mapping({"format": scalar("json", value.span)}, value.span)}, value.span)
        notes.older(key, "response_format", "vars", line("vars", made), "it stands beside `parameters`")
        keys.set("vars", made, key)
    else:
        notes.unsupported(key, f"`response_format: {word}` is none that is known", hint="declare `vars`")
    keys.set("parameters", MappingNode(left, parameters.span), keys.key("parameters"))


def schema_of(step: Mapping[str, tuple[ScalarNode, Node]]) -> MappingNode | None:
    """The `schema` among the parameters of a step that asks a model: the shape of its answer."""
    parameters = step["parameters"][1] if "parameters" in step else None
    pair = parameters.pairs.get("schema") if isinstance(parameters, MappingNode) else None
    return pair[1] if pair and "tool" not in step and isinstance(pair[1], MappingNode) else None


def _rewrite_schema(keys: Keys, notes: Notes) -> None:
    """`parameters: {schema: {properties: {a: …}}}` is `vars: [a: …]`; a map of names and types means the same."""
    schema, parameters = schema_of(keys.pairs), keys.value("parameters")
    assert schema is not None
    assert isinstance(parameters, MappingNode)
    fields = schema.pairs["properties"][1] if "properties" in schema.pairs else schema
    if "vars" in keys or not isinstance(fields, MappingNode) or (fields is schema and "type" in schema.pairs):
        return
    if not fields.pairs or not all(_NAME.match(name) for name in fields.pairs):
        return
    made: dict[str, Node] = {}
    alone = len(fields.pairs) == 1 and _own_variable(notes) not in fields.pairs
    # One variable would be the step's value, and no object; a variable cannot be left out, as a property can.
    if fields is not schema and (alone or _may_lack(schema, fields)):
        key = parameters.pairs["schema"][0]
        left = {name: pair for name, pair in parameters.pairs.items() if name != "schema"}
        variables = mapping({_own_variable(notes): mapping({"schema": schema}, schema.span)}, schema.span)
        notes.older(key, "schema", "vars", line("vars", variables), "it stands beside `parameters`")
        keys.set("parameters", MappingNode(left, parameters.span), keys.key("parameters"))
        keys.set("vars", variables, key)
        return
    for name, (_, said) in fields.pairs.items():
        made[name] = mapping({"schema": said} if isinstance(said, MappingNode) else {"type": said}, said.span)
    key = parameters.pairs["schema"][0]
    variables = mapping(made, schema.span, {name: pair[0] for name, pair in fields.pairs.items()})
    notes.older(key, "schema", "vars", line("vars", variables), "it stands beside `parameters`")
    left = {name: pair for name, pair in parameters.pairs.items() if name != "schema"}
    keys.set("parameters", MappingNode(left, parameters.span), keys.key("parameters"))
    keys.set("vars", variables, key)


def _may_lack(schema: MappingNode, fields: MappingNode) -> bool:
    """Whether a schema says of some of its properties only that they are required."""
    said = plain(schema.pairs["required"][1]) if "required" in schema.pairs else None
    return isinstance(said, list) and not all(name in said for name in fields.pairs)


def _rewrite_template(keys: Keys, notes: Notes) -> None:
    key, value = keys.key("template"), keys.pairs["template"][1]
    if "tool" not in keys:
        if "prompt" in keys or "instruction" in keys:
            notes.unsupported(key, "`template` and a prompt both say what a model is asked", hint="keep one of the two")
            keys.remove("template")
        else:
            notes.rename(keys, "template", "prompt")
        return
    parameters = keys.value("parameters")
    pairs = parameters.pairs if isinstance(parameters, MappingNode) else {}
    if "template" in pairs and plain(pairs["template"][1]) != plain(value):
        notes.unsupported(
            key, "`template` stands here and in `parameters`, with another value", hint="keep one of the two"
        )
    else:
        notes.older(key, "template", "parameters.template", line("parameters", {"template": plain(value)}))
        keys.set(
            "parameters",
            MappingNode({**pairs, "template": (key, value)}, parameters.span if parameters else key.span),
            key,
        )
    keys.remove("template")
