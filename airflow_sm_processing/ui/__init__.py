"""The pages in Airflow's UI. Only the API server loads these modules; every Airflow process loads `plugin`."""

__all__ = ["JOB_TAB", "PREFIX"]

PREFIX = "/sm-processing"
"""The path of the pages, below the base URL of Airflow's API server."""

JOB_TAB = "sagemaker-processing-job"
"""The name of the tab in the addresses of Airflow's UI."""
