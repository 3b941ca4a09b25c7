"""The layers: one way down, no way back."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import orchestrator_dagster

PACKAGE = Path(orchestrator_dagster.__file__).parent

#: For each layer, the layers of this package that it may import. Modules of the top level are listed by name.
BASE = {
    "error_names",
    "errors",
    "files",
    "frozen",
    "garbage",
    "markdown_text",
    "model_words",
    "processes",
    "retry_after",
    "shell_text",
    "tables",
    "text",
}
MAY_IMPORT = {
    "language": {"language", *BASE},
    "compiler": {"compiler", "language", *BASE},
    "drawing": {"drawing", "compiler", "language", *BASE},
    "models": {"models", *BASE},
    "tools": {"tools", "language", *BASE},
    "runtime": {"runtime", "compiler", "language", "models", "tools", *BASE},
    "intelligence": {"intelligence", "runtime", "compiler", "language", "models", "tools", *BASE},
    "log": {"log", "runtime", "compiler", *BASE},
    "history": {"history", "log", *BASE},
    "project": {"project", "compiler", "language", "models", "tools", *BASE},
    "testing": {"testing"},
}
ONLY_DEFINITIONS = {"dagster", "dagster_graphql", "dagster_webserver"}


def imports(path: Path) -> set[str]:
    """Every module that a file imports, also inside functions; not those for type checkers alone."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(path for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_layer_imports_only_what_is_below_it(path: Path) -> None:
    layer = layer_of(path)
    used = {name.split(".")[1] for name in imports(path) if name.startswith("orchestrator_dagster.")}
    if layer in MAY_IMPORT:
        assert used <= MAY_IMPORT[layer], f"{layer} may not import {sorted(used - MAY_IMPORT[layer])}"
    elif layer in BASE:
        assert not used & {"compiler", "models", "tools", "runtime", "definitions", "api", "cli"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_only_definitions_import_dagster(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    if layer_of(path) not in ("definitions", "code_location"):
        assert not roots & ONLY_DEFINITIONS


def test_every_layer_has_code() -> None:
    for layer in (
        "language", "compiler", "runtime", "models", "tools", "definitions", "testing", "drawing", "intelligence",
        "log", "history",
    ):  # fmt: skip
        assert [path for path in FILES if layer_of(path) == layer and path.name != "__init__.py"]
