"""What a tool is: a name, a summary and actions, each a plain function whose signature is its schema.

Example:
    >>> from typing import Annotated
    >>> from pydantic import Field
    >>> counter = Tool("word-counter", summary="Counts words.")
    >>> @counter.action(default=True)
    ... def count(context: ToolContext, text: Annotated[str, Field(description="Text to count in.")]) -> dict:
    ...     \"\"\"Count the words of a text.\"\"\"
    ...     return {"words": len(text.split())}
    >>> sorted(counter.actions)
    ['count']
"""

from __future__ import annotations

import functools
import importlib
import inspect
import threading
import typing
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model

from orchestrator_dagster.errors import (
    MissingExtraError,
    ParametersError,
    StepError,
    ToolError,
    UnknownToolError,
)
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.text import nearest
from orchestrator_dagster.tools.coroutines import run_coroutine
from orchestrator_dagster.tools.model_access import ModelAccess
from orchestrator_dagster.tools.people_access import PeopleAccess
from orchestrator_dagster.tools.pipeline_access import PipelineAccess
from orchestrator_dagster.tools.settings import ToolSettings

Function = TypeVar("Function", bound=Callable[..., Any])


def tool_name(name: str) -> str:
    """The name under which a tool is registered: ``-`` and ``_`` are alike, ``_`` is ours.

    >>> tool_name("Data-Processing")
    'data_processing'
    """
    return name.strip().lower().replace("-", "_")


def require(module: str, extra: str, tool: str) -> ModuleType:
    """Import an optional dependency of a tool.

    Args:
        module: What to import, for example ``openpyxl``.
        extra: The extra of this package that brings it, for example ``excel``.
        tool: The tool that needs it, for the message.

    Raises:
        MissingExtraError: It is not installed; the hint has the command that installs it.
        ToolError: It is installed and cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and module.split(".")[0] == error.name.split(".")[0]:
            raise MissingExtraError(
                f'the tool "{tool_name(tool)}" needs the package "{error.name}", which is not installed',
                hint=f"pip install 'orchestrator-dagster[{extra}]'",
            ) from None
        raise _broken(module, tool, error) from error
    except Exception as error:  # a package that is installed wrongly raises anything
        raise _broken(module, tool, error) from error


def _broken(module: str, tool: str, error: Exception) -> ToolError:
    return ToolError(
        f'the tool "{tool_name(tool)}" needs "{module}", which is installed but cannot be imported: '
        f"{type(error).__name__}: {error}",
        permanent=True,
    )


@dataclass(frozen=True)
class ToolContext:
    """What a tool may use besides its parameters.

    Args:
        workspace: The files it may touch; every path goes through it.
        timeout: Seconds it may take, None without limit.
        folders: Where included files (templates, schemas) are looked up, in order: the pipeline file's folder, then
            the workspace root.
        log: Called with one line for the run's log.
        interrupted: Whether the run wants its steps to stop. A tool that works in rounds may look at it.
        settings: What the project allows its tools.
        models: The run's models, for actions that say that they use them; None for others.
        pipelines: Runs pipelines inside the step, for actions that are ``in_run``; None for others.
        people: Asks people, for the same actions.
    """

    workspace: Workspace
    timeout: float | None = None
    folders: tuple[str, ...] = ()
    log: Callable[[str], None] = lambda line: None
    interrupted: Callable[[], bool] = lambda: False
    models: ModelAccess | None = None
    pipelines: PipelineAccess | None = None
    people: PeopleAccess | None = None
    settings: ToolSettings = field(default_factory=ToolSettings)


@dataclass(frozen=True)
class Action:
    """One operation of a tool: ``function(context, **parameters) -> result``.

    ``further_for`` names the parameter that further ones (``**values``) belong to: without it they are unknown ones.
    One that ``uses_models`` is lent them as ``context.models``; the step may then name a model and its settings. It is
    called in the run's own process also with a timeout, which bounds its model calls. So is one that is ``in_run``: it
    runs pipelines or asks people, and sees to the timeout itself. ``plain`` are parameters whose maps, and texts of
    several lines, are not rendered: templates in them are not the step's.
    One that ``reads_only`` changes nothing, so a model's calls of it may run at the same time. ``operations`` are what
    its parameter of that name is a list of, each with parameters of its own.
    """

    tool: str
    name: str
    function: Callable[..., Any]
    aliases: tuple[str, ...] = ()
    further_for: str | None = None
    reads_only: bool = False
    uses_models: bool = False
    in_run: bool = False
    plain: tuple[str, ...] = ()
    operations: tuple[Action, ...] = ()

    @property
    def stays(self) -> bool:
        """Whether it is called in the run's own process also with a timeout, because it works through the run."""
        return self.uses_models or self.in_run

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @property
    def is_async(self) -> bool:
        """Whether the function is a coroutine function, which can be cancelled where it awaits."""
        return inspect.iscoroutinefunction(inspect.unwrap(self.function))

    @functools.cached_property
    def parameters(self) -> type[BaseModel]:
        """The Pydantic model of the parameters, made from the signature (all but ``context``)."""
        hints = typing.get_type_hints(self.function, include_extras=True)
        fields: dict[str, Any] = {}
        extra: typing.Literal["allow", "forbid"] = "forbid"
        for parameter in list(inspect.signature(self.function).parameters.values())[1:]:
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                extra = "allow"
                continue
            default = ... if parameter.default is inspect.Parameter.empty else parameter.default
            fields[parameter.name] = (_without_implicit_none(hints.get(parameter.name, Any)), default)
        title = f"{self.tool}_{self.name}_parameters"
        config = ConfigDict(extra=extra, arbitrary_types_allowed=True, protected_namespaces=())
        with warnings.catch_warnings():
            # A parameter may be called `schema` or `copy`: the model's methods of that name are not used.
            warnings.filterwarnings("ignore", message="Field name .* shadows an attribute", category=UserWarning)
            return create_model(title, __config__=config, **fields)

    def names_of(self, field: str) -> tuple[str, ...]:
        """Every name that a parameter may be given under: its own first, then its other ones."""
        info = self.parameters.model_fields.get(field)
        alias = info.validation_alias if info is not None else None
        others = [one for one in alias.choices if isinstance(one, str)] if isinstance(alias, AliasChoices) else []
        return tuple(dict.fromkeys([field, *others]))

    @functools.cached_property
    def result(self) -> TypeAdapter[Any]:
        """The type of the result, made from the return annotation."""
        return TypeAdapter(typing.get_type_hints(self.function, include_extras=True).get("return", Any))

    def call(self, context: ToolContext, parameters: Mapping[str, Any]) -> Any:
        """Check the parameters, run the function (a coroutine is awaited) and give its result as plain values.

        Raises:
            ParametersError: A parameter is missing, unknown or of a wrong type; all of them are named.
            StepTimeoutError: A coroutine took longer than the context's timeout.
            StepInterruptedError: The run was stopped while a coroutine was awaited.
            StepError: What the tool raised; anything else it raises becomes a :class:`ToolError`.
        """
        checked = self.check(parameters)
        try:
            result = self.function(context, **checked)
            if inspect.isawaitable(result):
                result = run_coroutine(f"{self.tool}.{self.name}", result, context.timeout, context.interrupted)
        except StepError:
            raise
        except Exception as error:
            raise ToolError(f"{self.tool}.{self.name} failed: {type(error).__name__}: {error}") from error
        except BaseException as error:
            # What stops a process is the end of this step only, unless it is the run that is stopped: then steps see
            # `interrupted`, and where they run in the main thread the interrupt itself arrives here.
            in_main = threading.current_thread() is threading.main_thread()
            if context.interrupted() or (in_main and not isinstance(error, SystemExit)):
                raise
            said = f": {error}" if str(error) else ""
            raise ToolError(f"{self.tool}.{self.name} wanted to stop the run: {type(error).__name__}{said}") from error
        if isinstance(result, BaseModel):
            return result.model_dump(mode="python")
        return result

    def check(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters as the function takes them.

        Raises:
            ParametersError: With every problem in one message.
        """
        try:
            checked = self.parameters.model_validate(dict(parameters))
        except ValidationError as error:
            problems = [parameter_problem(self, item) for item in error.errors(include_url=False)]
            raise ParametersError(
                f"{self.tool}.{self.name}: " + "; ".join(problems),
                hint=f"see `orchestrator tools {self.tool}` for its parameters",
            ) from None
        values = {name: getattr(checked, name) for name in type(checked).model_fields}
        unknown = [] if self.takes_further(values) else list(checked.model_extra or {})
        if unknown:
            known = type(checked).model_fields
            said = "; ".join(f'there is no parameter "{name}"{nearest(name, known)}' for name in unknown)
            raise ParametersError(
                f"{self.tool}.{self.name}: {said}", hint=f"further parameters are for `{self.further_for}`: name one"
            )
        return {**values, **(checked.model_extra or {})}

    def takes_further(self, parameters: Mapping[str, Any]) -> bool:
        """Whether parameters that the signature does not name are taken beside these."""
        if self.parameters.model_config.get("extra") != "allow":
            return False
        return self.further_for is None or parameters.get(self.further_for) is not None


def _without_implicit_none(hint: Any) -> Any:
    """The annotation as it was written: before Python 3.11, a default of None puts ``Optional[…]`` around it.

    Pydantic would lose the ``Field`` of ``Annotated[str | None, Field(…)]`` then: its aliases and its description.
    """
    first = next(iter(typing.get_args(hint)), None)
    if hint == typing.Optional[first] and typing.get_origin(first) is typing.Annotated:  # noqa: UP045 - as made there
        inner = typing.get_args(first)[0]
        return first if inner is Any or type(None) in typing.get_args(inner) else hint
    return hint


def parameter_problem(action: Action, error: Mapping[str, Any]) -> str:
    """One Pydantic error of ``action.parameters`` as a sentence, with the nearest name for an unknown parameter."""
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f'there is no parameter "{place}"{nearest(place, action.parameters.model_fields)}'
    if error["type"] == "missing":
        return f'the parameter "{place}" is missing'
    return f'"{place}": {str(error["msg"]).removeprefix("Value error, ")}'


@dataclass
class Tool:
    """A named set of actions.

    Args:
        name: As users write it; ``-`` and ``_`` are alike.
        summary: One sentence for lists and for models.
        model_may_call: Whether a model may be offered this tool without the resource allowing it by name. False for
            tools that run code or commands.
        uses_models: Whether its actions ask models, unless one says otherwise.
    """

    name: str
    summary: str = ""
    model_may_call: bool = True
    uses_models: bool = False
    actions: dict[str, Action] = field(default_factory=dict)
    default_action: str | None = None

    def __post_init__(self) -> None:
        self.name = tool_name(self.name)

    def action(
        self,
        name: str | None = None,
        *,
        aliases: tuple[str, ...] = (),
        default: bool = False,
        further_for: str | None = None,
        uses_models: bool | None = None,
        in_run: bool = False,
        plain: tuple[str, ...] = (),
        reads_only: bool = False,
        operations: Mapping[str, Callable[..., Any]] | None = None,
    ) -> Callable[[Function], Function]:
        """Decorator: make the function an action of this tool.

        Args:
            name: The action's name, default the function's.
            aliases: Further names that are accepted.
            default: Whether a step that names no action gets this one.
            further_for: The parameter that ``**values`` of the function are for; without it they are refused.
            uses_models: Whether it asks models through ``context.models``, default as the tool says.
            in_run: Whether it works through the run: it runs pipelines, or asks people.
            plain: Parameters whose maps and texts of several lines are not rendered.
            reads_only: Whether it changes nothing: a model's calls of such actions run at the same time.
            operations: By name, what its parameter ``operations`` is a list of.
        """

        def register(function: Function) -> Function:
            action = Action(
                self.name,
                name or function.__name__,
                function,
                aliases,
                further_for,
                reads_only=reads_only,
                uses_models=self.uses_models if uses_models is None else uses_models,
                in_run=in_run,
                plain=plain,
                operations=tuple(Action(self.name, *one) for one in (operations or {}).items()),
            )
            self.actions[action.name] = action
            if default:
                self.default_action = action.name
            return function

        return register

    def prepare(self, context: ToolContext) -> None:
        """Find out what only the running tool knows of its actions; called before they are offered to a model.

        Raises:
            StepError: It cannot be found out.
        """

    def find(self, name: str | None) -> Action:
        """The action of that name or alias; without a name the default one.

        Raises:
            UnknownToolError: With the nearest name and the list.
        """
        wanted = tool_name(name) if name else self.default_action
        if wanted is None:
            raise UnknownToolError(
                f'the tool "{self.name}" needs an `action`', hint=f"choose one of {', '.join(sorted(self.actions))}"
            )
        if wanted in self.actions:
            return self.actions[wanted]
        for action in self.actions.values():
            if wanted in map(tool_name, (action.name, *action.aliases)):
                return action
        raise UnknownToolError(
            f'the tool "{self.name}" has no action "{name}"{nearest(wanted, self.action_names())}',
            hint=f"choose one of {', '.join(sorted(self.actions))}",
        )

    def action_names(self) -> list[str]:
        """Every name and alias of its actions."""
        return [known for action in self.actions.values() for known in (action.name, *action.aliases)]
