"""The variables that lead AWS clients to the server, whatever else is configured on the machine."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from airflow_sm_processing.local.folders import make_private, write_private

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_sm_processing.local.keys import Key

_SERVICES = ("S3", "STS", "IAM", "SAGEMAKER", "CLOUDWATCH_LOGS")
_LOOPBACK = ("127.0.0.1", "localhost")


def write_aws_files(folder: Path, key: Key, region: str) -> None:
    """Write an AWS configuration and credentials, each with a default profile, for `aws_environment` to name.

    An empty AWS_PROFILE is an error to botocore, and a variable can't be unset by setting others: so the
    user's profile is replaced by one that exists.
    """
    aws = folder / "aws"
    make_private(aws)
    write_private(aws / "config", f"[default]\nregion = {region}\n")
    pair = f"aws_access_key_id = {key.access_key_id}\naws_secret_access_key = {key.secret_access_key}\n"
    write_private(aws / "credentials", f"[default]\n{pair}")


def aws_environment(folder: Path, endpoint_url: str, key: Key, region: str) -> dict[str, str]:
    """Give what any AWS client reads."""
    no_proxy = ",".join(dict.fromkeys([*filter(None, os.environ.get("NO_PROXY", "").split(",")), *_LOOPBACK]))
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        **{f"AWS_ENDPOINT_URL_{service}": endpoint_url for service in _SERVICES},
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
        "AWS_SESSION_TOKEN": "",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_PROFILE": "default",
        "AWS_DEFAULT_PROFILE": "default",
        "AWS_CONFIG_FILE": str(folder / "aws" / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "aws" / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
    }


def airflow_environment(endpoint_url: str, key: Key, region: str) -> dict[str, str]:
    """Give Airflow's connection `aws_default`."""
    connection = {
        "conn_type": "aws",
        "login": key.access_key_id,
        "password": key.secret_access_key,
        "extra": {"endpoint_url": endpoint_url, "region_name": region},
    }
    return {"AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection)}
