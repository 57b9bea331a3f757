"""Run one upload: compare with what S3 has, transfer the rest, log progress, and report failures."""

from __future__ import annotations

import logging
import time
import traceback
from collections import deque
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Literal

from airflow_sm_processing.exceptions import BucketError, UploadError
from airflow_sm_processing.processing.aws_calls import may_pass
from airflow_sm_processing.processing.uploads.crt import CrtEngine, CrtUnavailableError
from airflow_sm_processing.processing.uploads.engines import (
    Engine,
    Interruption,
    S3Access,
    ThreadsEngine,
    Transfer,
    run_out_of_reach_of_signals,
)
from airflow_sm_processing.processing.uploads.files import Destination, LocalFile, list_code, list_files, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import boto3
    from mypy_boto3_s3 import S3Client

    from airflow_sm_processing.processing.uploads.files import Content, LocalFile


__all__ = [
    "SECONDS_BETWEEN_LINES",
    "Failure",
    "FileChangedError",
    "Progress",
    "UploadResult",
    "upload",
    "upload_error",
    "without_stored",
]


logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 5.0
"""Rare enough for a log, often enough to see that the upload makes progress. A shorter upload only logs its end."""

_MINUTE = 60
_KIB = 1024


class Progress:
    """Counts the uploaded files and bytes, and logs them now and then.

    Args:
        destination: The S3 URI to name in the log lines.
        files: All files of the upload.
        clock: Returns monotonic seconds.
    """

    def __init__(
        self, destination: str, files: Sequence[LocalFile], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.files_done = 0
        self.bytes_done = 0
        self.files_total = len(files)
        self.bytes_total = sum(file.size for file in files)
        self._destination = destination
        self._clock = clock
        self._started = clock()
        self._next_line = self._started + SECONDS_BETWEEN_LINES

    @property
    def seconds(self) -> float:
        """Seconds since the upload began."""
        return self._clock() - self._started

    @property
    def seconds_to_next_line(self) -> float:
        """The number of seconds within which to call `log_if_due` again."""
        return max(0.0, self._next_line - self._clock())

    def log_if_due(self) -> None:
        """Log a line if the last one is old enough."""
        if self._clock() < self._next_line:
            return
        self._next_line = self._clock() + SECONDS_BETWEEN_LINES
        logger.info(
            "Uploading to %s: %s of %s files, %s of %s, %s/s%s",
            self._destination,
            f"{self.files_done:,}",
            f"{self.files_total:,}",
            size_text(self.bytes_done),
            size_text(self.bytes_total),
            size_text(self._rate()),
            self._time_left(),
        )

    def log_end(self) -> None:
        """Log the line that every finished upload has."""
        logger.info(
            "Uploaded %s (%s) to %s in %s (%s/s)",
            "1 file" if self.files_total == 1 else f"{self.files_total:,} files",
            size_text(self.bytes_total),
            self._destination,
            duration_text(self.seconds),
            size_text(self._rate()),
        )

    def _rate(self) -> float:
        return self.bytes_done / self.seconds if self.seconds else 0.0

    def _time_left(self) -> str:
        done, total = (self.bytes_done, self.bytes_total) if self.bytes_total else (self.files_done, self.files_total)
        if not done:
            return ""
        return f", {duration_text(self.seconds * (total - done) / done)} left"


def size_text(count: float) -> str:
    """Return a number of bytes as text with a binary unit, such as `7.8 MiB`."""
    for unit in ("B", "KiB", "MiB"):
        if count < _KIB:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= _KIB
    return f"{count:.1f} GiB"


def duration_text(seconds: float) -> str:
    """Return a duration as text, such as `2.1 s` or `3 min 5 s`."""
    if seconds < _MINUTE - 0.05:  # more would be rounded to 60.0
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    return f"{minutes} min {rest} s"


_BUCKET_CODES = frozenset({"NoSuchBucket", "AccessDenied", "AllAccessDisabled", "InvalidBucketName"})
# S3's codes for a bucket in another region; botocore follows the redirect, the CRT client doesn't.
_REDIRECT_CODES = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"})


class FileChangedError(Exception):
    """A file has changed since its content was read."""

    def __init__(self) -> None:
        super().__init__("it has changed or gone since it was read for this upload; another try reads it anew")


@dataclass(frozen=True)
class Failure:
    """A file that didn't reach S3."""

    file: LocalFile
    error: Exception

    @property
    def code(self) -> str:
        """S3's code for the error, empty if S3 didn't answer."""
        response = getattr(self.error, "response", None) or {}  # it is None in botocore's errors for lost connections
        return str(response.get("Error", {}).get("Code", ""))

    @property
    def is_redirect(self) -> bool:
        """Whether S3 sends the client to another region."""
        return self.code in _REDIRECT_CODES


def upload_error(failures: Sequence[Failure], destination: Destination, *, files: int) -> UploadError:
    """Return one error for all failures; raise it from the first of them."""
    kind = BucketError if any(failure.code in _BUCKET_CODES for failure in failures) else UploadError
    lines = [f"{failure.file.path} -> {destination.uri(failure.file)}: {_reason(failure)}" for failure in failures]
    total = "the only file" if files == 1 else f"{len(failures):,} of {files:,} files; the rest was cancelled"
    error = kind(f"Upload failed for {total}:{listed(lines)}")
    error.may_pass = all(may_pass(failure.error) for failure in failures)
    return error


def _reason(failure: Failure) -> str:
    return str(failure.error) or type(failure.error).__name__


def without_stored(files: Sequence[LocalFile], destination: Destination, s3_client: S3Client) -> list[LocalFile]:
    """Return the files that aren't in S3 yet.

    If a key exists, its object is complete: S3 shows it only when the last byte has arrived, and checks the checksum.
    If the prefix can't be listed, all files are returned, as storing them again does no harm.
    """
    sizes = _stored_sizes(destination, s3_client)
    missing = [file for file in files if sizes.get(destination.key(file)) != file.size]
    if len(missing) < len(files):
        left_out = len(files) - len(missing)
        logger.info("Found %s of %s files in S3 from an earlier try", f"{left_out:,}", f"{len(files):,}")
    return missing


def _stored_sizes(destination: Destination, s3_client: S3Client) -> dict[str, int]:
    from botocore.exceptions import BotoCoreError, ClientError

    pages = s3_client.get_paginator("list_objects_v2").paginate(
        Bucket=destination.bucket, Prefix=f"{destination.key_prefix}/", **destination.owner_args
    )
    try:
        return {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", ())}
    except (BotoCoreError, ClientError) as error:
        # Logged as text: a handler that keeps the record would also keep the error's frames and their connection.
        prefix = f"s3://{destination.bucket}/{destination.key_prefix}/"
        logger.info("What is in %s can't be listed, so all of it is uploaded again: %s", prefix, str(error))
        return {}


# The maximum number of unfinished files: with more, upload() of s3transfer's CRT manager would block, so that progress
# couldn't be logged.
_WINDOW = 128


@dataclass(frozen=True)
class UploadResult:
    """The result of an upload."""

    files: int
    bytes: int
    seconds: float
    engine: Literal["crt", "threads"] | None
    """`crt` is the AWS CRT client, `threads` botocore with a pool of threads; None if there was nothing to upload."""


def upload(
    path: Path,
    *,
    bucket: str,
    key_prefix: str,
    s3_client: S3Client,
    boto_session: boto3.Session,
    verify: bool | str | None = None,
    content: Content | None = None,
    is_code: bool = False,
    repeated: bool = False,
    kms_key: str | None = None,
    expected_bucket_owner: str | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> UploadResult:
    """Upload a file to `<key_prefix>/<its name>`, or a folder's files to their relative paths below `key_prefix`.

    Args:
        path: The local file or folder.
        bucket: The bucket, in the region of `s3_client`.
        key_prefix: The beginning of each key, before a `/`.
        s3_client: The client whose endpoint, region and configuration apply.
        boto_session: The session that `s3_client` was made from, and whose credentials sign.
        verify: The `verify` that `s3_client` was made with.
        content: The content of `path` when `key_prefix` was derived from it; nothing else is stored there.
        is_code: Whether the folder's ignore rules apply.
        repeated: Whether an earlier upload may have sent some of the `content`, which then isn't sent again.
        kms_key: The KMS key (its id, ARN or alias) that encrypts the objects, instead of the bucket's default.
        expected_bucket_owner: The account that must own the bucket, else S3 refuses each file.
        clock: Returns monotonic seconds, for the progress lines.

    Raises:
        UploadError: A file of `path` is missing or can't be read (nothing was sent then), or a file failed despite its
            retries or has changed since `content` was read (the rest was cancelled).
        BucketError: S3 says that the bucket is missing or forbidden.
    """
    access = S3Access(s3_client, boto_session, verify)
    destination = Destination(bucket, key_prefix, kms_key, expected_bucket_owner, access.sends_checksums)
    files: Sequence[LocalFile] = _files_of(path, is_code=is_code) if content is None else content.files
    uri = destination.uri(files[0]) if path.is_file() else f"s3://{bucket}/{key_prefix}/"
    if content is not None and repeated and destination.checks_content:
        files = without_stored(files, destination, s3_client)
        if not files:
            return UploadResult(0, 0, 0.0, None)
    if failures := [Failure(file, FileChangedError()) for file in files if file.has_changed()]:
        raise upload_error(failures, destination, files=len(files))
    return run_out_of_reach_of_signals(
        lambda interruption: _upload(
            _Plan(destination, files, interruption), access, lambda: Progress(uri, files, clock=clock)
        )
    )


def _files_of(path: Path, *, is_code: bool) -> list[LocalFile]:
    return list_code(path).files if is_code else list_files(path)


@dataclass(frozen=True)
class _Plan:
    destination: Destination
    files: Sequence[LocalFile]
    interruption: Interruption


class _InterruptedError(Exception):
    """The caller's thread was interrupted, and raises why."""


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
    if plan.interruption.is_requested:
        raise _InterruptedError
    return run.failures


class _Run:
    """The transfers of one engine. All state belongs to the upload's thread: other threads only send events."""

    def __init__(self, engine: Engine, plan: _Plan, progress: Progress) -> None:
        self.failures: list[Failure] = []
        self._engine = engine
        self._plan = plan
        self._progress = progress
        self._events: SimpleQueue[int | LocalFile | None] = SimpleQueue()
        self._interruption = plan.interruption
        self._interruption.wakes = self._events
        self._waiting = deque(plan.files)
        self._under_way: dict[LocalFile, Transfer] = {}

    def until_first_failure(self) -> None:
        while (self._waiting or self._under_way) and not self._is_over:
            while self._waiting and len(self._under_way) < _WINDOW and not self._is_over:
                self._start(self._waiting.popleft())
            self._next_event(timeout=self._progress.seconds_to_next_line)
            self._progress.log_if_due()

    @property
    def _is_over(self) -> bool:
        return bool(self.failures) or self._interruption.is_requested

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
        elif event is not None and (transfer := self._under_way.pop(event, None)):
            self._end(event, transfer)

    def _end(self, file: LocalFile, transfer: Transfer) -> None:
        try:
            transfer.result()
        except Exception as error:  # noqa: BLE001  s3transfer hands on whatever its threads met
            # The traceback's frames would keep the engine alive for as long as the error exists.
            traceback.clear_frames(error.__traceback__)
            if not self._engine.is_cancellation(error):
                self.failures.append(Failure(file, FileChangedError() if file.has_changed() else error))
        else:
            self._progress.files_done += 1
            if file.has_changed():
                self.failures.append(Failure(file, FileChangedError()))


class _Reporter:
    """Turns one transfer's callbacks into events: its bytes, and its file at the end."""

    def __init__(self, file: LocalFile, events: SimpleQueue[int | LocalFile | None]) -> None:
        self._file = file
        self._events = events

    def on_progress(self, *, bytes_transferred: int, **_: Any) -> None:
        self._events.put(bytes_transferred)

    def on_done(self, **_: Any) -> None:
        self._events.put(self._file)
