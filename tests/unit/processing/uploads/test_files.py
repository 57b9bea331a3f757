from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_sm_processing.exceptions import UploadError
from airflow_sm_processing.processing.uploads.files import LocalFile, list_files, listed


def test_a_file_is_called_by_its_name(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"12345")

    assert list_files(path) == [LocalFile(str(path), "a.csv", 5)]


def test_the_files_of_a_folder_are_called_by_their_relative_paths(tmp_path):
    (tmp_path / "sub" / "below").mkdir(parents=True)
    (tmp_path / "sub" / "below" / "x").touch()
    (tmp_path / "y").touch()

    assert [file.name for file in list_files(tmp_path)] == ["y", "sub/below/x"]


def test_hidden_and_empty_files_are_listed_and_folders_are_not(tmp_path):
    (tmp_path / "empty folder").mkdir()
    (tmp_path / ".hidden").write_bytes(b"")

    assert list_files(tmp_path) == [LocalFile(str(tmp_path / ".hidden"), ".hidden", 0)]


def test_a_linked_file_is_read_through_its_link_and_a_linked_folder_is_left_out(tmp_path):
    """As with the SDK's os.walk and open."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_bytes(b"123")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "elsewhere" / "file")
    (root / "folder").symlink_to(tmp_path / "elsewhere")

    assert list_files(root) == [LocalFile(str(root / "link"), "link", 3)]


def test_a_path_may_itself_be_a_link_to_a_folder(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x").write_bytes(b"1")
    (tmp_path / "link").symlink_to(tmp_path / "real")

    assert list_files(tmp_path / "link") == [LocalFile(str(tmp_path / "link" / "x"), "x", 1)]


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(UploadError, match=rf"\ACan't upload {tmp_path / 'no'}: no such file or folder\.\Z"):
        list_files(tmp_path / "no")


def test_a_folder_without_files_is_named(tmp_path):
    (tmp_path / "empty").mkdir()

    with pytest.raises(UploadError, match=rf"\ACan't upload {tmp_path}: the folder holds no files\.\Z"):
        list_files(tmp_path)


def test_every_file_that_cannot_be_read_is_reported_at_once(tmp_path):
    (tmp_path / "good").write_bytes(b"1")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    Path(os.fsdecode(bytes(tmp_path) + b"/\xff")).write_bytes(b"1")

    with pytest.raises(UploadError) as raised:
        list_files(tmp_path)
    assert str(raised.value) == (
        f"Can't upload {tmp_path}:\n"
        f"  - {tmp_path / 'dangling'}: No such file or directory\n"
        f"  - {tmp_path / 'pipe'}: not a regular file\n"
        f"  - '{tmp_path}/\\udcff': the name isn't UTF-8, as an S3 key must be"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_and_folders_without_permission_are_reported(tmp_path):
    (tmp_path / "folder").mkdir(mode=0o000)
    (tmp_path / "file").touch(mode=0o000)

    with pytest.raises(UploadError, match=r"file: Permission denied\n.*folder: Permission denied"):
        list_files(tmp_path)
    (tmp_path / "folder").chmod(0o700)


def test_a_long_list_is_cut_and_counted():
    assert listed([str(number) for number in range(1203)]) == "\n  - 0\n  - 1\n  - 2\n  … and 1,200 more"
