"""Where files go: a place in S3, and how they are stored there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_sm_processing.processing.uploads.files import LocalFile

__all__ = ["Destination"]


@dataclass(frozen=True)
class Destination:
    """A prefix in a bucket."""

    bucket: str
    key_prefix: str
    """Stands before each key with a `/`, as it is."""
    kms_key: str | None = None
    """Encrypts what is stored, in place of the bucket's default."""
    bucket_owner: str | None = None
    """The account that must own the bucket."""
    checks_content: bool = True
    """Whether S3 is told what each file held when it was read, and so stores that or nothing."""

    def key(self, file: LocalFile) -> str:
        """Give the key of a file."""
        return f"{self.key_prefix}/{file.name}"

    def uri(self, file: LocalFile) -> str:
        """Give the S3 URI of a file."""
        return f"s3://{self.bucket}/{self.key(file)}"

    @property
    def owner_args(self) -> dict[str, Any]:
        """The parameters of any S3 call that make S3 check the owner."""
        return {"ExpectedBucketOwner": self.bucket_owner} if self.bucket_owner else {}

    def put_args(self, file: LocalFile) -> dict[str, str]:
        """Give PutObject's parameters."""
        arguments = dict(self.owner_args)
        if self.kms_key:
            arguments |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key}
        if file.crc32 and self.checks_content:
            arguments["ChecksumCRC32"] = file.crc32
        return arguments
