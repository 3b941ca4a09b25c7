"""What ``orchestrator init`` writes: a first pipeline that runs as it is, its schema, what serves it in Dagster.

Editors with a YAML language server find the schema by the first line of the pipeline, and complete and check with it.
"""

from __future__ import annotations

from pathlib import Path

from orchestrator_dagster.errors import PathError
from orchestrator_dagster.project.editor_schema import FILE_NAME, schema_line, schema_text
from orchestrator_dagster.tools.registry import ToolRegistry

FILES: dict[str, str] = {
    "pipelines/first.yaml": schema_line(f"../{FILE_NAME}")
    + """\
id: first
name: First pipeline
description: Find out what the notes say about a topic
default_model: builtin:extractive   # no key needed; with a key for example openai:gpt-5-mini
inputs:
  - topic: {type: string, default: trees, description: What to look for}
steps:
  - id: read
    tool: filesystem
    action: read_many
    parameters: {path: notes, pattern: "*.md"}

  - id: extract
    prompt: Extract at most 5 findings about {{ topic }}.
    parameters: {notes: "{{ read.items }}"}
    vars:
      - findings: {type: array, items: {finding: string, source: string}}
    products:
      - findings: findings.csv

  - id: report
    tool: report-generator
    parameters:
      title: "{{ topic | capitalize }}"
      sections:
        - {title: Findings, content: "{{ findings }}"}
    vars:
      - text: "{{ result.content }}"
    products:
      - text: report.md
outputs:
  count: "{{ findings | length }}"
""",
    "notes/garden.md": """\
# The garden

Trees shade the south side of the house in summer and let the light in when their leaves have fallen. The old apple
trees carry fruit every second year. Young trees need water in their first three summers.

The lawn is cut twice a month. It turns brown in dry summers and recovers with the first rain in autumn.
""",
    "workspace.yaml": """\
load_from:
  - python_module:
      module_name: orchestrator_dagster.code_location
      location_name: pipelines
""",
}

_IGNORED = """\
# runs, and what they make
.orchestrator/
outputs/
__pycache__/
"""


def write_starter(folder: Path) -> list[Path]:
    """Write the files of a first project.

    Args:
        folder: Where; made when it is not there.

    Returns:
        The files written.

    Raises:
        PathError: One of them is there already; nothing is written then. (A `.gitignore` that is there stays.)
    """
    files = {**FILES, FILE_NAME: schema_text(ToolRegistry())}
    if not (folder / ".gitignore").exists():
        files[".gitignore"] = _IGNORED
    there = [name for name in files if (folder / name).exists()]
    if there:
        raise PathError(f'"{folder / there[0]}" is there already, nothing was written', hint="choose an empty folder")
    written = []
    try:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(path)
    except OSError as error:
        raise PathError(f'"{folder}" cannot be written to: {error.strerror}') from None
    return written
