"""The pipeline without a key: a local model server draws a small square, and says what is written here."""

from __future__ import annotations

import sys
from pathlib import Path

import orchestrator_dagster as orc
from orchestrator_dagster.testing import ModelServer

SEEN = "A pump stands in a garden. Water drips from it. The roses are dry"


def main() -> int:
    """Run it and show what was heard."""
    with ModelServer() as server:
        server.when("What is on the picture?", reply=SEEN)
        server.when(model="whisper-1", reply=SEEN)
        models = orc.ModelsResource(endpoints=[orc.ModelEndpoint(provider="openai", base_url=server.url)])
        result = orc.compile(Path(__file__).parent / "media.yaml").run(resources={"models": models})
    if not result.success:
        print(result.error["message"] if result.error else "the run failed", file=sys.stderr)
        return 1
    print(f"heard: {result.outputs['heard']}")
    print(f"calls: {result.document['usage']['calls']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
