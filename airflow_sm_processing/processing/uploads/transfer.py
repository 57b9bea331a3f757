"""One upload: from the list of files to the result."""

from __future__ import annotations

import logging
import time
import traceback
from collections import deque
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Literal

from airflow_sm_processing.processing.uploads.access import S3Access
from airflow_sm_processing.processing.uploads.crt import CrtEngine, CrtUnavailableError
from airflow_sm_processing.processing.uploads.destination import Destination
from airflow_sm_processing.processing.uploads.engines import Engine, ThreadsEngine, Transfer
from airflow_sm_processing.processing.uploads.failures import Failure, FileChangedError, upload_error
from airflow_sm_processing.processing.uploads.files import LocalFile, list_files
from airflow_sm_processing.processing.uploads.progress import Progress
from airflow_sm_processing.processing.uploads.stored import without_stored

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import boto3
    from mypy_boto3_s3 import S3Client

    from airflow_sm_processing.processing.uploads.content import Content

__all__ = ["UploadResult", "upload"]

logger = logging.getLogger(__name__)

# Started and unfinished files: what s3transfer's CRT manager allows before its upload() blocks, deaf to progress.
_WINDOW = 128


@dataclass(frozen=True)
class UploadResult:
    """What an upload moved."""

    files: int
    bytes: int
    seconds: float
    engine: Literal["crt", "threads"] | None
    """`crt` is the AWS CRT client, `threads` botocore over a pool of threads; None if there was nothing to move."""


def upload(
    path: Path,
    *,
    bucket: str,
    key_prefix: str,
    s3_client: S3Client,
    boto_session: boto3.Session,
    verify: bool | str | None = None,
    content: Content | None = None,
    repeated: bool = False,
    kms_key: str | None = None,
    expected_bucket_owner: str | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> UploadResult:
    """Upload a file to `<key_prefix>/<its name>`, or a folder's files to their relative paths below `key_prefix`.

    Args:
        path: The local file or folder.
        bucket: Where to, in the region of `s3_client`.
        key_prefix: Put before each key with a `/`, as it is.
        s3_client: Whose endpoint, region and configuration apply.
        boto_session: What `s3_client` was made from, and whose credentials sign.
        verify: What `s3_client` was made with.
        content: What `path` held when `key_prefix` was made of it: nothing else is stored there.
        repeated: Whether an earlier upload may have brought some of the `content`, which isn't sent again then.
        kms_key: Encrypt with this key of AWS KMS (its id, ARN or alias) in place of the bucket's default.
        expected_bucket_owner: The account that must own the bucket, else S3 refuses each file.
        clock: What times the progress lines.

    Raises:
        UploadError: Something of `path` isn't there or can't be read (nothing was sent then), or a file failed in
            spite of its retries or isn't as `content` has it (the rest was cancelled).
        BucketError: S3 says that the bucket is missing or forbidden.
    """
    access = S3Access(s3_client, boto_session, verify)
    destination = Destination(bucket, key_prefix, kms_key, expected_bucket_owner, access.sends_checksums)
    files: Sequence[LocalFile] = list_files(path) if content is None else content.files
    uri = destination.uri(files[0]) if path.is_file() else f"s3://{bucket}/{key_prefix}/"
    if content is not None and repeated and destination.checks_content:
        files = without_stored(files, destination, s3_client)
        if not files:
            return UploadResult(0, 0, 0.0, None)
    if failures := [Failure(file, FileChangedError()) for file in files if file.has_changed()]:
        raise upload_error(failures, destination, files=len(files))
    return _upload(_Plan(destination, files), access, lambda: Progress(uri, files, clock=clock))


@dataclass(frozen=True)
class _Plan:
    destination: Destination
    files: Sequence[LocalFile]


def _upload(plan: _Plan, access: S3Access, start_clock: Callable[[], Progress]) -> UploadResult:
    progress = start_clock()
    engine: Engine = _open_engine(access, files=len(plan.files))
    failures = _run(engine, plan, progress)
    if engine.name == "crt" and any(failure.is_redirect for failure in failures):
        logger.debug("Uploading again, through threads: the bucket is in a region that the CRT client can't go to.")
        progress = start_clock()
        engine = ThreadsEngine(access, files=len(plan.files))
        failures = _run(engine, plan, progress)
    if failures:
        raise upload_error(failures, plan.destination, files=len(plan.files)) from failures[0].error
    progress.log_end()
    return UploadResult(progress.files_total, progress.bytes_total, progress.seconds, engine.name)


def _open_engine(access: S3Access, *, files: int) -> Engine:
    try:
        return CrtEngine(access)
    except CrtUnavailableError as reason:
        logger.debug("Uploading through threads, not the AWS CRT client: %s.", reason)
        return ThreadsEngine(access, files=files)


def _run(engine: Engine, plan: _Plan, progress: Progress) -> list[Failure]:
    with engine:
        run = _Run(engine, plan, progress)
        try:
            run.until_first_failure()
        finally:
            run.cancel_rest()
    return run.failures


class _Run:
    """The transfers of one engine. All state belongs to the calling thread: the engine's threads only send events."""

    def __init__(self, engine: Engine, plan: _Plan, progress: Progress) -> None:
        self.failures: list[Failure] = []
        self._engine = engine
        self._plan = plan
        self._progress = progress
        self._events: SimpleQueue[int | LocalFile] = SimpleQueue()
        self._waiting = deque(plan.files)
        self._under_way: dict[LocalFile, Transfer] = {}

    def until_first_failure(self) -> None:
        while (self._waiting or self._under_way) and not self.failures:
            while self._waiting and len(self._under_way) < _WINDOW:
                self._start(self._waiting.popleft())
            self._next_event(timeout=self._progress.seconds_to_next_line)
            self._progress.log_if_due()

    def cancel_rest(self) -> None:
        for transfer in list(self._under_way.values()):
            transfer.cancel()
        while self._under_way:
            self._next_event(timeout=None)

    def _start(self, file: LocalFile) -> None:
        self._under_way[file] = self._engine.start(
            file.path,
            bucket=self._plan.destination.bucket,
            key=self._plan.destination.key(file),
            extra_args=self._plan.destination.put_args(file),
            subscriber=_Reporter(file, self._events),
        )

    def _next_event(self, *, timeout: float | None) -> None:
        try:
            event = self._events.get(timeout=timeout)
        except Empty:
            return
        if isinstance(event, int):
            self._progress.bytes_done += event
        elif transfer := self._under_way.pop(event, None):
            self._end(event, transfer)

    def _end(self, file: LocalFile, transfer: Transfer) -> None:
        try:
            transfer.result()
        except Exception as error:  # noqa: BLE001  s3transfer hands on whatever its threads met
            # The traceback's frames would keep the engine alive for as long as the error is.
            traceback.clear_frames(error.__traceback__)
            if not self._engine.is_cancellation(error):
                self.failures.append(Failure(file, FileChangedError() if file.has_changed() else error))
        else:
            self._progress.files_done += 1
            if file.has_changed():
                self.failures.append(Failure(file, FileChangedError()))


class _Reporter:
    """Turn one transfer's callbacks into events: its bytes, and its file at the end."""

    def __init__(self, file: LocalFile, events: SimpleQueue[int | LocalFile]) -> None:
        self._file = file
        self._events = events

    def on_progress(self, *, bytes_transferred: int, **_: Any) -> None:
        self._events.put(bytes_transferred)

    def on_done(self, **_: Any) -> None:
        self._events.put(self._file)
