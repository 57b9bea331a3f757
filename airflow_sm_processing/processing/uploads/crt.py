"""The engine on the AWS CRT client: some three times as fast as threads for many small files."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any, Literal
from urllib.request import getproxies_environment

from airflow_sm_processing.processing.uploads.crt_client import CrtClient, RenewedCredentials

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from airflow_sm_processing.processing.uploads.access import S3Access
    from airflow_sm_processing.processing.uploads.engines import Subscriber, Transfer

__all__ = ["CrtEngine", "CrtUnavailableError"]


class CrtUnavailableError(Exception):
    """The CRT client isn't there, or can't do as the session's own client is configured to."""


class CrtEngine:
    """Upload through s3transfer's CRT manager, with a CRT client that lives as long as this engine.

    boto3 keeps one client for ever. This engine leaves no thread behind, so that a task may fork afterwards.

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
        # An exception that came amid a start holds that start's frames, and they hold the client.
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
    return bool(getproxies_environment().keys() - {"no"})  # no_proxy alone names none


def _credentials(access: S3Access) -> RenewedCredentials:
    credentials = access.boto_session.get_credentials()
    if credentials is None:
        raise CrtUnavailableError("there are no credentials")
    try:
        return RenewedCredentials(credentials)
    except Exception as error:  # any provider, a user's own among them, fails in its own way
        raise CrtUnavailableError(f"the credentials can't be had ({error})") from error
