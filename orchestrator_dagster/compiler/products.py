"""Products: their formats, asset keys and paths, and the collisions between them."""

from __future__ import annotations

from pathlib import PurePosixPath

from orchestrator_dagster.compiler.bodies import Draft
from orchestrator_dagster.compiler.compiled import CompiledProduct
from orchestrator_dagster.files.remote_files import is_url
from orchestrator_dagster.language.base import has_template
from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.pipeline import Pipeline
from orchestrator_dagster.language.read import Reading
from orchestrator_dagster.language.step import ProductSpec, Step, walk_steps
from orchestrator_dagster.text import nearest_name

#: File suffix of each format; the first one is the usual one.
SUFFIXES: dict[str, tuple[str, ...]] = {
    "txt": (".txt", ".text", ".log"), "md": (".md", ".markdown"), "json": (".json",), "jsonl": (".jsonl", ".ndjson"),
    "yaml": (".yaml", ".yml"), "csv": (".csv",), "tsv": (".tsv",), "parquet": (".parquet",), "html": (".html", ".htm"),
    "png": (".png",), "svg": (".svg",), "pdf": (".pdf",), "xlsx": (".xlsx",),
}  # fmt: skip
_BY_SUFFIX = {suffix: name for name, suffixes in SUFFIXES.items() for suffix in suffixes}

Place = tuple[str | int, ...]


def format_of_path(path: str) -> str | None:
    """The product format that a file's suffix says, None when it says none.

    >>> format_of_path("data/Table.CSV"), format_of_path("README")
    ('csv', None)
    """
    return _BY_SUFFIX.get(PurePosixPath(path).suffix.lower())


def _together(step: Step, variable: str) -> str:
    """How several variables become one file: who wants that names the product freely."""
    if len(step.vars) < 2 or nearest_name(variable, step.vars):
        return ""
    return (
        f"; for one file of them all, make them fields of one variable: `{variable}: {{type: object, properties: …}}`"
    )


def compile_products(reading: Reading, draft: Draft) -> tuple[CompiledProduct, ...]:
    """The products of one step; what is wrong with them is noted."""
    step, place = draft.step, draft.place
    loops = [one for one in draft.home.around() if one.step.for_each is not None]
    top = next((one for one in draft.home.around() if one.home.owner is None), draft)
    pipeline, document, problems = reading.pipeline, reading.document, reading.problems
    assert pipeline is not None
    made = []
    for variable, spec in step.products.items():
        here = (*place, "products", variable)
        if step.vars and variable not in step.vars:
            if reading.lost((*place, "vars", variable)):
                continue
            problems.add(
                "unknown-variable",
                f'step "{step.id}" has no variable "{variable}"{_made_elsewhere(variable, pipeline)}',
                document.key_span(here),
                step=step.id,
                suggestion=nearest_name(variable, step.vars),
                hint=f"its variables: {', '.join(step.vars)}{_together(step, variable)}",
            )
            continue
        kind = _format(spec, step, here, document, problems)
        _check_path(spec, step, here, document, problems)
        each = bool(loops) or variable in draft.per_item
        if variable in draft.one_path:
            problems.add(
                "product-collision",
                f'step "{step.id}": every item of the loop "{draft.one_path[variable]}" would write "{spec.path}"',
                document.span((*here, "path")),
                step=step.id,
                hint="put something of the item into the path: `{{ index }}`, or a field of `{{ item }}`",
            )
        key = spec.key if spec.key is not None else (pipeline.id, variable)
        if _check_key(key, pipeline, step, here, document, problems) and kind:
            made.append(
                CompiledProduct(
                    variable=variable,
                    step=top.step.id,
                    per_item=each,
                    key=key,
                    path=spec.path,
                    format=kind,
                    template=spec.template,
                    description=spec.description,
                    owners=spec.owners or pipeline.owners,
                    kinds=spec.kinds,
                    tags={**pipeline.tags, **spec.tags},
                )
            )
    return tuple(made)


def _made_elsewhere(variable: str, pipeline: Pipeline) -> str:
    maker = next((one.id for _, one in walk_steps(pipeline.steps) if variable in one.vars), None)
    return f'; the step "{maker}" makes it' if maker else ""


def _format(spec: ProductSpec, step: Step, here: Place, document: Document, problems: Problems) -> str | None:
    if spec.format:
        return spec.format
    suffix = PurePosixPath(spec.path).suffix.lower()
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    problems.add(
        "product-format",
        f'step "{step.id}": the path "{spec.path}" has no suffix that tells a format'
        if not suffix or has_template(suffix)
        else f'step "{step.id}": there is no product format for "{suffix}"',
        document.span((*here, "path")),
        step=step.id,
        suggestion=nearest_name(suffix, _BY_SUFFIX) if suffix else None,
        hint=f"set `format` to one of {', '.join(SUFFIXES)}",
    )
    return None


def _check_path(spec: ProductSpec, step: Step, here: Place, document: Document, problems: Problems) -> None:
    path = PurePosixPath(spec.path)
    wrong, hint = None, "write a path below `output_dir`, for example `report.md`"
    if path.is_absolute() or spec.path.startswith("~"):
        wrong = "is absolute; it is relative to the output folder"
    elif is_url(spec.path):
        wrong, (folder, _, name) = "is a URL; it is relative to the output folder", spec.path.rpartition("/")
        hint = f"write `output_dir: {folder}` in the header, and `{name or 'report.md'}` here"
    elif ".." in path.parts:
        wrong = "leaves the output folder"
    elif not path.name.strip() or spec.path.endswith("/"):
        wrong = "is no file name"
    elif not has_template(spec.path) and not spec.path.isprintable():
        wrong = "has a control character"
    if wrong:
        problems.add(
            "product-path",
            f'step "{step.id}": the product path "{spec.path}" {wrong}',
            document.span((*here, "path")),
            step=step.id,
            hint=hint,
        )


def _check_key(
    key: tuple[str, ...], pipeline: Pipeline, step: Step, here: Place, document: Document, problems: Problems
) -> bool:
    if key == (pipeline.id, "run"):
        problems.add(
            "reserved-name",
            f'step "{step.id}": the asset [{pipeline.id}, run] is the run itself',
            document.span((*here, "key")) if document.has((*here, "key")) else document.key_span(here),
            step=step.id,
            hint="call the variable otherwise, or give the product a `key`",
        )
        return False
    bad = [part for part in key if not part or "/" in part or "[" in part or "]" in part or '"' in part or "*" in part]
    if not key or bad:
        problems.add(
            "dagster-name",
            f'step "{step.id}": the asset key {list(key)} has a part that Dagster refuses',
            document.span((*here, "key")),
            step=step.id,
            hint="write parts of letters, digits, _ and -",
        )
        return False
    return True


def check_collisions(products: list[tuple[CompiledProduct, Place]], document: Document, problems: Problems) -> None:
    """Refuse two products with one asset key, or with one literal path."""
    keys: dict[tuple[str, ...], CompiledProduct] = {}
    paths: dict[str, CompiledProduct] = {}
    for product, place in products:
        here = (*place, "products", product.variable)
        other = keys.setdefault(product.key, product)
        if other is not product:
            problems.add(
                "product-collision",
                f'the steps "{other.step}" and "{product.step}" both make the asset [{", ".join(product.key)}]',
                document.span((*here, "key")) if document.has((*here, "key")) else document.key_span(here),
                step=product.step,
                hint="rename one variable, or give one product a `key`",
            )
        if not has_template(product.path):
            other = paths.setdefault(str(PurePosixPath(product.path)).lower(), product)
            if other is not product:
                problems.add(
                    "product-collision",
                    f'the products "{other.variable}" and "{product.variable}" both write "{product.path}"',
                    document.span((*here, "path")),
                    step=product.step,
                    hint="give one of them another path",
                )
