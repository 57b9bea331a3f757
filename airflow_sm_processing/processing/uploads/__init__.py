"""Local files to S3, in parallel: through the AWS CRT client where it can serve, else through a pool of threads."""

from airflow_sm_processing.processing.uploads.transfer import UploadResult, upload

__all__ = ["UploadResult", "upload"]
