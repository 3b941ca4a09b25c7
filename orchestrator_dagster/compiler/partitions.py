"""Checks of partitions: their kind, start and keys, and that each partition writes files of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from orchestrator_dagster.compiler.references import Place
from orchestrator_dagster.language.pipeline import PARTITION_KINDS, Partitions, Pipeline
from orchestrator_dagster.language.read import Reading
from orchestrator_dagster.language.step import Step
from orchestrator_dagster.language.template_names import read_template, texts_of
from orchestrator_dagster.language.types import InputSpec

#: What Dagster refuses in a partition's key: three dots (they stand for a range), and control characters.
_REFUSED = ("...", *map(chr, range(32)), "\x7f")
#: What would make a key several folders, or lead out of one: it becomes a part of a path.
_NO_NAMES = (".", "..")


def check_partitions(reading: Reading, inputs: Mapping[str, InputSpec], steps: Iterable[tuple[Step, Place]]) -> None:
    """Check the partitions of a pipeline that has some.

    Args:
        reading: The pipeline as read; what is wrong is added to its problems.
        inputs: All inputs, ``output_dir`` among them.
        steps: Every step with its place.
    """
    pipeline = reading.pipeline
    assert pipeline is not None
    if pipeline.partitions is None:
        return
    _check_kind(reading, pipeline.partitions)
    finder = _Reads(pipeline, inputs)
    if finder.input("output_dir"):
        return
    for step, place in steps:
        for variable, product in step.products.items():
            if not finder.text(product.path):
                reading.problems.add(
                    "product-path",
                    f'step "{step.id}": every partition would write the same file "{product.path}"',
                    reading.document.span((*place, "products", variable, "path")),
                    step=step.id,
                    hint="put {{ partition.key }} into the path, or into `output_dir`",
                )


def _check_kind(reading: Reading, partitions: Partitions) -> None:
    document, problems = reading.document, reading.problems
    kinds = [kind for kind in PARTITION_KINDS if getattr(partitions, kind) is not None]
    if not kinds:
        if not reading.lost(("partitions",), *PARTITION_KINDS):
            problems.add(
                "missing-key",
                f"`partitions` says of which kind they are: {', '.join(PARTITION_KINDS)}",
                document.span(("partitions",)),
                hint="write `partitions: {daily: 2026-01-01}`",
            )
        return
    if len(kinds) > 1:
        spans = [document.key_span(("partitions", kind)) for kind in kinds]
        problems.add(
            "wrong-value",
            f"partitions are of one kind, and these are {' and '.join(kinds)}",
            max(spans, key=lambda span: (span.line, span.column)),
            hint="keep one of them",
        )
    for kind in kinds:
        if kind == "static":
            _check_keys(reading, partitions.static or ())
        elif Partitions(**{kind: getattr(partitions, kind)}).start is None:
            problems.add(
                "wrong-value",
                f'the start of the {kind} partitions, "{getattr(partitions, kind)}", is no date',
                document.span(("partitions", kind)),
                hint="write 2026-01-01, or with the hour 2026-01-01 06:00" if kind == "hourly" else "write 2026-01-01",
            )


def _check_keys(reading: Reading, keys: tuple[str, ...]) -> None:
    document, problems = reading.document, reading.problems
    place = ("partitions", "static")
    if not keys:
        problems.add("wrong-value", "there is no partition", document.span(place), hint="write `[north, south]`")
    for number, key in enumerate(keys):
        wrong = None
        if not key.strip():
            wrong = "is empty"
        elif any(part in key for part in _REFUSED):
            wrong = "has three dots or a control character, which Dagster refuses"
        elif "/" in key or "\\" in key or key in _NO_NAMES:
            wrong = "is no part of a path"
        elif key in keys[:number]:
            wrong = f"stands {Counter(keys)[key]} times"
        if wrong:
            problems.add(
                "wrong-value",
                f'the partition key "{key}" {wrong}',
                document.span((*place, number)),
                hint="write keys of letters, digits, _ and -, each once",
            )


class _Reads:
    """Finds whether a text depends on the partition: by itself, or through a constant or an input's default."""

    def __init__(self, pipeline: Pipeline, inputs: Mapping[str, InputSpec]) -> None:
        self.pipeline = pipeline
        self.inputs = inputs
        self.looking: set[str] = set()

    def text(self, text: str) -> bool:
        """Whether a template reads the partition's key."""
        for use in read_template(text).names:
            name = str(use.path[1]) if use.root in ("inputs", "parameters") and use.path[1:] else use.root
            if use.root == "partition" or self.input(name) or self.value(name, self.pipeline.constants.get(name)):
                return True
        return False

    def input(self, name: str) -> bool:
        """Whether the default of an input reads it."""
        return name in self.inputs and self.value(name, self.inputs[name].default)

    def value(self, name: str, value: object) -> bool:
        """Whether a text in the value of a name does."""
        if name in self.looking:
            return False
        self.looking.add(name)
        try:
            return any(self.text(text) for _, text in texts_of(value))
        finally:
            self.looking.discard(name)
