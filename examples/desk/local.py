"""The desk without a key: a local model server gives the answers that are written here. It is run twice."""

from __future__ import annotations

import sys
from pathlib import Path

import orchestrator_dagster as orc
from orchestrator_dagster.testing import ModelServer

ANSWER = "Dear Ana, you may keep the book for two more weeks. On Sunday we are open from ten to four."


def main() -> int:
    """Answer two letters of one reader."""
    with ModelServer() as server:
        server.when(
            "criteria", reply={"prompt": "Answer this letter kindly, in three sentences.", "changes": ["Shorter."]}
        )
        server.when("Answer this letter kindly", reply=ANSWER)
        server.when(
            "kind of task", reply={"kind": "review", "complexity": 1, "tools": [], "reason": "A check of a text."}
        )
        server.when("Check that the draft", reply=ANSWER)
        models = orc.ModelsResource(endpoints=[orc.ModelEndpoint(provider="openai", base_url=server.url)])
        pipeline = orc.compile(Path(__file__).parent / "desk.yaml")
        for rating in (4, 5):
            result = pipeline.run(resources={"models": models}, rating=rating)
            if not result.success:
                print(result.error["message"] if result.error else "the run failed", file=sys.stderr)
                return 1
            print(f"letter {result.outputs['letters']}: {result.outputs['answer']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
