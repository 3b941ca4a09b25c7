"""The two lists of the templates' page: filters, each with an example that is rendered here, and names."""

from __future__ import annotations

import inspect
import re
from typing import Any

from generator.markdown import prose, table
from orchestrator_dagster.compiler.loops import ITEM_NAMES
from orchestrator_dagster.language.pipeline import BUILT_IN_NAMES
from orchestrator_dagster.language.template_filters import FILTERS
from orchestrator_dagster.language.templates import render

_VALUES: dict[str, Any] = {
    "title": "Trees & Shade: 2026!",
    "path": "data/notes/march.md",
    "text": '{"a": 1}',
    "rows": [{"shop": "north", "units": 12}, {"shop": "south", "units": 7}],
    "day": "2026-01-31",
}
_EXAMPLES = {
    "slugify": "{{ title | slugify }}",
    "from_json": "{{ (text | from_json).a }}",
    "to_json": "{{ rows | to_json }}",
    "from_yaml": "{{ ('a: [1, 2]' | from_yaml).a | sum }}",
    "to_yaml": "{{ rows[0] | to_yaml }}",
    "to_csv": "{{ rows | to_csv }}",
    "regex_search": r"{{ title | regex_search('\d+') }}",
    "regex_replace": r"{{ title | regex_replace('\s*&\s*', ' and ') }}",
    "basename": "{{ path | basename }}",
    "dirname": "{{ path | dirname }}",
    "stem": "{{ path | stem }}",
    "date": "{{ day | date('%d.%m.%Y') }}",
    "truncate_words": "{{ title | truncate_words(2) }}",
    "split": "{{ path | split('/') | first }}",
    "markdown_table": "{{ rows | markdown_table }}",
}
_OTHER_NAMES = {"tojson": "to_json"}
_NAMES = {
    "inputs": "every input, by name: `inputs.topic`",
    "parameters": "the same",
    "steps": "every step, by id: `steps.research.findings`",
    "results": "the same",
    "previous_results": "the same",
    "execution": "`execution.id` (Dagster's run id), `.timestamp`, `.started_at`, `.date`, `.time` (UTC, of the start)",
    "timestamp": "the time now, ISO 8601 in UTC",
    "current_timestamp": "the same",
    "current_date": "the day now, in UTC",
    "pipeline_id": "the pipeline's id",
    "env": "`env.NAME`: an environment variable that the `workspace` resource allows",
    "partition": "`partition.key`: the key of the run's partition, in a pipeline with `partitions`",
    "item": "in a `for_each`: the item; also under the name that `as` gives it",
    "index": "in a loop: the number of the item or pass, from 0; of a loop further out `<its id>.index`",
    "iteration": "the same",
    "is_first": "in a loop: whether it is the first item or pass",
    "is_last": "in a `for_each`: whether it is the last item",
    "length": "in a `for_each`: how many items there are",
    "loop": "in a loop: `loop.index` (from 1), `.index0`, `.first`; in a `for_each` also `.last`, `.length`",
    "now": "a function: `now()` is the time, in UTC, as a value for `date`",
    "outputs": "`outputs.name`: an output of the pipeline that needs no later step",
    "error": "in a step that `on_failure` leads to: `error.type`, `error.message`, `error.step`",
    "null": "nothing; `none`, `true` and `false` are there too",
}
#: Said with another name, not there when a step is rendered, or there only inside loops: the guide on loops has them.
_SILENT = {"none", "true", "false", "outputs", "loop", *ITEM_NAMES}


def filled(text: str) -> str:
    """The page with its two lists put between their marks."""
    for name, made in (("filters", filters()), ("names", names())):
        pattern = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        found = pattern.search(text)
        assert found, f"the page has no place for {name}"
        text = f"{text[: found.start()]}{found[1]}\n{made}\n\n{found[2]}{text[found.end() :]}"
    return text


def filters() -> str:
    """Every filter of ours: what it does, an example, what comes out."""
    rows = []
    for name, function in FILTERS.items():
        if name in _OTHER_NAMES:
            continue
        example = _EXAMPLES[name]
        shown = str(render(f"{example} ", _VALUES)).strip().replace("\n", "⏎")
        also = "".join(f" Also `{other}`." for other, target in _OTHER_NAMES.items() if target == name)
        does = prose((inspect.getdoc(function) or "").partition("\n")[0]) + also
        rows.append((f"`{name}`", does, f"`{example}`", f"`{shown}`"))
    return table(("filter", "does", "example", "gives"), rows)


def names() -> str:
    """Every name that is always there."""
    missing = BUILT_IN_NAMES - _NAMES.keys() - _SILENT
    unknown = _NAMES.keys() - BUILT_IN_NAMES
    assert not missing | unknown, f"the list of names does not fit the language: {missing | unknown}"
    return table(("name", "is"), ((f"`{name}`", text) for name, text in _NAMES.items()))
