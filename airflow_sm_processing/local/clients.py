"""AWS clients of the server itself: nothing of the user's AWS configuration or proxies takes part."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_sm_processing.local.auth import Key

# Like botocore's own table of where settings come from, with the user's files and profile taken out of it.
_NOTHING_OF_THE_USERS = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
    "ca_bundle": (None, None, None, None),
}


def core_session() -> botocore.session.Session:
    """Make a botocore session that knows nothing of the user's profile and files."""
    return botocore.session.Session(session_vars=_NOTHING_OF_THE_USERS)


@contextmanager
def ignoring(code: str) -> Iterator[None]:
    """Suppress a client error with this code.

    `client.exceptions` won't do here: botocore makes its classes at first use, and two threads that come first
    together get different ones.
    """
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] != code:
            raise


class Clients:
    """Makes boto3 clients for one endpoint, one per service, key and region, and closes them all."""

    def __init__(self, endpoint_url: str) -> None:
        self._endpoint_url = endpoint_url
        self._lock = threading.Lock()  # making a client isn't thread-safe in boto3; using one is
        self._clients: dict[tuple[str, str, str], Any] = {}

    def get(self, service: str, key: Key, region: str) -> Any:
        """Return the boto3 client of a service."""
        with self._lock:
            name = service, key.access_key_id, region
            if name not in self._clients:
                self._clients[name] = self._make(service, key, region)
            return self._clients[name]

    def _make(self, service: str, key: Key, region: str) -> Any:
        session: Any = boto3.Session(  # Any: the service's name is no literal here
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
            region_name=region,
            botocore_session=core_session(),
        )
        config = Config(proxies={}, max_pool_connections=32)
        return session.client(service, endpoint_url=self._endpoint_url, config=config)

    def close(self) -> None:
        """End the clients' connections."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()
