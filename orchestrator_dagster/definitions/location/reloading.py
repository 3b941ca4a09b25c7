"""Asking for this code location to be loaded anew, from inside its own process.

A location that `dagster dev` or `dagster code-server start` serves stands behind a proxy that can load it anew; the
webserver and the daemon look at that proxy every second and take what it serves. Where a location is served without
one, the webserver is asked over GraphQL, as its "Reload" button does.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

from dagster import DagsterInstance
from dagster._core.remote_origin import CodeLocationOrigin, GrpcServerCodeLocationOrigin

#: Says where the webserver is, for locations that are served without a proxy.
WEBSERVER_VARIABLE = "ORCHESTRATOR_WEBSERVER"
_DEFAULT_WEBSERVER = "http://127.0.0.1:3000"
_SECONDS = 5.0
_RELOAD = """\
mutation Reload($name: String!) {
  reloadRepositoryLocation(repositoryLocationName: $name) {
    __typename
    ... on PythonError { message }
    ... on UnauthorizedError { message }
    ... on ReloadNotSupported { message }
    ... on RepositoryLocationNotFound { message }
  }
}
"""
_log = logging.getLogger(__name__)


def reload_through_proxy(origin: CodeLocationOrigin | None, instance: DagsterInstance) -> bool:
    """Have the proxy of the code location load it anew; it goes on serving until that is done.

    It is asked from a thread: its answer comes when this process is about to be ended.

    Returns:
        Whether there may be a proxy; what became of it is seen by this process being replaced.
    """
    if not isinstance(origin, GrpcServerCodeLocationOrigin):
        return False

    def ask() -> None:
        try:
            origin.create_client().reload_code(timeout=instance.code_server_reload_timeout)
        except Exception as error:  # gRPC's own, whatever the server does
            _log.warning("the code location was not reloaded: %s: %s", type(error).__name__, _cause(error))

    threading.Thread(target=ask, name="reload-location", daemon=True).start()
    return True


def reload_through_webserver(location: str) -> str | None:
    """Ask the webserver to load the location anew.

    Returns:
        None when it does, else why it does not and what to do.
    """
    import requests

    url = os.environ.get(WEBSERVER_VARIABLE, _DEFAULT_WEBSERVER).rstrip("/")
    body: dict[str, Any] = {"query": _RELOAD, "variables": {"name": location}}
    try:
        said = requests.post(f"{url}/graphql", json=body, timeout=_SECONDS).json()["data"]["reloadRepositoryLocation"]
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        return (
            f"no webserver answers at {url} ({type(error).__name__}): set {WEBSERVER_VARIABLE} to its address, or "
            "serve the location with `dagster code-server start`; until then press Reload in the UI"
        )
    return None if said["__typename"] == "WorkspaceLocationEntry" else f"{url} refused: {said.get('message')}"


def _cause(error: Exception) -> str:
    details = getattr(error.__cause__, "details", None)
    return str(details()) if callable(details) else str(error)
