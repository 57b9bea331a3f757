"""The AWS CRT's S3 client, opened to do as a botocore client does, and closed without a trace."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.credentials import Credentials

    from airflow_sm_processing.processing.uploads.access import S3Access

__all__ = ["CrtClient", "RenewedCredentials"]

logger = logging.getLogger(__name__)

_PART_BYTES = 8 * 1024**2  # boto3's default, with either client

# Ending takes milliseconds; this bounds a wait that a reference, held by somebody else, would make endless.
_SECONDS_TO_END = 10.0


class CrtClient:
    """What s3transfer's CRT manager asks of a client, and `close`.

    The CRT ends its client when the last reference goes, and a traceback may hold the manager for long. The manager
    holds this object, and only this object the client.

    Raises:
        RuntimeError: The CRT can't start, for instance because it can't read the CA bundle.
    """

    def __init__(self, access: S3Access, credentials: RenewedCredentials) -> None:
        from awscrt.io import EventLoopGroup

        self._event_loops: Any = EventLoopGroup()
        self._client: Any = _open(access, credentials, self._event_loops)

    def make_request(self, **kwargs: Any) -> Any:
        """Start an S3 request."""
        return self._client.make_request(**kwargs)

    def close(self) -> None:
        """End the client and its threads; its requests are over."""
        ended = self._event_loops.shutdown_event
        self._client = self._event_loops = None
        if not ended.wait(_SECONDS_TO_END):
            logger.warning("The AWS CRT client's threads still run %s s after the upload.", _SECONDS_TO_END)


class RenewedCredentials:
    """Give the CRT botocore's credentials before each signature, so that botocore renews those that expire.

    An exception from here would reach nobody and leak the CRT's client. When a renewal fails, the last credentials
    stay in use: S3 refuses them if they have expired.
    """

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._last: Any = credentials.get_frozen_credentials()

    def __call__(self) -> Any:
        """Give `awscrt.auth.AwsCredentials`."""
        from awscrt.auth import AwsCredentials

        try:
            self._last = self._credentials.get_frozen_credentials()
        except Exception as error:  # noqa: BLE001  any provider, a user's own among them, fails in its own way
            logger.warning("The AWS credentials couldn't be renewed: %s", error)
        return AwsCredentials(self._last.access_key, self._last.secret_key, self._last.token)


def _open(access: S3Access, credentials: RenewedCredentials, event_loops: Any) -> Any:
    """Make the client as s3transfer's `create_s3_crt_client` does, which hides the threads it starts."""
    from awscrt.auth import AwsCredentialsProvider
    from awscrt.io import ClientBootstrap, DefaultHostResolver
    from awscrt.s3 import S3Client, S3RequestTlsMode, S3RetryConfig, get_recommended_throughput_target_gbps

    is_tls = access.client.meta.endpoint_url.startswith("https:")
    return S3Client(
        bootstrap=ClientBootstrap(event_loops, DefaultHostResolver(event_loops)),
        region=access.client.meta.region_name,
        credential_provider=AwsCredentialsProvider.new_delegate(credentials),
        part_size=_PART_BYTES,
        tls_mode=S3RequestTlsMode.ENABLED if is_tls else S3RequestTlsMode.DISABLED,
        tls_connection_options=_tls_options(access.ca_bundle()) if is_tls else None,
        throughput_target_gbps=get_recommended_throughput_target_gbps(),
        enable_s3express=True,
        retry_config=S3RetryConfig(max_retries=access.attempts - 1) if access.attempts else None,
        connect_timeout_ms=int(access.config.connect_timeout * 1000),
    )


def _tls_options(ca_bundle: bool | str) -> Any:
    from awscrt.io import ClientTlsContext, TlsContextOptions

    options = TlsContextOptions()
    if ca_bundle:
        options.override_default_trust_store_from_path(ca_filepath=ca_bundle)
    else:
        options.verify_peer = False
    return ClientTlsContext(options).new_connection_options()
