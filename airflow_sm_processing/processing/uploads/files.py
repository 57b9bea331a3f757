"""The files of a local path: their keys, their digest, and their destination in S3."""

from __future__ import annotations

import base64
import dataclasses
import errno
import hashlib
import logging
import os
import stat
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from airflow_sm_processing.exceptions import UploadError
from airflow_sm_processing.processing.uploads.engines import Interruption, run_out_of_reach_of_signals
from airflow_sm_processing.processing.uploads.ignore import IgnoreRules, LeftOut

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


__all__ = [
    "Content",
    "Destination",
    "GeneratedFile",
    "Listing",
    "LocalFile",
    "Version",
    "holds_files",
    "list_code",
    "list_files",
    "list_together",
    "listed",
    "read_content",
    "read_files",
]


log = logging.getLogger(__name__)

_SHOWN = 3
_MOST_LINKS = 8  # to folders, on one path: folders with many links to each other would yield files without end


class Version(NamedTuple):
    """Properties of a file that change with its content, and are cheap to read."""

    size: int
    modified_ns: int
    changed_ns: int
    """Shows a change even if `modified_ns` was set back, as copying and unpacking tools do."""

    @classmethod
    def of(cls, found: os.stat_result) -> Version:
        """Return the version from the result of `os.stat`."""
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@dataclass(frozen=True)
class LocalFile:
    """One readable file, and its name in S3."""

    path: str
    name: str
    """The end of its S3 key: its path below the uploaded folder, or the name of the one uploaded file."""
    size: int
    """The size in bytes when the upload was planned."""
    version: Version | None = None
    """The version when the content was read for `Content`; None if it wasn't read."""
    crc32: str | None = None
    """The CRC32 of its content in S3's form, if the content was read."""

    def has_changed(self) -> bool:
        """Return whether the file has changed since it was read, or wasn't read."""
        try:
            return self.version not in {None, Version.of(os.stat(self.path))}  # noqa: PTH116  a third of Path.stat's time
        except OSError:
            return self.version is not None


class Listing(NamedTuple):
    """The files of a path that are sent, and what is left out."""

    files: list[LocalFile]
    left_out: tuple[LeftOut, ...] = ()


def list_files(path: Path) -> list[LocalFile]:
    """List every file of `path`, a file or a folder, under the names that the SDK's `Session.upload_data` uses.

    Links to files and to folders are followed, wherever they lead. A link to a folder that contains the link itself
    would never end: it is left out, and the log says so. A folder without files, a folder that can't be listed and a
    file that can't be read are errors, which are all reported at once before anything is sent.

    Raises:
        UploadError: With each path that can't be uploaded, and why.
    """
    return _list(path, _Walk(path)).files


def list_code(path: Path, *, warn: bool = True) -> Listing:
    """List the files of code: as `list_files` does, but without what a folder's ignore rules leave out.

    Files in a folder that look like secrets are left out, with a warning. A path that is itself a file is always sent.

    Args:
        path: A file or a folder.
        warn: Whether to log that warning.

    Raises:
        UploadError: With each path that can't be uploaded, and why; or the ignore file can't be read.
    """
    walk = _Walk(path, IgnoreRules.of(path) if path.is_dir() else None)
    listing = _list(path, walk)
    secrets = [Path(item.path).relative_to(path).as_posix() for item in walk.left_out if item.is_secret]
    if secrets and warn:
        log.warning(
            "Left out of the upload of %s, what looks like a secret (to send one, name it in its .sagemakerignore, as "
            "in !%s):%s",
            path,
            secrets[0],
            listed(secrets),
        )
    return listing


def _list(path: Path, walk: _Walk) -> Listing:
    if not path.exists():
        raise UploadError(f"Can't upload {path}: no such file or folder.")
    pairs = walk.files() if path.is_dir() else [(path, path.name)]
    files = [file for local, name in pairs if (file := _checked(local, name, walk.problems))]
    if walk.endless:
        log.warning("Left out of the upload of %s, links to folders that they are in:%s", path, listed(walk.endless))
    if walk.problems:
        raise UploadError(f"Can't upload {path}:{listed(walk.problems)}")
    if not files:
        raise UploadError(f"Can't upload {path}: the folder holds no files{' that are sent' if walk.left_out else ''}.")
    return Listing(files, tuple(walk.left_out))


def holds_files(folder: Path) -> bool:
    """Return whether an upload of the folder would find any file, readable or not."""
    return any(local.is_file() for local, _ in _Walk(folder).files())


def listed(lines: Sequence[str]) -> str:
    """Return the first few lines, one below the other, and the number of the others."""
    shown = "".join(f"\n  - {line}" for line in lines[:_SHOWN])
    left = len(lines) - _SHOWN
    return f"{shown}\n  … and {left:,} more" if left > 0 else shown


class _Walk:
    """A walk through a folder, which collects what can't or needn't be sent."""

    def __init__(self, root: Path, rules: IgnoreRules | None = None) -> None:
        self.problems: list[str] = []
        self.endless: list[str] = []
        """The links to folders that contain the link itself."""
        self.left_out: list[LeftOut] = []
        self._root = root
        self._rules = rules
        self._links_to = {str(root): 0}  # the number of links on the way to each folder that is reached by one

    def files(self) -> Iterator[tuple[Path, str]]:
        """Yield each file and its name."""
        for folder, subfolders, names in os.walk(self._root, onerror=self._note, followlinks=True):
            below = Path(folder).relative_to(self._root).parts
            entered = [name for name in sorted(subfolders) if self._enters(folder, below, name)]
            subfolders[:] = entered
            for name in sorted(names):
                path, sent = Path(folder, name), "/".join([*below, name])
                if not self._is_left_out(path, sent, is_folder=False):
                    yield path, sent

    def _note(self, error: OSError) -> None:
        self.problems.append(f"{error.filename}: {error.strerror}")

    def _enters(self, folder: str, below: Sequence[str], name: str) -> bool:
        path = Path(folder, name)
        if self._is_left_out(path, "/".join([*below, name]), is_folder=True):
            return False
        links = self._links_to.get(folder, 0) + path.is_symlink()
        if links == 0:
            return True
        self._links_to[str(path)] = links
        if _is_endless(path, self._root):
            self.endless.append(f"{path} is {path.resolve()}")
        elif links > _MOST_LINKS:
            self.problems.append(f"{path}: more than {_MOST_LINKS} links to folders, each inside the one before")
        else:
            return True
        return False

    def _is_left_out(self, path: Path, name: str, *, is_folder: bool) -> bool:
        found = self._rules and self._rules.left_out(str(path), name, is_folder=is_folder)
        if found:
            self.left_out.append(found)
        return bool(found)


def _is_endless(path: Path, root: Path) -> bool:
    """Return whether a folder below `root` is the same as one that contains it, which only a link can cause."""
    above = [*path.relative_to(root).parents]
    try:
        found = path.stat()
        return any(os.path.samestat(found, (root / parent).stat()) for parent in above) or any(
            os.path.samestat(found, parent.stat()) for parent in root.resolve().parents
        )
    except OSError:
        return False  # it can't be listed either, and that error says why


def _checked(path: Path, name: str, problems: list[str]) -> LocalFile | None:
    try:
        found = path.stat()
        name.encode()
    except OSError as error:
        problems.append(f"{path}: {_reason(path, error)}")
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


def _reason(path: Path, error: OSError) -> str | None:
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return f"{error.strerror}: it links to {path.readlink()}"
    return error.strerror


_BLOCK_BYTES = 1024**2
_BYTES_WORTH_A_THREAD = 256 * 1024  # for smaller files, passing them to a thread takes about as long as reading them
_DIGEST_CHARACTERS = 32  # 128 bits: enough against collisions, and short enough for readable keys


@dataclass(frozen=True)
class Content:
    """The files of a path as they were when they were read."""

    digest: str
    """A hexadecimal digest of the names and contents, which doesn't depend on paths and times."""
    files: tuple[LocalFile, ...]
    left_out: tuple[LeftOut, ...] = ()


class _Read(NamedTuple):
    file: LocalFile
    digest: bytes


def read_content(path: Path, *context: str, is_code: bool = False) -> Content:
    """Read every file that an upload of `path` would send.

    Args:
        path: A file or a folder.
        context: Other texts that the digest depends on.
        is_code: Whether the folder's ignore rules apply.

    Raises:
        UploadError: Something of `path` can't be read.
    """
    listing = list_code(path) if is_code else Listing(list_files(path))
    return read_files(listing, *context)


def read_files(listing: Listing, *context: str) -> Content:
    """Read the listed files; see `read_content`."""
    read = _read_all(listing.files)
    whole = hashlib.sha256()
    for text in context:
        whole.update(hashlib.sha256(text.encode()).digest())
    for file, digest in read:
        whole.update(hashlib.sha256(file.name.encode()).digest() + digest)
    return Content(whole.hexdigest()[:_DIGEST_CHARACTERS], tuple(file for file, _ in read), listing.left_out)


def list_together(places: Iterable[tuple[Path, str]], clash: str, *, warn: bool = True) -> Listing:
    """List the files of several paths like code, under their names in their common destination.

    Args:
        places: Each path with its name in the destination: the file's name, or that of the folder of a folder's files;
            "" puts a folder's files into the destination itself.
        clash: The beginning of the error for two files with the same name.
        warn: As for `list_code`.

    Raises:
        UploadError: Something can't be read, or two files have the same name.
    """
    found, twice, left_out = dict[str, LocalFile](), list[str](), list[LeftOut]()
    for path, below in places:
        listing = list_code(path, warn=warn)
        left_out += listing.left_out
        for file in listing.files:
            name = below if path.is_file() else str(PurePosixPath(below, file.name))
            if name in found:
                twice.append(f"{name}: {found[name].path} and {file.path}")
            found[name] = dataclasses.replace(file, name=name)
    if twice:
        raise UploadError(f"{clash}:{listed(twice)}")
    return Listing([found[name] for name in sorted(found)], tuple(left_out))


@dataclass(frozen=True)
class GeneratedFile:
    """A file that is generated from a definition, and exists on this machine only during its upload."""

    name: str
    text: str
    location: str | None = None
    """The S3 prefix for the file, instead of the default bucket's."""
    is_made: ClassVar[bool] = True

    @property
    def path(self) -> Path:
        """Its name, since it has no path yet."""
        return Path(self.name)

    @property
    def file_name(self) -> str:
        """The file's name in the container."""
        return self.name

    def content(self, *context: str) -> Content:
        """Return the content to upload; the digest depends on the text, the name and the context."""
        return read_files(Listing([]), self.name, self.text, *context)

    @contextmanager
    def written(self, content: Content | None = None) -> Iterator[tuple[Path, Content | None]]:
        """Write the file to a folder, which is removed after the block.

        Yields:
            The folder, and its content if `content` was given.
        """
        with TemporaryDirectory(prefix="sm-processing-file-") as name:
            (Path(name) / self.name).write_text(self.text, encoding="utf-8")
            yield Path(name), None if content is None else read_content(Path(name))


def _read_all(files: Sequence[LocalFile]) -> list[_Read]:
    if sum(file.size for file in files) < len(files) * _BYTES_WORTH_A_THREAD:
        return [_read(file) for file in files]

    def read_all(interruption: Interruption) -> list[_Read]:
        def read(file: LocalFile) -> _Read:
            if interruption.is_requested:
                raise InterruptedError
            return _read(file)

        with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="read-content") as pool:
            return list(pool.map(read, files))

    return run_out_of_reach_of_signals(read_all)


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
        raise UploadError(f"Can't upload {file.path}: {error.strerror}.") from None
    crc32 = base64.b64encode(checksum.to_bytes(4, "big")).decode()
    return _Read(dataclasses.replace(file, size=version.size, version=version, crc32=crc32), digest.digest())


@dataclass(frozen=True)
class Destination:
    """A prefix in a bucket."""

    bucket: str
    key_prefix: str
    """The beginning of each key, before a `/`."""
    kms_key: str | None = None
    """The KMS key that encrypts the objects, instead of the bucket's default."""
    bucket_owner: str | None = None
    """The account that must own the bucket."""
    checks_content: bool = True
    """Whether the checksum of each file's content is sent, so that S3 stores what was read, or nothing."""

    def key(self, file: LocalFile) -> str:
        """Return the key of a file."""
        return f"{self.key_prefix}/{file.name}"

    def uri(self, file: LocalFile) -> str:
        """Return the S3 URI of a file."""
        return f"s3://{self.bucket}/{self.key(file)}"

    @property
    def owner_args(self) -> dict[str, Any]:
        """The parameters of S3 calls that make S3 check the bucket's owner."""
        return {"ExpectedBucketOwner": self.bucket_owner} if self.bucket_owner else {}

    def put_args(self, file: LocalFile) -> dict[str, str]:
        """Return PutObject's parameters."""
        arguments = dict(self.owner_args)
        if self.kms_key:
            arguments |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key}
        if file.crc32 and self.checks_content:
            arguments["ChecksumCRC32"] = file.crc32
        return arguments
