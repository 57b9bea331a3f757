"""What moves the bytes: the contract, and the engine that works everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from airflow_sm_processing.processing.uploads.access import S3Access

__all__ = ["Engine", "Subscriber", "ThreadsEngine", "Transfer"]


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
        """Tell whether a transfer ended by `cancel()`, not by itself."""

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
        """Tell whether a transfer ended by `cancel()`, not by itself."""
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
