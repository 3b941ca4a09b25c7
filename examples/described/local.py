"""The descriptions and judgements without a key: a local model server gives the answers that are written here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orchestrator_dagster as orc
from orchestrator_dagster.testing import ModelServer, Request

HERE = Path(__file__).parent
INTENTION: dict[str, Any] = {
    "loans": [
        ("The pipeline reports how the books of a town library were lent this month.", []),
        ("From the table `loans` it takes the order of all books and those without a loan.", ["order", "unwanted"]),
        ("Its product `loans.md` names the most lent book and the unwanted ones.", ["write"]),
    ],
    "reminders": [
        ("The pipeline writes reminders for books that are overdue.", []),
        ("`overdue` picks the readers from the table `readers`.", ["overdue"]),
        ("Each of them gets a letter of its own, and nobody else does.", ["letters"]),
    ],
}
ARCHITECTURE: dict[str, Any] = {
    "loans": {
        "overview": "Two steps read the same table side by side, and a third one writes the text.",
        "steps": {
            "order": "Sorts the books by `loans`, the largest number first.",
            "unwanted": "Keeps the books whose number is 0.",
            "write": "Puts the first book and the list of unwanted ones into a text.",
        },
        "control_flow": [],
        "serves": "The order gives the first sentence, and the filter gives the second one.",
    },
    "reminders": {
        "overview": "A filter feeds a loop that writes one letter for each reader.",
        "steps": {
            "overdue": "Keeps the readers whose `days_left` is greater than 0.",
            "letters": "Writes a letter with the reader's name and the title.",
        },
        "control_flow": [("letters", "loop", "The letter is written once for each reader that `overdue` has kept.")],
        "serves": "Each reader that is kept gets a letter.",
    },
}
MISMATCH = {
    "step": "overdue",
    "what": "It keeps the readers who still have days left, so those whose book is overdue get no reminder.",
    "fix": 'Use the operator "<" in its condition.',
}
JUDGEMENT = {"findings": [], "verdict": "It names the most lent book with its loans, and the unwanted one.", "score": 1}


def reply(request: Request) -> dict[str, Any]:
    """What the orchestrator says to a question about one of the two pipelines."""
    name = "reminders" if "days_left" in request.text else "loans"
    if "You document data pipelines" in request.text:
        return {"sentences": [{"text": text, "steps": steps} for text, steps in INTENTION[name]]}
    if "You document the architecture" in request.text:
        said = ARCHITECTURE[name]
        return {
            **said,
            "steps": [{"step": step, "does": does} for step, does in said["steps"].items()],
            "control_flow": [{"step": one, "kind": kind, "means": means} for one, kind, means in said["control_flow"]],
        }
    if "You review data pipelines" in request.text:
        return {"aligned": name == "loans", "findings": [MISMATCH] if name == "reminders" else []}
    return JUDGEMENT


def main() -> int:
    """Describe both pipelines, run the one that does what it says, and have its product judged."""
    with ModelServer() as server:
        server.when(lambda request: True, reply=reply)
        models = orc.ModelsResource(endpoints=[orc.ModelEndpoint(provider="openai", base_url=server.url)])
        resources = {"models": models}

        loans = orc.compile(HERE / "loans.yaml", root=HERE)
        described = loans.describe(resources=resources)
        print(f"{described.intention.text}\n\n{described.architecture.text}\n")

        reminders = orc.compile(HERE / "reminders.yaml", root=HERE)
        try:
            reminders.describe(resources=resources).alignment.check(reminders.id)
        except orc.AlignmentError as error:
            print(f"{error}\n")

        result = loans.run(resources=resources)
        if not result.success:
            print(result.error["message"] if result.error else "the run failed", file=sys.stderr)
            return 1
        quality = result.qc()
        for one in quality.judgements:
            print(f"{', '.join(one.products)}: {one.score} of at least {one.threshold}. {one.verdict}")
    return 0 if quality.passed else 1


if __name__ == "__main__":
    sys.exit(main())
