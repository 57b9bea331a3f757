from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_processing.processing.log_events import REMEMBERED_LINES, REMEMBERED_MS, SeenLines, StreamPosition

NOW = 1_767_225_600_000


def event(at: int, message: str = "a", arrived: int | None = None) -> dict[str, Any]:
    return {"timestamp": NOW + at, "message": message, "ingestionTime": NOW + (at if arrived is None else arrived)}


def memory(since: int = 0) -> SeenLines:
    return SeenLines(StreamPosition(since=NOW + since, until=NOW + since))


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("ab"))), st.lists(st.integers(0, 40), max_size=4))
def test_each_reading_finds_what_the_others_before_it_have_not(lines: list[tuple[int, str]], ends: list[int]) -> None:
    """Readings of more and more of the lines, each in their order and from the start."""
    remembered, new = memory(), 0
    for end in [*sorted(ends), len(lines)]:
        remembered.begin()
        visible = sorted(lines[:end], key=lambda line: line[0])
        new += sum(remembered.is_new(event(at, message)) for at, message in visible)
        assert new == len(visible)


def test_lines_before_the_time_to_read_from_are_not_new() -> None:
    assert [memory(10).is_new(event(at)) for at in (9, 10)] == [False, True]


def test_of_a_stream_the_last_half_minute_is_remembered() -> None:
    remembered = memory()
    for at in (0, REMEMBERED_MS, REMEMBERED_MS + 1):
        remembered.is_new(event(at))
    remembered.begin()

    assert remembered.since == NOW + 1
    assert [remembered.is_new(event(at)) for at in (0, 1, REMEMBERED_MS)] == [False, True, False]


def test_of_a_busy_stream_the_last_lines_are_remembered() -> None:
    remembered = memory()
    for at in range(10 * REMEMBERED_LINES):
        remembered.is_new(event(at))
        assert len(remembered.position().lines) <= 2 * REMEMBERED_LINES
    remembered.begin()

    assert remembered.since == NOW + 9 * REMEMBERED_LINES
    assert len(remembered.position().lines) == REMEMBERED_LINES


def test_all_lines_of_the_newest_moment_are_remembered_for_a_page_may_end_within_it() -> None:
    remembered = memory()
    count = 5 * REMEMBERED_LINES
    assert all(remembered.is_new(event(1, str(number))) for number in range(count))
    remembered.begin()

    assert [remembered.is_new(event(1, str(number))) for number in range(count + 1)] == [*[False] * count, True]


def test_a_clock_that_is_ahead_does_not_make_other_lines_old() -> None:
    remembered = memory()
    remembered.is_new(event(7_200_000, "ahead", arrived=5))
    remembered.begin()

    assert remembered.is_new(event(6))


def test_counted_lines_are_the_first_that_a_reading_meets() -> None:
    remembered = SeenLines(StreamPosition(since=NOW + 1, until=NOW + 1, skipped=2))
    readings = []
    for _ in range(2):
        remembered.begin()
        readings.append([remembered.is_new(event(1, text)) for text in "abc"])

    assert readings == [[False, False, True], [False, False, False]]
    assert remembered.position().skipped == 2
