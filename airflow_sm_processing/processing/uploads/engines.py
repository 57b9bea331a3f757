"""The engine that transfers files with threads, clients like a given one, and a thread that no signal reaches."""

from __future__ import annotations

import contextvars
import os
import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    import boto3
    import botocore.session
    from mypy_boto3_s3 import S3Client
    from typing_extensions import Self


__all__ = [
    "Engine",
    "Interruption",
    "S3Access",
    "Subscriber",
    "ThreadsEngine",
    "Transfer",
    "run_out_of_reach_of_signals",
]

_T = TypeVar("_T")


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


class Interruption:
    """A request for an early end of work in another thread, whose caller has been interrupted."""

    def __init__(self) -> None:
        self.is_requested = False
        self.wakes: SimpleQueue[Any] | None = None
        """The queue that the work waits at, which gets a None."""

    def request(self) -> None:
        """Request an early end of the work."""
        self.is_requested = True
        if self.wakes is not None:
            self.wakes.put(None)


def run_out_of_reach_of_signals(work: Callable[[Interruption], _T]) -> _T:
    """Return what `work` returns, which runs in a thread of its own while this one only waits.

    A signal's handler may raise an exception in the main thread at any moment, as Airflow's do when a task's time is
    over or its process has to end. If that is the moment in which the thread has just acquired the lock of a pool or of
    a future, the lock is never released, and whoever waits for the pool's end waits for ever. So a pool's locks are
    left to a thread in which no handler runs. Only C code is called while waiting: it holds no lock that others need.

    Args:
        work: What to do. It gets an interruption, which is requested when this thread is interrupted: then it has to
            end soon, and what it returns or raises is dropped.
    """
    interruption = Interruption()
    ended: SimpleQueue[None] = SimpleQueue()
    returned: list[_T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            returned.append(work(interruption))
        except BaseException as error:  # noqa: BLE001  # raised in the caller's thread
            raised.append(error)
        finally:
            ended.put(None)

    thread = threading.Thread(target=contextvars.copy_context().run, args=[run], name="upload")
    is_started = False
    try:
        with _signals_held():
            thread.start()
            is_started = True
        _wait(ended)
    except BaseException:
        if is_started:
            interruption.request()
            if not (returned or raised):  # else this thread was interrupted when it had been woken
                _wait(ended)
            thread.join()
        raise
    thread.join()
    if raised:
        raise raised[0]
    return returned[0]


def _wait(ended: SimpleQueue[None]) -> None:
    """Wait for an item; a signal that came just before the wait has its handler called within a second."""
    while True:
        try:
            return ended.get(timeout=1.0)
        except Empty:
            continue


@contextmanager
def _signals_held() -> Iterator[None]:
    """Let signals wait until the block's end; a thread that is started in it gets none."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    try:
        # The handler of a signal that has just come runs, and may raise, at the end of this very call.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
