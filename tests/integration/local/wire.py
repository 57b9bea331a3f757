"""Requests below what clients would send: signed by hand, sent byte by byte."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

if TYPE_CHECKING:
    from airflow_sm_processing.local import LocalSageMaker


def send(
    server: LocalSageMaker, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> tuple[int, bytes]:
    address = urlsplit(server.endpoint_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


def signed(
    server: LocalSageMaker,
    *,
    body: bytes = b"{}",
    headers: dict[str, str] | None = None,
    operation: str = "ListProcessingJobs",
    service: str = "sagemaker",
    region: str = "us-east-1",
    method: str = "POST",
    path: str = "/",
) -> dict[str, str]:
    request = AWSRequest(method, f"{server.endpoint_url}{path}", data=body, headers=headers or {})
    if service in {"sagemaker", "logs"}:
        request.headers["X-Amz-Target"] = f"SageMaker.{operation}"
    credentials = Credentials(server.key.access_key_id, server.key.secret_access_key)
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    signer(credentials, service, region).add_auth(request)
    return dict(request.headers.items())
