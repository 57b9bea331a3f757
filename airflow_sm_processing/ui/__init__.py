"""The pages in Airflow's UI: loaded by the API server alone, but for `plugin`."""
