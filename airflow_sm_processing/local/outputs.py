"""A job's outputs, uploaded to S3 as the real service does: at the end, or as they come."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from airflow_sm_processing.local.inputs import split_uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# One job's upload needs no threads of its own: client and server share one process and its lock.
_TRANSFER = TransferConfig(use_threads=False)


class OutputError(Exception):
    """An output can't be uploaded; the text is the job's FailureReason."""


class Output:
    """One output folder of one host and where it goes."""

    def __init__(self, s3: Any, item: Mapping[str, Any], folder: Path, *, kms_key: str | None) -> None:
        self._s3 = s3
        self._bucket, self._prefix = split_uri(item["S3Output"]["S3Uri"])
        self._folder = folder
        self._encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
        self._uploaded: dict[Path, tuple[int, int]] = {}
        self.is_continuous = item["S3Output"]["S3UploadMode"] == "Continuous"

    def upload(self) -> int:
        """Upload every file that is new or changed since the last call, and give how many.

        Raises:
            OutputError: S3 refuses it.
        """
        count = 0
        for path in self._files():
            try:
                stat = path.stat()
                if self._uploaded.get(path) == (stat.st_size, stat.st_mtime_ns):
                    continue
                self._put(path)
            except FileNotFoundError:
                continue  # the script, still running, took it away again
            self._uploaded[path] = (stat.st_size, stat.st_mtime_ns)
            count += 1
        return count

    def _put(self, path: Path) -> None:
        key = "/".join(part for part in (self._prefix.rstrip("/"), path.relative_to(self._folder).as_posix()) if part)
        try:
            self._s3.upload_file(str(path), self._bucket, key, ExtraArgs=self._encryption, Config=_TRANSFER)
        except (S3UploadFailedError, ClientError, UnicodeEncodeError) as error:  # the last: a name that is no UTF-8
            raise OutputError(f"ClientError: Failed to upload output to s3://{self._bucket}/{key}: {error}") from error

    def _files(self) -> Iterator[Path]:
        """Regular files only: the service uploads no symbolic links and follows none."""
        if self._folder.is_symlink():
            return
        for folder, folders, names in os.walk(self._folder):
            folders.sort()
            for name in sorted(names):
                path = Path(folder, name)
                if path.is_file() and not path.is_symlink():
                    yield path
