"""A job's outputs, uploaded to S3 as the real service does: at the end, or as they come."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from airflow_sm_processing.local.container import ML
from airflow_sm_processing.local.folders import open_beneath
from airflow_sm_processing.local.inputs import split_uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_sm_processing.local.container import Instance

# One job's upload needs no threads of its own: client and server share one process and its lock.
_TRANSFER = TransferConfig(use_threads=False)
_LINKS_SHOWN = 10
_GONE = -1
# What opening says of a link, or of a link where a folder is expected.
_NO_FOLDER = frozenset({errno.ELOOP, errno.ENOTDIR})


class OutputError(Exception):
    """An output can't be uploaded; the text is the job's FailureReason."""


class Output:
    """One output folder of one host and where it goes.

    Links are neither uploaded nor followed, at any level. A script that still runs may put one anywhere at any time,
    so each folder and file is opened from its parent, which is open already.
    """

    def __init__(self, s3: Any, item: Mapping[str, Any], instance: Instance, *, kms_key: str | None) -> None:
        self._s3 = s3
        self._bucket, self._prefix = split_uri(item["S3Output"]["S3Uri"])
        self._instance = instance
        self._path = PurePosixPath(item["S3Output"]["LocalPath"]).relative_to(ML)
        self._encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
        self._uploaded: dict[PurePosixPath, tuple[int, int]] = {}
        self.is_continuous = item["S3Output"]["S3UploadMode"] == "Continuous"
        self._links: set[PurePosixPath] = set()  # left out; paths below /opt/ml

    def upload(self) -> int:
        """Upload every file that is new or changed since the last call, and give how many.

        Raises:
            OutputError: S3 refuses it, or it can't be read.
        """
        self._links.clear()
        count, folders = 0, [PurePosixPath()]
        while folders:
            folder = folders.pop()
            with self._opened(folder) as opened:
                entries = _entries(opened)
                self._links |= {self._path / folder / entry.name for entry in entries if entry.is_symlink()}
                folders += [folder / entry.name for entry in entries if entry.is_dir(follow_symlinks=False)][::-1]
                files = [folder / entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
                count += sum(self._upload_file(file, opened) for file in files)
        return count

    def say_what_is_left_out(self) -> None:
        """Name the links in the host's log, which the service would leave out without a word."""
        if not self._links:
            return
        shown = ", ".join(str(ML / link) for link in sorted(self._links)[:_LINKS_SHOWN])
        more = f" and {left} more" if (left := len(self._links) - _LINKS_SHOWN) > 0 else ""
        self._instance.remark(f"Not uploaded, since SageMaker neither uploads nor follows links: {shown}{more}.")

    @contextmanager
    def _opened(self, folder: PurePosixPath) -> Iterator[int]:
        """Open one of the output's folders; `_GONE` for one that is gone, or that a link stands in for."""
        path = self._path / folder
        try:
            opened = open_beneath(self._instance.ml, *path.parts)
        except FileNotFoundError:
            yield _GONE
            return
        except OSError as error:
            if error.errno not in _NO_FOLDER:
                raise OutputError(f"ClientError: Failed to read output {ML / path}: {error.strerror}") from error
            self._links.add(path)
            yield _GONE
            return
        try:
            yield opened
        finally:
            os.close(opened)

    def _upload_file(self, path: PurePosixPath, folder: int) -> bool:
        """Upload a file unless it was uploaded as it is; say whether it was now."""
        try:
            # Nothing is waited for: not for a writer either, should it have become a pipe.
            descriptor = os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ELOOP}:
                return False  # the script, still running, took it away again
            raise OutputError(
                f"ClientError: Failed to read output {ML / self._path / path}: {error.strerror}"
            ) from error
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            seen = found.st_size, found.st_mtime_ns
            if not stat.S_ISREG(found.st_mode) or self._uploaded.get(path) == seen:
                return False
            self._put(path, file)
        self._uploaded[path] = seen
        return True

    def _put(self, path: PurePosixPath, file: BinaryIO) -> None:
        key = "/".join(part for part in (self._prefix.rstrip("/"), path.as_posix()) if part)
        try:
            self._s3.upload_fileobj(file, self._bucket, key, ExtraArgs=self._encryption, Config=_TRANSFER)
        except (S3UploadFailedError, ClientError, BotoCoreError, OSError, UnicodeError) as error:
            # UnicodeError: a name that is no UTF-8
            raise OutputError(f"ClientError: Failed to upload output to s3://{self._bucket}/{key}: {error}") from error


def _entries(folder: int) -> list[os.DirEntry[str]]:
    if folder == _GONE:
        return []
    with os.scandir(folder) as found:
        return sorted(found, key=lambda entry: entry.name)
