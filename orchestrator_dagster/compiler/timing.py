"""Checks of what starts a pipeline: schedules, triggers, automation; and of its partitions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator_dagster.compiler.asset_inputs import REFUSED_IN_KEYS
from orchestrator_dagster.compiler.compiled import CompiledProduct
from orchestrator_dagster.compiler.cron import cron_hint, cron_problems
from orchestrator_dagster.compiler.partitions import check_partitions
from orchestrator_dagster.compiler.references import Place, TemplateChecker
from orchestrator_dagster.compiler.scopes import Names, Uses
from orchestrator_dagster.errors import PathError
from orchestrator_dagster.files.glob_pattern import GlobPattern
from orchestrator_dagster.language.base import has_template
from orchestrator_dagster.language.pipeline import AutomationCron, Pipeline, Schedule, Trigger
from orchestrator_dagster.language.read import Reading
from orchestrator_dagster.language.step import Step
from orchestrator_dagster.language.template_names import NameUse, texts_of
from orchestrator_dagster.language.types import InputSpec
from orchestrator_dagster.language.values import places_of_problems
from orchestrator_dagster.language.wording import path_text
from orchestrator_dagster.text import nearest_name

#: What templates in the inputs of every schedule and trigger can read: the time of the tick, and the pipeline.
TICK_NAMES = frozenset(
    ("timestamp", "current_timestamp", "current_date", "pipeline_id", "null", "true", "false", "none")
)
#: Fields of `file`, in the inputs of a trigger with `files`.
FILE_FIELDS = ("path", "name", "stem", "folder", "size", "modified")
#: Fields of `asset`, in the inputs of a trigger with `asset`.
ASSET_FIELDS = ("key", "path", "partition", "run_id", "timestamp")
_CONSTANTS = frozenset(("null", "true", "false", "none"))
_PARTITION_FIELDS = ("key",)

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def check_timing(
    reading: Reading,
    inputs: Mapping[str, InputSpec],
    steps: Iterable[tuple[Step, Place]],
    products: Iterable[CompiledProduct],
) -> None:
    """Check when a pipeline runs, and with what.

    Args:
        reading: The pipeline as read; what is wrong is added to its problems.
        inputs: All inputs, ``output_dir`` among them.
        steps: Every step with its place.
        products: Every product that is right.
    """
    assert reading.pipeline is not None
    checker = _Checker(reading, inputs, tuple(products))
    checker.check()
    check_partitions(reading, inputs, steps)


class _Checker:
    def __init__(
        self, reading: Reading, inputs: Mapping[str, InputSpec], products: tuple[CompiledProduct, ...]
    ) -> None:
        assert reading.pipeline is not None
        self.reading = reading
        self.pipeline: Pipeline = reading.pipeline
        self.document = reading.document
        self.problems = reading.problems
        self.inputs = inputs
        self.products = products

    def check(self) -> None:
        for number, schedule in enumerate(self.pipeline.schedule or ()):
            place = self.place("schedule", number)
            self.cron(schedule, place)
            self.given(schedule.inputs, place, "schedule", {})
        for number, trigger in enumerate(self.pipeline.triggers or ()):
            place = self.place("triggers", number)
            self.trigger(trigger, place)
            own: dict[str, tuple[str, ...]] = {"file": FILE_FIELDS} if trigger.files is not None else {}
            own.update({"asset": ASSET_FIELDS} if trigger.asset is not None else {})
            self.given(trigger.inputs, place, "trigger", own)
        if isinstance(self.pipeline.automation, AutomationCron):
            self.cron(self.pipeline.automation, ("automation",))
        for key in ("automation", "partitions", "on_change"):
            if getattr(self.pipeline, key) is not None:
                self.defaults(key)

    def place(self, key: str, number: int) -> Place:
        """The place of a schedule or trigger: one may stand there without a list."""
        return (key, number) if self.document.has((key, number)) else (key,)

    def cron(self, one: Schedule | AutomationCron, place: Place) -> None:
        found = cron_problems(one.cron)
        if found:
            self.problems.add(
                "wrong-value",
                f'"{one.cron}" is no cron expression: {"; ".join(found)}',
                self.document.span((*place, "cron")),
                hint=cron_hint(one.cron),
            )
        if one.timezone != "UTC":
            self.timezone(one.timezone, (*place, "timezone"))

    def timezone(self, name: str, place: Place) -> None:
        import zoneinfo  # finding all names reads folders: only where a file names one

        known = zoneinfo.available_timezones()
        if name not in known:
            cities = {zone.rpartition("/")[2].lower(): zone for zone in sorted(known) if "/" in zone}
            near = cities.get(name.lower().replace(" ", "_")) or nearest_name(name, known)
            self.problems.add(
                "wrong-value",
                f'there is no time zone "{name}"',
                self.document.span(place),
                suggestion=near,
                hint=None if near else "write a name of the IANA list, for example Europe/Berlin or UTC",
            )

    def trigger(self, one: Trigger, place: Place) -> None:
        if one.files is not None and one.asset is not None:
            spans = [self.document.key_span((*place, key)) for key in ("files", "asset")]
            self.problems.add(
                "wrong-value",
                "a trigger has either `files` or `asset`, and this one has both",
                max(spans, key=lambda span: (span.line, span.column)),
                hint="write two triggers",
            )
        elif one.files is None and one.asset is None:
            if not self.reading.lost(place, "files", "asset"):
                self.problems.add(
                    "missing-key",
                    "a trigger says what it waits for: `files` or `asset`",
                    self.document.span(place),
                    hint='write `files: "data/inbox/*.csv"`, or `asset: pipeline/variable`',
                )
            return
        if one.files is not None:
            self.files(one.files, (*place, "files"))
        if one.asset is not None:
            self.asset(one.asset, (*place, "asset"))

    def files(self, pattern: str, place: Place) -> None:
        if has_template(pattern):
            self.problems.add(
                "wrong-value",
                "the files of a trigger are a plain pattern, without a template",
                self.document.span(place),
                hint='write for example "data/inbox/*.csv"',
            )
            return
        try:
            wanted = GlobPattern(pattern)
        except PathError as error:
            what = str(error.message).replace("the folder it is searched in", "the workspace")
            self.problems.add(
                "wrong-value",
                what,
                self.document.span(place),
                hint='write a pattern below the workspace root, for example "data/inbox/*.csv"',
            )
            return
        folder = self.inputs["output_dir"].default
        for product in self.products:
            path = f"{folder}/{product.path}"
            if not has_template(path) and wanted.matches([part for part in path.split("/") if part not in ("", ".")]):
                self.problems.add(
                    "wrong-value",
                    f'the trigger would start on its own product "{product.variable}" ({path}), without end',
                    self.document.span(place),
                    hint="name a folder that the pipeline does not write to",
                )

    def asset(self, text: str, place: Place) -> None:
        key = tuple(text.split("/"))
        if any(not part.strip() or REFUSED_IN_KEYS & set(part) for part in key):
            self.problems.add(
                "wrong-value",
                f'"{text}" is no asset key',
                self.document.span(place),
                hint="write its parts with / between them, for example `other_pipeline/table`",
            )
        own = {product.key for product in self.products} | {(self.pipeline.id, "run")}
        if key in own:
            self.problems.add(
                "wrong-value",
                f'the pipeline makes the asset "{text}" itself: it would start without end',
                self.document.span(place),
                hint="name an asset that something else makes",
            )

    def given(self, given: Mapping[str, Any], place: Place, what: str, own: Mapping[str, tuple[str, ...]]) -> None:
        """Check the inputs that a schedule or trigger gives."""
        here = (*place, "inputs")
        checker = _TickChecker(self.reading, own)
        for name, value in given.items():
            at = (*here, name)
            spec = self.inputs.get(name)
            if spec is None:
                if not self.reading.loose:
                    near = nearest_name(name, self.inputs)
                    self.problems.add(
                        "unknown-key",
                        f'there is no input "{name}"',
                        self.document.key_span(at),
                        suggestion=near,
                        hint=None if near else f"the inputs are {', '.join(self.inputs)}",
                    )
                continue
            texts = [(path, text) for path, text in texts_of(value) if has_template(text) or "<<" in text]
            texts = [] if spec.asset else texts
            for path, text in texts:
                checker.check_input(text, (*at, *path))
            if not texts:
                self.value(name, spec, value, at)
        if self.reading.loose or self.reading.lost(here):
            return
        for name, spec in self.inputs.items():
            if spec.is_required and given.get(name) is None and not self.reading.lost((*here, name)):
                self.problems.add(
                    "missing-key",
                    f'the {what} does not give the input "{name}", which is required',
                    self.document.span(here if self.document.has(here) else place),
                    hint=f"add it to the {what}'s `inputs`, or give it a default",
                )

    def value(self, name: str, spec: InputSpec, value: Any, place: Place) -> None:
        """Check a value that stands in the file."""
        if value is None:
            return  # as if it were not there
        if spec.asset:
            self.problems.add(
                "wrong-value",
                f'the input "{name}" is loaded from the asset "{spec.asset}" and cannot be given',
                self.document.span(place),
                hint="remove it here",
            )
            return
        if spec.kind == "secret" and not _VARIABLE.match(str(value)):
            self.problems.add(
                "wrong-value",
                f'the value of the secret "{name}" is no name of an environment variable',
                self.document.span(place),
                hint="name the environment variable that has the secret, and never write the secret itself",
            )
            return
        for inner, sentence in places_of_problems(spec.typed, value):
            told = f"{path_text(inner)}: {sentence}" if inner else sentence
            self.problems.add(
                "wrong-value",
                f'the value of the input "{name}" does not fit: {told}',
                self.document.span((*place, *inner)),
                hint=f"change it, or the input's description under `inputs.{name}`",
            )

    def defaults(self, key: str) -> None:
        """Refuse what starts without inputs when the pipeline needs one."""
        needed = [name for name, spec in self.inputs.items() if spec.is_required]
        if needed and not self.reading.loose:
            names = ", ".join(f'"{name}"' for name in needed)
            what = {"automation": "automation starts", "partitions": "backfills start"}.get(key, "a change starts")
            self.problems.add(
                "wrong-value",
                f"{what} the pipeline without inputs, and it requires {names}",
                self.document.span((key,)),
                hint=f"give {names} a default",
            )


class _TickChecker(TemplateChecker):
    """Checks templates that are rendered before a run exists: they know the tick and what it is about."""

    def __init__(self, reading: Reading, own: Mapping[str, tuple[str, ...]]) -> None:
        assert reading.pipeline is not None
        super().__init__(Names({}, {}, loose=False), reading.document, reading.problems)
        partitions = {"partition": _PARTITION_FIELDS} if reading.pipeline.partitions is not None else {}
        self.own = {**own, **partitions}

    def check_input(self, text: str, place: Place) -> None:
        """Check one text."""
        if self.check(text, place, None).includes:
            self.problems.add(
                "wrong-value",
                "an input cannot be an included file here",
                self.document.span(place),
                hint="give the file's path, and read it in a step",
            )

    def resolve(self, use: NameUse, place: Place, step: str | None, uses: Uses) -> None:
        """Note a name that there is none of before a run exists."""
        root = use.root
        if root in self.own:
            fields = self.own[root]
            if len(use.path) == 1:
                message, hint = f'"{root}" is read with a field: `{root}.{fields[0]}`', f"it has {', '.join(fields)}"
                self.unknown(use, place, step, message, root, (), hint=hint)
            elif use.path[1] not in fields:
                message = f'"{root}" has no field "{use.path[1]}"'
                self.unknown(use, place, step, message, str(use.path[1]), fields, "unknown-field")
        elif root not in TICK_NAMES | _CONSTANTS:
            known = [*self.own, *sorted(TICK_NAMES)]
            hint = f"before the run starts there is {', '.join(known)}"
            self.unknown(use, place, step, f'there is no "{root}" here', root, known, hint=hint)
