"""The log of a run: everything it did, as a JSON document, and as a report that people read.

>>> import orchestrator_dagster as orc
>>> print(orc.log.markdown(orc.load_result("1a2b3c4d").log))  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator_dagster.log.document import Log as Log

__all__ = ["markdown", "schema"]


def markdown(log: Mapping[str, Any] | Log) -> str:
    """The report of a run: what failed and what to do, the steps, their times, models, calls, costs, products.

    The same log gives the same text. What models, tools and files have said is shown as it is, never as markup.

    Args:
        log: ``result.log``, or such a document read from a file.

    Raises:
        LogError: It is no log, or one of a later version.
    """
    from orchestrator_dagster.log.document import Log, read_log
    from orchestrator_dagster.log.report import report

    return report(log if isinstance(log, Log) else read_log(log))


def schema() -> dict[str, Any]:
    """The JSON Schema of a log."""
    from orchestrator_dagster.log.document import Log

    return Log.model_json_schema()
