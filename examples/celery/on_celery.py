"""The executor that `executor: on_celery:executor` names: Dagster's for Celery, with the settings of celery.yaml."""

from pathlib import Path

import yaml
from dagster_celery import celery_executor

SETTINGS = yaml.safe_load(Path(__file__).with_name("celery.yaml").read_text(encoding="utf-8"))
executor = celery_executor.configured(SETTINGS["execution"]["config"])
