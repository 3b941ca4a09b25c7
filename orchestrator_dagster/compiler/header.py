"""Checks of the header: inputs with their defaults, owners and tags as Dagster takes them, the output folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from orchestrator_dagster.errors import PathError, PersonalityError
from orchestrator_dagster.files.remote_files import is_url, plain_url
from orchestrator_dagster.language.base import has_template
from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.document import Document
from orchestrator_dagster.language.pipeline import BUILT_IN_NAMES, Pipeline
from orchestrator_dagster.language.shape_problems import step_of
from orchestrator_dagster.language.step import walk_steps
from orchestrator_dagster.language.template_names import texts_of
from orchestrator_dagster.language.types import InputSpec
from orchestrator_dagster.language.values import places_of_problems
from orchestrator_dagster.language.wording import path_text
from orchestrator_dagster.text import without_question

#: Names that Dagster refuses for ops, inputs and outputs, and those of the two ops that every pipeline has.
RESERVED_OPS = frozenset(
    [
        "type",
        "input",
        "output",
        "config",
        "context",
        "class",
        "in",
        "def",
        "if",
        "else",
        "for",
        "while",
        "return",
        "not",
        "and",
        "or",
        "is",
        "None",
        "True",
        "False",
        "from",
        "import",
        "as",
        "with",
        "lambda",
        "try",
        "except",
        "finally",
        "raise",
        "pass",
        "break",
        "continue",
        "global",
        "nonlocal",
        "del",
        "assert",
        "yield",
        "async",
        "await",
        "elif",
        "inputs",
        "finish",
    ]
)
# As Dagster reads them; it takes no longer top-level domains.
_OWNER = re.compile(r"(team:.+|\w[A-Za-z0-9._%+-]*@[A-Za-z0-9.-]+\.[A-Za-z]{2,7})\Z", re.DOTALL | re.ASCII)
_TAG_KEY = re.compile(r"([A-Za-z0-9_.-]{1,63}/|dagster/kind/)?[A-Za-z0-9_.-]{1,63}\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_KIND = re.compile(r"[A-Za-z0-9_.-]{1,63}\Z")
_FILE = re.compile(r"\S*(/\S*|\.(md|txt|ya?ml))\Z")  # a personality that looks like the path of a file
_MOST_KINDS = 3
_POOL = re.compile(r"\S+\Z")
_INTEGER = re.compile(r"[+-]?\d+\Z", re.ASCII)
_POOL_TAG, _PRIORITY_TAG = "dagster/concurrency_key", "dagster/priority"
_TAG_VALUE = re.compile(r"[A-Za-z0-9_.-]{0,63}\Z")

Place = tuple[str | int, ...]


def op_name(step: str) -> str:
    """The name of a step's op in Dagster.

    >>> op_name("read-files"), op_name("input")
    ('read_files', 'step_input')
    """
    name = step.replace("-", "_")
    return f"step_{name}" if name in RESERVED_OPS else name


def compile_inputs(pipeline: Pipeline) -> dict[str, InputSpec]:
    """The inputs, with ``output_dir``, which every pipeline has."""
    inputs = dict(pipeline.inputs)
    folder = pipeline.output_dir or f"outputs/{pipeline.id}"
    declared = inputs.get("output_dir")
    if declared is None or (declared.default is None and not declared.is_required):
        inputs["output_dir"] = InputSpec(type="path", default=folder, description="Folder of the products.")
    return inputs


def step_names(pipeline: Pipeline) -> Mapping[str, str]:
    """Names that no step and no variable may have, with what they would hide."""
    names = {name: f'the built-in name "{name}"' for name in BUILT_IN_NAMES}
    names.update({name: f'the constant "{name}"' for name in pipeline.constants})
    return {**names, **{name: f'the input "{name}"' for name in (*pipeline.inputs, "output_dir")}}


def check_header(pipeline: Pipeline, document: Document, problems: Problems, root: Path | None = None) -> None:
    """Check what the header says besides steps and outputs.

    Args:
        pipeline: The pipeline.
        document: Its file.
        problems: Takes what is wrong.
        root: The workspace root, when it is known: the output folder must stand below it.
    """
    for name in pipeline.constants:
        what = f'the input "{name}"' if name in pipeline.inputs else "a name of the language"
        if name in pipeline.inputs or name in BUILT_IN_NAMES:
            problems.add(
                "reserved-name",
                f'the constant "{name}" hides {what}',
                document.key_span(("constants", name)),
                hint="call it otherwise",
            )
    for name, spec in pipeline.inputs.items():
        place: Place = ("inputs", name)
        default = spec.default
        if default is not None and not any(has_template(text) for _, text in texts_of(default)):
            if spec.type == "secret" and isinstance(default, str) and not _VARIABLE.match(default):
                problems.add(
                    "wrong-default",
                    f'the default of the secret "{name}" is no name of an environment variable',
                    document.span((*place, "default")),
                    hint="name the environment variable that has the secret, and never write the secret itself",
                )
                continue
            for inner, found in places_of_problems(spec, default):
                problems.add(
                    "wrong-default",
                    f'the default of the input "{name}" breaks its own description: {_with_place(inner, found)}',
                    document.span((*place, "default", *inner)),
                    hint="change the default or the description",
                )
    owners: list[tuple[Place, str]] = [(("owners",), owner) for owner in pipeline.owners]
    tags: list[tuple[Place, str, str]] = [(("tags", name), name, value) for name, value in pipeline.tags.items()]
    for place, step in walk_steps(pipeline.steps):
        tags += [((*place, "tags", name), name, value) for name, value in step.tags.items()]
        for variable, product in step.products.items():
            here = (*place, "products", variable)
            owners += [((*here, "owners"), owner) for owner in product.owners]
            tags += [((*here, "tags", name), name, value) for name, value in product.tags.items()]
    for where, owner in owners:
        if not _OWNER.match(owner):
            problems.add(
                "dagster-name",
                f'"{owner}" is no owner for Dagster',
                document.place_in(where, owner),
                step=step_of(where, document),
                hint="write team:name or an e-mail address",
            )
    for at, name, value in tags:
        if not _TAG_KEY.match(name) or not _TAG_VALUE.match(value):
            problems.add(
                "dagster-name",
                f'the tag "{name}: {value}" is none for Dagster',
                document.key_span(at) if _TAG_VALUE.match(value) else document.span(at),
                step=step_of(at, document),
                hint="at most 63 letters, digits, _, - and . in name and value",
            )
    _check_kinds(pipeline, document, problems)
    _check_pools(pipeline, document, problems)
    _check_output_dir(pipeline, document, problems, root)


def _with_place(place: tuple[str | int, ...], sentence: str) -> str:
    return f"{path_text(place)}: {sentence}" if place else sentence


def _check_pools(pipeline: Pipeline, document: Document, problems: Problems) -> None:
    """Pools and priorities: Dagster reads them when it makes the op, or when it orders the steps of a run."""
    for at, step in walk_steps(pipeline.steps):
        if step.pool is not None:
            place = (*at, "pool")
            tagged = step.tags.get(_POOL_TAG, step.pool)
            if not _POOL.match(step.pool):
                problems.add(
                    "dagster-name",
                    f'"{step.pool}" is no pool for Dagster',
                    document.span(place),
                    step=step.id,
                    hint="write one word; what a template gives is not known when the op is made"
                    if has_template(step.pool)
                    else f"write one word without blanks{_for_example(step.pool)}",
                )
            elif len(at) > 2:
                problems.add(
                    "unused-key",
                    f'step "{step.id}" has `pool`, and stands inside a loop, whose steps are no ops of Dagster',
                    document.key_span(place),
                    step=step.id,
                    hint="give the outermost loop the `pool`, or hold calls of a provider by `limits` in the header",
                )
            elif tagged != step.pool:
                problems.add(
                    "dagster-name",
                    f'step "{step.id}" has the pool "{step.pool}", and another by the tag `{_POOL_TAG}: {tagged}`',
                    document.span((*at, "tags", _POOL_TAG)),
                    step=step.id,
                    hint="remove the tag",
                )
        priority = step.tags.get(_PRIORITY_TAG)
        if priority is not None and not _INTEGER.match(priority):
            problems.add(
                "dagster-name",
                f'step "{step.id}": Dagster reads the tag `{_PRIORITY_TAG}` as a whole number, found "{priority}"',
                document.span((*at, "tags", _PRIORITY_TAG)),
                step=step.id,
                hint="write a number, for example 1; steps with a higher one start first",
            )


def _for_example(name: str) -> str:
    one = "_".join(name.split())
    return f": `{one}`" if one else ""


def _check_kinds(pipeline: Pipeline, document: Document, problems: Problems) -> None:
    for at, step in walk_steps(pipeline.steps):
        for variable, product in step.products.items():
            place = (*at, "products", variable, "kinds")
            for kind in product.kinds:
                if not _KIND.match(kind):
                    problems.add(
                        "dagster-name",
                        f'"{kind}" is no kind for Dagster',
                        document.place_in(place, kind),
                        step=step.id,
                        hint="write 1 to 63 letters, digits, _, - and .",
                    )
            if len(product.kinds) > _MOST_KINDS:
                problems.add(
                    "dagster-name",
                    f"an asset has at most {_MOST_KINDS} kinds, found {len(product.kinds)}",
                    document.span(place),
                    step=step.id,
                    hint="leave some out",
                )


def check_personalities(
    pipeline: Pipeline, find: Callable[[str], object], document: Document, problems: Problems
) -> dict[str, str]:
    """Check that every personality that is named is somewhere; gives the system prompt of each by its name."""
    prompts: dict[str, str] = {}
    places: list[tuple[Place, str | None, str | None]] = [(("personality",), pipeline.personality, None)]
    places += [(("experts", name, "personality"), one.personality, None) for name, one in pipeline.experts.items()]
    places += [((*at, "personality"), one.personality, one.id) for at, one in walk_steps(pipeline.steps)]
    for place, value, step in places:
        if value is None or has_template(value):
            continue
        if _FILE.match(value):
            problems.add(
                "unknown-personality",
                f'the personality "{value}" is no name, so this text itself is the system prompt',
                document.span(place),
                severity="warning",
                step=step,
                hint=f"when the file is meant, write its name: `personality: {PurePosixPath(value).stem}`; files are"
                " looked up in personalities/",
            )
        try:
            prompts[value] = str(getattr(find(value), "system_prompt", value))
        except PersonalityError as error:
            message, near = without_question(error.message)
            span = document.span(place)
            problems.add("unknown-personality", message, span, step=step, suggestion=near, hint=error.hint)
    return prompts


def _check_output_dir(pipeline: Pipeline, document: Document, problems: Problems, root: Path | None) -> None:
    declared = pipeline.inputs.get("output_dir")
    by_input = declared is not None and isinstance(declared.default, str)
    folder = declared.default if declared is not None and by_input else pipeline.output_dir
    place = ("inputs", "output_dir", "default") if by_input else ("output_dir",)
    if isinstance(folder, str) and is_url(folder) and not has_template(folder):
        try:
            plain_url(folder)
        except PathError as error:
            problems.add("output-path", f"the output folder: {error.message}", document.span(place), hint=error.hint)
        return
    if isinstance(folder, str) and (".." in PurePosixPath(folder).parts or _is_elsewhere(folder, root)):
        problems.add(
            "output-path",
            f'the output folder "{folder}" leaves the workspace',
            document.span(place),
            hint="write a folder below the workspace root, for example outputs/",
        )


def _is_elsewhere(folder: str, root: Path | None) -> bool:
    """Whether an absolute folder, as far as it is known before its templates are rendered, is not below the root."""
    known, template, _ = folder.partition("{{")
    known = known.rpartition("/")[0] or "/" if template else known
    if root is None or not Path(folder).is_absolute():
        return False
    at, base = Path(known).resolve(), root.resolve()
    return not at.is_relative_to(base) and not (template and base.is_relative_to(at))
