"""What Airflow's assets have to do with processing jobs."""
