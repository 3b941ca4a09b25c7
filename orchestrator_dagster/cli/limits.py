"""``orchestrator limits``: how many calls of a provider go at once, over all runs of the project."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator_dagster.errors import OrchestratorError

if TYPE_CHECKING:
    from dagster import DagsterInstance


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="The list as JSON.")
@click.pass_context
def limits(context: click.Context, as_json: bool) -> None:
    """Calls of a provider at once, over all runs: list, set, unset.

    The limits are the sizes of the Dagster pools `provider:NAME`, of which every model call holds one slot. `limits` in
    the header of a pipeline holds without them, within one process.
    """
    if context.invoked_subcommand is None:
        _list(as_json)


@limits.command("list")
@click.option("--json", "as_json", is_flag=True, help="The list as JSON.")
def list_(as_json: bool) -> None:
    """Show the limits, and who holds and waits for their slots."""
    _list(as_json)


@limits.command("set")
@click.argument("provider")
@click.argument("number", type=click.IntRange(min=1))
def set_(provider: str, number: int) -> None:
    """Let NUMBER calls of PROVIDER go at once."""
    with _instance() as instance:
        from orchestrator_dagster.definitions.instance.call_slots import pool_of

        name = _provider(provider)
        try:
            instance.event_log_storage.set_concurrency_slots(pool_of(name), number)
        except Exception as error:  # each storage has errors of its own; the number may be too large for it
            raise OrchestratorError(f"the limit cannot be set: {error}") from None
    click.echo(f"{name}: {number} calls at once")


@limits.command()
@click.argument("provider")
def unset(provider: str) -> None:
    """Take the limit of PROVIDER away."""
    with _instance() as instance:
        from orchestrator_dagster.definitions.instance.call_slots import free_abandoned, pool_of, pool_sizes
        from orchestrator_dagster.text import nearest

        known = pool_sizes(instance)
        name = provider if provider in known else _provider(provider)
        if name not in known:
            raise OrchestratorError(
                f'no limit is set for "{provider}"{nearest(provider, known)}',
                hint="`orchestrator limits` lists those that are set",
            )
        free_abandoned(instance, name)
        calling = len(instance.event_log_storage.get_concurrency_info(pool_of(name)).claimed_slots)
        if calling:  # Dagster cannot list its pools while a slot of one that is gone is held
            raise OrchestratorError(
                f"{calling} calls to {name} hold slots of its limit now",
                hint=f"do it when they have ended, or give it a large one: `orchestrator limits set {name} 1000`",
            )
        instance.event_log_storage.delete_concurrency_limit(pool_of(name))
    click.echo(f"{name}: no limit")


def _list(as_json: bool) -> None:
    with _instance() as instance:
        from orchestrator_dagster.definitions.instance.call_slots import free_abandoned, pool_of, pool_sizes

        found: list[dict[str, Any]] = []
        for provider, number in sorted(pool_sizes(instance).items()):
            free_abandoned(instance, provider)
            info = instance.event_log_storage.get_concurrency_info(pool_of(provider))
            waiting = len(info.pending_steps) - len(info.claimed_slots)
            found.append(
                {"provider": provider, "limit": number, "calling": len(info.claimed_slots), "waiting": max(0, waiting)}
            )
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for one in found:
        click.echo(f"{one['provider']}: {one['limit']} calls at once; {one['calling']} now, {one['waiting']} waiting")
    if not found:
        click.echo("no limits are set; `orchestrator limits set openai 4` sets one")


@contextmanager
def _instance() -> Iterator[DagsterInstance]:
    """The project's instance; an error ends the command with one line and the next step."""
    from orchestrator_dagster.definitions.instance.home import open_instance
    from orchestrator_dagster.project.loading import find_project

    try:
        with open_instance(find_project(Path.cwd())) as instance:
            if not instance.event_log_storage.supports_global_concurrency_limits:
                raise OrchestratorError(
                    "the storage of this project's runs has no pools",
                    hint="use SQLite, PostgreSQL or MySQL, and run `dagster instance migrate` for an old one",
                )
            yield instance
    except OrchestratorError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)


def _provider(name: str) -> str:
    from orchestrator_dagster.models.references import BUILTIN, COMMON_PROVIDERS, provider_of
    from orchestrator_dagster.text import nearest

    provider = provider_of(name)
    if provider is None or provider == BUILTIN:
        raise OrchestratorError(
            f'there is no provider "{name}" whose calls could be limited{nearest(name, COMMON_PROVIDERS)}',
            hint="write the provider of a model's name: openai of openai:gpt-5",
        )
    return provider
