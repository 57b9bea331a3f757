from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_processing.processing.log_events import (
    COARSE_LINES,
    LogPosition,
    StreamPosition,
    first_key,
    line_key,
    time_of,
)

NOW = 1_767_225_600_000


def stream(*times: int, since: int = 0, skipped: int = 0) -> StreamPosition:
    """A position whose lines are at so many milliseconds after NOW."""
    keys = sorted(line_key(NOW + time, f"line {number}") for number, time in enumerate(times))
    until = NOW + max(times, default=since)
    return StreamPosition(since=NOW + since, until=until, lines=tuple(keys), skipped=skipped)


def times(position: StreamPosition) -> list[int]:
    return [time_of(key) - NOW for key in position.lines]


positions = st.dictionaries(
    st.sampled_from(["job/algo-1-17", "job/algo-2-17", "job/algo-3-17"]),
    st.builds(lambda at, skipped: stream(*at, skipped=skipped), st.lists(st.integers(0, 20)), st.integers(0, 3)),
).map(LogPosition)


@given(positions)
def test_a_position_goes_through_json_unchanged(position: LogPosition) -> None:
    assert LogPosition.from_plain(json.loads(json.dumps(position.to_plain()))) == position


def test_its_json_is_short_and_can_be_read_by_the_versions_to_come() -> None:
    keys = sorted([line_key(NOW + 5, "a"), line_key(NOW + 5, "a"), line_key(NOW + 7, "b\ud800")])
    position = LogPosition({"s": StreamPosition(since=NOW, until=NOW + 7, lines=tuple(keys), skipped=2)})

    assert position.to_plain() == {
        "s": {"from": NOW, "to": NOW + 7, "lines": {"5": "QzkRxusNQzkRxusN", "7": "VAviPoSp"}, "skip": 2}
    }


@pytest.mark.parametrize("message", ["", "a", "é\ufffd", "\ud800", "x" * 1_048_576])
def test_a_key_has_its_lines_time_and_comes_after_the_first_key_of_it(message: str) -> None:
    key = line_key(NOW, message)

    assert (time_of(key), first_key(NOW) <= key < first_key(NOW + 1)) == (NOW, True)


def test_a_bounded_position_lists_the_newest_lines_of_all_streams() -> None:
    bounded = LogPosition({"a": stream(1, 3, 5), "b": stream(2, 4, 6)}).bounded(3)

    assert {name: (of.since - NOW, times(of)) for name, of in bounded.streams.items()} == {
        "a": (4, [5]),
        "b": (4, [4, 6]),
    }


def test_where_no_line_of_a_stream_can_be_listed_those_of_its_last_moment_are_counted() -> None:
    bounded = LogPosition({"idle": stream(1, 2, 2), "counted": stream(since=1, skipped=3), "busy": stream(7, 8)})

    assert bounded.bounded(1).streams == {
        "idle": StreamPosition(since=NOW + 2, until=NOW + 2, skipped=2),
        "counted": stream(since=1, skipped=3),
        "busy": StreamPosition(since=NOW + 8, until=NOW + 8, lines=(line_key(NOW + 8, "line 1"),)),
    }


def test_more_lines_of_one_moment_than_may_be_listed_are_counted() -> None:
    assert LogPosition({"a": stream(*[4] * 10, since=4, skipped=5)}).bounded(9).streams == {
        "a": StreamPosition(since=NOW + 4, until=NOW + 4, skipped=15)
    }


def test_a_position_within_the_bound_stays_as_it_is() -> None:
    position = LogPosition({"a": stream(1, 3, 5)})

    assert position.bounded(3) is position


def test_a_coarse_position_lists_the_lines_of_the_last_two_seconds() -> None:
    coarse = LogPosition({"a": stream(1, 2000, 3000, skipped=1), "b": stream(since=9, skipped=1)}).coarse()

    assert {name: (of.since - NOW, times(of), of.skipped) for name, of in coarse.streams.items()} == {
        "a": (1000, [2000, 3000], 0),
        "b": (9, [], 1),
    }


def test_a_coarse_position_lists_no_lines_if_they_are_many() -> None:
    coarse = LogPosition({"a": stream(*range(3000, 3001 + COARSE_LINES)), "b": stream(1)}).coarse()

    assert coarse.streams == {
        "a": StreamPosition(since=NOW + 1000 + COARSE_LINES, until=NOW + 3000 + COARSE_LINES),
        "b": StreamPosition(since=NOW, until=NOW + 1),
    }


def test_a_coarse_position_of_a_hundred_hosts_is_small() -> None:
    position = LogPosition({f"job/algo-{host}-17": stream(*range(100)) for host in range(100)})

    assert len(json.dumps(position.coarse().to_plain())) < 8000
    assert len(json.dumps(position.bounded().to_plain())) < 32_000
