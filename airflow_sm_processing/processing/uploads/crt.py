"""The engine that uses the AWS CRT client, about three times as fast as threads for many small files."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, Any, Literal
from urllib.request import getproxies_environment

if TYPE_CHECKING:
    from types import TracebackType

    from botocore.credentials import Credentials
    from typing_extensions import Self

    from airflow_sm_processing.processing.uploads.engines import S3Access, Subscriber, Transfer


__all__ = ["CrtClient", "CrtEngine", "CrtUnavailableError", "RenewedCredentials"]


logger = logging.getLogger(__name__)

_PART_BYTES = 8 * 1024**2  # boto3's default, with either client

# Ending takes milliseconds; without this bound, a reference that is held elsewhere would make the wait endless.
_SECONDS_TO_END = 10.0


class CrtClient:
    """The client for s3transfer's CRT manager, with an additional `close`.

    The CRT ends its client when the last reference to it is dropped, but a traceback may hold the manager for long. So
    the manager holds this object, and only this object holds the client.

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
        """End the client and its threads, after its requests have ended."""
        ended = self._event_loops.shutdown_event
        self._client = self._event_loops = None
        if not ended.wait(_SECONDS_TO_END):
            logger.warning("The AWS CRT client's threads still run %s s after the upload.", _SECONDS_TO_END)


class RenewedCredentials:
    """Provides the CRT with botocore's credentials before each signature, so that botocore renews expiring ones.

    An exception from here would be lost, and would leak the CRT's client. So when a renewal fails, the last credentials
    stay in use; S3 refuses them if they have expired.
    """

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._last: Any = credentials.get_frozen_credentials()

    def __call__(self) -> Any:
        """Return `awscrt.auth.AwsCredentials`."""
        from awscrt.auth import AwsCredentials

        try:
            self._last = self._credentials.get_frozen_credentials()
        except Exception as error:  # noqa: BLE001  any provider, a user's own among them, fails in its own way
            logger.warning("The AWS credentials couldn't be renewed: %s", error)
        return AwsCredentials(self._last.access_key, self._last.secret_key, self._last.token)


def _open(access: S3Access, credentials: RenewedCredentials, event_loops: Any) -> Any:
    """Return a client like that of s3transfer's `create_s3_crt_client`, which gives no access to its threads."""
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


class CrtUnavailableError(Exception):
    """The CRT client isn't installed, or can't do what the session's own client is configured to do."""


class CrtEngine:
    """Uploads with s3transfer's CRT manager, and a CRT client that lives as long as this engine.

    boto3 would keep one client for ever. This engine leaves no threads behind, so that a task may fork afterwards.

    Raises:
        CrtUnavailableError: Upload in another way, for this reason.
    """

    name: Literal["crt"] = "crt"

    def __init__(self, access: S3Access) -> None:
        if obstacle := _obstacle(access):
            raise CrtUnavailableError(obstacle)
        credentials = _credentials(access)
        try:
            from s3transfer.crt import BotocoreCRTRequestSerializer, CRTTransferManager

            self._client = CrtClient(access, credentials)
        except ImportError as error:
            raise CrtUnavailableError(f"it isn't installed or too old, see the extra `crt` ({error})") from error
        except RuntimeError as error:
            raise CrtUnavailableError(f"it can't start ({error})") from error
        serializer = BotocoreCRTRequestSerializer(access.botocore_session, access.client_options())
        self._manager: Any = CRTTransferManager(self._client, serializer)

    def start(
        self, path: str, *, bucket: str, key: str, extra_args: dict[str, str], subscriber: Subscriber
    ) -> Transfer:
        """Start to upload the file `path`."""
        transfer: Transfer = self._manager.upload(path, bucket, key, dict(extra_args), [subscriber])
        return transfer

    def is_cancellation(self, error: Exception) -> bool:
        """Return whether a transfer ended because of `cancel()`."""
        return getattr(error, "name", None) == "AWS_ERROR_S3_CANCELED"

    def __enter__(self) -> Self:
        """Start."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the client and its threads; after an error, cancel their transfers."""
        self._manager.__exit__(kind, error, trace)
        # An exception raised during a start holds that start's frames, and these hold the client.
        traceback.clear_frames(trace)
        self._client.close()


def _obstacle(access: S3Access) -> str | None:
    config = access.config
    obstacles = {
        "a proxy is configured, which it chooses by rules of its own": config.proxies or _names_proxy(),
        f"it signs with s3v4, not {config.signature_version}": config.signature_version != "s3v4",
        "a client certificate is configured": config.client_cert,
        "it always sends checksums, unlike request_checksum_calculation": (
            config.request_checksum_calculation != "when_supported"
        ),
        "it always tries again, unlike retries": access.attempts == 1,
    }
    return next((reason for reason, holds in obstacles.items() if holds), None)


def _names_proxy() -> bool:
    return bool(getproxies_environment().keys() - {"no"})  # no_proxy alone doesn't set a proxy


def _credentials(access: S3Access) -> RenewedCredentials:
    credentials = access.boto_session.get_credentials()
    if credentials is None:
        raise CrtUnavailableError("there are no credentials")
    try:
        return RenewedCredentials(credentials)
    except Exception as error:  # each provider, including a user's own, raises its own errors
        raise CrtUnavailableError(f"the credentials can't be had ({error})") from error
