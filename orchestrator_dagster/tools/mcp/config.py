"""The project's servers: ``mcp.yaml`` in the workspace root. Secrets are named there, never written.

Example::

    servers:
      notes:
        command: python
        args: [notes_server.py]
        env: [NOTES_TOKEN]            # environment variables that are passed on
      search:
        url: https://search.example.com/mcp
        bearer: SEARCH_TOKEN          # the environment variable that has the token
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from orchestrator_dagster.errors import ToolError
from orchestrator_dagster.language.diagnostics import Span
from orchestrator_dagster.language.document import read_file
from orchestrator_dagster.language.wording import faults
from orchestrator_dagster.text import nearest

FILE = "mcp.yaml"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class ServerConfig(BaseModel):
    """One server: a command that speaks over its standard input and output, or a URL.

    The command ``python`` is the interpreter that the run uses.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: str | None = None
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    cwd: str | None = None
    url: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    bearer: str | None = None
    description: str = ""

    @field_validator("env", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        if isinstance(value, dict):
            raise ValueError(
                "env is a list of names of environment variables; their values do not belong into the file"
            )
        return value

    @field_validator("env", "bearer", "headers")
    @classmethod
    def _variables(cls, value: Any) -> Any:
        named = value.values() if isinstance(value, dict) else [value] if isinstance(value, str) else value or ()
        if not all(map(_VARIABLE.match, named)):
            raise ValueError(
                "what stands here names an environment variable; the value itself never stands in the file"
            )
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> ServerConfig:
        if (self.command is None) == (self.url is None):
            raise ValueError("a server has either a `command` or a `url`")
        if self.url is None and (self.headers or self.bearer):
            raise ValueError("`headers` and `bearer` go with a `url`")
        if self.url is not None:
            if self.args or self.env or self.cwd:
                raise ValueError("`args`, `env` and `cwd` go with a `command`")
            parts = urlsplit(self.url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("the url is no http or https address")
            if parts.username or parts.password:
                raise ValueError("the url holds a user or password; use `bearer` or `headers`")
        return self


def read_servers(root: Path) -> dict[str, ServerConfig]:
    """The servers of a project, none when it has no ``mcp.yaml``.

    Raises:
        ToolError: The file is wrong; all problems are named.
    """
    path = root / FILE
    try:
        status = path.stat()
    except OSError:
        return {}
    return dict(_read(path, status.st_mtime_ns, status.st_size))


@functools.lru_cache(maxsize=32)
def _read(path: Path, changed: int, size: int) -> dict[str, ServerConfig]:
    document, problems = read_file(path, FILE)
    if problems.errors:
        first = problems.errors[0]
        raise _wrong([(first.span, first.message)], first.hint)
    value = document.value()
    found = value.get("servers") if isinstance(value, dict) and set(value) == {"servers"} else None
    if not isinstance(found, dict):
        raise _wrong([(Span(1, 1), "it is a map with one key, `servers`: a map of servers by name")])
    servers: dict[str, ServerConfig] = {}
    wrong: list[tuple[Span, str]] = []
    for name, given in found.items():
        if not isinstance(name, str) or not name.replace("-", "_").isidentifier():
            said = f'"{name}" is no name of a server: letters, digits, "_" and "-"'
            wrong.append((document.key_span(("servers", name)), said))
            continue
        try:
            servers[name] = ServerConfig.model_validate(given)
        except ValidationError as error:
            for fault in faults(error.errors(include_url=False), lambda one: tuple(one["loc"])):
                place = ("servers", name, *fault.place)
                while not document.has(place):
                    place = place[:-1]
                unknown = fault.kind == "extra_forbidden"
                near = nearest(str((name, *fault.place)[-1]), ServerConfig.model_fields)
                said = f"there is no such key{near}" if unknown else fault.sentence
                shown = ".".join(map(str, (name, *fault.place)))
                at = document.key_span(place) if unknown or len(place) == 2 else document.span(place)
                wrong.append((at, f"{shown}: {said}"))
    if wrong:
        raise _wrong(wrong)
    return servers


def _wrong(problems: Sequence[tuple[Span, str]], hint: str | None = None) -> ToolError:
    """The error for a wrong file: every problem, the later ones with their places before them."""
    (first, said), *others = sorted(problems, key=lambda one: (one[0].line, one[0].column))
    more = "".join(f"\n{FILE}:{span.line}:{span.column}: {text}" for span, text in others)
    return ToolError(
        f"{FILE} cannot be used: {said}{more}",
        location=f"{FILE}:{first.line}:{first.column}",
        hint=hint or "write below `servers` for each name `command: python` and `args: […]`, or `url: https://…`",
        permanent=True,
    )


def find_server(root: Path, name: str) -> ServerConfig:
    """The server of that name; ``-`` and ``_`` are alike.

    Raises:
        ToolError: There is none.
    """
    servers = read_servers(root)
    by_plain = {one.replace("-", "_"): config for one, config in servers.items()}
    if name.replace("-", "_") in by_plain:
        return by_plain[name.replace("-", "_")]
    raise ToolError(
        f'there is no server "{name}" in {FILE}{nearest(name, servers)}',
        hint=f"it has {', '.join(sorted(servers))}" if servers else f"write a {FILE} with `servers` beside tools.py",
        permanent=True,
    )


def environment_value(name: str, server: str) -> str:
    """The value of an environment variable that a server needs.

    Raises:
        ToolError: It is not set.
    """
    value = os.environ.get(name)
    if not value:
        raise ToolError(
            f'the server "{server}" needs the environment variable {name}, which is not set',
            hint=f"set {name}",
            permanent=True,
        )
    return value
