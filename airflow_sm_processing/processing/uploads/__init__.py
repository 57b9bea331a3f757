"""Upload local files to S3 in parallel: with the AWS CRT client where possible, else with a pool of threads."""

from airflow_sm_processing.processing.uploads.transfer import UploadResult, upload

__all__ = ["UploadResult", "upload"]
