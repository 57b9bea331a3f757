"""`make demo` and `make ui`: Airflow's own processes and the local SageMaker, on loopback, with the example DAGs."""
