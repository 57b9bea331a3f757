"""What a notebook does with a session beside running jobs: `session_data.py sdk|ours FOLDER`, on the local SageMaker.

Prints a JSON list with the outcome of each step.
"""

from __future__ import annotations

import importlib
import io
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

if TYPE_CHECKING:
    from collections.abc import Callable

SESSIONS = {"sdk": "sagemaker.session", "ours": "airflow_sm_processing.processing"}
OBJECTS = {"sdk": "sagemaker.s3", "ours": "airflow_sm_processing.processing"}


class ConfiguredSession(boto3.Session):
    """A boto3 session whose clients all call the configured endpoint: the SDK names AWS's own host for STS."""

    def client(self, service_name: str, *arguments: Any, **options: Any) -> Any:
        """Make the client, whatever endpoint is asked for."""
        make: Any = super().client
        return make(service_name, *arguments, **{**options, "endpoint_url": None})


def main() -> None:
    """Carry out the steps, and print what came of them."""
    library, folder = importlib.import_module(SESSIONS[sys.argv[1]]), Path(sys.argv[2])
    s3 = importlib.import_module(OBJECTS[sys.argv[1]])
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
        lambda: s3.S3Uploader.upload(str(folder / "in"), "s3://other-bucket/by/uri", sagemaker_session=session),
        lambda: s3.S3Uploader.upload(str(folder / "in" / "a.csv"), "s3://other-bucket/by", None, session, sent.append),
        lambda: s3.S3Uploader.upload_string_as_file_body("é", "s3://other-bucket/by/text", sagemaker_session=session),
        lambda: s3.S3Uploader.upload_bytes(b"\x00", "s3://other-bucket/by/bytes", sagemaker_session=session),
        lambda: s3.S3Uploader.upload_bytes(io.BytesIO(b"\x01"), "s3://other-bucket/by/stream", None, session),
        lambda: s3.S3Downloader.list("s3://other-bucket/by", session),
        lambda: s3.S3Downloader.list("s3://other-bucket/nothing", sagemaker_session=session),
        lambda: s3.S3Downloader.read_file("s3://other-bucket/by/text", session),
        lambda: s3.S3Downloader.read_bytes("s3://other-bucket/by/stream", session).hex(),
        lambda: s3.S3Downloader.download("s3://other-bucket/by/uri", str(folder / "by"), sagemaker_session=session),
        lambda: session.upload_string_as_file_body("b", bucket="other-bucket", key="by/session"),
        lambda: session.list_s3_files("other-bucket", "by/s"),
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
