from __future__ import annotations

import logging

import pytest

from airflow_sm_processing.processing.uploads.files import LocalFile
from airflow_sm_processing.processing.uploads.transfer import Progress, duration_text, size_text

MIB = 1024**2


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def progress(clock) -> Progress:
    files = [LocalFile(f"/data/{number}", f"{number}", 2 * MIB) for number in range(2000)]
    return Progress("s3://bucket/p/", files, clock=clock)


@pytest.fixture(autouse=True)
def log_level(caplog) -> None:
    caplog.set_level(logging.INFO, logger="airflow_sm_processing")


def test_nothing_is_logged_in_the_first_five_seconds(progress, clock, caplog):
    clock.now += 4.9
    progress.log_if_due()

    assert caplog.messages == []
    assert progress.seconds_to_next_line == pytest.approx(0.1)


def test_a_line_has_files_bytes_rate_and_time_left(progress, clock, caplog):
    clock.now += 5
    progress.files_done, progress.bytes_done = 500, 1000 * MIB
    progress.log_if_due()

    assert caplog.messages == [
        "Uploading to s3://bucket/p/: 500 of 2,000 files, 1000.0 MiB of 3.9 GiB, 200.0 MiB/s, 15.0 s left"
    ]


def test_lines_come_five_seconds_apart(progress, clock, caplog):
    for _ in range(16):
        clock.now += 1
        progress.log_if_due()

    assert len(caplog.messages) == 3


def test_no_time_is_promised_before_the_first_byte(progress, clock, caplog):
    clock.now += 5
    progress.log_if_due()

    assert caplog.messages == ["Uploading to s3://bucket/p/: 0 of 2,000 files, 0 B of 3.9 GiB, 0 B/s"]


def test_empty_files_are_reckoned_by_their_number(clock, caplog):
    progress = Progress("s3://bucket/p/", [LocalFile("a", "a", 0), LocalFile("b", "b", 0)], clock=clock)
    clock.now += 10
    progress.files_done = 1
    progress.log_if_due()

    assert caplog.messages == ["Uploading to s3://bucket/p/: 1 of 2 files, 0 B of 0 B, 0 B/s, 10.0 s left"]


def test_the_last_line_sums_up(progress, clock, caplog):
    clock.now += 200
    progress.files_done, progress.bytes_done = 2000, 4000 * MIB
    progress.log_end()

    assert caplog.messages == ["Uploaded 2,000 files (3.9 GiB) to s3://bucket/p/ in 3 min 20 s (20.0 MiB/s)"]


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (8192000, "7.8 MiB"), (5 * 1024**4, "5120.0 GiB")],
)
def test_sizes_have_binary_units(count, text):
    assert size_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (59.9, "59.9 s"),
        (59.97, "1 min 0 s"),
        (119.7, "2 min 0 s"),
        (60, "1 min 0 s"),
        (3725, "62 min 5 s"),
    ],
)
def test_durations_have_minutes_when_long(seconds, text):
    assert duration_text(seconds) == text
