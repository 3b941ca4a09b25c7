"""The Dagster instance: where it is, its event log, its pools, and what is said when it cannot record."""
