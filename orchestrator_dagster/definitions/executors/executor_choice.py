"""The executor that a pipeline or a code location names: found when it is needed, with what to install if it is not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
from dagster import ExecutorDefinition, ExecutorRequirement

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.compiler.executors import INTEGRATIONS, NAMES, Integration, split_address
from orchestrator_dagster.definitions.executors.executor import threads_executor, tuned_multiprocess_executor
from orchestrator_dagster.errors import ExecutorError
from orchestrator_dagster.text import nearest

_BUILT_IN: dict[str, ExecutorDefinition] = {
    "threads": threads_executor,
    "in_process": dg.in_process_executor,
    "multiprocess": tuned_multiprocess_executor,
}
#: What an integration's executor cannot be used without.
_SETTINGS: dict[str, dict[str, Any]] = {"dask": {"cluster": {"local": {}}}}
#: The extras of this package that bring an integration.
_EXTRAS = ("celery",)


def find_executor(name: str, root: Path) -> ExecutorDefinition:
    """The executor of a name.

    Args:
        name: ``threads``, ``celery``, … or ``module:attribute``.
        root: The workspace root: its modules can be named too.

    Raises:
        ExecutorError: There is no such executor, or what it needs is not installed.
    """
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    if name in INTEGRATIONS:
        found = _integrated(name, INTEGRATIONS[name])
        return found.configured(_SETTINGS[name]) if name in _SETTINGS else found
    address = split_address(name)
    if address is None:
        raise ExecutorError(
            f'"{name}" is no executor{nearest(name, NAMES)}',
            hint=f"write one of {', '.join(NAMES)}, or module:attribute for an executor of your own",
        )
    return _own(*address, root)


def pipeline_executor(pipeline: CompiledPipeline, root: Path) -> ExecutorDefinition | None:
    """The executor that a pipeline names, None when it names none.

    Raises:
        ExecutorError: There is no such executor, or what it needs is not installed.
    """
    if pipeline.executor is None:
        return None
    try:
        return find_executor(pipeline.executor, root)
    except ExecutorError as error:
        raise ExecutorError(error.message, hint=error.hint, location=pipeline.file) from error.__cause__


def leaves_the_process(executor: ExecutorDefinition) -> bool:
    """Whether the executor's steps run in other processes, which have to make the job anew."""
    return ExecutorRequirement.RECONSTRUCTABLE_JOB in executor.get_requirements({})


def _integrated(name: str, integration: Integration) -> ExecutorDefinition:
    install = f"'orchestrator-dagster[{name}]'" if name in _EXTRAS else integration.package
    try:
        module = import_module(integration.module)
    except ModuleNotFoundError as error:
        if error.name == integration.module:
            raise ExecutorError(
                f'the executor "{name}" needs the package {integration.package}, which is not installed',
                hint=f"pip install {install}",
            ) from None
        raise _broken(name, integration, error) from error
    except Exception as error:
        raise _broken(name, integration, error) from error
    return _attribute(module, integration.attribute, f'the executor "{name}" of the package {integration.package}')


def _broken(name: str, integration: Integration, error: Exception) -> ExecutorError:
    return ExecutorError(
        f'the executor "{name}" cannot be used: the package {integration.package} does not load '
        f"({type(error).__name__}: {error})",
        hint=f"install a release of {integration.package} that goes with Dagster {dg.__version__}",
    )


def _own(module_name: str, attribute: str, root: Path) -> ExecutorDefinition:
    address = f"{module_name}:{attribute}"
    try:
        with _importable(root):
            module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise ExecutorError(
                f'the executor "{address}" was not found: there is no module "{error.name}"',
                hint=f'install it, or put the file "{error.name.replace(".", "/")}.py" into "{root}"',
            ) from None
        raise _fails(address, error) from error
    except Exception as error:
        raise _fails(address, error) from error
    return _attribute(module, attribute, f'the executor "{address}"')


def _fails(address: str, error: Exception) -> ExecutorError:
    return ExecutorError(
        f'the executor "{address}" cannot be used: its module does not load ({type(error).__name__}: {error})',
        hint="mend the module",
    )


@contextmanager
def _importable(root: Path) -> Iterator[None]:
    """Let modules of the workspace root be imported, as Dagster does for its working directory."""
    before = list(sys.path)
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        sys.path[:] = before


def _attribute(module: ModuleType, path: str, what: str) -> ExecutorDefinition:
    value: Any = module
    for name in path.split("."):
        if not hasattr(value, name):
            raise ExecutorError(
                f'{what} was not found: "{module.__name__}" has no "{path}"{nearest(name, _executors(value))}',
                hint="name an ExecutorDefinition of the module",
            )
        value = getattr(value, name)
    if not isinstance(value, ExecutorDefinition):
        raise ExecutorError(
            f"{what} is no executor but {_kind(value)}",
            hint="name an ExecutorDefinition, what @dagster.executor or .configured(…) makes",
        )
    return value


def _executors(place: object) -> list[str]:
    return [name for name, value in vars(place).items() if isinstance(value, ExecutorDefinition)]


def _kind(value: object) -> str:
    return "a function" if callable(value) else f"a {type(value).__name__}"
