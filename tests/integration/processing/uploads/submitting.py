"""Submits a job that reads a folder: in the test's process, or in one that the test kills.

    python submitting.py FOLDER TASK JOB_NAME

The endpoint and the credentials come from the environment.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import boto3

from airflow_sm_processing.processing import JobDefinition, ProcessingInput, ProcessingOutput, Session
from airflow_sm_processing.processing.submission import SubmittedJob, submit

if TYPE_CHECKING:
    from pathlib import Path

# One argument of a job has at most 256 characters, and one line.
_SCRIPT = (
    "import json,pathlib;p=pathlib.Path('/opt/ml/processing');i=p/'input/data';"
    "(p/'output/read.json').write_text(json.dumps("
    "{str(f.relative_to(i)):f.read_text() for f in i.rglob('*') if f.is_file()}))"
)


def submit_folder(folder: Path | str, task: str, job_name: str, *, repeated: bool = False) -> SubmittedJob:
    """Submit a job of a task that writes down what it finds in its input; the task has a bucket of its own."""
    definition = JobDefinition(
        role="arn:aws:iam::123456789012:role/SageMakerRole",
        image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/tools:1",
        instance_count=1,
        instance_type="ml.m5.large",
        job_name=job_name,
        entrypoint=["python3", "-c", _SCRIPT],
        inputs=(ProcessingInput(source=str(folder), destination="/opt/ml/processing/input/data", input_name="data"),),
        outputs=(ProcessingOutput(source="/opt/ml/processing/output", output_name="read"),),
    )
    session = Session(boto3.Session(), default_bucket=task)
    return submit(definition, session, upload_key=task, repeated=repeated)


if __name__ == "__main__":
    submit_folder(*sys.argv[1:])
