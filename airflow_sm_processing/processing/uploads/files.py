"""What a local path uploads, and under which names."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from airflow_sm_processing.exceptions import UploadError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["LocalFile", "Version", "list_files", "listed"]

_SHOWN = 3


class Version(NamedTuple):
    """What changes when a file's content does, and costs nothing to ask for."""

    size: int
    modified_ns: int
    changed_ns: int
    """Tells of a change whose author set `modified_ns` back, as copying and unpacking tools do."""

    @classmethod
    def of(cls, found: os.stat_result) -> Version:
        """Read it from `os.stat`'s answer."""
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@dataclass(frozen=True)
class LocalFile:
    """One readable file, and what it is called in S3."""

    path: str
    name: str
    """The end of its S3 key: its path below the uploaded folder, or the name of the one uploaded file."""
    size: int
    """Bytes, when the upload was planned."""
    version: Version | None = None
    """As it was when its content was read for `Content`; None if it wasn't."""
    crc32: str | None = None
    """The CRC32 of its content as S3 writes it, if the content was read."""

    def has_changed(self) -> bool:
        """Tell whether the file isn't, or isn't any more, what was read."""
        try:
            return self.version not in {None, Version.of(os.stat(self.path))}  # noqa: PTH116  a third of Path.stat's time
        except OSError:
            return self.version is not None


def list_files(path: Path) -> list[LocalFile]:
    """List every file of `path`, a file or a folder, with the names that the SDK's `Session.upload_data` gives them.

    Like there, a linked file is read through its link and a linked folder below `path` is left out. Unlike there, a
    folder without files, a folder that can't be listed and a file that can't be read are errors, all reported at
    once before anything is sent.

    Raises:
        UploadError: With each path that can't be uploaded, and why.
    """
    if not path.exists():
        raise UploadError(f"Can't upload {path}: no such file or folder.")
    problems: list[str] = []
    pairs = _walk(path, problems) if path.is_dir() else [(path, path.name)]
    files = [file for local, name in pairs if (file := _checked(local, name, problems))]
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


def _walk(root: Path, problems: list[str]) -> Iterator[tuple[Path, str]]:
    def note(error: OSError) -> None:
        problems.append(f"{error.filename}: {error.strerror}")

    for folder, subfolders, names in os.walk(root, onerror=note):
        subfolders.sort()
        below = Path(folder).relative_to(root).parts
        for name in sorted(names):
            yield Path(folder, name), "/".join([*below, name])


def _checked(path: Path, name: str, problems: list[str]) -> LocalFile | None:
    try:
        found = path.stat()
        name.encode()
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
            return LocalFile(str(path), name, found.st_size)
    return None
