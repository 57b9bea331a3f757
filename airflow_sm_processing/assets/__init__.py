"""Support for Airflow's assets: a listener that acknowledges stored asset events."""
