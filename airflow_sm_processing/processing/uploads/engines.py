"""The engine that transfers files with threads, and opens further clients like the one that it is given."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from types import TracebackType

    import boto3
    import botocore.session
    from mypy_boto3_s3 import S3Client
    from typing_extensions import Self


__all__ = ["Engine", "S3Access", "Subscriber", "ThreadsEngine", "Transfer"]


@dataclass(frozen=True)
class S3Access:
    """An S3 client, and the session and settings that it was made from."""

    client: S3Client
    boto_session: boto3.Session
    verify: bool | str | None = None
    """The `verify` of `boto_session.client("s3", verify=…)`; None uses the session's and the environment's settings."""

    @property
    def config(self) -> Any:
        """The client's botocore `Config`, with every default filled in; its stubs hide the settings from mypy."""
        return self.client.meta.config

    @property
    def sends_checksums(self) -> bool:
        """Whether the client's configuration allows sending checksums that S3 doesn't require."""
        return bool(self.config.request_checksum_calculation == "when_supported")

    @property
    def attempts(self) -> int | None:
        """The maximum number of attempts of a request; None if the client's configuration doesn't set it."""
        return (self.config.retries or {}).get("total_max_attempts")

    @property
    def botocore_session(self) -> botocore.session.Session:
        """The botocore session below the boto3 session."""
        return self.boto_session._session  # noqa: SLF001  boto3 has no public name for it

    def new_client(self, *, connections: int) -> S3Client:
        """Return a new client like `client` that keeps up to `connections` connections alive."""
        from botocore.config import Config

        options = self.client_options()
        options["config"] = self.config.merge(Config(max_pool_connections=connections))
        return self.boto_session.client("s3", verify=self.verify, **options)

    def client_options(self) -> dict[str, Any]:
        """Return the arguments for a client of the session with the same endpoint as `client`.

        The endpoint is included only if it was set for `client`: setting AWS's own would make botocore use path-style
        addresses.
        """
        options: dict[str, Any] = {"region_name": self.client.meta.region_name, "config": self.config}
        usual = self.boto_session.client("s3", verify=self.verify, **options)
        if usual.meta.endpoint_url != self.client.meta.endpoint_url:
            options["endpoint_url"] = self.client.meta.endpoint_url
        return options

    def ca_bundle(self) -> bool | str:
        """Return the path of the CA certificates that the client trusts, or False if it doesn't check certificates."""
        from botocore.httpsession import get_cert_path

        verify: Any = self.verify
        if verify is None:  # botocore's own order
            verify = self.botocore_session.get_config_variable("ca_bundle")
            verify = verify or os.environ.get("REQUESTS_CA_BUNDLE") or True
        return str(get_cert_path(verify)) if verify else False


class Transfer(Protocol):
    """A started upload, as returned by s3transfer's managers."""

    def result(self) -> object:
        """Wait for the end, and raise the transfer's error, if any."""

    def cancel(self) -> object:
        """Request an early end."""


class Subscriber(Protocol):
    """The callbacks of a transfer, which are called from the engine's threads."""

    def on_progress(self, *, bytes_transferred: int, **kwargs: Any) -> None:
        """Handle the number of bytes that were sent, negative if some must be sent again."""

    def on_done(self, **kwargs: Any) -> None:
        """Handle the end of the transfer, successful or not: its `result()` won't wait."""


class Engine(Protocol):
    """A context manager that starts transfers; all end with it."""

    @property
    def name(self) -> Literal["crt", "threads"]:
        """The engine's name in `UploadResult.engine`."""

    def start(
        self, path: str, *, bucket: str, key: str, extra_args: dict[str, str], subscriber: Subscriber
    ) -> Transfer:
        """Start to upload the file `path`."""

    def is_cancellation(self, error: Exception) -> bool:
        """Return whether a transfer ended by `cancel()`, not by itself."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ThreadsEngine:
    """Uploads with botocore in a pool of threads, large files in parts."""

    name: Literal["threads"] = "threads"

    # With this many threads, Python itself is the bottleneck: more wouldn't upload small files faster.
    _MOST_THREADS = 32
    # The parts of a large file keep s3transfer's default number of threads busy; more would only slow each other down.
    _LEAST_THREADS = 10

    def __init__(self, access: S3Access, *, files: int) -> None:
        from s3transfer.manager import TransferConfig, TransferManager

        threads = min(max(files, self._LEAST_THREADS), self._MOST_THREADS)
        # One connection per thread: with botocore's default of 10, connections would be reopened all the time.
        self._client = access.new_client(connections=threads)
        self._manager = TransferManager(self._client, TransferConfig(max_request_concurrency=threads))

    def start(
        self, path: str, *, bucket: str, key: str, extra_args: dict[str, str], subscriber: Subscriber
    ) -> Transfer:
        """Start to upload the file `path`."""
        subscribers: list[Any] = [subscriber]  # s3transfer only needs the methods, but its stubs need a base class
        return self._manager.upload(path, bucket, key, extra_args, subscribers)

    def is_cancellation(self, error: Exception) -> bool:
        """Return whether a transfer ended by `cancel()`, not by itself."""
        from s3transfer.exceptions import CancelledError

        return isinstance(error, CancelledError)

    def __enter__(self) -> Self:
        """Start."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the threads; after an error, cancel their transfers."""
        self._manager.__exit__(kind, error, trace)
        self._client.close()
