"""The AWS CRT client: some three times as fast as threads for many small files."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, Any, Literal
from urllib.request import getproxies_environment

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from airflow_sm_processing.processing.uploads.access import S3Access
    from airflow_sm_processing.processing.uploads.engines import Subscriber, Transfer

__all__ = ["CrtEngine", "CrtUnavailableError"]

logger = logging.getLogger(__name__)


class CrtUnavailableError(Exception):
    """The CRT client isn't there, or can't do as the session's own client is configured to."""


class CrtEngine:
    """Upload through s3transfer's CRT manager, with a CRT client that lives as long as this engine.

    Unlike boto3, which keeps one client for ever, this leaves no thread behind: a task may fork afterwards.

    Raises:
        CrtUnavailableError: Upload in another way, for this reason.
    """

    name: Literal["crt"] = "crt"

    def __init__(self, access: S3Access) -> None:
        try:
            from awscrt.io import EventLoopGroup
            from s3transfer.crt import BotocoreCRTRequestSerializer, CRTTransferManager
        except ImportError as error:
            raise CrtUnavailableError(f"it isn't installed, see the extra `crt` ({error})") from error
        if obstacle := _obstacle(access):
            raise CrtUnavailableError(obstacle)
        serializer = BotocoreCRTRequestSerializer(access.botocore_session, access.client_options())
        try:
            self._event_loops: Any = EventLoopGroup()
            self._manager: Any = CRTTransferManager(_crt_client(access, self._event_loops), serializer)
        except RuntimeError as error:  # how awscrt reports, for instance, a CA bundle that it can't read
            raise CrtUnavailableError(f"it can't start ({error})") from error

    def start(
        self, path: str, *, bucket: str, key: str, extra_args: dict[str, str], subscriber: Subscriber
    ) -> Transfer:
        """Start to upload the file `path`."""
        transfer: Transfer = self._manager.upload(path, bucket, key, dict(extra_args), [subscriber])
        return transfer

    def is_cancellation(self, error: Exception) -> bool:
        """Tell whether a transfer ended by `cancel()`, not by itself."""
        return getattr(error, "name", None) == "AWS_ERROR_S3_CANCELED"

    def __enter__(self) -> Self:
        """Start."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the client and its threads, and on an error cancel what they do."""
        self._manager.__exit__(kind, error, trace)
        # The client goes with its last reference, its threads a moment later; a traceback may hold one.
        traceback.clear_frames(trace)
        ended = self._event_loops.shutdown_event
        self._manager = self._event_loops = None
        if not ended.wait(_SECONDS_TO_END):
            logger.warning("The AWS CRT client's threads were still running %s s after the upload.", _SECONDS_TO_END)


# Ending takes milliseconds; this bounds a wait that a reference, held by somebody else, would make endless.
_SECONDS_TO_END = 10


def _obstacle(access: S3Access) -> str | None:
    config = access.config
    if config.proxies or getproxies_environment():
        return "a proxy is configured, which it chooses by rules of its own"
    if config.signature_version != "s3v4":
        return f"it signs with s3v4, not {config.signature_version}"
    if config.client_cert:
        return "a client certificate is configured"
    if config.request_checksum_calculation != "when_supported":
        return "it always sends checksums, and request_checksum_calculation asks for none"
    if access.boto_session.get_credentials() is None:
        return "there are no credentials"
    return None


def _crt_client(access: S3Access, event_loops: Any) -> Any:
    """Make the CRT's client as s3transfer's `create_s3_crt_client` does, which hides the threads it starts."""
    from awscrt.io import ClientBootstrap, DefaultHostResolver
    from awscrt.s3 import S3Client, S3RequestTlsMode, get_recommended_throughput_target_gbps
    from s3transfer.crt import BotocoreCRTCredentialsWrapper

    is_tls = access.client.meta.endpoint_url.startswith("https:")
    # Asked before each signature: credentials that expire are renewed by botocore meanwhile.
    credentials = BotocoreCRTCredentialsWrapper(access.boto_session.get_credentials())
    return S3Client(
        bootstrap=ClientBootstrap(event_loops, DefaultHostResolver(event_loops)),
        region=access.client.meta.region_name,
        credential_provider=credentials.to_crt_credentials_provider(),
        part_size=_PART_BYTES,
        tls_mode=S3RequestTlsMode.ENABLED if is_tls else S3RequestTlsMode.DISABLED,
        tls_connection_options=_tls_options(access.ca_bundle()) if is_tls else None,
        throughput_target_gbps=get_recommended_throughput_target_gbps(),
        enable_s3express=True,
    )


_PART_BYTES = 8 * 1024**2  # as boto3, with either client


def _tls_options(ca_bundle: bool | str) -> Any:
    from awscrt.io import ClientTlsContext, TlsContextOptions

    options = TlsContextOptions()
    if ca_bundle:
        options.override_default_trust_store_from_path(ca_filepath=ca_bundle)
    else:
        options.verify_peer = False
    return ClientTlsContext(options).new_connection_options()
