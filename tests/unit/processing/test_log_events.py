from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_processing.processing.log_events import (
    EVERY_HOST,
    REMEMBERED_LINES,
    REMEMBERED_MS,
    SeenLines,
    StreamPosition,
    telling_line,
)

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


HEADER = "Traceback (most recent call last):"
FRAME = ('  File "clean.py", line 3, in <module>', "    clean(rows)")


@pytest.mark.parametrize(
    ("lines", "telling"),
    [
        (["reading", HEADER, *FRAME, "ValueError: no rows", "cleaning up"], "ValueError: no rows"),
        (
            [HEADER, *FRAME, "KeyError: 'id'", "", "During handling:", "", HEADER, *FRAME, "ValueError: no id"],
            "ValueError: no id",
        ),
        (["ERROR:root:giving up", HEADER, *FRAME, "shop.Refused: no stock"], "shop.Refused: no stock"),
        ([*FRAME, "botocore.exceptions.ClientError: denied", "bye"], "botocore.exceptions.ClientError: denied"),
        (
            ["Caused by: java.io.IOException: disk full", "\tat App.main(App.java:3)", "stopping the context"],
            "Caused by: java.io.IOException: disk full",
        ),
        (["KeyboardInterrupt", "bye"], "KeyboardInterrupt"),
        (["run.sh: line 1: spark: command not found", "3 rows"], "run.sh: line 1: spark: command not found"),
        (["0 terrors seen", "last words", "", " "], "last words"),
        (["last words", "[local] Not uploaded, since …: a link."], "last words"),
        ([HEADER], HEADER),
    ],
)
def test_the_telling_line_is_the_one_that_names_the_error(lines: list[str], telling: str) -> None:
    assert telling_line({"algo-1": lines}) == telling


@pytest.mark.parametrize("tails", [{}, {"algo-1": []}, {"algo-1": ["", "[local] x"]}, {EVERY_HOST: ["(denied)"]}])
def test_without_the_scripts_own_words_no_line_is_telling(tails: dict[str, list[str]]) -> None:
    assert telling_line(tails) is None


def test_of_several_hosts_the_one_that_names_the_error_speaks() -> None:
    tails = {"algo-1": ["lost the connection"], "algo-2": [HEADER, *FRAME, "ValueError: x"], "algo-3": ["KeyError: 1"]}
    assert telling_line(tails) == "algo-2: ValueError: x"
    assert telling_line({"algo-1": ["bye"], "algo-2": ["bye"]}) == "algo-1: bye"


@given(st.lists(st.text(max_size=2000)))
def test_whatever_a_script_writes_the_telling_line_is_short_or_absent(lines: list[str]) -> None:
    line = telling_line({"algo-1": lines})
    assert line is None or 0 < len(line) <= 500
