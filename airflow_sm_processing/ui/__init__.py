"""The pages in Airflow's UI. Only the API server loads these modules; every Airflow process loads `plugin`."""

__all__ = ["PREFIX"]

PREFIX = "/sm-processing"
"""The path of the pages, below the base URL of Airflow's API server."""
