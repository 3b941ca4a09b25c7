"""The command ``orchestrator models``: which models can be reached and why not, and what is known of them."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

import click

if TYPE_CHECKING:
    from rich.table import Table

    from orchestrator_dagster.models.catalogue import ModelCard
    from orchestrator_dagster.models.known_models import KnownModels
    from orchestrator_dagster.models.reach import Reach

WIDTH = 100  # columns where there is no terminal
_MOST_NAMED = 3


@click.command()
@click.option("--all", "everything", is_flag=True, help="Every model that litellm knows, reachable or not.")
@click.option("--offline", is_flag=True, help="Ask no local server; take them as absent.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def models(everything: bool, offline: bool, as_json: bool) -> None:
    """List the models that can be reached, with price, context, capabilities and quality; and why others cannot.

    Without --all: the models that a selection schema picks from, and those of models.yaml.
    """
    from orchestrator_dagster.errors import OrchestratorError
    from orchestrator_dagster.models.known_models import KnownModels
    from orchestrator_dagster.project.models_file import own_models

    try:
        known = KnownModels(own_models(Path.cwd()), offline=offline)
        cards = known.catalogue.everything() if everything else known.catalogue.choices()
        found = [(card, known.reach(card.reference)) for card in cards]
    except OrchestratorError as error:
        from orchestrator_dagster.cli.common import stop

        stop(error)
    if as_json:
        click.echo(json.dumps([_as_json(card, reach) for card, reach in found], indent=2))
        return
    _show(found, known, everything)


def console(stderr: bool = False) -> Any:
    """A console that is as wide as the terminal, 100 columns where there is none: then lines do not end in blanks."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    if stream.isatty():
        return Console(file=stream, highlight=False)
    return Console(file=cast("IO[str]", _Trimmed(stream)), width=_columns(), highlight=False)


class _Trimmed(io.TextIOBase):
    """Writes texts without the blanks before their line ends."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str, /) -> int:
        """Write a text that ends with a line."""
        self._stream.write(re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE))
        return len(text)

    def flush(self) -> None:
        """Pass on what was written."""
        self._stream.flush()


def _columns() -> int:
    given = os.environ.get("COLUMNS", "")
    return int(given) if given.isdigit() and int(given) >= 60 else WIDTH


def _show(found: Sequence[tuple[ModelCard, Reach]], known: KnownModels, everything: bool) -> None:
    from rich.padding import Padding
    from rich.text import Text

    from orchestrator_dagster.models.catalogue import catalogue_date

    out = console()
    there = [(card, reach) for card, reach in found if reach.ok]
    shown = list(found) if everything else there
    if shown:
        out.print(_table(shown, everything))
    else:
        out.print(
            "No model can be reached. builtin:extractive, which is no language model, needs neither a key nor a server;"
            " it is used where a file names it.\n"
        )
    if not everything:
        for title, group in (("reached", there), ("not reached", [one for one in found if not one[1].ok])):
            if group:
                out.print(Text(title, style="bold"))
                for line in _by_provider(group):
                    out.print(Padding(Text(line), (0, 0, 0, 2)))
                out.print()
    out.print(
        Text(
            "$: US dollars per million tokens of prompt and of answer, by litellm's price list or models.yaml;"
            f" ? is not known.\nquality: Elo of the text arena on {catalogue_date()}, or as models.yaml says."
            f"\n{len(there)} of {len(found)} models can be reached, as far as that is seen without a call."
        )
    )


def _table(found: Iterable[tuple[ModelCard, Reach]], with_reach: bool) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", padding=(0, 1))
    table.add_column("model", overflow="fold")
    for name in ("$ in", "$ out", "context", "quality"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("can", overflow="fold")
    if with_reach:
        table.add_column("reached", overflow="fold")
    for card, reach in found:
        table.add_row(
            Text(str(card.reference)),
            *(_price(one) for one in (card.input_price, card.output_price)),
            _tokens(card.context),
            "" if card.quality is None else f"{card.quality:g}",
            Text(" ".join(_can(card))),
            *([Text(reach.said)] if with_reach else []),
        )
    return table


def _can(card: ModelCard) -> list[str]:
    """The capabilities that most choices turn on; the JSON has all."""
    short = {"tools": "tools", "json_schema": "schema", "vision": "vision", "reasoning": "reasoning"}
    return [text for word, text in short.items() if word in (card.capabilities or ())]


def _by_provider(found: Sequence[tuple[ModelCard, Reach]]) -> list[str]:
    """How models are reached or why they are not, those with one reason and one remedy together."""
    grouped: dict[tuple[str, Reach], list[str]] = {}
    for card, reach in found:
        grouped.setdefault((card.reference.provider, reach), []).append(card.reference.name)
    lines = []
    for (provider, reach), names in grouped.items():
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        which = "" if reach.ok else f": {', '.join(names[:_MOST_NAMED])}{more}. To use them, {reach.fix}."
        lines.append(f"{provider}: {reach.said}{which}")
    return lines


def _price(per_token: float | None) -> str:
    return "?" if per_token is None else f"{per_token * 1_000_000:.2f}"


def _tokens(count: int | None) -> str:
    if count is None:
        return "?"
    return f"{count / 1_000_000:.1f}M" if count >= 1_000_000 else f"{count // 1000}k" if count >= 1000 else str(count)


def _as_json(card: ModelCard, reach: Reach) -> dict[str, Any]:
    own = card.own
    return {
        "model": str(card.reference),
        "reachable": reach.ok,
        "reach": reach.said,
        "fix": reach.fix or None,
        "input_price": card.input_price,
        "output_price": card.output_price,
        "context": card.context,
        "max_output": card.max_output,
        "capabilities": None if card.capabilities is None else sorted(card.capabilities),
        "quality": card.quality,
        "quality_source": card.quality_source,
        "size": card.size,
        "expertise": sorted(card.expertise),
        "withdrawn": card.withdrawn,
        "defined_at": own.defined_at if own else None,
    }
