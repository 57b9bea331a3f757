"""The server's folders: closed to other users, and cleaned of what killed servers left in them."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import shutil
import stat
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPORARY_PREFIX = "airflow-sm-local-"
PROBE_PREFIX = "airflow-sm-probe-"
_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600
_LOCK = "lock"
# Marks a job's folder until the job has ended. Only marked folders are removed: a data folder may hold other things.
_RUNNING = "job-is-running"
_log = logging.getLogger(__name__)


def make_private(folder: Path) -> None:
    """Make a folder that only this user can open, and its missing parents, whatever the umask is.

    Raises:
        ValueError: It exists already, and belongs to another user or is a link.
    """
    for missing in reversed([path for path in (folder, *folder.parents) if not os.path.lexists(path)]):
        missing.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
        missing.chmod(_PRIVATE_FOLDER)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ValueError(f"{folder} must be a folder of this user's, no link and nobody else's. Choose another folder.")
    if found.st_mode & 0o777 != _PRIVATE_FOLDER:
        folder.chmod(_PRIVATE_FOLDER)


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read, even if it existed before."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE_FILE)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, _PRIVATE_FILE)
        file.write(text)


def open_beneath(folder: Path, *names: str, flags: int = os.O_DIRECTORY) -> int:
    """Open a path below a folder for reading without following links, not even one that is created meanwhile.

    Raises:
        OSError: It doesn't exist, or a part of the path is a link.
    """
    always = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    opened = os.open(folder, always | os.O_DIRECTORY)
    for number, name in enumerate(names, start=1):
        try:
            inner = os.open(name, always | (flags if number == len(names) else os.O_DIRECTORY), dir_fd=opened)
        finally:
            os.close(opened)
        opened = inner
    return opened


def make_job_folder(folder: Path) -> None:
    """Make a job's folder, with the mark by which it is removed later if this server is killed."""
    make_private(folder)
    write_private(folder / _RUNNING, f"{os.getpid()}\n")


def keep_job_folder(folder: Path) -> None:
    """Remove the mark, so that the folder of an ended job is kept."""
    (folder / _RUNNING).unlink(missing_ok=True)


def remove(folder: Path) -> bool:
    """Remove a folder with everything in it, inaccessible and deeply nested folders too; return whether it is gone."""
    _remove_tree(folder)
    if os.path.lexists(folder):
        with contextlib.suppress(OSError):
            _flatten(folder)
        _remove_tree(folder)
    return not os.path.lexists(folder)


def _remove_tree(folder: Path) -> None:
    with contextlib.suppress(RecursionError):  # with a thousand nested folders
        shutil.rmtree(folder, ignore_errors=True)


def _flatten(folder: Path) -> None:
    """Move all nested folders up into the folder, and restore this user's access to those that a job closed."""
    top = str(folder)
    os.chmod(top, _PRIVATE_FOLDER)  # noqa: PTH101  # scandir gives text
    pending = [top]
    while pending:
        path = pending.pop()
        with os.scandir(path) as entries:
            inner = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        for found in inner:
            os.chmod(found, _PRIVATE_FOLDER)  # noqa: PTH101
            moved = f"{top}/{uuid.uuid4().hex}"
            os.rename(found, moved)  # noqa: PTH104
            pending.append(moved)


@contextmanager
def data_folder(wanted: str | Path | None) -> Iterator[Path]:
    """Yield the server's folder, cleaned and locked until the block ends; None makes a temporary one.

    Raises:
        ValueError: Another server uses it, or another user can change its content.
    """
    if wanted is None:
        with _temporary_folder() as folder:
            yield folder
        return
    folder = Path(wanted).resolve()
    _close_to_others(folder)
    with _locked(folder) as is_locked:
        if not is_locked:
            raise ValueError(f"The data folder {folder} is in use by another server. Choose another.")
        _make_own_folders(folder)
        _clean(folder)
        yield folder


def temporary_files(data_dir: Path) -> Path:
    """Return the folder for temporary files in a data folder, created if missing."""
    folder = data_dir.resolve()
    _close_to_others(folder)
    make_private(folder / "tmp")
    return folder / "tmp"


def _make_own_folders(folder: Path) -> None:
    for name in ("aws", "jobs"):
        make_private(folder / name)


def _close_to_others(folder: Path) -> None:
    """Make the data folder, or close an existing one to others; one that also holds other things isn't changed."""
    if not os.path.lexists(folder):
        make_private(folder)
        return
    found = folder.stat()
    is_ours = found.st_uid == os.geteuid() and not found.st_mode & stat.S_ISVTX
    if is_ours and ((folder / _LOCK).exists() or not any(folder.iterdir())):
        make_private(folder)
    elif found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        raise ValueError(
            f"The data folder {folder} can be changed by other users, and has files already. Choose another, or: "
            f"chmod go-w {folder}"
        )


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold the folder's lock, and yield whether that worked; the lock ends with the process, however it ends."""
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE_FILE)
    with os.fdopen(descriptor, "r+b"):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _clean(folder: Path) -> None:
    """Remove what is left of jobs whose server was killed; with the lock held, no server is running them."""
    left = [path.parent for path in (folder / "jobs").glob(f"*/{_RUNNING}")]
    left += (folder / "tmp").glob(f"{PROBE_PREFIX}*")
    for path in left:
        if not path.is_symlink() and not remove(path):
            _log.warning("%s, which a killed server left, couldn't be removed whole.", path)


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    parent = Path(tempfile.gettempdir()).resolve()
    _remove_abandoned(parent)
    folder = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=parent))
    draft = folder / "lock-in-the-making"
    try:
        with draft.open("w") as lock:
            # Give the lock its name only when it is held, so that nobody takes this folder for abandoned meanwhile.
            fcntl.flock(lock, fcntl.LOCK_EX)
            draft.rename(folder / _LOCK)
            _make_own_folders(folder)
            yield folder
    finally:
        if not remove(folder):
            _log.warning("%s couldn't be removed whole.", folder)


def _remove_abandoned(parent: Path) -> None:
    """Remove the temporary folders of this user's killed servers."""
    for path in parent.glob(f"{TEMPORARY_PREFIX}*/{_LOCK}"):
        folder = path.parent
        try:
            if folder.is_symlink() or folder.lstat().st_uid != os.geteuid():
                continue
            with _locked(folder) as is_locked:
                if is_locked:
                    remove(folder)
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.EACCES, errno.ELOOP}:
                _log.warning("%s, which a killed server left, couldn't be removed: %s", folder, error)
