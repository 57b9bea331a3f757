"""What went wrong, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_sm_processing.exceptions import BucketError, UploadError
from airflow_sm_processing.processing.aws_errors import may_pass
from airflow_sm_processing.processing.uploads.files import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_sm_processing.processing.uploads.destination import Destination
    from airflow_sm_processing.processing.uploads.files import LocalFile

__all__ = ["Failure", "FileChangedError", "upload_error"]

_BUCKET_CODES = frozenset({"NoSuchBucket", "AccessDenied", "AllAccessDisabled", "InvalidBucketName"})
# What S3 answers for a bucket of another region; botocore follows it, the CRT client doesn't.
_REDIRECT_CODES = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"})


class FileChangedError(Exception):
    """A file isn't what it was when its content was read."""

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
        response = getattr(self.error, "response", None) or {}  # botocore's lost connections have None
        return str(response.get("Error", {}).get("Code", ""))

    @property
    def is_redirect(self) -> bool:
        """Whether S3 sends the client to another region."""
        return self.code in _REDIRECT_CODES


def upload_error(failures: Sequence[Failure], destination: Destination, *, files: int) -> UploadError:
    """Make the one error that tells of all failures; raise it from the first of them."""
    kind = BucketError if any(failure.code in _BUCKET_CODES for failure in failures) else UploadError
    lines = [f"{failure.file.path} -> {destination.uri(failure.file)}: {_reason(failure)}" for failure in failures]
    total = "the only file" if files == 1 else f"{len(failures):,} of {files:,} files; the rest was cancelled"
    error = kind(f"Upload failed for {total}:{listed(lines)}")
    error.may_pass = all(may_pass(failure.error) for failure in failures)
    return error


def _reason(failure: Failure) -> str:
    return str(failure.error) or type(failure.error).__name__
