"""Makes the reference pages from the code: `python docs/generate.py`. With `--check` it says which are out of date."""

from __future__ import annotations

import sys
from pathlib import Path

REFERENCE = Path(__file__).resolve().parent / "reference"
sys.path.insert(0, str(Path(__file__).resolve().parent))  # for a run from anywhere, and for the tests

from generator import command, diagnostics, personalities, pipeline_file, schema, templates, tools  # noqa: E402

from orchestrator_dagster.project.editor_schema import FILE_NAME  # noqa: E402

NOTE = "<!-- Made by docs/generate.py from the code. Do not edit. -->\n\n"


def pages() -> dict[Path, str]:
    """Every generated page with the text that it should have."""
    whole = {
        "pipeline-file.md": pipeline_file.page(),
        "tools.md": tools.page(),
        "diagnostics.md": diagnostics.page(),
        "command.md": command.page(),
        "personalities.md": personalities.page(),
    }
    whole |= {f"diagnostics/{name}": text for name, text in diagnostics.code_pages().items()}
    made = {REFERENCE / name: NOTE + text for name, text in whole.items()}
    made[REFERENCE / FILE_NAME] = schema.text()
    by_hand = REFERENCE / "templates.md"
    made[by_hand] = templates.filled(by_hand.read_text(encoding="utf-8"))
    return made


def main(arguments: list[str]) -> int:
    """Write the pages, or with ``--check`` compare them; gives the exit code."""
    made = pages()
    stale = {
        path: text for path, text in made.items() if not path.is_file() or path.read_text(encoding="utf-8") != text
    }
    gone = sorted(set((REFERENCE / "diagnostics").glob("*.md")) - made.keys())
    for path, text in stale.items():
        print(f"{path.relative_to(REFERENCE.parent.parent)}: {'out of date' if '--check' in arguments else 'written'}")
        if "--check" not in arguments:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for path in gone:
        print(f"{path.relative_to(REFERENCE.parent.parent)}: {'no such code' if '--check' in arguments else 'removed'}")
        if "--check" not in arguments:
            path.unlink()
    if "--check" in arguments and (stale or gone):
        print("run: python docs/generate.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
