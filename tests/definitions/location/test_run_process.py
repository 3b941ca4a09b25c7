"""What a process was started for is read from its arguments; what is not understood there is no purpose."""

from __future__ import annotations

import base64
import multiprocessing
import sys
import zlib
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterInstance
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._core.executor.multiprocess import MultiprocessExecutorChildProcessCommand
from dagster._grpc.types import ExecuteRunArgs

from orchestrator_dagster.definitions.location.run_process import Purpose, purpose_of_process


@pytest.fixture
def run(instance: DagsterInstance) -> Any:
    @dg.asset
    def number() -> int:
        return 1

    job = dg.Definitions(assets=[number], jobs=[dg.define_asset_job("p_job")]).resolve_job_def("p_job")
    recon = ReconstructableJob(ReconstructableRepository.for_file(__file__, "nothing"), "p_job")
    return instance.create_run_for_job(
        job, asset_selection=frozenset({dg.AssetKey(["number"])}), job_code_origin=recon.get_python_origin()
    )


WANTED = Purpose("p_job", frozenset({("number",)}))


def test_a_command_names_the_run(run: Any, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ExecuteRunArgs(run.job_code_origin, run.run_id, instance.get_ref()).get_command_args()
    monkeypatch.setattr(sys, "argv", command)
    assert purpose_of_process() == WANTED


def test_a_command_in_a_container_names_it_packed(
    run: Any, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = ExecuteRunArgs(run.job_code_origin, run.run_id, instance.get_ref()).get_command_args()[-1]
    packed = base64.b64encode(zlib.compress(text.encode())).decode()
    monkeypatch.setattr(sys, "argv", ["dagster", "api", "execute_run", "--compressed-input-json", packed])
    assert purpose_of_process() == WANTED
    monkeypatch.setattr(sys, "argv", ["dagster", "api", "execute_run"])
    monkeypatch.setenv("DAGSTER_COMPRESSED_EXECUTE_RUN_ARGS", packed)
    assert purpose_of_process() == WANTED


def test_a_step_process_has_it_in_its_command(
    run: Any, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = MultiprocessExecutorChildProcessCommand(
        {},
        run,
        "number",
        instance.get_ref(),
        None,
        None,
        None,
        None,
        None,  # type: ignore[arg-type]
    )
    monkeypatch.setattr(multiprocessing.current_process(), "_args", ("queue", command), raising=False)
    assert purpose_of_process() == WANTED


@pytest.mark.parametrize(
    "arguments",
    [
        ["dagster", "dev"],
        ["dagster", "api", "grpc", "-m", "location"],
        ["dagster", "api", "execute_run", "{}"],
        ["dagster", "api", "execute_run", "no json"],
        ["pytest"],
        [],
    ],
)
def test_anything_else_has_no_known_purpose(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", arguments)
    assert purpose_of_process() is None


def test_arguments_of_other_processes_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing.current_process(), "_args", ("a text", 3, Path()), raising=False)
    monkeypatch.setattr(sys, "argv", ["worker"])
    assert purpose_of_process() is None
