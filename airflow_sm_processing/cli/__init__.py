"""Commands that show what tasks would do: `airflow sm-processing …`, or `airflow-sm-processing …` before 3.2."""
