"""How a tool runs another pipeline: what the run lends it, whatever compiles and runs behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class PipelineEnd:
    """What a pipeline came to that a tool has run.

    Args:
        id: Its id.
        outputs: Its outputs.
        steps: For each step its ``status``, ``value`` and, where it did not complete, ``error`` or ``reason``.
        products: The files that it made.
        usage: ``calls``, ``tokens`` and ``cost`` (None when a price is unknown) of its model calls.
        seconds: How long it took.
    """

    id: str
    outputs: dict[str, Any]
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    products: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class PipelineCheck:
    """What is wrong with a pipeline: ``problems`` as messages with their places; ``valid`` when none is an error."""

    id: str | None
    valid: bool
    problems: list[str]
    inputs: dict[str, Any] = field(default_factory=dict)


class PipelineAccess(Protocol):
    """Runs pipelines inside a step. Their usage and products count for the step."""

    def check(self, source: str | Mapping[str, Any], name: str | None = None) -> PipelineCheck:
        """Compile a pipeline without running it.

        Args:
            source: A path in the workspace, the text of a pipeline file, or a map of the same.
            name: What messages call a text or map.

        Raises:
            PathError: The path leads out of the workspace, or to no file.
        """
        ...

    def run(self, source: str | Mapping[str, Any], inputs: Mapping[str, Any], name: str | None = None) -> PipelineEnd:
        """Compile and run a pipeline.

        Args:
            source: As for :meth:`check`.
            inputs: Values of its inputs.
            name: As for :meth:`check`.

        Raises:
            ToolError: It has errors (all of them are in the message), or pipelines run each other too deep.
            ParametersError: The inputs do not fit.
            InnerStepError: One of its steps failed, and nothing handled it.
            StepTimeoutError: The time of the step is over.
        """
        ...
