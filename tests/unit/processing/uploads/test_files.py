from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_sm_processing.exceptions import UploadError
from airflow_sm_processing.processing.uploads.files import LocalFile, holds_files, list_files, listed


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


def test_links_to_files_and_to_folders_are_followed(tmp_path):
    """As the SDK packs its code: a module that is linked into the code folder is beside the script."""
    (tmp_path / "elsewhere" / "below").mkdir(parents=True)
    (tmp_path / "elsewhere" / "file").write_bytes(b"123")
    (tmp_path / "elsewhere" / "below" / "deep").write_bytes(b"1")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "elsewhere" / "file")
    (root / "folder").symlink_to(Path("..", "elsewhere"))
    (root / "again").symlink_to("folder")

    assert list_files(root) == [
        LocalFile(str(root / "link"), "link", 3),
        LocalFile(str(root / "again" / "file"), "again/file", 3),
        LocalFile(str(root / "again" / "below" / "deep"), "again/below/deep", 1),
        LocalFile(str(root / "folder" / "file"), "folder/file", 3),
        LocalFile(str(root / "folder" / "below" / "deep"), "folder/below/deep", 1),
    ]


@pytest.mark.parametrize(
    ("link", "target"),
    {
        "to the folder itself": ("loop", "."),
        "to a folder above it": ("a/b/loop", ".."),
        "to the folder around the upload": ("up", ".."),
        "to the root of all": ("all", "/"),
    }.values(),
)
def test_a_link_to_a_folder_that_it_is_in_is_left_out_and_named(tmp_path, caplog, link, target):
    root = tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "x").write_bytes(b"1")
    (root / link).symlink_to(target)

    assert [file.name for file in list_files(root)] == ["a/b/x"]
    [record] = caplog.records
    begin = f"Left out of the upload of {root}, links to folders that they are in:\n"
    assert record.getMessage() == f"{begin}  - {root / link} is {(root / link).resolve()}"


def test_folders_that_link_to_each_other_end(tmp_path, caplog):
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "a").mkdir(parents=True)
    outside.mkdir()
    (root / "a" / "x").write_bytes(b"1")
    (outside / "y").write_bytes(b"1")
    (root / "a" / "there").symlink_to(outside)
    (outside / "back").symlink_to(root)

    assert [file.name for file in list_files(root)] == ["a/x", "a/there/y"]
    assert f"{root / 'a' / 'there' / 'back'} is {root}" in caplog.text


def test_links_inside_links_are_bounded(tmp_path):
    for number in range(12):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "next").symlink_to(f"../{number + 1}")
    (tmp_path / "12").mkdir()

    with pytest.raises(UploadError, match=r"(next/){8}next: more than 8 links to folders, each inside the one before"):
        list_files(tmp_path / "0")


def test_a_folder_whose_only_files_are_behind_a_link_holds_files(tmp_path):
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "real")
    assert not holds_files(tmp_path / "root")
    (tmp_path / "real" / "deep" / "x").touch()
    assert holds_files(tmp_path / "root")


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
        f"  - {tmp_path / 'dangling'}: No such file or directory: it links to {tmp_path / 'nowhere'}\n"
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
