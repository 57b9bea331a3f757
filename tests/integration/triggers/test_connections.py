"""Connections that only a service can prove: an assumed role, and uploads with a session's token."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.hooks.connection import AwsConnection

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_sm_processing.local import LocalSageMaker

THEIRS = "210987654321"
ROLE = f"arn:aws:iam::{THEIRS}:role/Pipeline"


@pytest.fixture
def assuming(sagemaker: LocalSageMaker, monkeypatch: pytest.MonkeyPatch) -> AwsConnection:
    """A connection whose user takes on a role of another account, which the server knows by having keys for it."""
    sagemaker.client("sts", account_id=THEIRS)
    connection = {
        "conn_type": "aws",
        "login": sagemaker.key.access_key_id,
        "password": sagemaker.key.secret_access_key,
        "extra": {"endpoint_url": sagemaker.endpoint_url, "region_name": "us-east-1", "role_arn": ROLE},
    }
    monkeypatch.setenv("AIRFLOW_CONN_AWS_ASSUMING", json.dumps(connection))
    return AwsConnection(aws_conn_id="aws_assuming")


def test_an_assumed_roles_credentials_and_account_are_used(assuming: AwsConnection):
    session = assuming.hook().session
    caller = session.client("sts").get_caller_identity()
    assert caller["Arn"].startswith(f"arn:aws:sts::{THEIRS}:assumed-role/Pipeline/")
    assert session.account_id == THEIRS
    assert session.default_bucket_name == f"sagemaker-us-east-1-{THEIRS}"


def test_uploads_and_jobs_belong_to_the_assumed_roles_account(
    assuming: AwsConnection, sagemaker: LocalSageMaker, common: dict[str, Any], tmp_path: Path
):
    (tmp_path / "run.py").write_text("print('ran')")
    fields = {name: value for name, value in common.items() if name not in {"poll_interval", "entrypoint", "role"}}
    processor = assuming.hook().script_processor(role=ROLE, command=["python3"], **fields)
    job = processor.run(str(tmp_path / "run.py"), wait=False, logs=False)
    assert job.job_arn == f"arn:aws:sagemaker:us-east-1:{THEIRS}:processing-job/{job.job_name}"
    theirs = sagemaker.client("s3", account_id=THEIRS)
    code = theirs.get_object(Bucket=f"sagemaker-us-east-1-{THEIRS}", Key=f"{job.job_name}/input/code/run.py")
    assert code["Body"].read() == b"print('ran')"
    assert job.wait_for_end(logs=False).status.value == "Completed"
