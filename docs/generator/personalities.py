"""The page of the built-in personalities."""

from __future__ import annotations

from importlib.resources import files

import yaml

from generator.markdown import code, join
from orchestrator_dagster.models.personalities import DEFAULT, find_personality


def page() -> str:
    """Every built-in personality with the prompt that a model is sent."""
    text = files("orchestrator_dagster.models").joinpath("personalities.yaml").read_text(encoding="utf-8")
    parts = [
        "# Personalities",
        "A personality is the system prompt of a model step. `personality:` in the header, in an expert or in a step"
        f" names one; the default is `{DEFAULT}`. How to write your own: [Models](../guides/models.md#personalities)."
        " Each of the built-in ones is sent as it stands here.",
    ]
    for name, entry in yaml.safe_load(text).items():
        found = find_personality(name)
        notes = [f"Extends `{entry['extends']}`." if entry.get("extends") else ""]
        notes.append(f"Temperature {found.temperature:g}." if found.temperature is not None else "")
        parts += [f"## {name}", " ".join(filter(None, notes)), code(_wrapped(found.system_prompt), "text")]
    return join(parts)


def _wrapped(text: str) -> str:
    import textwrap

    return "\n\n".join(textwrap.fill(part, 110) for part in text.split("\n\n"))
