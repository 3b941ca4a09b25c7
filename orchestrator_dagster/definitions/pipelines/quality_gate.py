"""Products that a failed quality check keeps from other pipelines (``qc.blocking``)."""

from __future__ import annotations

from dagster import AssetCheckEvaluation, AssetCheckKey, AssetCheckSeverity, AssetKey, DagsterInstance

#: Name of the check.
QUALITY = "quality"


def stopped_by_quality(instance: DagsterInstance, key: AssetKey) -> str | None:
    """Why a product is not to be used: its latest materialization failed a blocking check. None when it may be used.

    A product that was made again since, and was not judged yet, may be used.

    Args:
        instance: Where checks are recorded.
        key: The product.
    """
    latest = instance.get_latest_materialization_event(key)
    if latest is None:
        return None
    run = AssetKey([key.path[0], "run"])  # where all products of a pipeline are judged together
    wanted = [AssetCheckKey(one, QUALITY) for one in dict.fromkeys((key, run))]
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key(wanted)
    for check, record in found.items():
        event = record.event.dagster_event if record.event is not None else None
        if event is None or not isinstance(event.event_specific_data, AssetCheckEvaluation):
            continue  # it is planned, or goes on
        said = event.event_specific_data
        target = said.target_materialization_data
        of_this = target is not None and (
            target.run_id == latest.run_id if check.asset_key == run else target.timestamp >= latest.timestamp
        )
        if said.blocking and not said.passed and said.severity == AssetCheckSeverity.ERROR and of_this:
            return f'the asset "{key.to_user_string()}" has failed its quality check: {said.description}'
    return None
