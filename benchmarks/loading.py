"""Import, ``validate``, the loading of a location, and a run's process in a small and a large one. Seconds of CPU."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterInstance
from dagster._core.code_pointer import FileCodePointer
from dagster._core.definitions.reconstruct import ReconstructableRepository, initialize_repository_def_from_pointer
from dagster._core.execution.api import create_execution_plan
from dagster._grpc.types import ExecuteRunArgs

from benchmarks.measuring import Row, cpu_medians, process

PIPELINES = 100
MANY = 300
STEPS = 10
GATED = (2, 5, 8)
EACH = 6
WITH_PRODUCT = (0, 3, 9)


def pipeline_text(number: int) -> str:
    """A pipeline of ten tool steps in a chain: three with a condition, one over items, three products."""
    lines = [f"id: p{number}", "inputs: {topic: heat, items: {type: array, default: [1, 2, 3]}}", "steps:"]
    for step in range(STEPS):
        value = "count" if step - 1 == EACH else f"v{step - 1}"
        content = f"{{{{ s{step - 1}.{value} }}}}" if step else "{{ topic }}"
        path = f"out/{number}_{step}_{{{{ item }}}}.txt" if step == EACH else f"out/{number}_{step}.txt"
        lines += [
            f"  - id: s{step}",
            "    tool: filesystem",
            "    action: write",
            f'    parameters: {{path: "{path}", content: "{content}"}}',
            f"    vars: {{v{step}: '{{{{ result.size }}}}'}}",
        ]
        if step in GATED:
            lines.append("    condition: topic == 'heat'")
        if step == EACH:
            lines.append('    for_each: "{{ items }}"')
        if step in WITH_PRODUCT:
            lines.append(f"    products: {{v{step}: p{number}v{step}.json}}")
    return "\n".join(lines) + "\n"


def write_pipelines(root: Path, count: int) -> Path:
    """A project with so many pipelines."""
    (root / "pipelines").mkdir(parents=True)
    (root / "workspace.yaml").write_text("load_from: []\n", encoding="utf-8")
    for number in range(count):
        (root / "pipelines" / f"p{number}.yaml").write_text(pipeline_text(number), encoding="utf-8")
    return root


def step_by_hand(number: int, index: int) -> Any:
    """One step written with Dagster's decorators: an op, or a small graph of three."""
    name = f"h{number}__s{index}"
    outs = {"outcome": dg.Out(is_required=False)}
    if index in WITH_PRODUCT:
        outs["product"] = dg.Out(is_required=False)

    if index not in GATED and index != EACH:

        @dg.op(name=name, out=outs, required_resource_keys={"models", "tools", "workspace"}, code_version="1")
        def run(context, opened, before):  # type: ignore[no-untyped-def]  # Dagster looks at the annotation itself
            yield dg.Output(before, "outcome")

        return run

    @dg.op(
        name=f"{name}__decide",
        out={"decision": dg.Out(), "ticket": dg.DynamicOut()},
        required_resource_keys={"models", "tools", "workspace"},
    )
    def decide(context, opened, before):  # type: ignore[no-untyped-def]
        yield dg.Output(True, "decision")
        yield dg.DynamicOutput(1, mapping_key="go", output_name="ticket")

    @dg.op(name=f"{name}__run", required_resource_keys={"models", "tools", "workspace"})
    def work(context, ticket, opened, before):  # type: ignore[no-untyped-def]
        return ticket

    @dg.op(name=f"{name}__outcome", out=outs, required_resource_keys={"models", "tools", "workspace"})
    def outcome(context, decision, results, opened, before):  # type: ignore[no-untyped-def]
        yield dg.Output(decision, "outcome")

    @dg.graph(name=name, out={key: dg.GraphOut() for key in outs})
    def graph(opened: Any, before: Any) -> Any:
        decision, ticket = decide.alias("decide")(opened=opened, before=before)
        results = ticket.map(lambda one: work.alias("run")(ticket=one, opened=opened, before=before))
        made = outcome.alias("outcome")(decision=decision, results=results.collect(), opened=opened, before=before)
        return {key: getattr(made, key) for key in outs} if len(outs) > 1 else {"outcome": made}

    return graph


def by_hand(number: int) -> tuple[Any, Any]:
    """The same definitions written with Dagster's decorators."""
    fields = {"topic": dg.Field(str, default_value="heat"), "items": dg.Field(dg.Array(dg.Any), default_value=[1])}

    @dg.op(name=f"h{number}__inputs", config_schema=fields)
    def inputs(context):  # type: ignore[no-untyped-def]
        return context.op_config["topic"]

    @dg.op(name=f"h{number}__finish", required_resource_keys={"workspace"})
    def finish(context, opened, outcomes):  # type: ignore[no-untyped-def]
        return outcomes

    steps = [step_by_hand(number, index) for index in range(STEPS)]
    outs = {f"v{index}": dg.GraphOut() for index in WITH_PRODUCT}

    @dg.config_mapping(config_schema=fields)
    def mapping(config: Any) -> Any:
        return {"inputs": {"config": config}}

    @dg.graph(name=f"h{number}", out={**outs, "run": dg.GraphOut()}, config=mapping)
    def graph() -> Any:
        opened = inputs.alias("inputs")()
        before, outcomes, products = opened, [], {}
        for index, step in enumerate(steps):
            made = step.alias(f"s{index}")(opened=opened, before=before)
            before = made
            if index in WITH_PRODUCT:
                before, products[f"v{index}"] = made.outcome, made.product
            outcomes.append(before)
        return {**products, "run": finish.alias("finish")(opened, outcomes)}

    keys = {name: dg.AssetKey([f"h{number}", name]) for name in [*outs, "run"]}
    assets = dg.AssetsDefinition.from_graph(
        graph,
        keys_by_output_name=keys,
        can_subset=True,
        group_name=f"h{number}",
        internal_asset_deps={
            name: set(keys.values()) - {key} if name == "run" else set() for name, key in keys.items()
        },
        tags_by_output_name={name: {"dagster/kind/json": ""} for name in keys},
        code_versions_by_output_name=dict.fromkeys(keys, "1"),
    )

    def flat(config: Any) -> Any:
        return {"ops": {f"h{number}": {"config": config}}}

    config = dg.ConfigMapping(config_fn=flat, config_schema=fields)
    selection = dg.AssetSelection.assets(assets)
    return assets, dg.define_asset_job(f"h{number}_job", selection=selection, config=config)


def load_by_hand(count: int) -> None:
    """A location of so many of them, with every job."""
    made = [by_hand(number) for number in range(count)]
    resources = {name: dg.ResourceDefinition.hardcoded_resource(None) for name in ("models", "tools", "workspace")}
    definitions = dg.Definitions(assets=[one[0] for one in made], jobs=[one[1] for one in made], resources=resources)
    definitions.get_repository_def().get_all_jobs()


def load_ours(root: Path, *, cold: bool) -> None:
    """The location of a project, with every job; cold is without what was kept."""
    from orchestrator_dagster.definitions.location.factory import build_definitions

    if cold:
        shutil.rmtree(root / ".orchestrator", ignore_errors=True)
    build_definitions("pipelines", root=root).get_repository_def().get_all_jobs()


IMPORT = "from orchestrator_dagster import build_definitions"
LOCATION = """\
from pathlib import Path
from orchestrator_dagster import build_definitions
defs = build_definitions("pipelines", root=Path(__file__).parent)
"""


def run_process(root: Path, instance: DagsterInstance) -> Any:
    """A function that launches a run and executes it in a process of its own, as launchers do."""
    (root / "location.py").write_text(LOCATION, encoding="utf-8")
    pointer = FileCodePointer(str(root / "location.py"), "defs", str(root))
    repository = initialize_repository_def_from_pointer(pointer)
    job = repository.get_job("p0_job")
    origin = ReconstructableRepository(pointer).get_reconstructable_job("p0_job").get_python_origin()
    plan = create_execution_plan(job, repository_load_data=repository.repository_load_data)

    def launch() -> None:
        shutil.rmtree(root / "out", ignore_errors=True)  # a step does not write over a file
        run = instance.create_run_for_job(job, execution_plan=plan, job_code_origin=origin)
        arguments = ExecuteRunArgs(origin, run.run_id, instance.get_ref(), True)
        process("-m", "dagster", *arguments.get_command_args()[1:], cwd=root)()

    return launch


def measure() -> list[Row]:
    """The rows of this benchmark."""
    with tempfile.TemporaryDirectory() as name:
        some = write_pipelines(Path(name) / "some", PIPELINES)
        load_ours(some, cold=True)  # the first round imports
        load_by_hand(2)
        loads = cpu_medians(
            {
                "cold": lambda: load_ours(some, cold=True),
                "warm": lambda: load_ours(some, cold=False),
                "by hand": lambda: load_by_hand(PIPELINES),
            }
        )
        processes = cpu_medians(
            {
                "dagster": process("-c", "import dagster", cwd=some),
                "ours": process("-c", f"import dagster; {IMPORT}", cwd=some),
                "validate": process("-m", "orchestrator_dagster.cli", "validate", "pipelines/p0.yaml", cwd=some),
            }
        )
        home = Path(name) / "home"
        home.mkdir()
        (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
        with DagsterInstance.from_config(str(home)) as instance:
            launches = cpu_medians(
                {
                    "one": run_process(write_pipelines(Path(name) / "one", 1), instance),
                    "many": run_process(write_pipelines(Path(name) / "many", MANY), instance),
                }
            )
    shape = f"{PIPELINES} pipelines of {STEPS} steps"
    return [
        Row(f"location of {shape}: compiled, loaded", loads["cold"], loads["by hand"], "by hand with @graph", "1.0"),
        Row(f"location of {shape}: loaded again", loads["warm"], loads["by hand"], "by hand with @graph", "0.5"),
        Row(f"a run's process, location of {MANY}", launches["many"], launches["one"], "location of 1", "+1 s"),
        Row("import of the definitions layer", processes["ours"], processes["dagster"], "import dagster", "+0.05 s"),
        Row("orchestrator validate, whole process", processes["validate"], processes["dagster"], "import dagster",
            "0.4 s"),
    ]  # fmt: skip
