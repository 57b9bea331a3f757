"""Watch many jobs with few calls: asyncio code that knows SageMaker and CloudWatch, but not Airflow."""
