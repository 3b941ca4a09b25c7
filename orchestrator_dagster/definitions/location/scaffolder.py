"""What ``dg scaffold defs orchestrator_dagster.PipelinesComponent NAME`` writes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Optional

from dagster.components.component_scaffolding import scaffold_component
from dagster.components.scaffold.scaffold import Scaffolder, ScaffoldRequest
from pydantic import BaseModel, Field

_FOLDER = "pipelines"
_FIRST = """\
id: {id}
name: {title}
description: Find out what a text says about a topic
inputs:
  - topic: {{type: string, default: trees, description: What to look for}}
  - text:
      type: string
      description: What to look through
      default: >-
        Trees shade the south side of the house in summer and let the light in when their leaves have fallen.
        The lawn is cut twice a month. Young trees need water in their first three summers.
steps:
  - id: extract
    model: builtin:extractive   # no key needed; with a key for example openai:gpt-5-mini
    prompt: Extract at most 5 findings about {{{{ topic }}}}.
    parameters: {{text: "{{{{ text }}}}"}}
    vars:
      - findings: {{type: array, items: {{finding: string}}, description: What the text says}}
    products:
      - findings: findings.csv

  - id: report
    tool: report-generator
    parameters:
      title: "{{{{ topic | capitalize }}}}"
      sections:
        - {{title: Findings, content: "{{{{ findings }}}}"}}
    vars:
      - report: "{{{{ result.content }}}}"
    products:
      - report: report.md
outputs:
  count: "{{{{ findings | length }}}}"
"""


class PipelinesParams(BaseModel):
    """Parameters of the scaffolder."""

    path: Optional[str] = Field(  # noqa: UP045 - pydantic reads the annotation on Python 3.10 too
        default=None,
        description="A folder of pipeline files, relative to the new component. Without: a new one, with a pipeline.",
    )


class PipelinesScaffolder(Scaffolder[PipelinesParams]):
    """Writes the ``defs.yaml``, and a first pipeline that runs as it is."""

    @classmethod
    def get_scaffold_params(cls) -> type[PipelinesParams]:
        """The parameters, as ``dg`` offers them."""
        return PipelinesParams

    def scaffold(self, request: ScaffoldRequest[PipelinesParams]) -> None:
        """Write the files; one that is there is left as it is.

        Args:
            request: Where, and in which form.
        """
        path = request.params.path if request.params else None
        scaffold_component(request, {"path": path or _FOLDER})
        if path is None:
            _write_first(request.target_path.parent if request.append else request.target_path)


def _write_first(folder: Path) -> None:
    name = re.sub(r"[^A-Za-z0-9_]+", "_", folder.name).strip("_") or "first"
    file = folder / _FOLDER / f"{name}.yaml"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_FIRST.format(id=name, title=name.replace("_", " ").capitalize()), encoding="utf-8")
