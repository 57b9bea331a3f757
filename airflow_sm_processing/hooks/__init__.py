"""Hooks: SageMaker Processing through Airflow connections."""
