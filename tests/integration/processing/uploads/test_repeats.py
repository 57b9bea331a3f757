"""Uploads whose keys follow from their content: what an earlier one brought stays, and nothing else gets there."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config

from airflow_sm_processing.exceptions import UploadError
from airflow_sm_processing.processing.uploads import UploadResult, upload
from airflow_sm_processing.processing.uploads.files import read_content

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1024**2
BIG = 17 * MIB


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of 150 files: one goes in parts, one is empty, one has an odd name."""
    root = tmp_path / "data"
    (root / "sub").mkdir(parents=True)
    for number in range(147):
        (root / f"{number:03}").write_bytes(f"content {number}".encode())
    (root / "sub" / "a b+c%20é&=?~<.csv").write_bytes(b"odd")
    (root / "empty").touch()
    (root / "zz-big").write_bytes(os.urandom(MIB) * 17)
    return root


def expected(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {f"pre/fix/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in files}


def bodies(s3: Any) -> dict[str, bytes]:
    return {key: stored.body for key, stored in s3.objects.items()}


def test_what_is_uploaded_whole_is_not_written_again(folder, target, s3, engine):
    content = read_content(folder)
    first = upload(folder, **target, content=content, repeated=True)
    again = upload(folder, **target, content=read_content(folder), repeated=True)

    assert bodies(s3) == expected(folder)
    assert sorted(s3.stored) == sorted(expected(folder))
    assert first == UploadResult(150, sum(map(len, expected(folder).values())), first.seconds, engine)
    assert again == UploadResult(0, 0, 0.0, None)


def test_only_what_is_missing_is_written(folder, target, s3, engine, caplog):
    caplog.set_level(logging.INFO, logger="airflow_sm_processing")
    upload(folder, **target, content=read_content(folder))
    lost = ["pre/fix/005", "pre/fix/sub/a b+c%20é&=?~<.csv"]
    for key in lost:
        del s3.objects[key]
    s3.stored.clear()
    result = upload(folder, **target, content=read_content(folder), repeated=True)

    assert sorted(s3.stored) == lost
    assert bodies(s3) == expected(folder)
    assert (result.files, result.bytes) == (2, 12)
    assert "Found 148 of 150 files in S3 from an earlier try" in caplog.messages


def test_an_object_of_another_size_is_written_again(folder, target, s3):
    content = read_content(folder)
    s3.store("pre/fix/000", b"short", {})
    upload(folder, **target, content=content, repeated=True)

    assert bodies(s3) == expected(folder)


def test_the_listing_goes_on_page_after_page(folder, target, s3):
    content = read_content(folder)
    upload(folder, **target, content=content)
    s3.page_size = 40
    upload(folder, **target, content=content, repeated=True)

    assert len(s3.stored) == 150
    assert [listing["prefix"] for listing in s3.listings] == ["pre/fix/"] * 4


@pytest.mark.parametrize("given", [{}, {"repeated": True}, {"content": True}])
def test_nothing_is_listed_unless_an_earlier_upload_may_have_brought_the_same(folder, target, s3, given):
    """Without its content, a file of the same name and size isn't the same."""
    content = {"content": read_content(folder)} if "content" in given else {}
    upload(folder, **target)
    upload(folder, **target, **(given | content))

    assert s3.listings == []
    assert len(s3.stored) == 300


@pytest.mark.parametrize("refusal", [(403, "AccessDenied"), (400, "InvalidRequest")])
def test_where_listing_fails_all_is_written_again_to_the_same_keys(folder, target, s3, caplog, refusal):
    caplog.set_level(logging.INFO, logger="airflow_sm_processing")
    content = read_content(folder)
    upload(folder, **target, content=content)
    s3.refusals[""] = refusal
    upload(folder, **target, content=content, repeated=True)

    assert bodies(s3) == expected(folder)
    assert len(s3.stored) == 300
    (line,) = [line for line in caplog.messages if refusal[1] in line]
    assert line.startswith("What is in s3://bucket/pre/fix/ can't be listed, so all of it is uploaded again: ")


def test_the_expected_owner_is_checked_by_the_listing_as_well(folder, target, s3):
    content = read_content(folder)
    seen: list[str | None] = []
    target["s3_client"].meta.events.register(
        "before-send.s3.ListObjectsV2", lambda request, **_: seen.append(request.headers["x-amz-expected-bucket-owner"])
    )
    upload(folder, **target, content=content, repeated=True, expected_bucket_owner="123456789012")

    assert seen == [b"123456789012"]


def as_long(path: Path) -> None:
    """Write as many other bytes, as soon as the file system's clock has ticked."""
    before, content = path.stat(), path.read_bytes()
    while path.stat().st_ctime_ns == before.st_ctime_ns:
        with path.open("r+b") as file:
            file.write(bytes([content[0] ^ 1]))  # a fixed byte may be the one that stands there


CHANGES: dict[str, Callable[[Path], Any]] = {
    "as long": as_long,
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"more"),
    "gone": Path.unlink,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("name", ["000", "zz-big"])
def test_a_file_that_changed_before_the_upload_is_not_sent(folder, target, s3, change, name):
    content = read_content(folder)
    change(folder / name)

    with pytest.raises(UploadError) as raised:
        upload(folder, **target, content=content)

    assert str(raised.value) == (
        "Upload failed for 1 of 150 files; the rest was cancelled:\n"
        f"  - {folder / name} -> s3://bucket/pre/fix/{name}: "
        "it has changed or gone since it was read for this upload; another try reads it anew"
    )
    assert s3.objects == {}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_changes_during_the_upload_never_gets_to_the_key_of_the_old_content(folder, target, s3, engine, change):
    """S3 is told the checksum of what was read; with 128 files on their way at most, the last is read by then."""
    content = read_content(folder)
    before = expected(folder)
    changed: list[str] = []

    def change_once(key: str) -> None:
        with s3.lock:
            if not changed:
                changed.append(key)
                change(folder / "zz-big")

    s3.on_request = change_once
    with pytest.raises(UploadError, match=r"zz-big -> s3://bucket/pre/fix/zz-big: it has changed or gone since"):
        upload(folder, **target, content=content)

    assert "pre/fix/zz-big" not in s3.objects
    assert bodies(s3).items() <= before.items()


def test_a_change_is_told_though_s3_took_the_old_content(folder, target, s3, engine):
    """The job would run with it, and nobody would know that it isn't what the folder holds."""
    content = read_content(folder / "zz-big")
    s3.on_request = lambda key: os.utime(folder / "zz-big", (0, 0))

    with pytest.raises(UploadError, match="it has changed or gone since it was read"):
        upload(folder / "zz-big", **target, content=content)


def test_a_change_is_noticed_where_s3_is_told_no_checksums_and_all_is_written_again(folder, target, s3, server):
    """Without them, nothing vouches for what is under a key."""
    config = Config(request_checksum_calculation="when_required")
    target["s3_client"] = target["boto_session"].client("s3", endpoint_url=server.url, config=config)
    content = read_content(folder)
    upload(folder, **target, content=content)
    upload(folder, **target, content=content, repeated=True)

    assert (len(s3.stored), s3.checksummed, s3.listings) == (300, set(), [])
    as_long(folder / "000")
    with pytest.raises(UploadError, match="it has changed or gone since it was read"):
        upload(folder, **target, content=content)
