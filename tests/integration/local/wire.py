"""Requests below what clients would send: signed by hand, sent byte by byte."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
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
) -> dict[str, str]:
    request = AWSRequest("POST", f"{server.endpoint_url}/", data=body, headers=headers or {})
    request.headers["X-Amz-Target"] = f"SageMaker.{operation}"
    credentials = Credentials(server.key.access_key_id, server.key.secret_access_key)
    SigV4Auth(credentials, "sagemaker", "us-east-1").add_auth(request)
    return dict(request.headers.items())
