"""Pipelines of the earlier dialect: their tree is rewritten into today's spelling, every node where it stood.

A spelling that is only tolerated gives a warning with today's line, a key that never had an effect a warning that says
so, and what would change what happens and cannot be honoured an error. A file in today's spelling keeps its very tree.

What the contract leaves open was chosen as people who wrote such files will expect:

- **Attempts.** `max_retries: N`, `retry: N`, `attempts: N` bound the attempts: N-1 retries. `retry: true`, and a map
  that does not say how often, are 2 retries, like the policy `retry`. A factor above 1 is `exponential`, which
  doubles; another factor than 2 is said so in the warning. `max_delay` and its like are errors.
- **`on_error`.** A step's id routes there. `fail`, `continue`, `skip`, `retry` are policies; `ignore` is `continue`;
  `stop`, `abort`, `raise` are `fail`. Other text is the failure's message, `failure_handlers: [{message: …}]`; one
  word that is like a step's id is told so. A handler is `{errors, goto, fallback, message}`; one that only goes
  somewhere is `on_failure`. `retry_with_handler: true` tries the step twice more before the handler takes over,
  unless the step says itself how often. A sentence as `handler_action` is a model step of its own, `<step>_failed`,
  that is given the error; `log`, `debug` and `echo` write it down; any other word is an error.
- **`global_error_handlers`** are the header's `failure_handlers`, for steps whose own handlers do not fit.
- **`continue_on_error: false`** is the default and says nothing.
- **Branches.** `if: {condition, then, else}` is a condition with routes; a branch of several steps puts a condition
  on each of them (`not S.skipped`, `S.skipped`). Steps written inside a branch stand after the step. A step that does
  nothing else succeeds with the value true.
- **Loops.** `loop_name` is replaced by the step's id: `outer.iteration` and `outer.index` are `<id>.iteration`,
  `outer.item` is the loop's item, called `outer_item`; another field of it is an error. An `action_loop` that says no
  end is `while: true`, ended by `max_iterations`. With `for_each` and an end of its own, each item has an inner loop,
  `<id>_loop`. A step of an `action_loop` without id gets one of its name or its number.
- **`location`** is written where it says: below `output_dir` when it starts there; from the workspace root when
  nothing in the file speaks of an output folder (then `output_dir` is `.`); else below the output folder, and the
  warning says so. The product's variable has the step's name, so its key is `[<pipeline>, <step>]`. A tool that
  writes that very path itself makes the file; no second one is made. A `location` alone is a product too.
- **`produces`** alone is the format of a model's answer (`markdown`, `json`, `csv`), or its description. It has no
  effect on tools.
- **`schema`** among the parameters of a step that asks a model is its `vars`: one for each property.
- **`template`** is the prompt of a step without tool, else the tool's parameter `template`. A model's name in
  `requires_model` is `model`.
- **Constants.** `config`, `context`, `variables`, `data` are `constants`; a variable is also a name by itself. A name
  that is an input or a step as well is an error, unless both say the same. Values of `variables` may be descriptions
  with a `value` or `default`.
- **Inputs.** `parameters` and `input_variables` are added to `inputs`, which wins. A description as a default counts
  only when the input is no object. **Outputs** `{type, value}` are the value; the type is not checked.
"""

from __future__ import annotations

from dataclasses import replace

from orchestrator_dagster.language.diagnostics import Problems
from orchestrator_dagster.language.nodes import Document, MappingNode, ScalarNode, SequenceNode
from orchestrator_dagster.language.older.failure import rewrite_global_handlers
from orchestrator_dagster.language.older.header import rewrite_header
from orchestrator_dagster.language.older.layout import looks_older, rewrite_layout, rewrite_orchestrator, unwrap
from orchestrator_dagster.language.older.names import names_output_folder, rewrite_output_path
from orchestrator_dagster.language.older.notes import Notes, step_ids
from orchestrator_dagster.language.older.steps import Header, rewrite_body
from orchestrator_dagster.language.older.template_words import rewrite_words
from orchestrator_dagster.language.older.tool_fields import rewrite_fields
from orchestrator_dagster.language.older.tree import Keys, scalar, text_of


def rewrite(document: Document, problems: Problems, default_id: str = "pipeline") -> None:
    """Rewrite a pipeline of the earlier dialect into today's spelling.

    ``document.root`` becomes the new tree; a file in today's spelling keeps the one it has. Nodes are never changed in
    place, since aliases share them.

    Args:
        document: The file.
        problems: Takes warnings (`older-spelling`, `no-effect`) and errors (`older-unsupported`).
        default_id: Id of the pipeline when the file says none.
    """
    root = document.root
    if not isinstance(root, MappingNode):
        return
    notes = Notes(
        document,
        problems,
        ids=set(),
    )
    header = Keys(unwrap(root, notes))
    notes = replace(notes, names_folder=names_output_folder(header))
    notes.ids |= set(step_ids(header.value("steps")))
    rewrite_layout(header, notes)
    rewrite_header(header, notes)
    added = rewrite_global_handlers(header, notes)
    steps = header.value("steps")
    if steps is not None:
        named = header.value("id")
        name = named.text if isinstance(named, ScalarNode) and named.value is not None else default_id
        usual = f"outputs/{name}" if notes.names_folder else None  # what `output_dir` is where nothing says it
        made = rewrite_body(steps, notes, Header(name, _folder(header) or usual))
        if added and isinstance(made, SequenceNode):
            made = SequenceNode([*made.items, *added], made.span)
        if made is not steps:
            header.set("steps", made, header.key("steps"))
    if notes.output_dir and "output_dir" not in header:
        key = notes.output_dir[0]
        header.set("output_dir", scalar(".", key.span), key)
    rewrite_output_path(header, notes)
    rewrite_words(header, notes)
    is_older = any(one.code == "older-spelling" for one in problems) or looks_older(header.value("steps"))
    rewrite_fields(header, notes, is_older)
    rewrite_orchestrator(header, notes, is_older)
    document.root = header.done()


def _folder(header: Keys) -> str | None:
    """The literal output folder that a header declares."""
    inputs = header.value("inputs")
    maps = inputs.items if isinstance(inputs, SequenceNode) else [inputs]
    for one in maps:
        if isinstance(one, MappingNode) and "output_dir" in one.pairs:
            said = one.pairs["output_dir"][1]
            if isinstance(said, MappingNode) and "default" in said.pairs:
                said = said.pairs["default"][1]
            return text_of(said)
    return header.text("output_dir")
