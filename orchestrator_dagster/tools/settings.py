"""What a project allows its tools, and how they reach what they need.

The project's ``tools.py`` may have one, or the resource ``tools`` in a code location.

Example:
    >>> ToolSettings(allowed_hosts=["127.0.0.1:8000"]).allowed_hosts
    ('127.0.0.1:8000',)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

_HOST = re.compile(r"(\*\.)?[\w.-]+(:\d+)?|\[[0-9a-fA-F:.]+\](:\d+)?")


class SearchSettings(BaseModel):
    """Where ``web-search`` looks.

    Args:
        backend: ``folder`` (files of the workspace), or an HTTP service by the protocol it speaks.
        folder: For ``folder``: where the files are.
        url: For ``searxng``: its address. For the others: another address than their usual one.
        key: For ``brave`` and ``tavily``: the name of the environment variable that has the key.
        function: A search of your own: called with the query and the most results that are wanted, it gives a list of
            maps with ``title``, ``url`` and ``snippet``. Instead of ``backend``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    backend: Literal["folder", "searxng", "brave", "tavily"] | None = None
    folder: str | None = None
    url: str | None = None
    key: str | None = None
    function: Callable[[str, int], Sequence[Mapping[str, Any]]] | None = None

    @model_validator(mode="after")
    def _complete(self) -> SearchSettings:
        if (self.backend is None) == (self.function is None):
            raise ValueError("name a `backend` (folder, searxng, brave, tavily) or give a `function`")
        needed = {"folder": "folder", "searxng": "url", "brave": "key", "tavily": "key"}.get(self.backend or "")
        if needed is not None and getattr(self, needed) is None:
            raise ValueError(f"the backend {self.backend} needs `{needed}`")
        return self


class ToolSettings(BaseModel):
    """What the tools of a project may reach.

    Args:
        allowed_hosts: Hosts that HTTP tools may reach whatever their addresses are: ``name``, ``name:port`` or
            ``*.domain``. Public ones need not be named.
        allow_private_addresses: Whether HTTP tools may reach any private, local and reserved address.
        search: Where ``web-search`` looks when its step does not say it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    allowed_hosts: tuple[str, ...] = ()
    allow_private_addresses: bool = False
    search: SearchSettings | None = None

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not _HOST.fullmatch(host):
                raise ValueError(f'"{host}" is no host: write "name", "name:port" or "*.domain", without http://')
        return tuple(host.lower() for host in hosts)

    def allows(self, host: str, port: int) -> bool:
        """Whether a host is one of those that may be reached whatever its addresses are."""
        if self.allow_private_addresses:
            return True
        name = f"[{host}]" if ":" in host else host.lower().rstrip(".")
        for allowed in self.allowed_hosts:
            wanted, _, number = (allowed, "", "") if allowed.endswith("]") else allowed.rpartition(":")
            if not wanted:
                wanted, number = allowed, ""
            if number and number != str(port):
                continue
            if name == wanted or (wanted.startswith("*.") and name.endswith(wanted[1:])):
                return True
        return False
