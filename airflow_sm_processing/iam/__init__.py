"""Determine a job's request, S3 keys and permissions without a call to AWS.

This package knows SageMaker and IAM, but not Airflow.
"""
