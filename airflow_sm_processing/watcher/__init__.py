"""Watches many jobs at the price of few calls: asyncio code that knows SageMaker and CloudWatch, and not Airflow."""
