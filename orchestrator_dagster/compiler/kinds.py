"""What a step does: it calls a tool, asks a model, or is one of the few built-in actions. Exactly one of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from orchestrator_dagster.compiler.builtin_actions import BUILTIN_ACTIONS, says_what
from orchestrator_dagster.compiler.compiled import StepKind
from orchestrator_dagster.compiler.loops import is_loop, later
from orchestrator_dagster.compiler.support import LATER_TOOLS
from orchestrator_dagster.compiler.tool_shapes import ToolShapes
from orchestrator_dagster.errors import UnknownToolError
from orchestrator_dagster.frozen import thaw
from orchestrator_dagster.language.base import has_template
from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.read import Reading
from orchestrator_dagster.language.step import Step
from orchestrator_dagster.text import nearest_name

#: Bare actions that ask a model, with every older spelling.
MODEL_ACTIONS = frozenset(
    [
        "generate",
        "generate_text",
        "text_generation",
        "llm_generate",
        "llm_call",
        "llm",
        "ask_model",
        "analyze_text",
        "analyze",
        "generate_structured",
    ]
)
#: Keys of `parameters` that are settings of the model and no data, in an older spelling of model steps.
MODEL_SETTINGS = (
    "model", "temperature", "max_tokens", "response_format", "system_prompt", "schema", "top_p", "stop", "seed",
)  # fmt: skip
#: Keys of a step that only a model step has a use for.
MODEL_KEYS = (
    "tools", "model", "expert", "selection_schema", "requires_model", "personality", "temperature", "max_tokens",
    "max_tool_calls", "repair", "cache",
)  # fmt: skip

#: Those of them that have no use in a step whose tool asks a model: it decides by itself what it calls.
_OFFERS = ("tools", "max_tool_calls")
#: Keys without a use in a step that asks no model, and has none inside.
_ASKING = (*MODEL_KEYS, "budget")

Place = tuple[str | int, ...]


@dataclass
class Work:
    """What a step does. ``instruction_place`` is where the prompt stands, relative to the step.

    ``literals`` are parameters that are not rendered, such as the text of a pipeline.
    """

    kind: StepKind
    tool: str | None = None
    action: str | None = None
    instruction: str | None = None
    instruction_place: Place = ("prompt",)
    parameters: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    shape: Any = None
    literals: dict[str, Any] = field(default_factory=dict)

    @property
    def asks(self) -> bool:
        """Whether it asks a model: by itself, or through its tool."""
        return self.kind == "model" or bool(self.shape is not None and self.shape.uses_models)


def work_of(step: Step, place: Place, tools: ToolShapes, reading: Reading) -> Work | None:
    """Find out what a step does; None when it does nothing that can be understood (then the problem is noted)."""
    document, problems = reading.document, reading.problems
    if reading.lost(place, "tool", "action", "prompt", "instruction", "pipeline", "parameters"):
        return None  # what it does is what was wrong
    parameters = thaw(step.parameters)
    claims = [key for key in ("tool", "prompt", "pipeline", "steps") if getattr(step, key)]
    if step.action and claims and claims[0] in ("pipeline", "steps"):
        claims.append("action")
    if len(claims) > 1:
        problems.add(
            "step-kind",
            f'step "{step.id}" has `{claims[0]}` and `{claims[1]}`: a step does one thing',
            later(document, place, claims[0], claims[1]),
            step=step.id,
            hint=f"remove one of them, or make two steps{_tools_hint(claims)}",
        )
        return None
    if step.inputs and not step.pipeline:
        problems.add(
            "unused-key",
            f'step "{step.id}" has `inputs`, which are those of a `pipeline` that it runs',
            document.key_span((*place, "inputs")),
            step=step.id,
            hint="add `pipeline`, or write them as `parameters`",
        )
    if step.steps:
        return _body_work(step, parameters, place, document, problems)
    if step.pipeline:
        return _pipeline_work(step, parameters, place, document, problems)
    if step.tool:
        return _tool_work(step, step.tool, parameters, place, tools, document, problems)
    if step.prompt is not None:
        written = document.spelling((*place, "prompt"))
        if step.action and _word(step.action) not in MODEL_ACTIONS:
            problems.add(
                "step-kind",
                f'step "{step.id}" has `{written}` and the action "{step.action}": a step does one thing',
                document.key_span((*place, "action")),
                step=step.id,
                hint="remove `action`: a step with a prompt asks a model",
            )
        if not step.prompt.strip():
            problems.add(
                "step-kind",
                f'step "{step.id}": `{written}` is empty',
                document.span((*place, "prompt")),
                step=step.id,
                hint="write what the model is asked",
            )
            return None
        return _model_work(step, step.prompt, ("prompt",), parameters)
    if step.action:
        return _bare_action(step, step.action, parameters, place, tools, document, problems)
    if isinstance(parameters.get("prompt"), str):
        prompt = parameters.pop("prompt")
        return _model_work(step, prompt, ("parameters", "prompt"), parameters)
    asked = [key for key in (*MODEL_KEYS, "vars") if getattr(step, key) not in (None, (), {})]
    if step.description and asked:
        return _model_work(step, step.description, ("description",), parameters)
    if reading.lost(place, *MODEL_KEYS, "vars", "description", "for_each", "steps"):
        return None
    problems.add(
        "step-kind",
        f'step "{step.id}" says nothing to do',
        document.key_span((*place, "id")),
        step=step.id,
        hint="give it a `tool`, a `prompt` for a model, or `steps`; a description alone is for people"
        if is_loop(step)
        else "give it a `tool`, or a `prompt` for a model; a description alone is for people",
    )
    return None


def _body_work(
    step: Step, parameters: dict[str, Any], place: Place, document: Document, problems: Problems
) -> Work | None:
    """A loop around further steps."""
    if not is_loop(step):
        problems.add(
            "step-kind",
            f'step "{step.id}" has `steps`, and nothing says how they are repeated',
            document.key_span((*place, "steps")),
            step=step.id,
            hint="add `for_each`, `while` or `until`; steps that run once stand beside each other",
        )
        return None
    _no_model_keys(step, "repeats steps", place, document, problems)
    _no_parameters(step, parameters, place, document, problems)
    return Work("loop", instruction_place=("steps",))


def _pipeline_work(
    step: Step, parameters: dict[str, Any], place: Place, document: Document, problems: Problems
) -> Work | None:
    """A step that runs another pipeline."""
    if has_template(step.pipeline) or "\n" in (step.pipeline or "").strip():
        is_text = "\n" in (step.pipeline or "").strip()
        problems.add(
            "include-missing",
            f'step "{step.id}": the pipeline must be the name of a file, not {"its text" if is_text else "a template"}',
            document.span((*place, "pipeline")),
            step=step.id,
            hint="the tool `pipeline_executor` runs one that is written here: `parameters: {pipeline: …, inputs: …}`"
            if is_text
            else "write `pipeline: other.yaml`; which of several runs is decided by conditions",
        )
        return None
    _no_model_keys(step, "runs a pipeline", place, document, problems)
    _no_parameters(step, parameters, place, document, problems)
    return Work("pipeline", instruction_place=("pipeline",), parameters=thaw(step.inputs))


def _no_parameters(
    step: Step, parameters: dict[str, Any], place: Place, document: Document, problems: Problems
) -> None:
    if parameters:
        does = "repeats steps, which have their own" if step.steps else "runs a pipeline, whose values are its `inputs`"
        problems.add(
            "unused-key",
            f'step "{step.id}" has `parameters`, and it {does}',
            document.key_span((*place, "parameters")),
            step=step.id,
            hint="move them to the steps inside" if step.steps else "write them as `inputs`",
        )


def _tools_hint(claims: list[str]) -> str:
    return "; a model that may call tools has `prompt` and `tools: [name]`" if claims == ["tool", "prompt"] else ""


def _word(action: str) -> str:
    return action.strip().lower().replace("-", "_")


def _model_work(step: Step, instruction: str, where: Place, parameters: dict[str, Any]) -> Work:
    settings = {name: parameters.pop(name) for name in MODEL_SETTINGS if name in parameters}
    return Work("model", None, None, instruction, where, parameters, settings)


def _bare_action(
    step: Step,
    action: str,
    parameters: dict[str, Any],
    place: Place,
    tools: ToolShapes,
    document: Document,
    problems: Problems,
) -> Work | None:
    """An `action` without `tool`."""
    word = _word(action)
    if word in MODEL_ACTIONS:
        for key in ("prompt", "instruction", "text_prompt"):
            if isinstance(parameters.get(key), str):
                return _model_work(step, parameters.pop(key), ("parameters", key), parameters)
        if word.startswith("analyze"):
            wanted = parameters.pop("analysis_type", None)
            kind = f"an analysis of the kind {wanted}" if wanted else "an analysis"
            return _model_work(step, f"Give {kind} of the text below.", ("parameters", "analysis_type"), parameters)
        if step.description:
            return _model_work(step, step.description, ("description",), parameters)
        problems.add(
            "step-kind",
            f'step "{step.id}" asks a model nothing',
            document.key_span((*place, "action")),
            step=step.id,
            hint="give it a `prompt`",
        )
        return None
    first = word.split(None, 1)[0] if word else ""
    if word in BUILTIN_ACTIONS or first == "echo":
        message = action.strip()[len("echo") :].strip() if first == "echo" and word != "echo" else None
        if message:
            parameters = {"message": message, **parameters}
        _no_model_keys(step, f"does `{first}`", place, document, problems, _ASKING)
        if not says_what(step, first, parameters, place, document, problems):
            return None
        return Work("builtin", None, first, None, ("action",), parameters)
    if word in LATER_TOOLS or word in {name.replace("-", "_") for name in tools.names()}:
        return _tool_work(step, word, parameters, place, tools, document, problems, bare=True)
    if " " in action.strip():
        return _model_work(step, action, ("action",), parameters)
    known = [*MODEL_ACTIONS, *BUILTIN_ACTIONS, *tools.names()]
    problems.add(
        "unknown-action",
        f'step "{step.id}" names the action "{action}", which is neither a known action nor a tool',
        document.span((*place, "action")),
        step=step.id,
        suggestion=nearest_name(action, known),
        hint="a model step has a `prompt`; a tool step has a `tool`",
    )
    return None


def _no_model_keys(
    step: Step, does: str, place: Place, document: Document, problems: Problems, keys: tuple[str, ...] = MODEL_KEYS
) -> None:
    """Note settings of a model in a step that asks none."""
    for key in keys:
        if getattr(step, key) not in (None, (), {}):
            problems.add(
                "unused-key",
                f'step "{step.id}" {does}, and `{key}` is a setting of model steps',
                document.key_span((*place, key)),
                step=step.id,
                hint="remove it; a model that may call tools has `prompt` and `tools: [name]`",
            )


def _tool_work(
    step: Step,
    name: str,
    parameters: dict[str, Any],
    place: Place,
    tools: ToolShapes,
    document: Document,
    problems: Problems,
    bare: bool = False,
) -> Work | None:
    span = document.span((*place, "action" if bare else "tool"))
    if has_template(name):
        problems.add("unknown-tool", f'step "{step.id}": the tool must be a name, not a template', span, step=step.id)
        return None
    if step.action and has_template(step.action):
        where = document.span((*place, "action"))
        message = f'step "{step.id}": the action must be a name, not a template'
        problems.add("unknown-action", message, where, step=step.id, hint="name the operation")
        return None
    try:
        tool = tools.find(name)
    except UnknownToolError:
        if _word(name) in LATER_TOOLS:
            problems.add(
                "not-supported",
                f'step "{step.id}": the tool "{name}" is not part of this release',
                span,
                severity="warning",
                step=step.id,
                hint="a run is refused while it stands here; a tool of this name in `tools.py` is used instead",
            )
            return Work("tool", _word(name), step.action, None, ("tool",), parameters)
        problems.add(
            "unknown-tool",
            f'step "{step.id}" names the tool "{name}"',
            span,
            step=step.id,
            suggestion=nearest_name(name, tools.names()),
            hint="`orchestrator tools` lists them",
        )
        return None
    action = None if bare else step.action
    if action is None or _word(action) in ("execute", tool.name) or " " in action.strip():
        own = _word(action) if action and _word(action) in tool.action_names() else None
        for key in ("action", "operation", "mode"):
            if own is None and isinstance(parameters.get(key), str) and _word(parameters[key]) in tool.action_names():
                own = parameters.pop(key)
        action = own
    try:
        shape = tool.find(action)
    except UnknownToolError as error:
        problems.add(
            "unknown-action",
            f'step "{step.id}": the tool "{tool.name}" has no action "{action}"'
            if action
            else f'step "{step.id}": {error.message}',
            document.span((*place, "action")) if step.action else span,
            step=step.id,
            suggestion=nearest_name(action or "", tool.action_names()),
            hint=error.hint,
        )
        return None
    if action is None and _wrong_operation(step, tool, shape, parameters, place, document, problems):
        return None
    _no_model_keys(step, "calls a tool", place, document, problems, _OFFERS if shape.uses_models else _ASKING)
    literals = {name: parameters.pop(name) for name in _plain(shape, parameters)}
    return Work("tool", tool.name, shape.name, None, ("tool",), parameters, {}, shape, literals)


def _plain(shape: Any, parameters: dict[str, Any]) -> list[str]:
    """The parameters that hold a document of its own, whose templates are not this pipeline's."""
    names = {name for field in shape.plain for name in shape.names_of(field)}
    return [
        name
        for name, value in parameters.items()
        if name in names and (isinstance(value, dict) or (isinstance(value, str) and "\n" in value.strip()))
    ]


def _wrong_operation(
    step: Step, tool: Any, shape: Any, parameters: dict[str, Any], place: Place, document: Document, problems: Problems
) -> bool:
    """Whether a parameter names an operation that the tool does not have."""
    for key in ("action", "operation", "mode"):
        value = parameters.get(key)
        if isinstance(value, str) and not has_template(value) and key not in shape.parameters.model_fields:
            near = nearest_name(value, tool.action_names())
            problems.add(
                "unknown-action",
                f'step "{step.id}": the tool "{tool.name}" has no action "{value}"',
                document.span((*place, "parameters", key)),
                step=step.id,
                suggestion=near,
                hint=None if near else f"choose one of {', '.join(tool.action_names())}",
            )
            return True
    return False
