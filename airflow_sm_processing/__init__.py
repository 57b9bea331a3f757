"""Amazon SageMaker Processing for Apache Airflow."""
