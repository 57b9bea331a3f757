"""How to open more clients like the one that came."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import boto3
    import botocore.session
    from mypy_boto3_s3 import S3Client

__all__ = ["S3Access"]


@dataclass(frozen=True)
class S3Access:
    """An S3 client, and what it was made from."""

    client: S3Client
    boto_session: boto3.Session
    verify: bool | str | None = None
    """As given to `boto_session.client("s3", verify=…)`: None asks the session and the environment."""

    @property
    def config(self) -> Any:
        """The client's botocore `Config`, with every default filled in; its stubs hide the settings from mypy."""
        return self.client.meta.config

    @property
    def sends_checksums(self) -> bool:
        """Whether the client's configuration lets checksums be sent that nobody asked for."""
        return bool(self.config.request_checksum_calculation == "when_supported")

    @property
    def attempts(self) -> int | None:
        """How often a request is tried at most, where the client's configuration says so."""
        return (self.config.retries or {}).get("total_max_attempts")

    @property
    def botocore_session(self) -> botocore.session.Session:
        """The botocore session below the boto3 session."""
        return self.boto_session._session  # noqa: SLF001  boto3 has no public name for it

    def new_client(self, *, connections: int) -> S3Client:
        """Open a client like `client` that keeps up to `connections` of them alive."""
        from botocore.config import Config

        options = self.client_options()
        options["config"] = self.config.merge(Config(max_pool_connections=connections))
        return self.boto_session.client("s3", verify=self.verify, **options)

    def client_options(self) -> dict[str, Any]:
        """Give the arguments that make the session's next client talk to where `client` talks to.

        An endpoint is named only if it was named for `client`: naming AWS's own would switch botocore to path-style
        addresses.
        """
        options: dict[str, Any] = {"region_name": self.client.meta.region_name, "config": self.config}
        usual = self.boto_session.client("s3", verify=self.verify, **options)
        if usual.meta.endpoint_url != self.client.meta.endpoint_url:
            options["endpoint_url"] = self.client.meta.endpoint_url
        return options

    def ca_bundle(self) -> bool | str:
        """Give the path of the CA certificates that the client trusts, or False if it trusts anybody."""
        from botocore.httpsession import get_cert_path

        verify: Any = self.verify
        if verify is None:  # botocore's own order
            verify = self.botocore_session.get_config_variable("ca_bundle")
            verify = verify or os.environ.get("REQUESTS_CA_BUNDLE") or True
        return str(get_cert_path(verify)) if verify else False
