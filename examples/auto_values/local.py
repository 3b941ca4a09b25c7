"""The pipeline without a key: a local model server gives the decisions and answers that are written here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import orchestrator_dagster as orc
from orchestrator_dagster.testing import ModelServer, Request

LETTERS = [
    "I returned a book two weeks ago and still get reminders. This is the third time I write!",
    "When are you open on Sundays?",
]


def decide(request: Request) -> dict[str, Any]:
    """The value for the place that the orchestrator is asked about."""
    angry = "third time" in request.prompt.partition('<data name="item">')[2]
    if "`for_each`" in request.prompt:
        return {"value": LETTERS, "reason": "The second letter only says thank you."}
    if "`temperature`" in request.prompt:
        return {"value": 0.7 if angry else 0.1, "reason": "A complaint needs warmth, opening hours need facts."}
    if "`prompt`" in request.prompt:
        return {"value": "apologetic, warm" if angry else "plain, friendly", "reason": "It fits the writer's mood."}
    if "`condition`" in request.prompt:
        return {"value": True, "reason": "One writer has written three times."}
    return {"value": "the reminders for a returned book", "reason": "It is the only complaint."}


def main() -> int:
    """Run the pipeline and show what was decided."""
    with ModelServer() as server:
        server.when(lambda request: "You decide one value" in request.text, reply=decide)
        server.when("Answer this letter", reply=lambda request: f"(An answer, {tone(request.prompt)}.)")
        models = orc.ModelsResource(endpoints=[orc.ModelEndpoint(provider="openai", base_url=server.url)])
        result = orc.compile(Path(__file__).parent / "letters.yaml").run(resources={"models": models})
    if not result.success:
        print(result.error["message"] if result.error else "the run failed", file=sys.stderr)
        return 1
    for name, step in result.steps.items():
        for one in step.get("decisions", ()):
            print(f"{name}.{one['place']}: {json.dumps(one['value'])} ({one['reason']})")
    print(f"{result.outputs['note']}; {result.outputs['answers']} answers")
    return 0


def tone(prompt: str) -> str:
    """The tone that the prompt asks for."""
    return prompt.partition("sentences, in ")[2].partition(".")[0]


if __name__ == "__main__":
    sys.exit(main())
