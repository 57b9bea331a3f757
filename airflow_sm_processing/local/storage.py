"""A job's inputs, downloaded from S3, and its outputs, uploaded to S3, as the real service does.

`docs/local-sagemaker.md` describes what is known and unknown about the real service's downloads, beyond its API
reference.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import tarfile
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from airflow_sm_processing.local.container import ML
from airflow_sm_processing.local.folders import make_private, open_beneath

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from airflow_sm_processing.local.container import Instance
    from airflow_sm_processing.local.jobs import Source, Target


def loads(data: bytes) -> Any:
    """Read JSON.

    Raises:
        ValueError: It isn't JSON; or it has values that Python accepts but JSON doesn't have, such as NaN; or text that
            UTF-8 can't encode; or it is nested too deeply.
    """
    try:
        read = json.loads(data, parse_constant=_refuse)
        if b"\\u" in data:
            json.dumps(read, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return read


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


MAX_NAME_BYTES = 255
"""The longest name of a file on Linux's file systems."""
MAX_MANIFEST_BYTES = 64 * 1024 * 1024
"""Protects the server's memory from files that aren't manifests; a manifest of a million keys fits."""
_URI = re.compile(r"(s3|https)://([^/]+)/?(.*)", re.DOTALL)
_MANIFEST_FORM = '[{"prefix": "s3://…"}, "key", …]'


class InputError(Exception):
    """An input can't be downloaded; the text is the job's FailureReason."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A host's number, and how many hosts share the files."""

    index: int
    count: int


@dataclass(frozen=True, kw_only=True)
class _Object:
    """One object, and its path below the input's folder."""

    bucket: str
    key: str
    path: str
    size: int | None = None
    """In bytes; None if it isn't known yet."""

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def marks_folder(self) -> bool:
        """Whether its name is that of an empty object that represents a folder, as consoles create them."""
        return self.key.endswith("/")


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """The paths of an input's objects below its folder."""

    folders: list[str] = field(default_factory=list)
    """The folders that an object marks: one whose key ends with a slash, or an empty one with other keys below it."""
    files: dict[str, _Object] = field(default_factory=dict)


def download(s3: Any, source: Source, destination: Path, shard: Shard, *, role: str) -> int:
    """Download one input to a host's folder and return the number of files.

    Raises:
        InputError: Nothing is there, or the objects can't be stored as files.
    """
    uri = source.uri
    try:
        found = list(_objects(s3, source))
        if not found and not source.is_optional:
            raise InputError(_nothing_found(uri, s3.meta.region_name, role))
        layout = _lay_out(s3, found)
        files = list(layout.files.items())
        if source.is_sharded:
            files = files[shard.index :: shard.count]
        for folder in layout.folders:
            _make_folder(destination, folder)
        for path, item in files:
            _fetch(s3, item, destination, path)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in {"NoSuchBucket", "404"}:
            raise InputError(_nothing_found(uri, s3.meta.region_name, role)) from error
        raise InputError(f"ClientError: Data download failed: {uri}: {error}") from error
    except (BotoCoreError, UnicodeError) as error:  # an invalid bucket name, or text that UTF-8 can't encode
        raise InputError(f"ClientError: Data download failed: {uri!r} can't be read: {error}") from error
    return len(files)


def _objects(s3: Any, source: Source) -> Iterator[_Object]:
    if source.is_manifest:
        yield from _manifest(s3, source.uri)
        return
    for found in _prefix(s3, source.uri):
        if not source.is_object or found.uri == source.uri:
            yield found


def look_for(s3: Any, source: Source, *, role: str) -> None:
    """Check that a job's input exists, as CreateTrainingJob does before it creates the job.

    https://github.com/aws/amazon-sagemaker-examples/issues/2489 quotes the service's message.

    Raises:
        InputError: Nothing is there.
    """
    try:
        found = next(_prefix(s3, source.uri), None)
    except (ClientError, BotoCoreError, UnicodeError):  # no such bucket, or an invalid name
        found = None
    if found is None:
        raise InputError(_missing(source.uri, s3.meta.region_name, role))


def _nothing_found(uri: str, region: str, role: str) -> str:
    return f"ClientError: Data download failed: {_missing(uri, region, role)}"


def _missing(uri: str, region: str, role: str) -> str:
    return (
        f'No S3 objects found under S3 URL "{uri}" given in input data source. '
        f"Please ensure that the bucket exists in the selected region ({region}), that objects exist under that "
        f'S3 prefix, and that the role "{role}" has "s3:ListBucket" permissions on bucket "{split_uri(uri)[0]}".'
    )


def split_uri(uri: str) -> tuple[str, str]:
    """Return the bucket and key of an s3:// URI or a path-style https:// URL; empty strings if it is neither."""
    found = _URI.fullmatch(uri)
    if found is None:
        return "", ""
    scheme, host, path = found.groups()
    if scheme == "s3":
        return host, path
    bucket, _, key = path.partition("/")
    return bucket, key


def _prefix(s3: Any, uri: str) -> Iterator[_Object]:
    """Yield every object whose key begins with the prefix, which isn't a folder, as in the real service."""
    bucket, prefix = split_uri(uri)
    folder = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for found in page.get("Contents", []):
            key = found["Key"]
            base = folder if key.startswith(folder) else prefix.rpartition("/")[0] + "/" * ("/" in prefix)
            yield _Object(bucket=bucket, key=key, path=key.removeprefix(base), size=found["Size"])


def _manifest(s3: Any, uri: str) -> Iterator[_Object]:
    """Yield the objects of a manifest, `[{"prefix": "s3://bucket/some/"}, "relative/key", …]`."""
    base, names = _manifest_entries(s3, uri)
    for name in names:
        bucket, key = split_uri(base + name)
        if not key:
            raise InputError(f"ClientError: The manifest {uri} names {base + name!r}, which is no object's URI.")
        yield _Object(bucket=bucket, key=key, path=name.removeprefix("/") or key.rpartition("/")[2])


def _manifest_entries(s3: Any, uri: str) -> tuple[str, list[str]]:
    bucket, key = split_uri(uri)
    found = s3.get_object(Bucket=bucket, Key=key)
    with found["Body"] as body:
        if found["ContentLength"] > MAX_MANIFEST_BYTES:
            raise InputError(f"ClientError: The manifest {uri} has over {MAX_MANIFEST_BYTES} bytes.")
        content = body.read()
    try:
        match loads(content):
            case [{"prefix": str(base)}, *names] if all(isinstance(name, str) for name in names):
                return base, names
    except ValueError as error:
        raise InputError(f"ClientError: The manifest {uri} isn't of the form {_MANIFEST_FORM}: {error}") from error
    raise InputError(f"ClientError: The manifest {uri} isn't of the form {_MANIFEST_FORM}.")


def _lay_out(s3: Any, sources: Sequence[_Object]) -> _Layout:
    """Determine each object's path, before anything is written.

    Raises:
        InputError: An object's key can't be a file's path, or its path conflicts with another object's.
    """
    layout = _Layout()
    above: dict[str, _Object] = {}  # each folder that an object is in, with the first such object
    for source in sources:
        _check_path(source)
        path = source.path.rstrip("/")
        for folder in _folders_above(path):
            above.setdefault(folder, source)
        if source.marks_folder:
            _check_empty(s3, source)
            above.setdefault(path, source)
            layout.folders.append(path)
        elif layout.files.setdefault(path, source).uri != source.uri:
            raise _clash(source, layout.files[path], path)
    for path in [path for path in layout.files if path in above]:
        if _size(s3, layout.files[path]):
            raise _clash(layout.files[path], above[path], path)
        layout.folders.append(path)  # some file systems on S3 mark folders this way
        del layout.files[path]
    return layout


def _folders_above(path: str) -> Iterator[str]:
    for end in (found.start() for found in re.finditer("/", path)):
        yield path[:end]


def _check_path(source: _Object) -> None:
    failed = "ClientError: Data download failed"
    if "//" in f"{source.bucket}/{source.key}":
        # The service's own message, https://github.com/aws-samples/generative-ai-on-amazon-sagemaker/pull/242
        raise InputError(
            f"{failed}:Failed to download data. S3 key: {source.uri} has an illegal char sub-sequence '//' in it"
        )
    for name in source.path.removesuffix("/").split("/"):
        if name in {".", ".."} or "\0" in name:
            raise InputError(f"{failed}: {source.uri!r} can't be a file: it has the name {name!r} in it.")
        if (size := len(name.encode())) > MAX_NAME_BYTES:
            raise InputError(
                f"{failed}: {source.uri} can't be a file: a name in it has {size} bytes, and a file's name has at "
                f"most {MAX_NAME_BYTES}."
            )


def _check_empty(s3: Any, source: _Object) -> None:
    """Refuse an object that marks a folder and has content, since the content would be lost.

    Raises:
        InputError: The object has content; the message says how to name it instead.
    """
    if size := _size(s3, source):
        raise InputError(
            f"ClientError: Data download failed: {source.uri} has {size} bytes, but its name is a folder's. Give it a "
            "name that doesn't end in a slash."
        )


def _size(s3: Any, source: _Object) -> int:
    if source.size is not None:
        return source.size
    return int(s3.head_object(Bucket=source.bucket, Key=source.key)["ContentLength"])


def _clash(one: _Object, other: _Object, path: str) -> InputError:
    return InputError(
        f"ClientError: Data download failed: {one.uri} and {other.uri} both need {path!r} in the input's folder. Is "
        "the same name a file and a folder? Rename one of them, or choose a longer prefix."
    )


def _make_folder(destination: Path, path: str) -> None:
    try:
        make_private(destination / path)
    except (OSError, ValueError) as error:
        raise InputError(f"ClientError: Data download failed: the folder {path!r} can't be made: {error}") from error


def _fetch(s3: Any, source: _Object, destination: Path, path: str) -> None:
    with s3.get_object(Bucket=source.bucket, Key=source.key)["Body"] as body:
        _make_folder(destination, path.rpartition("/")[0])
        try:
            with (destination / path).open("wb") as file:
                shutil.copyfileobj(body, file, 1024 * 1024)
        except OSError as error:
            raise InputError(
                f"ClientError: Data download failed: {source.uri} can't be written as {path!r}: {error.strerror}."
            ) from error


# Threads wouldn't make a job's upload faster: client and server share one process and its lock.
_TRANSFER = TransferConfig(use_threads=False)
_LINKS_SHOWN = 10
_GONE = -1
# The errors of opening a link, or a link where a folder is expected.
_NO_FOLDER = frozenset({errno.ELOOP, errno.ENOTDIR})


class OutputError(Exception):
    """An output can't be uploaded; the text is the job's FailureReason."""


class _Folder:
    """A folder of one host, read while its script may still run.

    Links are neither uploaded nor followed, at any level. A script that is still running may create one anywhere at any
    time, so each folder and file is opened relative to its parent, which is already open.
    """

    def __init__(self, instance: Instance, path: str) -> None:
        self.instance = instance
        self._path = PurePosixPath(path).relative_to(ML)
        self._links: set[PurePosixPath] = set()  # left out; paths below /opt/ml

    def files(self) -> Iterator[tuple[PurePosixPath, BinaryIO, os.stat_result]]:
        """Open each file in turn; yield its path in the folder, the open file and its status.

        Raises:
            OutputError: Something can't be read.
        """
        self._links.clear()
        folders = [PurePosixPath()]
        while folders:
            folder = folders.pop()
            with self._opened(folder) as opened:
                entries = _entries(opened)
                self._links |= {self._path / folder / entry.name for entry in entries if entry.is_symlink()}
                folders += [folder / entry.name for entry in entries if entry.is_dir(follow_symlinks=False)][::-1]
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        yield from self._file(folder / entry.name, opened)

    def say_what_is_left_out(self) -> None:
        """Report the links in the host's log; the service would leave them out silently."""
        if not self._links:
            return
        shown = ", ".join(str(ML / link) for link in sorted(self._links)[:_LINKS_SHOWN])
        more = f" and {left} more" if (left := len(self._links) - _LINKS_SHOWN) > 0 else ""
        self.instance.remark(f"Not uploaded, since SageMaker neither uploads nor follows links: {shown}{more}.")

    @contextmanager
    def _opened(self, folder: PurePosixPath) -> Iterator[int]:
        """Open one of the output's folders; yield `_GONE` if it is gone or was replaced by a link."""
        path = self._path / folder
        try:
            opened = open_beneath(self.instance.ml, *path.parts)
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

    def _file(self, path: PurePosixPath, folder: int) -> Iterator[tuple[PurePosixPath, BinaryIO, os.stat_result]]:
        try:
            # Opening must not block, not even on a writer, should the file have been replaced by a pipe.
            descriptor = os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ELOOP}:
                return  # the script, which is still running, removed it
            raise OutputError(
                f"ClientError: Failed to read output {ML / self._path / path}: {error.strerror}"
            ) from error
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if stat.S_ISREG(found.st_mode):
                yield path, file, found


class Output:
    """Uploads a folder of a job's hosts to one place in S3: as single files, or as one archive."""

    def __init__(self, s3: Any, target: Target, instances: Sequence[Instance]) -> None:
        self._s3 = s3
        self._target = target
        self._bucket, self._key = split_uri(target.uri)
        self._folders = [_Folder(instance, target.path) for instance in instances]
        key = target.kms_key
        self._encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}
        self._uploaded: dict[tuple[_Folder, PurePosixPath], tuple[int, int]] = {}
        self.is_continuous = target.is_continuous

    def begin(self) -> None:
        """Treat existing files as uploaded, if they were downloaded from where they would be uploaded to."""
        if self._target.is_restored:
            for folder in self._folders:
                for path, _, found in folder.files():
                    self._uploaded[folder, path] = found.st_size, found.st_mtime_ns

    def upload(self) -> None:
        """Upload every file that is new or changed since the last call.

        Raises:
            OutputError: S3 refuses a file, or it can't be read.
        """
        if self._target.is_archive:
            self._upload_archive()
            return
        for folder in self._folders:
            for path, file, found in folder.files():
                seen = found.st_size, found.st_mtime_ns
                if self._uploaded.get((folder, path)) != seen:
                    self._put("/".join(part for part in (self._key.rstrip("/"), path.as_posix()) if part), file)
                    self._uploaded[folder, path] = seen

    def say_what_is_left_out(self) -> None:
        """Report in the hosts' logs what isn't uploaded."""
        for folder in self._folders:
            folder.say_what_is_left_out()

    def _upload_archive(self) -> None:
        """Upload the files of all hosts in one archive, if there are any; the first host with a file of a name wins."""
        with tempfile.TemporaryFile(dir=self._folders[0].instance.ml.parent) as draft:
            packed: dict[PurePosixPath, str] = {}
            with tarfile.open(fileobj=draft, mode="w:gz") as archive:
                for folder in self._folders:
                    for path, file, found in folder.files():
                        if path in packed:
                            folder.instance.remark(f"Not uploaded: {path}, for {packed[path]} has a file of this name.")
                            continue
                        _pack(archive, path, file, found)
                        packed[path] = folder.instance.host
            if packed:
                draft.seek(0)
                self._put(self._key, draft)

    def _put(self, key: str, file: IO[bytes]) -> None:
        try:
            self._s3.upload_fileobj(file, self._bucket, key, ExtraArgs=self._encryption, Config=_TRANSFER)
        except (S3UploadFailedError, ClientError, BotoCoreError, OSError, UnicodeError) as error:
            # UnicodeError: a name that isn't UTF-8
            raise OutputError(f"ClientError: Failed to upload output to s3://{self._bucket}/{key}: {error}") from error


def _pack(archive: tarfile.TarFile, path: PurePosixPath, file: BinaryIO, found: os.stat_result) -> None:
    """Add a file with its present size: what a script that is still running appends meanwhile is left out."""
    entry = tarfile.TarInfo(path.as_posix())
    entry.size, entry.mtime, entry.mode = found.st_size, int(found.st_mtime), stat.S_IMODE(found.st_mode)
    try:
        archive.addfile(entry, file)
    except (OSError, UnicodeError) as error:
        raise OutputError(f"ClientError: Failed to pack output {path.as_posix()!r}: {error}") from error


def _entries(folder: int) -> list[os.DirEntry[str]]:
    if folder == _GONE:
        return []
    with os.scandir(folder) as found:
        return sorted(found, key=lambda entry: entry.name)
