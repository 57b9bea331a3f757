"""Which streams are read together, and from when."""

from __future__ import annotations

from typing import Any, cast

from airflow_sm_processing.processing.log_events import StreamPosition
from airflow_sm_processing.watcher.log_streams import LATE_MS, Batch, FollowedStream, batches_of

NOW = 1_767_225_600_000
QUIET, BUSY = 0.1, 1000.0
"""Lines a second."""


def stream(newest: float, *, rate: float = QUIET, since: float = -100, new: bool = False) -> FollowedStream:
    """A stream whose newest line is at so many seconds after NOW."""
    position = StreamPosition(since=NOW + int(since * 1000), until=NOW + int(newest * 1000))
    made = FollowedStream.starting_at(position, name=f"{newest}", job=cast("Any", None))
    if not new:
        made.reached_the_end(0)
        made.count(2 * rate)
        made.reached_the_end(1)
    return made


def start(*streams: FollowedStream) -> float:
    """From when a batch is read, in seconds after NOW."""
    return (Batch(streams).start - NOW) / 1000


def names(batches: list[Batch]) -> list[list[str]]:
    return [batch.names for batch in batches]


def test_quiet_streams_are_read_from_as_early_as_their_lines_are_remembered() -> None:
    assert start(stream(0, since=-30), stream(-5, since=-35)) == -35


def test_busy_streams_are_read_from_a_little_before_the_newest_line_of_each() -> None:
    streams = stream(0, rate=BUSY), stream(-1, rate=BUSY)

    assert start(*streams) == -1 - LATE_MS / 1000 - 1  # two thousand lines more, which cost a fifth of a page
    assert LATE_MS >= 2000


def test_a_new_stream_is_read_from_its_position_and_a_backlog_from_where_the_last_reading_came_to() -> None:
    behind = stream(0, since=-9, new=True)
    Batch([behind]).fell_behind(NOW - 5000)

    assert (start(stream(0, since=-9, new=True)), start(behind)) == (-9, -5)


def test_a_busy_stream_is_not_read_again_for_the_sake_of_one_that_is_read_from_much_earlier() -> None:
    streams = [stream(0, rate=BUSY), stream(-1, rate=BUSY), stream(-10), stream(-40)]

    assert names(batches_of(streams, most=100)) == [["0", "-1"], ["-10", "-40"]]


def test_quiet_streams_are_read_together_though_their_last_lines_are_minutes_apart() -> None:
    streams = [stream(-seconds) for seconds in range(0, 600, 60)]

    assert names(batches_of(streams, most=100)) == [[stream.name for stream in streams]]


def test_new_streams_are_read_together_and_what_has_a_backlog_holds_up_neither_them_nor_others() -> None:
    new = [stream(-1, new=True), stream(-300, new=True)]
    behind = [stream(-second, new=True) for second in (2, 3, 4)]
    Batch(behind[:2]).fell_behind(NOW - 1500)
    Batch(behind[2:]).fell_behind(NOW - 500)

    batches = batches_of([*new, *behind, stream(0)], most=100)

    assert names(batches) == [["0"], ["-1", "-300"], ["-2", "-3"], ["-4"]]


def test_a_batch_has_no_more_streams_than_a_call_takes() -> None:
    assert [len(batch.streams) for batch in batches_of([stream(0) for _ in range(250)], most=100)] == [100, 100, 50]


def test_no_streams_make_no_batch() -> None:
    assert batches_of([], most=100) == []
