"""What a notebook does with a session beside running jobs: `session_data.py sdk|ours FOLDER`, on the local SageMaker.

Prints a JSON list with the outcome of each step.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

if TYPE_CHECKING:
    from collections.abc import Callable

SESSIONS = {"sdk": "sagemaker.session", "ours": "airflow_sm_processing.processing"}


class ConfiguredSession(boto3.Session):
    """A boto3 session whose clients all call the configured endpoint: the SDK names AWS's own host for STS."""

    def client(self, service_name: str, *arguments: Any, **options: Any) -> Any:
        """Make the client, whatever endpoint is asked for."""
        make: Any = super().client
        return make(service_name, *arguments, **{**options, "endpoint_url": None})


def main() -> None:
    """Carry out the steps, and print what came of them."""
    library, folder = importlib.import_module(SESSIONS[sys.argv[1]]), Path(sys.argv[2])
    session: Any = library.Session(
        boto_session=ConfiguredSession(), default_bucket="data-bucket", default_bucket_prefix="team"
    )
    client = boto3.client("s3")
    client.create_bucket(Bucket="data-bucket")
    client.create_bucket(Bucket="other-bucket")
    sent: list[int] = []
    encrypted = {"ServerSideEncryption": "AES256", "Metadata": {"made": "here"}}
    steps: list[Callable[[], Any]] = [
        lambda: session.upload_data(path=str(folder / "in")),
        lambda: session.upload_data(str(folder / "in" / "a.csv"), key_prefix="one"),
        lambda: session.upload_data(str(folder / "in"), bucket="other-bucket", key_prefix="deep/er"),
        lambda: session.upload_data(str(folder / "in" / "a.csv"), "other-bucket", "with", sent.append, encrypted),
        lambda: sum(sent),
        lambda: client.head_object(Bucket="other-bucket", Key="with/a.csv")["Metadata"],
        lambda: keys(client, "data-bucket"),
        lambda: keys(client, "other-bucket"),
        lambda: client.put_object(Bucket="other-bucket", Key="deep/er/empty/", Body=b"")["ResponseMetadata"][
            "HTTPStatusCode"
        ],
        lambda: session.download_data(str(folder / "all"), "data-bucket", "team/data"),
        lambda: session.download_data(str(folder / "one"), "data-bucket", "team/one/a.csv"),
        lambda: session.download_data(str(folder / "whole"), "other-bucket"),
        lambda: session.download_data(str(folder / "none"), "other-bucket", "nothing/here"),
        lambda: sorted(
            (str(path.relative_to(folder)), path.read_text()) for path in folder.rglob("*") if path.is_file()
        ),
        lambda: library.get_execution_role(session),
        lambda: library.get_execution_role(sagemaker_session=session),
    ]
    print(json.dumps([outcome(step) for step in steps]).replace(str(folder), "{folder}"))


def keys(client: Any, bucket: str) -> list[str]:
    """List a bucket."""
    return [item["Key"] for item in client.list_objects_v2(Bucket=bucket).get("Contents", [])]


def outcome(step: Callable[[], Any]) -> Any:
    """Return what a step returns, or that it raises a ValueError."""
    try:
        found = step()
    except ValueError:
        return "ValueError"
    return sorted(found) if isinstance(found, list) else found


if __name__ == "__main__":
    logging.disable()
    main()
