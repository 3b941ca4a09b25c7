"""``python -m orchestrator_dagster.cli``."""

from orchestrator_dagster.cli.main import main

if __name__ == "__main__":
    main()
