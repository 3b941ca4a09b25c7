"""Progress of a run on stderr: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from orchestrator_dagster.cli.people import people_at_terminal
from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.steps.progress import OnProgress, Progress
from orchestrator_dagster.text import visible

_AROUND = 4  # lines around the table: the title, the sums, the rest, the shell's own
_FEWEST = 5


@contextlib.contextmanager
def progress_view(pipeline: CompiledPipeline, quiet: bool = False) -> Iterator[OnProgress | None]:
    """A callback that shows progress while the block runs; None when nothing is to be shown."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        with people_at_terminal(console):
            yield None if quiet else _plain
        return
    view = _View(pipeline)
    with Live(view, console=console, refresh_per_second=8, transient=False) as live, people_at_terminal(console, live):
        yield view.note


def _plain(event: Progress) -> None:
    # Whoever read it may be gone (`2>&1 | head`, a closed terminal), a tool may have closed it: the run goes on.
    if event.kind == "items":
        return
    with contextlib.suppress(OSError, ValueError):
        print(visible(_line(event)), file=sys.stderr, flush=True)


def _line(event: Progress) -> str:
    if event.kind == "completed":
        figures = _figures(event)
        return f"{event.step}: completed{f' ({figures})' if figures else ''}"
    if event.kind == "product":
        return f"{event.step}: wrote {event.message}"
    if event.kind == "started":
        return f"{event.step}: started"
    return f"{event.step}: {event.kind}\n  {event.message}" if event.message else f"{event.step}: {event.kind}"


def _figures(event: Progress) -> str:
    parts = [f"{event.seconds:.2f} s" if event.seconds is not None else ""]
    if event.tokens is not None:
        parts.append(f"{event.tokens:,} tokens")
        parts.append("unknown cost" if event.cost is None else dollars(event.cost))
    if event.failed_items:
        parts.append(f"{event.failed_items:,} item{'s' if event.failed_items > 1 else ''} failed")
    return ", ".join(part for part in parts if part)


def dollars(cost: float) -> str:
    """An amount as people read it: two decimals, more for what is less than a cent."""
    return f"${cost:.2f}" if cost >= 0.01 or cost == 0 else f"${cost:.2g}"


def _items(event: Progress) -> str:
    if event.items_total is None:
        return f"{event.items_done:,} passes"
    return f"{event.items_done:,} of {event.items_total:,} items"


class _View:
    """The live table: one row a step, a line of sums below."""

    def __init__(self, pipeline: CompiledPipeline) -> None:
        self.title = pipeline.name or pipeline.id
        self.states: dict[str, tuple[str, str]] = {step.id: ("waiting", "") for step in pipeline.steps}
        self.products: list[str] = []
        self.tokens, self.cost, self.unknown, self.started = 0, 0.0, False, time.monotonic()
        self.failures: list[str] = []

    def note(self, event: Progress) -> None:
        """Take an event into the view."""
        if event.kind == "product":
            self.products.append(event.message)
            return
        if event.kind == "completed":
            self.tokens += event.tokens or 0
            self.cost += event.cost or 0.0
            self.unknown |= bool(event.tokens) and event.cost is None
            self.states[event.step] = ("completed", _figures(event))
            return
        if event.kind == "items":
            if self.states[event.step][0] == "running":
                self.states[event.step] = ("running", _items(event))
            return
        if event.kind == "failed":
            self.failures.append(visible(f"{event.step}: {event.message}"))
        state = {"started": "running"}.get(event.kind, event.kind)
        why = visible(event.message) if state == "skipped" else ""
        self.states[event.step] = (state, f"because {why}" if why else "")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table.grid(padding=(0, 2))
        marks = {
            "waiting": "·", "completed": "[green]✓[/]", "skipped": "[dim]–[/]", "failed": "[red]✗[/]",
            "retrying": "[yellow]↻[/]",
        }  # fmt: skip
        rows, left_out = self._rows(console.size.height - len(self.products) - len(self.failures) - _AROUND)
        for step, (state, figures) in rows:
            mark: RenderableType = Spinner("dots") if state == "running" else Text.from_markup(marks[state])
            table.add_row(mark, Text(step), Text(state, style="dim"), Text(figures, style="dim"))
        done = sum(state in ("completed", "skipped") for state, _ in self.states.values())
        elapsed = time.monotonic() - self.started
        cost = f"{dollars(self.cost)}{' and an unknown cost' if self.unknown else ''}"
        sums = f"{done} of {len(self.states)} steps, {self.tokens:,} tokens, {cost}, {elapsed:.1f} s"
        wrote = [Text(f"  wrote {path}", style="cyan") for path in self.products]
        failed = [Text(text, style="red") for text in self.failures]
        others = [Text(f"  and {left_out:,} more", style="dim")] if left_out else []
        yield Group(Text(self.title, style="bold"), table, *others, *wrote, *failed, Text(sums, style="dim"))

    def _rows(self, room: int) -> tuple[list[tuple[str, tuple[str, str]]], int]:
        """The steps that fit on the screen, and how many do not: what happens now goes before what is done or waits."""
        every = list(self.states.items())
        room = max(room, _FEWEST)
        if len(every) <= room:
            return every, 0
        order = {"running": 0, "retrying": 0, "failed": 1, "completed": 2, "skipped": 2}
        chosen = sorted(range(len(every)), key=lambda at: (order.get(every[at][1][0], 3), -at))[: room - 1]
        return [every[at] for at in sorted(chosen)], len(every) - len(chosen)
