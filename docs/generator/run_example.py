"""Runs what an explanation of a code shows: its files are written, its commands run, its pipeline is checked."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from orchestrator_dagster.cli import main
from orchestrator_dagster.language.explanations import Explanation, Role

#: Stands for the temporary folder in what is shown.
_FOLDER = "/home/ana/garden"


@contextlib.contextmanager
def example_folder(one: Explanation, role: Role) -> Iterator[Path]:
    """An empty folder with the files of the example, as long as the block runs; it is the current folder."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        for block in one.example(role):
            if block.file is None:
                own = [line for line in block.text.splitlines() if not line.startswith("orchestrator ")]
                subprocess.run(["bash", "-ec", "\n".join(own)], cwd=folder, check=True)
            else:
                path = folder / block.file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text, encoding="utf-8")
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)


def shown(one: Explanation, role: Role) -> str:
    """What ``orchestrator validate`` prints for an example, with the command before it."""
    words = ["validate", one.validated(role)]
    output = io.StringIO()
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(example_folder(one, role))
        stack.enter_context(contextlib.redirect_stdout(output))
        stack.enter_context(contextlib.redirect_stderr(output))
        stack.enter_context(contextlib.suppress(SystemExit))
        # The command itself, but in this process: fifty processes would take a minute.
        main.main(words, prog_name="orchestrator")
    return f"$ orchestrator {' '.join(words)}\n{output.getvalue()}".replace(str(folder), _FOLDER)
