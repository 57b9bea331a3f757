"""What a local path holds, as one digest: the name of a place in S3 where nothing else can be."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from airflow_sm_processing.exceptions import UploadError
from airflow_sm_processing.processing.uploads.files import LocalFile, Version, list_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Content", "read_content"]

_BLOCK_BYTES = 1024**2
_BYTES_WORTH_A_THREAD = 256 * 1024  # below, handing a file to a thread costs a good part of reading it
_DIGEST_CHARACTERS = 32  # 128 bits: nobody finds two contents of one digest, and the keys stay readable


@dataclass(frozen=True)
class Content:
    """The files of a path with what they held when they were read."""

    digest: str
    """Hexadecimal; the same for the same names and contents, wherever they are and whenever they were written."""
    files: tuple[LocalFile, ...]


class _Read(NamedTuple):
    file: LocalFile
    digest: bytes


def read_content(path: Path, *context: str) -> Content:
    """Read every file that an upload of `path` would send.

    Args:
        path: A file or a folder.
        context: What else the digest shall depend on.

    Raises:
        UploadError: Something of `path` can't be read.
    """
    read = _read_all(list_files(path))
    whole = hashlib.sha256()
    for text in context:
        whole.update(hashlib.sha256(text.encode()).digest())
    for file, digest in read:
        whole.update(hashlib.sha256(file.name.encode()).digest() + digest)
    return Content(whole.hexdigest()[:_DIGEST_CHARACTERS], tuple(file for file, _ in read))


def _read_all(files: Sequence[LocalFile]) -> list[_Read]:
    if sum(file.size for file in files) < len(files) * _BYTES_WORTH_A_THREAD:
        return [_read(file) for file in files]
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="read-content") as pool:
        return list(pool.map(_read, files))


def _read(file: LocalFile) -> _Read:
    digest, checksum = hashlib.sha256(), 0
    block = memoryview(bytearray(min(_BLOCK_BYTES, file.size + 1)))
    try:
        with open(file.path, "rb", buffering=0) as stream:  # noqa: PTH123  Path.open costs a small file a third more
            version = Version.of(os.fstat(stream.fileno()))
            while count := stream.readinto(block):
                digest.update(block[:count])
                checksum = zlib.crc32(block[:count], checksum)
    except OSError as error:
        raise UploadError(f"Can't upload {file.path}: {error.strerror}.") from error
    crc32 = base64.b64encode(checksum.to_bytes(4, "big")).decode()
    return _Read(dataclasses.replace(file, size=version.size, version=version, crc32=crc32), digest.digest())
