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
from airflow_sm_processing.processing.uploads.engines import Engine, ThreadsEngine, Transfer
from airflow_sm_processing.processing.uploads.failures import Failure, upload_error
from airflow_sm_processing.processing.uploads.files import LocalFile, list_files
from airflow_sm_processing.processing.uploads.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import boto3
    from mypy_boto3_s3 import S3Client

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
    engine: Literal["crt", "threads"]
    """`crt` is the AWS CRT client, `threads` botocore over a pool of threads."""


def upload(
    path: Path,
    *,
    bucket: str,
    key_prefix: str,
    s3_client: S3Client,
    boto_session: boto3.Session,
    verify: bool | str | None = None,
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
        kms_key: Encrypt with this key of AWS KMS (its id, ARN or alias) in place of the bucket's default.
        expected_bucket_owner: The account that must own the bucket, else S3 refuses each file.
        clock: What times the progress lines.

    Raises:
        UploadError: Something of `path` isn't there or can't be read (nothing was sent then), or a file failed in
            spite of its retries (the rest was cancelled).
        BucketError: S3 says that the bucket is missing or forbidden.
    """
    plan = _Plan(bucket, _extra_args(kms_key, expected_bucket_owner), list_files(path, key_prefix))
    destination = plan.files[0].key if path.is_file() else f"{key_prefix}/"
    access = S3Access(s3_client, boto_session, verify)
    return _upload(plan, access, lambda: Progress(f"s3://{bucket}/{destination}", plan.files, clock=clock))


@dataclass(frozen=True)
class _Plan:
    bucket: str
    extra_args: dict[str, str]
    files: list[LocalFile]


def _extra_args(kms_key: str | None, expected_bucket_owner: str | None) -> dict[str, str]:
    extra_args = {}
    if kms_key:
        extra_args = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key}
    if expected_bucket_owner:
        extra_args["ExpectedBucketOwner"] = expected_bucket_owner
    return extra_args


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
        raise upload_error(failures, bucket=plan.bucket, files=len(plan.files)) from failures[0].error
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
            bucket=self._plan.bucket,
            key=file.key,
            extra_args=self._plan.extra_args,
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
                self.failures.append(Failure(file, error))
        else:
            self._progress.files_done += 1


class _Reporter:
    """Turn one transfer's callbacks into events: its bytes, and its file at the end."""

    def __init__(self, file: LocalFile, events: SimpleQueue[int | LocalFile]) -> None:
        self._file = file
        self._events = events

    def on_progress(self, *, bytes_transferred: int, **_: Any) -> None:
        self._events.put(bytes_transferred)

    def on_done(self, **_: Any) -> None:
        self._events.put(self._file)
