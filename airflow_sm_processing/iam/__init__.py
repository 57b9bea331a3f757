"""What a job would ask of AWS: the request, the S3 keys and the permissions, without a call to AWS.

It knows SageMaker and IAM, but not Airflow.
"""
