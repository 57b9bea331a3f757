"""What one side of a case finds in AWS, and what it leaves there."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import Message

ACCOUNT_ID = "123456789012"
FOREIGN_ID = "999999999999"
OBJECT_HEADERS = (
    "content-type",
    "x-amz-acl",
    "x-amz-expected-bucket-owner",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-storage-class",
    "x-amz-tagging",
)


@dataclass(frozen=True)
class Bucket:
    """A bucket that exists before the job."""

    owner: str = ACCOUNT_ID
    shared: bool = False
    """Whether its owner's policy lets other accounts in."""


class StoredObject(NamedTuple):
    """An object as S3 got it: its content, and the headers that say how to keep it."""

    sha256: str
    headers: Mapping[str, str]


class Refusal(Exception):  # noqa: N818 - what a service answers, not a failure of the endpoint
    """An error that the service answers with."""

    def __init__(self, status: int, code: str, message: str = "") -> None:
        self.status, self.code, self.message = status, code, message or code
        super().__init__(f"{status} {code}")


@dataclass
class Account:
    """The buckets and roles of one AWS account, and everything that was done to it."""

    buckets: dict[str, Bucket] = field(default_factory=dict)
    denied: frozenset[str] = frozenset()
    """Operations that IAM forbids, such as `ListBuckets`."""
    created: list[tuple[str, str | None]] = field(default_factory=list)
    """Buckets made, each with its LocationConstraint."""
    objects: dict[tuple[str, str], StoredObject] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    upload_headers: dict[str, Mapping[str, str]] = field(default_factory=dict)
    archives: list[dict[str, bytes]] = field(default_factory=list)
    """The files of each archive that was stored, by name."""
    bodies: dict[tuple[str, str], bytes] = field(default_factory=dict)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)
    """Every operation asked for, in order."""

    def check(self, operation: str) -> None:
        """Note the operation, and refuse what IAM forbids."""
        self.operations.append(operation)
        if operation in self.denied:
            raise Refusal(403, "AccessDenied", "Access Denied")

    def put(self, bucket: str, key: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Store an object as S3 would show it."""
        self.bodies[bucket, key] = body
        digest = hashlib.sha256(body).hexdigest()
        if key.endswith("/source/sourcedir.tar.gz"):  # it counts by its files
            self.archives.append(_files_in(body))
            digest = repr(sorted(self.archives[-1].items()))
        elif key.endswith("/source/runproc.sh"):  # it counts by what it does: see `test_entry_scripts.py`
            digest = "an entry script"
        self.objects[bucket, key] = StoredObject(digest, dict(headers))


def _files_in(body: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        files = ((member.name, archive.extractfile(member)) for member in archive)
        return {name: file.read() for name, file in files if file is not None}


def kept_headers(headers: Message[str, str]) -> dict[str, str]:
    """Return the headers that change how S3 keeps an object, in lower case."""
    lower = {name.lower(): value for name, value in headers.items()}
    return {n: v for n, v in lower.items() if n in OBJECT_HEADERS or n.startswith("x-amz-meta-")}
