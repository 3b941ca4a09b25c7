"""Which tools there are: the built-in ones, those of installed packages, and a project's own.

Names and aliases of built-in tools stand in a table here, so that listing them imports nothing; a tool's module is
imported when the tool is first asked for.

Example:
    >>> registry = ToolRegistry()
    >>> registry.find("report-generator").name
    'report_generator'
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import threading
import traceback
from collections.abc import Iterable
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint, entry_points
from importlib.util import decode_source, module_from_spec
from pathlib import Path
from types import CodeType, ModuleType

from orchestrator_dagster.errors import ToolError, UnknownToolError
from orchestrator_dagster.text import nearest
from orchestrator_dagster.tools.settings import ToolSettings
from orchestrator_dagster.tools.tool import Action, Tool, require, tool_name

__all__ = ["ALIASES", "BUILTIN", "ENTRY_POINTS", "ToolRegistry", "require"]

ENTRY_POINTS = "orchestrator_dagster.tools"
"""Entry point group in which an installed package offers its tools: ``name = module:tool``."""

BUILTIN: dict[str, str] = {
    "approval_gate": "orchestrator_dagster.tools.people",
    "checkpoint": "orchestrator_dagster.tools.checkpoint",
    "data_processing": "orchestrator_dagster.tools.data",
    "feedback_collection": "orchestrator_dagster.tools.people",
    "filesystem": "orchestrator_dagster.tools.filesystem",
    "headless_browser": "orchestrator_dagster.tools.browser",
    "http_client": "orchestrator_dagster.tools.http",
    "mcp": "orchestrator_dagster.tools.mcp",
    "mcp_memory": "orchestrator_dagster.tools.mcp_memory",
    "multi_model_routing": "orchestrator_dagster.tools.asking",
    "pdf_compiler": "orchestrator_dagster.tools.pdf",
    "pipeline_executor": "orchestrator_dagster.tools.pipeline_executor",
    "prompt_optimization": "orchestrator_dagster.tools.asking",
    "python_executor": "orchestrator_dagster.tools.commands.python",
    "audio_processing": "orchestrator_dagster.tools.sound",
    "embeddings": "orchestrator_dagster.tools.vectors",
    "image_analysis": "orchestrator_dagster.tools.pictures",
    "image_generation": "orchestrator_dagster.tools.pictures",
    "report_generator": "orchestrator_dagster.tools.report",
    "task_delegation": "orchestrator_dagster.tools.asking",
    "terminal": "orchestrator_dagster.tools.commands.terminal",
    "user_prompt": "orchestrator_dagster.tools.people",
    "validation": "orchestrator_dagster.tools.validation",
    "visualization": "orchestrator_dagster.tools.charts",
    "web_search": "orchestrator_dagster.tools.search",
}
"""Built-in tools: name -> the module that has a :class:`Tool` of that name among its globals."""

ALIASES: dict[str, str] = {
    "file_system": "filesystem",
    "filesystem_tool": "filesystem",
    "file": "filesystem",
    "files": "filesystem",
    "mcp_server": "mcp",
    "memory": "mcp_memory",
    "pdf": "pdf_compiler",
    "pdf_generator": "pdf_compiler",
    "pdf_compiler_tool": "pdf_compiler",
    "audio": "audio_processing",
    "embedding": "embeddings",
    "image_analyzer": "image_analysis",
    "image_generator": "image_generation",
    "vision": "image_analysis",
    "report": "report_generator",
    "report_generation": "report_generator",
    "report_generator_tool": "report_generator",
    "validation_tool": "validation",
    "validator": "validation",
    "visualization_tool": "visualization",
    "visualisation": "visualization",
    "chart": "visualization",
    "charts": "visualization",
    "browser": "headless_browser",
    "headless_browser_tool": "headless_browser",
    "web_scraper": "headless_browser",
    "http_client_tool": "http_client",
    "http_request": "http_client",
    "python": "python_executor",
    "python_code": "python_executor",
    "python_executor_tool": "python_executor",
    "code_executor": "python_executor",
    "bash": "terminal",
    "shell": "terminal",
    "terminal_tool": "terminal",
    "web_search_tool": "web_search",
}
"""Older and other names of built-in tools."""


class ToolRegistry:
    """The tools that steps and models may use, by name. ``-`` and ``_`` are alike. Safe for threads."""

    def __init__(self) -> None:
        self._tools: dict[str, Tool] = {}
        self._sources: dict[str, str] = {}
        self._files: dict[str, bytes] = {}
        self._offered: dict[str, EntryPoint] | None = None
        self._lock = threading.RLock()
        self._settings = ToolSettings()
        self._settings_of: str | None = None
        self._allowed: frozenset[str] = frozenset()

    def find(self, name: str) -> Tool:
        """The tool of that name or alias.

        Raises:
            UnknownToolError: With the nearest name.
            ToolError: An installed package offers it and it cannot be loaded, or two offer it.
        """
        wanted = tool_name(name)
        with self._lock:
            wanted = ALIASES.get(wanted, wanted) if wanted not in self._tools else wanted
            if wanted not in self._tools:
                if wanted in BUILTIN:
                    self._tools[wanted] = _builtin(wanted)
                elif wanted in self._entry_points():
                    self._tools[wanted] = _load_entry_point(wanted, self._entry_points()[wanted])
                else:
                    known = {*self.names(), *ALIASES}
                    raise UnknownToolError(
                        f'there is no tool "{name}"{nearest(wanted, known)}',
                        hint="see `orchestrator tools` for all of them, or add your own to `tools.py`",
                    )
            return self._tools[wanted]

    def offered(self, entry: str) -> tuple[Tool, list[Action]]:
        """The tool and the actions that an entry of a step's ``tools`` means: ``tool`` for all, or ``tool.action``.

        Raises:
            UnknownToolError: No tool, or no action of the tool, has this name.
        """
        name, _, action = entry.strip().partition(".")
        tool = self.find(name)
        return tool, [tool.find(action)] if action else list(tool.actions.values())

    def allow_for_models(self, names: Iterable[str]) -> None:
        """Let models call these tools, or single actions of them (``tool.action``), whatever the tools say.

        Raises:
            UnknownToolError: No tool, or no action, has such a name.
        """
        allowed = set()
        for name in names:
            tool, found = self.offered(name)
            whole = "." not in name  # also the actions that only a running server knows
            allowed |= {f"{tool.name}.*"} if whole else {f"{tool.name}.{action.name}" for action in found}
        with self._lock:
            self._allowed = frozenset(allowed)

    def model_may_call(self, tool: Tool, action: str) -> bool:
        """Whether a model may be offered this action."""
        return tool.model_may_call or bool({f"{tool.name}.{action}", f"{tool.name}.*"} & self._allowed)

    def names(self) -> list[str]:
        """Every name, sorted, without aliases. No tool is imported.

        Raises:
            ToolError: An installed package offers a tool of a name that is taken.
        """
        with self._lock:
            return sorted({*BUILTIN, *self._tools, *self._entry_points()})

    def summaries(self) -> dict[str, str]:
        """Name -> one sentence, for every tool; imports them (what they need only for their work is not)."""
        return {name: self.find(name).summary for name in self.names()}

    def add(self, tool: Tool, *, source: str = "this program") -> None:
        """Add a tool.

        Args:
            tool: The tool. Adding the same object again changes nothing.
            source: Where it comes from, for the message of a clash.

        Raises:
            ToolError: The name is taken; the message names both sides.
        """
        with self._lock:
            present = self._tools.get(tool.name)
            if present is tool:
                return
            if tool.name in BUILTIN:
                if _builtin(tool.name) is not tool:
                    raise _clash(tool.name, f"the built-in tool of {BUILTIN[tool.name]}", source)
            elif tool.name in ALIASES:
                raise _clash(
                    tool.name, f'the built-in tool "{ALIASES[tool.name]}", of which it is another name', source
                )
            elif present is not None:
                raise _clash(tool.name, self._sources.get(tool.name, self._offer(tool.name)), source)
            elif tool.name in self._entry_points():
                raise _clash(tool.name, self._offer(tool.name), source)
            self._tools[tool.name] = tool
            self._sources[tool.name] = source

    @property
    def settings(self) -> ToolSettings:
        """What the project allows its tools: what a file that was loaded says, or what was set."""
        return self._settings

    @settings.setter
    def settings(self, settings: ToolSettings) -> None:
        self._settings = settings

    def only_in_memory(self, name: str) -> bool:
        """Whether the tool is an object of this program alone, which another process cannot make again."""
        tool = self.find(name)
        with self._lock:
            source = self._sources.get(tool.name)
        return source is not None and source not in self._files and tool.name not in BUILTIN

    def files(self) -> dict[str, bytes]:
        """The files that were loaded, path -> content as it was then."""
        with self._lock:
            return dict(self._files)

    def load_file(self, path: str | Path, content: bytes | None = None) -> list[str]:
        """Add every :class:`Tool` of a Python file (a project's ``tools.py``). Loaded again, it replaces its tools.

        Args:
            path: The file. It is run as a module of a private name: trust it as you trust the project. A
                ``ToolSettings`` in it becomes the registry's.
            content: What was in the file, when not what is in it now.

        Returns:
            The names of its tools, sorted.

        Raises:
            ToolError: It does not exist, is broken (with file and line), or one of its names is taken.
        """
        file = Path(path).resolve()
        content = _content(file) if content is None else content
        module = _run_file(file, content)
        found = {id(value): value for value in vars(module).values() if isinstance(value, Tool)}
        for tool in found.values():
            _check_actions(tool, file)
        settings = _settings(module, file)
        with self._lock:
            before = dict(self._tools), dict(self._sources)
            for name, source in list(self._sources.items()):
                if source == str(file):
                    del self._tools[name], self._sources[name]
            try:
                for tool in found.values():
                    self.add(tool, source=str(file))
            except ToolError:
                self._tools, self._sources = before  # all of a file or nothing
                raise
            self._files[str(file)] = content
            if settings is not None or self._settings_of == str(file):
                self._settings, self._settings_of = settings or ToolSettings(), str(file)
        return sorted(tool.name for tool in found.values())

    def load_servers(self, root: Path) -> None:
        """Add a tool for each Model Context Protocol server of the project's ``mcp.yaml``; none is started.

        Raises:
            ToolError: The file is wrong, or a name is taken.
        """
        if (root / "mcp.yaml").is_file():
            from orchestrator_dagster.tools.mcp.actions import server_tools

            for tool in server_tools(root):
                self.add(tool, source=str(root / "mcp.yaml"))

    def _entry_points(self) -> dict[str, EntryPoint]:
        if self._offered is None:
            offered: dict[str, EntryPoint] = {}
            for point in entry_points(group=ENTRY_POINTS):
                name = tool_name(point.name)
                if name in offered and offered[name] != point:
                    raise _clash(name, _origin(offered[name]), _origin(point))
                if name in BUILTIN or name in ALIASES:
                    raise _clash(name, f"the built-in tool of {BUILTIN[ALIASES.get(name, name)]}", _origin(point))
                if name in self._sources:
                    raise _clash(name, self._sources[name], _origin(point))
                offered[name] = point
            self._offered = offered
        return self._offered

    def _offer(self, name: str) -> str:
        point = self._entry_points().get(name)
        return _origin(point) if point is not None else "this program"


def _builtin(name: str) -> Tool:
    module = importlib.import_module(BUILTIN[name])
    return next(value for value in vars(module).values() if isinstance(value, Tool) and value.name == name)


def _load_entry_point(name: str, point: EntryPoint) -> Tool:
    try:
        loaded = point.load()
    except Exception as error:  # foreign code raises anything
        raise ToolError(
            f'the tool "{name}" of {_origin(point)} cannot be loaded: {type(error).__name__}: {error}', permanent=True
        ) from error
    if not isinstance(loaded, Tool):
        raise ToolError(
            f'the tool "{name}" of {_origin(point)} is of the type {type(loaded).__name__}, a Tool was expected',
            hint="let the entry point name a Tool, for example a function with the decorator @tool",
            permanent=True,
        )
    if loaded.name != name:
        raise ToolError(
            f'{_origin(point)} offers the tool "{loaded.name}" under the name "{name}"',
            hint="give the entry point the tool's own name",
            permanent=True,
        )
    return loaded


def _origin(point: EntryPoint) -> str:
    package = f'the package "{point.dist.name}"' if point.dist is not None else "an installed package"
    return f"{package} ({point.value})"


def _clash(name: str, first: str, second: str) -> ToolError:
    return ToolError(
        f'two tools have the name "{name}": that of {first} and that of {second}',
        hint="give one of them another name",
        permanent=True,
    )


def _content(file: Path) -> bytes:
    if not file.is_file():
        raise ToolError(f'there is no tools file "{file}"', permanent=True)
    return file.read_bytes()


class _Loader(InspectLoader):
    """Loads a file by the content it is given: an older compiled file is never served, whatever its time says."""

    def __init__(self, file: Path, content: bytes) -> None:
        self._file, self._content = file, content

    def get_source(self, fullname: str) -> str:
        """The text of the file."""
        return decode_source(self._content)

    def get_code(self, fullname: str) -> CodeType:
        """The file, compiled."""
        return self.source_to_code(self._content, str(self._file))


def _run_file(file: Path, content: bytes) -> ModuleType:
    # A name of its own for each path, so that two projects' files do not meet and no import finds them by accident.
    name = f"_orchestrator_dagster_tools_{hashlib.sha256(str(file).encode()).hexdigest()[:16]}"
    loader = _Loader(file, content)
    module = module_from_spec(ModuleSpec(name, loader, origin=str(file)))
    module.__file__ = str(file)
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses and get_type_hints look their module up
    try:
        loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.modules.pop(name)
        if before is not None:
            sys.modules[name] = before
        line = error.lineno if isinstance(error, SyntaxError) else _line_in(file, error)
        raise ToolError(
            f"the tools file cannot be loaded: {type(error).__name__}: {error}",
            location=f"{file}:{line}",
            permanent=True,
        ) from error
    return module


def _line_in(file: Path, error: BaseException) -> int:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return lines[-1] or 1 if lines else 1


def _settings(module: ModuleType, file: Path) -> ToolSettings | None:
    found = {id(value): value for value in vars(module).values() if isinstance(value, ToolSettings)}
    if len(found) > 1:
        raise ToolError("a tools file has one ToolSettings, found several", location=f"{file}:1", permanent=True)
    return next(iter(found.values()), None)


def _check_actions(tool: Tool, file: Path) -> None:
    """Read every schema now: an annotation that cannot be read is an error of the file, not of a later step."""
    for action in tool.actions.values():
        try:
            _ = action.parameters, action.result
        except Exception as error:  # NameError, Pydantic's own, whatever an annotation does
            function = getattr(action.function, "__wrapped__", action.function)
            raise ToolError(
                f'the annotations of the tool function "{function.__name__}" cannot be read: '
                f"{type(error).__name__}: {error}",
                location=f"{file}:{function.__code__.co_firstlineno}",
                permanent=True,
            ) from error
