"""The two ops that every pipeline has beside its steps: one opens the run, one closes it."""

# No `from __future__ import annotations` here: Dagster looks at the type of `context` itself.
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import dagster as dg
from dagster import OpExecutionContext

from orchestrator_dagster.compiler.compiled import CompiledPipeline
from orchestrator_dagster.definitions.pipelines.asset_values import how_to_make, needed_inputs
from orchestrator_dagster.definitions.pipelines.launched import kept_tags
from orchestrator_dagster.definitions.steps.shared_parts import (
    ASSET_PREFIX,
    ASSETS_IO,
    NO_CONFIG,
    OUTCOMES_IO,
    MakingOp,
    an_output,
    computes,
    inputs_from_assets,
    inputs_named,
)
from orchestrator_dagster.definitions.steps.step_context import partition_of, run_info
from orchestrator_dagster.errors import InputsError, OrchestratorError, PathError, StepError
from orchestrator_dagster.files.remote_files import allowed_url, is_url, local_path
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.models.litellm_client import import_in_background
from orchestrator_dagster.models.references import BUILTIN
from orchestrator_dagster.runtime.asset_values import AssetMissing, Found, loaded_value, problem_of
from orchestrator_dagster.runtime.inputs import complete_inputs
from orchestrator_dagster.runtime.names import RunInfo
from orchestrator_dagster.runtime.outcome import ErrorInfo, Outcome
from orchestrator_dagster.runtime.outputs import render_outputs
from orchestrator_dagster.runtime.record import run_record
from orchestrator_dagster.runtime.secrets import Redactor


def inputs_op(pipeline: CompiledPipeline, config: Any) -> dg.OpDefinition:
    """The op that checks and completes the inputs of a launch, all problems at once, before any step runs.

    Args:
        pipeline: The pipeline.
        config: The schema of a launch's config.
    """
    asking = [one for step in pipeline.steps for one in step.walk() if one.kind == "model" and not one.body]
    hosted = any(not name.startswith(f"{BUILTIN}:") for one in asking for name in one.models or ("",))

    @computes
    def compute(context: OpExecutionContext, given: Mapping[str, Any]) -> Iterator[dg.Output[Any]]:
        run = RunInfo(context.run_id, datetime.now(timezone.utc), partition_of(context))
        if hosted:  # litellm takes seconds to import: it can, while the first steps work
            import_in_background()
        try:
            loaded = _loaded(context, pipeline, given)
            values = complete_inputs(pipeline, context.op_config, run, loaded)
            check_folder(pipeline, str(values["output_dir"]), context.resources.workspace.workspace())
        except InputsError as error:
            said = {"orchestrator/error": type(error).__name__}
            raise dg.Failure(description=Redactor().text(str(error)), metadata=said, allow_retries=False) from None
        _keep(context, pipeline)
        yield dg.Output({"values": values, "started_at": run.started_at.isoformat()}, "inputs")

    return dg.OpDefinition(
        name=f"{pipeline.op}__inputs",
        description="Checks and completes the inputs of the launch.",
        compute_fn=compute,
        ins=inputs_from_assets(pipeline.asset_inputs),
        outs={"inputs": an_output(OUTCOMES_IO)},
        config_schema=config,
        required_resource_keys={"workspace", ASSETS_IO} if pipeline.asset_inputs else {"workspace"},
    )


def _loaded(context: OpExecutionContext, pipeline: CompiledPipeline, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the inputs that are loaded from assets, as far as what was selected needs them.

    Raises:
        InputsError: One has no value, or one that does not fit; all problems at once.
    """
    if not pipeline.asset_inputs:
        return {}
    selected = {tuple(key.path) for key in context.selected_asset_keys} if context.has_assets_def else None
    needed = needed_inputs(pipeline, selected)
    workspace = context.resources.workspace.workspace()
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, spec in pipeline.asset_inputs.items():
        found: Found = given[f"{ASSET_PREFIX}{name}"]
        try:
            if not isinstance(found, AssetMissing):
                values[name] = loaded_value(name, spec, found, workspace)
            elif name in needed and (found.refused or not spec.may_be_absent):
                hint = found.hint or how_to_make(spec.asset_key, pipeline, workspace.root)
                problems.append(problem_of(name, OrchestratorError(found.message, hint=hint)))
        except StepError as error:
            if name in needed:
                problems.append(problem_of(name, error))
    if problems:
        raise InputsError(f'the inputs of "{pipeline.id}" cannot be loaded', problems)
    return values


def check_folder(pipeline: CompiledPipeline, folder: str, workspace: Workspace) -> None:
    """Refuse an output folder that products cannot be written to, before anything is done, or paid, for them.

    Args:
        pipeline: The pipeline.
        folder: Its ``output_dir``, a path or a URL.
        workspace: Where its runs may write.

    Raises:
        InputsError: It is not in the workspace.
    """
    if not any(step.products for step in pipeline.steps):
        return
    try:
        if is_url(folder) and local_path(folder) is None:
            allowed_url(folder, workspace.urls)
        else:
            workspace.resolve(local_path(folder) or folder if is_url(folder) else folder)
    except PathError as error:
        raise InputsError(
            f'the output folder of "{pipeline.id}" cannot be used', [problem_of("output_dir", error)]
        ) from None


def _keep(context: OpExecutionContext, pipeline: CompiledPipeline) -> None:
    """Keep the pipeline of a run that a code location has, so that the command can resume it."""
    try:
        tags = kept_tags(pipeline, context.resources.workspace.workspace().root, context.instance)
    except OSError as error:
        context.log.warning(f"the pipeline of the run is not kept, a resume will ask for its file: {error}")
        return
    if not tags.items() <= context.run.tags.items():
        context.instance.add_run_tags(context.run_id, tags)


def finish_op(pipeline: CompiledPipeline) -> dg.OpDefinition:
    """The op that closes a run: its declared outputs and its record, as the asset ``[<id>, run]``."""

    @computes
    def compute(context: OpExecutionContext, given: Mapping[str, Any]) -> Iterator[dg.Output[Any]]:
        # The models of the log take 20 ms to make, which only runs need that get here.
        from orchestrator_dagster.definitions.steps.run_summary import BY_STEP, run_numbers, run_report

        run = run_info(context, given["inputs"])
        outcomes = {one.step: one for one in map(Outcome.model_validate, given["outcomes"])}
        failures = [failure for outcome in outcomes.values() for failure in outcome.failures]
        if failures:
            raise _carried(failures, context.run_id, run_report(pipeline, run, outcomes, status="failed"))
        workspace = context.resources.workspace.workspace()
        outputs = render_outputs(pipeline, given["inputs"]["values"], outcomes, run, workspace.environment)
        record = run_record(pipeline, run, outcomes, outputs, completed_at=datetime.now(timezone.utc))
        metadata = {
            **run_report(pipeline, run, outcomes, outputs=outputs),
            **run_numbers(outcomes, record["duration"]),
        }
        if outputs:
            metadata["orchestrator/outputs"] = dg.JsonMetadataValue(outputs)
        metadata[BY_STEP] = metadata.pop(BY_STEP)  # long, and for programs: at the end of what the UI shows
        yield dg.Output(record, "run", metadata=metadata)

    return MakingOp(
        name=f"{pipeline.op}__finish",
        description="Closes the run: outputs and record.",
        compute_fn=compute,
        ins=inputs_named(("inputs", "outcomes")),
        outs={"run": an_output(OUTCOMES_IO, required=False)},
        config_schema=NO_CONFIG,
        required_resource_keys={"workspace"},
        code_version=pipeline.code_version,
    )


def _carried(failures: Sequence[ErrorInfo], run_id: str, report: Mapping[str, Any]) -> dg.Failure:
    """The end of a run that went on past failures: everything else is done, and it has failed."""
    lines = [f'{one.location}: step "{one.step}" failed: {one.message}' for one in failures]
    said = f"the run went on past {len(failures)} failure{'s' if len(failures) != 1 else ''} and ends failed"
    next_ = f"mend the cause; then `orchestrator resume {run_id}` repeats what failed and what comes after it"
    metadata = {
        "orchestrator/error": failures[0].type,
        "orchestrator/message": lines[0],
        "orchestrator/step": failures[0].step,
        **report,
    }
    return dg.Failure(
        description="\n".join([said, *(f"  - {line}" for line in lines[:20]), f"  next: {next_}"]),
        metadata=metadata,
        allow_retries=False,
    )
