"""What a local path uploads, and under which keys."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_sm_processing.exceptions import UploadError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["LocalFile", "list_files", "listed"]

_SHOWN = 3


@dataclass(frozen=True)
class LocalFile:
    """One readable file, and where it goes."""

    path: str
    key: str
    """The S3 key, as the SageMaker SDK v2 would choose it."""
    size: int
    """Bytes, when the upload was planned."""


def list_files(path: Path, key_prefix: str) -> list[LocalFile]:
    """List every file of `path`, a file or a folder, with the keys of the SDK's `Session.upload_data`.

    Like there, a linked file is read through its link and a linked folder below `path` is left out. Unlike there, a
    folder without files, a folder that can't be listed and a file that can't be read are errors, all reported at
    once before anything is sent.

    Raises:
        UploadError: With each path that can't be uploaded, and why.
    """
    if not path.exists():
        raise UploadError(f"Can't upload {path}: no such file or folder.")
    problems: list[str] = []
    pairs = _walk(path, key_prefix, problems) if path.is_dir() else [(path, f"{key_prefix}/{path.name}")]
    files = [file for local, key in pairs if (file := _checked(local, key, problems))]
    if problems:
        raise UploadError(f"Can't upload {path}:{listed(problems)}")
    if not files:
        raise UploadError(f"Can't upload {path}: the folder holds no files.")
    return files


def listed(lines: Sequence[str]) -> str:
    """Put the first few lines below one another, and count the rest."""
    shown = "".join(f"\n  - {line}" for line in lines[:_SHOWN])
    left = len(lines) - _SHOWN
    return f"{shown}\n  … and {left:,} more" if left > 0 else shown


def _walk(root: Path, key_prefix: str, problems: list[str]) -> Iterator[tuple[Path, str]]:
    def note(error: OSError) -> None:
        problems.append(f"{error.filename}: {error.strerror}")

    for folder, subfolders, names in os.walk(root, onerror=note):
        subfolders.sort()
        below = Path(folder).relative_to(root).parts
        for name in sorted(names):
            yield Path(folder, name), "/".join([key_prefix, *below, name])


def _checked(path: Path, key: str, problems: list[str]) -> LocalFile | None:
    try:
        found = path.stat()
        key.encode()
    except OSError as error:
        problems.append(f"{path}: {error.strerror}")
    except UnicodeEncodeError:
        problems.append(f"{str(path)!r}: the name isn't UTF-8, as an S3 key must be")
    else:
        # Opening a pipe would wait for a writer that may never come.
        if not stat.S_ISREG(found.st_mode):
            problems.append(f"{path}: not a regular file")
        elif not os.access(path, os.R_OK):
            problems.append(f"{path}: {os.strerror(errno.EACCES)}")
        else:
            return LocalFile(str(path), key, found.st_size)
    return None
