"""Import, ``validate`` and the loading of a location."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import dagster as dg

from benchmarks.measuring import Row, medians, process

REPOSITORY = Path(__file__).resolve().parent.parent
PIPELINES = 100
STEPS = 10


def pipeline_text(number: int) -> str:
    """A pipeline of ten tool steps in a chain, one product each."""
    lines = [f"id: p{number}", "inputs: {topic: heat}", "steps:"]
    for step in range(STEPS):
        content = f"{{{{ s{step - 1}.size }}}}" if step else "{{ topic }}"
        lines += [
            f"  - id: s{step}",
            "    tool: filesystem",
            "    action: write",
            f'    parameters: {{path: out/{number}_{step}.txt, content: "{content}"}}',
            f"    vars: {{v{step}: '{{{{ result.size }}}}'}}",
            f"    products: {{v{step}: v{step}.json}}",
        ]
    return "\n".join(lines)


def by_hand(number: int) -> tuple[Any, Any]:
    """The same definitions written with Dagster's decorators."""

    @dg.op(name=f"h{number}__inputs", config_schema={"topic": dg.Field(str, default_value="heat")})
    def inputs(context):  # type: ignore[no-untyped-def]  # Dagster looks at the annotation itself
        return context.op_config["topic"]

    def step(index: int) -> Any:
        @dg.op(
            name=f"h{number}__s{index}",
            out={"outcome": dg.Out(is_required=False), "product": dg.Out(is_required=False)},
        )
        def run(context, opened, before):  # type: ignore[no-untyped-def]
            yield dg.Output(before, "outcome")

        return run

    @dg.op(name=f"h{number}__finish")
    def finish(outcomes: Any) -> Any:
        return outcomes

    steps = [step(index) for index in range(STEPS)]
    outs = {f"v{index}": dg.GraphOut() for index in range(STEPS)}

    @dg.graph(name=f"h{number}", out={**outs, "run": dg.GraphOut()})
    def graph() -> Any:
        opened = inputs()
        before, outcomes, products = opened, [], {}
        for index, op in enumerate(steps):
            before, product = op(opened, before)
            outcomes.append(before)
            products[f"v{index}"] = product
        return {**products, "run": finish(outcomes)}

    keys = {name: dg.AssetKey([f"h{number}", name]) for name in [*outs, "run"]}
    assets = dg.AssetsDefinition.from_graph(graph, keys_by_output_name=keys, can_subset=True)
    return assets, dg.define_asset_job(f"h{number}_job", selection=dg.AssetSelection.assets(assets))


def load_by_hand() -> None:
    made = [by_hand(number) for number in range(PIPELINES)]
    definitions = dg.Definitions(assets=[one[0] for one in made], jobs=[one[1] for one in made])
    definitions.get_repository_def().get_all_jobs()


def measure() -> list[Row]:
    """The rows of this benchmark."""
    from orchestrator_dagster.definitions.factory import build_definitions

    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "pipelines").mkdir()
        for number in range(PIPELINES):
            (root / "pipelines" / f"p{number}.yaml").write_text(pipeline_text(number))

        def load_ours() -> None:
            build_definitions("pipelines", root=root).get_repository_def().get_all_jobs()

        found = medians({"ours": load_ours, "by hand": load_by_hand}, rounds=3)
        cli = process("-m", "orchestrator_dagster.cli", "validate", "pipelines/p0.yaml", cwd=root)
        processes = medians(
            {
                "python": process("-c", "pass", cwd=root),
                "dagster": process("-c", "import dagster", cwd=root),
                "ours": process(
                    "-c", "import dagster, orchestrator_dagster, orchestrator_dagster.definitions.factory", cwd=root
                ),
                "validate": cli,
            }
        )
    return [
        Row(f"location of {PIPELINES} pipelines of {STEPS} steps, read, compiled, loaded", found["ours"],
            found["by hand"], "the same by hand with @graph, nothing to read", "1.0"),
        Row("import of the definitions layer", processes["ours"], processes["dagster"], "import dagster", "+0.05 s"),
        Row("orchestrator validate, whole process", processes["validate"], processes["dagster"], "import dagster",
            "0.4 s"),
    ]  # fmt: skip
