"""The same pipeline against an OpenAI-compatible server of one's own: `python local.py http://127.0.0.1:8000/v1`."""

from __future__ import annotations

import sys
from pathlib import Path

import orchestrator_dagster as orc


def main(url: str) -> int:
    local = orc.ModelsResource(endpoints=[orc.ModelEndpoint(provider="openai", base_url=url)])
    result = orc.compile(Path(__file__).parent / "feedback.yaml").run(resources={"models": local})
    if not result.success:
        print(result.error["message"] if result.error else "the run failed", file=sys.stderr)
        return 1
    print(f"{result.outputs['unhappy']} of {len(result.steps['sort']['value']['sorted'])} writers are not content")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
