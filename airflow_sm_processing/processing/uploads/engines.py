"""The engine that transfers files by threads, and how it opens further clients like the one it was given."""

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
        """Return the arguments that make the session's next client talk to where `client` talks to.

        An endpoint is named only if it was named for `client`: naming AWS's own would switch botocore to path-style
        addresses.
        """
        options: dict[str, Any] = {"region_name": self.client.meta.region_name, "config": self.config}
        usual = self.boto_session.client("s3", verify=self.verify, **options)
        if usual.meta.endpoint_url != self.client.meta.endpoint_url:
            options["endpoint_url"] = self.client.meta.endpoint_url
        return options

    def ca_bundle(self) -> bool | str:
        """Return the path of the CA certificates that the client trusts, or False if it trusts anybody."""
        from botocore.httpsession import get_cert_path

        verify: Any = self.verify
        if verify is None:  # botocore's own order
            verify = self.botocore_session.get_config_variable("ca_bundle")
            verify = verify or os.environ.get("REQUESTS_CA_BUNDLE") or True
        return str(get_cert_path(verify)) if verify else False


class Transfer(Protocol):
    """One upload under way, as s3transfer's managers give it."""

    def result(self) -> object:
        """Wait for the end, and raise what went wrong."""

    def cancel(self) -> object:
        """Ask for an early end."""


class Subscriber(Protocol):
    """Who hears of a transfer; called from the engine's threads."""

    def on_progress(self, *, bytes_transferred: int, **kwargs: Any) -> None:
        """Hear that so many more bytes are sent, or fewer than 0 if some must be sent again."""

    def on_done(self, **kwargs: Any) -> None:
        """Hear that the transfer ended, well or not: its `result()` won't wait."""


class Engine(Protocol):
    """A context manager that starts transfers; none outlives it."""

    @property
    def name(self) -> Literal["crt", "threads"]:
        """What `UploadResult.engine` says."""

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
    """Upload with botocore over a pool of threads, big files in parts."""

    name: Literal["threads"] = "threads"

    # Python itself is the bound by then: more threads than this upload small files no faster.
    _MOST_THREADS = 32
    # The parts of a big file keep s3transfer's own number of threads busy; more only get in each other's way.
    _LEAST_THREADS = 10

    def __init__(self, access: S3Access, *, files: int) -> None:
        from s3transfer.manager import TransferConfig, TransferManager

        threads = min(max(files, self._LEAST_THREADS), self._MOST_THREADS)
        # A connection of its own for each thread: botocore's usual 10 would be opened again and again.
        self._client = access.new_client(connections=threads)
        self._manager = TransferManager(self._client, TransferConfig(max_request_concurrency=threads))

    def start(
        self, path: str, *, bucket: str, key: str, extra_args: dict[str, str], subscriber: Subscriber
    ) -> Transfer:
        """Start to upload the file `path`."""
        subscribers: list[Any] = [subscriber]  # s3transfer asks for the methods, its stubs for a base class
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
        """End the threads, and on an error cancel what they do."""
        self._manager.__exit__(kind, error, trace)
        self._client.close()
