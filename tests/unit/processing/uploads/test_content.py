from __future__ import annotations

import base64
import os
import shutil
import zlib
from pathlib import Path

import pytest

from airflow_sm_processing.exceptions import UploadError
from airflow_sm_processing.processing.uploads.files import read_content

MIB = 1024**2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    (root / "sub").mkdir(parents=True)
    (root / "a").write_bytes(b"1")
    (root / "sub" / "b").write_bytes(b"2")
    return root


def test_the_same_files_elsewhere_and_at_another_time_have_the_same_digest(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    os.utime(copy / "a", (0, 0))

    assert read_content(copy).digest == read_content(folder).digest


def test_the_digest_stays_the_same_across_versions_of_this_package(folder):
    """Else a try after an upgrade would upload all anew."""
    assert read_content(folder, "", "code").digest == "e53027cac5f1ac1fcc74bc8f76c51ad1"


CHANGES = {
    "content": lambda root: (root / "a").write_bytes(b"x"),
    "content moves from one file to the other": lambda root: (
        (root / "a").write_bytes(b"2"),
        (root / "sub" / "b").write_bytes(b"1"),
    ),
    "a name": lambda root: (root / "a").rename(root / "c"),
    "a folder's name": lambda root: (root / "sub").rename(root / "other"),
    "a file less": lambda root: (root / "a").unlink(),
    "an empty file more": lambda root: (root / "z").touch(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_every_change_of_names_and_contents_changes_the_digest(folder, change):
    before = read_content(folder).digest
    change(folder)

    assert read_content(folder).digest != before


@pytest.mark.parametrize("context", [(), ("", ""), ("k",), ("k", "n"), ("kn", ""), ("n", "k")])
def test_each_context_has_digests_of_its_own(folder, context):
    contexts = [(), ("", ""), ("k",), ("k", "n"), ("kn", ""), ("n", "k")]
    same = [other for other in contexts if read_content(folder, *other).digest == read_content(folder, *context).digest]

    assert same == [context]


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, 3 * MIB + 5])
def test_what_was_read_is_noted_with_each_file(tmp_path, size):
    data = os.urandom(size)
    (tmp_path / "x").write_bytes(data)
    found = (tmp_path / "x").stat()

    (file,) = read_content(tmp_path).files

    assert (file.path, file.name, file.size) == (str(tmp_path / "x"), "x", size)
    assert file.version == (size, found.st_mtime_ns, found.st_ctime_ns)
    assert file.crc32 == base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
    assert not file.has_changed()


def test_big_files_are_read_in_the_order_of_their_names_as_well(tmp_path):
    for name in "cab":
        (tmp_path / name).write_bytes(os.urandom(MIB))
    one = read_content(tmp_path)

    assert [file.name for file in one.files] == ["a", "b", "c"]
    assert read_content(tmp_path) == one


def rewritten_in_place(path: Path) -> None:
    """Write as many other bytes and set the time of modification back."""
    before = path.stat()
    probe = path.with_name("probe")
    while not probe.exists() or probe.stat().st_ctime_ns == before.st_ctime_ns:
        probe.touch()  # the file system's clock ticks every few milliseconds only
    path.write_bytes(b"x")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_bytes(b"longer"), rewritten_in_place])
def test_a_file_that_changes_after_it_was_read_is_noticed(folder, change):
    file = read_content(folder / "a").files[0]
    change(folder / "a")

    assert file.has_changed()


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    """`/proc/self/mem` is a regular file that anybody may open, and nobody read from its beginning."""
    (tmp_path / "x").symlink_to("/proc/self/mem")

    with pytest.raises(UploadError, match=rf"\ACan't upload {tmp_path}/x: Input/output error\.\Z"):
        read_content(tmp_path)
