"""The pipeline without a key and without a network: a server on this machine plays the model, the tools are real."""

from __future__ import annotations

import sys
from pathlib import Path

import dagster as dg

import orchestrator_dagster as orc
from orchestrator_dagster.testing import Answer, ModelServer, ToolUse

#: What the model says, turn by turn. A misspelt argument is among it: the model is told, and does better.
TURNS = [
    Answer(tool_calls=[ToolUse("filesystem__list", {"path": "stock"})]),
    Answer(
        tool_calls=[
            ToolUse("filesystem__read", {"path": "stock/lamps.md"}),
            ToolUse("filesystem__read", {"path": "stock/chairs.md"}),
        ]
    ),
    Answer(tool_calls=[ToolUse("shipping", {"peaces": 2, "bulky": True})]),
    Answer(tool_calls=[ToolUse("shipping", {"pieces": 2, "bulky": True})]),
    Answer(
        tool_calls=[
            ToolUse(
                "final_answer",
                {
                    "items": [{"article": "Floor lamp", "pieces": 2, "price_each": 79.0}],
                    "shipping_eur": 17.7,
                    "missing": ["Deck chair"],
                },
            )
        ]
    ),
]


def main() -> int:
    pipeline = orc.compile(Path(__file__).parent / "offer.yaml")
    with ModelServer(TURNS) as server, dg.DagsterInstance.ephemeral() as instance:
        endpoint = orc.ModelEndpoint(provider="openai", base_url=server.url)
        result = pipeline.run(instance=instance, resources={"models": orc.ModelsResource(endpoints=[endpoint])})
    if not result.success:
        print(result.error["message"] if result.error else "the run failed", file=sys.stderr)
        return 1
    for call in result.steps["quote"]["tool_calls"]:
        print(f"{call['name']:<16} {'ok    ' if call['ok'] else 'failed'} {call['arguments']}")
    print(f"shipping {result.outputs['shipping']} EUR, missing: {', '.join(result.outputs['missing'])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
