"""The command ``orchestrator plan``: what a run would do, which models it would ask and why, what that may cost."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

    from orchestrator_dagster.models.selection import Considered
    from orchestrator_dagster.runtime.plan import Plan, PlannedStep

_MOST_FITTING = 6  # candidates that fit and are shown one by one
_MOST_ABSENT = 8  # models that cannot be reached and are named
_MOST_NAMED = 4  # models of one refusal that are named
_LONGEST = 60  # characters of what a step does
_HOW = (
    "Estimated: 4 characters a token; 1,000 tokens for each value that only the run knows, and for an answer that"
    " `max_tokens` does not limit. Retries, repairs, tool calls, <AUTO> values and thinking are not in it."
)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-i", "--input", "given", multiple=True, metavar="KEY=VALUE", help="An input; may be given many times.")
@click.option("--inputs-file", type=click.Path(path_type=Path), help="A YAML or JSON file with inputs.")
@click.option("--offline", is_flag=True, help="Ask no local server; take them as absent.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(file: Path, given: tuple[str, ...], inputs_file: Path | None, offline: bool, as_json: bool) -> None:
    """Show what a run of a pipeline FILE would do: steps, models and why, estimated cost, products.

    No model and no tool is called. Exits with 1 when the run could not be made as things are.
    """
    from orchestrator_dagster.cli.common import EXIT_FAILED, given_inputs, stop
    from orchestrator_dagster.errors import OrchestratorError
    from orchestrator_dagster.models.known_models import KnownModels
    from orchestrator_dagster.models.personalities import home_folder
    from orchestrator_dagster.project.loading import compile_or_raise, refuse_unsupported
    from orchestrator_dagster.project.models_file import own_models
    from orchestrator_dagster.runtime.plan import plan_of

    root = Path.cwd()
    try:
        pipeline = compile_or_raise(file, root)
        refuse_unsupported(pipeline)
        known = KnownModels(own_models(root), offline=offline)
        made = plan_of(pipeline, given_inputs(given, inputs_file), known, (root / "personalities", home_folder()))
    except OrchestratorError as error:
        stop(error)
    if as_json:
        click.echo(json.dumps(_as_json(made), ensure_ascii=False, indent=2))
    else:
        _show(made)
    sys.exit(EXIT_FAILED if made.problems else 0)


def _as_json(made: Plan) -> dict[str, Any]:
    return {
        **asdict(made),
        "estimated_cost": made.cost,
        "estimate_complete": made.complete,
        "estimated_how": _HOW,
        "problems": made.problems,
    }


def _show(made: Plan) -> None:
    from rich.padding import Padding
    from rich.text import Text

    from orchestrator_dagster.cli.models import console

    out = console()
    out.print(_steps(made.steps))
    for steps, first in _choices(made.steps):
        out.print(Text(f"{', '.join(one.id for one in steps)}", style="bold"), Text(f"{first.reason}"), sep=": ")
        if first.fallbacks:
            out.print(Text(f"  then, when it fails: {', '.join(first.fallbacks)}"))
        if len(first.candidates) > 1 and any(one.fits for one in first.candidates):
            out.print(_candidates(first.candidates, first.model))
        for line in _refused(first.candidates):
            out.print(Padding(Text(line), (0, 0, 0, 2)))
        out.print()
    if made.asking:
        out.print(Text(_cost(made)))
        out.print(Text(_HOW))
    for url, answers in made.servers.items():
        out.print(Text(f"{url}: {'answers' if answers else 'does not answer'}"))
    if made.missing:
        out.print(Text(f"still to give: {', '.join(made.missing)}"))
    if made.problems:
        errors = console(stderr=True)
        for problem in made.problems:
            errors.print(Text(f"error: {problem}"))


def _steps(steps: Iterable[PlannedStep]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", padding=(0, 1))
    table.add_column("step", overflow="fold")
    table.add_column("does", overflow="fold")
    table.add_column("model", overflow="fold")
    table.add_column("estimate", justify="right", no_wrap=True)
    table.add_column("products", overflow="fold")
    for one in steps:
        name = f"{'  ' * one.depth}{one.id.rpartition('/')[2]}"
        does = one.does if len(one.does) <= _LONGEST else f"{one.does[: _LONGEST - 1]}…"
        notes = [f"when {one.condition}"] if one.condition is not None else []
        if one.times != 1:
            times = "as often as the run needs" if one.times is None else f"{one.times} times"
            notes.append(f"at most {times}" if one.at_most and one.times is not None else times)
        does = "\n".join([does, *(f"({note})" for note in notes)])
        model = one.model or (one.reason if one.kind == "model" else "")
        table.add_row(Text(name), Text(does), Text(model), Text(_estimate(one)), Text("\n".join(one.products)))
    return table


def _estimate(one: PlannedStep) -> str:
    if one.kind != "model" or one.model is None:
        return ""
    if one.cost is None:
        return "price not known"
    call = _dollars(one.cost)
    if one.times is None:
        return f"{call} each"
    return call if one.times == 1 else f"{one.times} x {call}"


def _dollars(cost: float) -> str:
    """US dollars with the digits that matter: a cent and less too."""
    if cost == 0:
        return "free"
    return f"${cost:.2f}" if cost >= 1 else f"${cost:.4f}" if cost >= 0.0001 else f"${cost:.6f}"


def _cost(made: Plan) -> str:
    total = _dollars(made.cost)
    if made.complete:
        most = "at most " if any(one.at_most for one in made.asking) else ""
        return f"estimated cost of the run: {most}{total}"
    if made.cost == 0:
        return "estimated cost of the run: not known, because prices or numbers of calls are not"
    return f"estimated cost of the run: {total} for what is known; some prices or numbers of calls are not"


def _choices(steps: Iterable[PlannedStep]) -> list[tuple[list[PlannedStep], PlannedStep]]:
    """Steps whose model was chosen among several or has fallbacks, those with one choice together."""
    found: dict[Any, list[PlannedStep]] = {}
    for one in steps:
        if len(one.candidates) > 1 or one.fallbacks or any(other.model != one.model for other in one.candidates):
            names = tuple((other.model, other.fits, other.score) for other in one.candidates)
            found.setdefault((one.reason, one.model, one.fallbacks, names), []).append(one)
    return [(group, group[0]) for group in found.values()]


def _candidates(candidates: Iterable[Considered], taken: str | None) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    fitting = [one for one in candidates if one.fits]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("  candidate", overflow="fold")
    for name in ("score", "quality", "$ / 1M tokens", "one call"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in fitting[:_MOST_FITTING]:
        chosen = one.model == taken
        table.add_row(
            Text(f"{'>' if chosen else ' '} {one.model}", style="bold" if chosen else ""),
            "" if one.score is None else f"{one.score:.3f}",
            "" if one.quality is None else f"{one.quality:g}",
            "?" if one.price is None else f"{one.price:.3f}",
            "?" if one.cost is None else _dollars(one.cost),
        )
    if len(fitting) > _MOST_FITTING:
        table.add_row(Text(f"  and {len(fitting) - _MOST_FITTING} more that fit", style="dim"))
    return table


def _refused(candidates: Iterable[Considered]) -> list[str]:
    refused = [one for one in candidates if not one.fits]
    absent = [one for one in refused if one.unreached]
    lines = []
    if len(absent) > _MOST_ABSENT:
        counts = Counter(one.model.partition(":")[0] for one in absent)
        providers = ", ".join(f"{provider} ({count})" for provider, count in counts.items())
        lines.append(f"not reached: {providers}; `orchestrator models` says why, and what to set")
        refused = [one for one in refused if not one.unreached]
    grouped: dict[str, list[str]] = {}
    for one in refused:
        grouped.setdefault("; ".join(one.refused), []).append(one.model)
    for reason, models in grouped.items():
        more = f" and {len(models) - _MOST_NAMED} more" if len(models) > _MOST_NAMED else ""
        lines.append(f"refused: {', '.join(models[:_MOST_NAMED])}{more}: {reason}")
    return lines
