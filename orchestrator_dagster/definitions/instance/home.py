"""The Dagster instance that records runs: that of DAGSTER_HOME, else ``.orchestrator/`` in the project."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dagster import DagsterInstance

from orchestrator_dagster.definitions.instance.recording import is_full, short_reason
from orchestrator_dagster.errors import OrchestratorError

HOME_NAME = ".orchestrator"
_CONFIG = """\
# Runs of this project are recorded here. `dagster dev` shows them with DAGSTER_HOME set to this folder.
telemetry:
  enabled: false
nux:
  enabled: false
"""


def instance_home(project: Path) -> Path:
    """The folder of the instance; made, with its settings, when it is not there."""
    configured = os.environ.get("DAGSTER_HOME")
    if configured:
        return Path(configured).expanduser()
    home = project / HOME_NAME
    settings = home / "dagster.yaml"
    try:
        home.mkdir(exist_ok=True)
        if not settings.exists():
            settings.write_text(_CONFIG, encoding="utf-8")
            (home / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise OrchestratorError(
            f'runs cannot be recorded in "{home}": {error.strerror}',
            hint="make the folder writable, or set DAGSTER_HOME to another one",
        ) from None
    return home


def open_instance(project: Path) -> DagsterInstance:
    """The instance that records the project's runs.

    Raises:
        OrchestratorError: It cannot be opened: its settings are wrong, or its database does not answer.
    """
    home = instance_home(project)
    home.mkdir(parents=True, exist_ok=True)
    with _alone(home):
        try:
            return DagsterInstance.from_config(str(home))
        except Exception as error:  # a setting, a package, or the database behind it
            reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
            hint = f'look at "{home / "dagster.yaml"}" and at what it names'
            if is_full(home):
                reason, hint = f"no space left on the device ({short_reason(reason)})", "free space there"
            else:
                reason = f"{type(error).__name__}: {reason}"
            raise OrchestratorError(f'the runs cannot be recorded in "{home}": {reason}', hint=hint) from error


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One process at a time opens the instance: Dagster's SQLite files break when two make them at once."""
    try:
        handle = os.open(home, os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        with suppress(OSError):  # some shared folders have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def leave_logging_alone(instance: DagsterInstance) -> None:
    """Have runs of this process not configure Python's logging anew, unless the instance has settings for it.

    Dagster calls ``logging.config.dictConfig`` at the start of every run, also with nothing to configure. That closes
    the handlers of the program around it, and hangs when another run of the process writes an event at that moment: the
    one waits for the other's handler, which waits for the lock of logging.
    """
    if not instance.get_settings("python_logs").get("dagster_handler_config"):
        instance.get_yaml_python_handlers = list  # type: ignore[method-assign]
