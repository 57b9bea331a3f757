"""Bytes become lines, whatever the bytes and however they are cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_processing.local.logs import MAX_EVENT_BYTES, LineSplitter


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
