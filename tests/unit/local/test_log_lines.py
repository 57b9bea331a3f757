"""Bytes become lines, whatever the bytes and however they are cut."""

from __future__ import annotations

import os
import selectors
import threading
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_processing.local.logs import MAX_EVENT_BYTES, LineSplitter, LogPump

if TYPE_CHECKING:
    import pytest


def _lines(*chunks: bytes) -> list[str]:
    splitter = LineSplitter()
    return [line for chunk in chunks for line in splitter.feed(chunk)] + splitter.close()


def test_lines_end_at_line_feeds_and_empty_ones_are_left_out():
    assert _lines(b"one\n\ntwo\r\n\r\nthree") == ["one", "two", "three"]


def test_a_line_is_given_as_soon_as_it_is_complete():
    splitter = LineSplitter()
    assert splitter.feed(b"on") == []
    assert splitter.feed(b"e\ntw") == ["one"]
    assert splitter.close() == ["tw"]
    assert splitter.close() == []


def test_carriage_returns_inside_a_line_stay():
    assert _lines(b"10%\r20%\r30%\n") == ["10%\r20%\r30%"]


def test_a_line_over_the_limit_is_cut_between_characters():
    for width, character in ((1, "a"), (2, "é"), (3, "日"), (4, "🙂")):
        text = character * (MAX_EVENT_BYTES // width + 1)
        first, second = _lines(text.encode())
        assert first + second == text
        assert MAX_EVENT_BYTES - width < len(first.encode()) <= MAX_EVENT_BYTES


def test_a_long_line_is_given_before_it_ends():
    splitter = LineSplitter()
    assert [len(line) for line in splitter.feed(b"a" * (2 * MAX_EVENT_BYTES + 5))] == [MAX_EVENT_BYTES] * 2
    assert splitter.close() == ["aaaaa"]


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_chunks_make_no_difference(chunks: list[bytes]):
    whole = b"".join(chunks)
    expected = [line.removesuffix(b"\r").decode("utf-8", "replace") for line in whole.split(b"\n")]
    assert _lines(*chunks) == _lines(whole) == [line for line in expected if line]


class Recorded:
    """A log stream that keeps what it is sent."""

    name = "job/algo-1-1"

    def __init__(self) -> None:
        self.lines: list[str] = []

    def put_if_possible(self, lines: list[str]) -> None:
        self.lines += lines


def test_what_is_written_just_before_the_end_is_shipped_though_the_last_look_found_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pump that isn't given the processor between its look and its next step finds the command ended meanwhile."""
    output, command = os.pipe()
    stream, finished = Recorded(), threading.Event()

    class Slow(selectors.DefaultSelector):
        looks = 0

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            self.looks += 1
            if self.looks > 1:
                return super().select(timeout)
            os.write(command, b"the only line\n")
            os.close(command)
            finisher.start()
            assert finished.wait(60)
            return []

    monkeypatch.setattr(selectors, "DefaultSelector", Slow)
    pump = LogPump(output, stream, lambda lines: None)  # type: ignore[arg-type]

    def finish() -> None:
        monkeypatch.setattr(pump, "join", finished.set)  # it comes after the end is noted
        pump.finish()

    finisher = threading.Thread(target=finish)
    pump.run()
    finisher.join()
    os.close(output)
    assert stream.lines == ["the only line"]
