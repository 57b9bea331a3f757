from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any, cast

import boto3
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws
from structlog.testing import capture_logs

from airflow_sm_processing.exceptions import TransientError
from airflow_sm_processing.processing import JobLogs, LogLine
from airflow_sm_processing.processing.log_events import LogPosition
from airflow_sm_processing.processing.waiter import TAIL_LINE_CHARACTERS, TAIL_LINES

from .cloudwatch import GROUP, CloudWatchLogs

ONE, TWO = "job/algo-1-1700000000", "job/algo-2-1700000000"


def job_logs(client: CloudWatchLogs) -> JobLogs:
    return JobLogs(cast("Any", client), "job")


def messages(logs: JobLogs) -> list[tuple[str, str]]:
    return [(line.host, line.message) for line in logs.new_lines()]


def through_json(position: LogPosition) -> LogPosition:
    return LogPosition.from_plain(json.loads(json.dumps(position.to_plain())))


def numbered(count: int, start: int = 0) -> list[str]:
    return [str(index) for index in range(start, start + count)]


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("page_size", [1, 3, 100])
def test_each_line_comes_once_and_in_order_through_short_and_empty_pages(page_size: int, sparse: bool) -> None:
    client = CloudWatchLogs(page_size=page_size, sparse=sparse)
    client.write(ONE, *numbered(10))
    client.write(TWO, *numbered(7))
    logs = job_logs(client)

    first = messages(logs)
    client.write(ONE, *numbered(5, start=10))

    assert first == [*(("algo-1", text) for text in numbered(10)), *(("algo-2", text) for text in numbered(7))]
    assert messages(logs) == [("algo-1", text) for text in numbered(5, start=10)]
    assert messages(logs) == []


@given(
    st.lists(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 5)), max_size=3), max_size=5),
    st.integers(1, 4),
    st.booleans(),
    st.frozensets(st.integers(0, 40), max_size=8),
)
def test_whatever_comes_when_and_whatever_fails_no_line_is_lost_or_repeated(
    rounds: list[list[tuple[int, int]]], page_size: int, sparse: bool, failing_calls: frozenset[int]
) -> None:
    client = CloudWatchLogs(page_size=page_size, sparse=sparse, failing_calls=failing_calls)
    logs, got = job_logs(client), []
    written: dict[str, list[str]] = {}
    for writes in [*rounds, *[[]] * (len(failing_calls) + 1)]:
        for host, count in writes:
            lines = numbered(count, start=len(written.setdefault(f"algo-{host}", [])))
            written[f"algo-{host}"] += lines
            client.write(f"job/algo-{host}-17", *lines)
        try:
            for line in logs.new_lines():
                got.append((line.host, line.message))  # noqa: PERF401  # what came before the failure counts
        except TransientError:
            continue

    assert {host: [text for name, text in got if name == host] for host in written} == written
    assert len(got) == sum(map(len, written.values()))


def test_every_host_is_read_when_there_are_more_than_fifty_streams() -> None:
    client = CloudWatchLogs()
    for host in range(1, 131):
        client.write(f"job/algo-{host}-17", "hello")

    assert {host for host, _ in messages(job_logs(client))} == {f"algo-{host}" for host in range(1, 131)}


def test_a_host_that_comes_later_is_read_too() -> None:
    client = CloudWatchLogs()
    client.write(ONE, "a")
    logs = job_logs(client)

    first = messages(logs)
    client.write(TWO, "b")

    assert (first, messages(logs)) == ([("algo-1", "a")], [("algo-2", "b")])


def test_the_lines_of_another_job_are_not_read() -> None:
    client = CloudWatchLogs()
    client.write("job-2/algo-1-17", "other")

    assert messages(job_logs(client)) == []


def test_a_missing_group_has_no_lines_yet() -> None:
    client = CloudWatchLogs()
    client.streams = None
    logs = job_logs(client)

    assert (messages(logs), logs.last_tails()) == ([], {})


def test_a_deleted_stream_keeps_no_other_line_back() -> None:
    client = CloudWatchLogs()
    client.write(ONE, "a")
    logs = job_logs(client)
    first = messages(logs)
    assert client.streams is not None
    del client.streams[ONE]
    client.write(TWO, "b")

    assert (first, messages(logs), logs.last_tails()) == (
        [("algo-1", "a")],
        [("algo-2", "b")],
        {"algo-1": ("a",), "algo-2": ("b",)},
    )


def test_an_idle_look_costs_one_call_for_the_streams_and_one_for_each() -> None:
    client = CloudWatchLogs()
    client.write(ONE, "a")
    client.write(TWO, "b")
    logs = job_logs(client)
    messages(logs)
    before = client.calls

    messages(logs)

    assert client.calls - before == 3


@pytest.mark.parametrize(
    ("stream", "host"),
    [
        ("job/algo-1-1700000000", "algo-1"),
        ("job/algo-12", "algo-12"),
        ("job/algo-1x", "algo-1x"),
        ("job/other", "other"),
    ],
)
def test_a_streams_name_tells_its_host(stream: str, host: str) -> None:
    client = CloudWatchLogs()
    client.write(stream, "a")

    assert messages(job_logs(client)) == [(host, "a")]


@pytest.mark.parametrize(
    ("message", "lines"),
    [
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("a\r\nb\rc\nd", ["a", "b", "c", "d"]),
        ("a\n\nb", ["a", "", "b"]),
        ("", [""]),
        ("a\tb é", ["a\tb é"]),
        ("\x1b[2Jgone\x07", ["\\x1b[2Jgone\\x07"]),
        ("a\u2028[algo-9] fake\x85", ["a\\u2028[algo-9] fake\\x85"]),
        ("\ud800", ["\\ud800"]),
    ],
)
def test_a_message_is_shown_line_by_line_and_obeyed_by_no_terminal(message: str, lines: list[str]) -> None:
    client = CloudWatchLogs()
    client.write(ONE, message)

    assert [text for _, text in messages(job_logs(client))] == lines


def test_a_line_of_a_megabyte_is_handed_out_whole_and_cut_in_the_tail() -> None:
    client = CloudWatchLogs()
    client.write(ONE, "x" * 1_048_576)
    logs = job_logs(client)

    cut = f"{'x' * TAIL_LINE_CHARACTERS}… (1048576 characters)"
    assert messages(logs) == [("algo-1", "x" * 1_048_576)]
    assert logs.tails() == {"algo-1": (cut,)}
    assert job_logs(client).last_tails() == {"algo-1": (cut,)}


def test_a_line_that_an_error_can_carry_is_whole_in_the_tail() -> None:
    client = CloudWatchLogs()
    client.write(ONE, "x" * TAIL_LINE_CHARACTERS)

    assert job_logs(client).last_tails() == {"algo-1": ("x" * TAIL_LINE_CHARACTERS,)}


def test_a_line_has_cloudwatchs_time_to_the_millisecond() -> None:
    client = CloudWatchLogs()
    client.write(ONE, "a", at=1_767_225_600_007)

    (line,) = job_logs(client).new_lines()

    assert line == LogLine("algo-1", datetime(2026, 1, 1, 0, 0, 0, 7000, tzinfo=timezone.utc), "a")
    assert str(line) == "[algo-1] 2026-01-01T00:00:00.007Z a"
    with capture_logs() as events:
        line.log_to(structlog.get_logger())
    assert [(event["event"], event["chan"]) for event in events] == [("[algo-1] a", "2026-01-01T00:00:00.007Z")]


def test_the_tails_are_the_last_lines_of_each_host_over_its_streams() -> None:
    client = CloudWatchLogs()
    client.write("job/algo-1-1", *numbered(15))
    client.write("job/algo-1-2", *numbered(15, start=15))
    client.write(TWO, "only")
    client.write("job/algo-3-1")
    logs = job_logs(client)

    before = logs.tails()
    messages(logs)

    assert before == {}
    assert logs.tails() == {"algo-1": tuple(numbered(TAIL_LINES, start=30 - TAIL_LINES)), "algo-2": ("only",)}


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("page_size", [1, 7, 100])
@pytest.mark.parametrize("count", [0, 1, TAIL_LINES - 1, TAIL_LINES, TAIL_LINES + 1, 3 * TAIL_LINES])
def test_the_last_lines_are_found_backwards_through_short_and_empty_pages(
    count: int, page_size: int, sparse: bool
) -> None:
    client = CloudWatchLogs(page_size=page_size, sparse=sparse)
    client.write(ONE, *numbered(count))

    expected = {"algo-1": tuple(numbered(count)[-TAIL_LINES:])} if count else {}
    assert job_logs(client).last_tails() == expected


def test_the_last_lines_of_a_long_log_cost_few_calls() -> None:
    client = CloudWatchLogs()
    client.write(ONE, *numbered(100_000))

    tails = job_logs(client).last_tails()

    assert (tails, client.calls) == ({"algo-1": tuple(numbered(TAIL_LINES, start=100_000 - TAIL_LINES))}, 2)


def test_the_last_lines_can_be_asked_for_twice_and_before_the_rest() -> None:
    client = CloudWatchLogs()
    client.write(ONE, "a", "b\nc")
    logs = job_logs(client)
    tail = {"algo-1": ("a", "b", "c")}

    assert [logs.last_tails(), logs.last_tails()] == [tail, tail]
    assert [text for _, text in messages(logs)] == ["a", "b", "c"]
    assert [logs.tails(), logs.last_tails()] == [tail, tail]


def test_the_tail_alone_is_read_without_the_rest() -> None:
    client = CloudWatchLogs()
    client.write("job/algo-1-1", *numbered(15))
    client.write("job/algo-1-2", *numbered(15, start=15))
    client.write(TWO, "only")
    logs = job_logs(client)

    lines = [(line.host, line.message) for line in logs.last_lines()]

    assert lines == [*(("algo-1", text) for text in numbered(TAIL_LINES, start=30 - TAIL_LINES)), ("algo-2", "only")]
    assert logs.tails() == {"algo-1": tuple(numbered(TAIL_LINES, start=30 - TAIL_LINES)), "algo-2": ("only",)}


def test_a_look_back_finds_what_came_after_later_lines() -> None:
    client = CloudWatchLogs()
    client.write(ONE, "b", "c", at=40_000)
    logs = job_logs(client)
    first = messages(logs)
    client.write(ONE, "a", at=39_000)

    without = messages(logs)
    logs.look_back()

    assert (first, without) == ([("algo-1", "b"), ("algo-1", "c")], [])
    assert (messages(logs), messages(logs)) == ([("algo-1", "a")], [])


@given(
    st.lists(st.tuples(st.sampled_from([ONE, TWO]), st.integers(0, 40), st.sampled_from("ab")), max_size=60),
    st.lists(st.integers(0, 60), max_size=3),
    st.integers(1, 7),
)
def test_another_reader_goes_on_from_a_position_wherever_it_was_taken(
    events: list[tuple[str, int, str]], ends: list[int], page_size: int
) -> None:
    client = CloudWatchLogs(page_size=page_size)
    got: Counter[tuple[str, str]] = Counter()
    position = LogPosition()
    for start, end in pairwise([0, *sorted(ends), 60]):
        for stream, at, text in events[start:end]:
            client.write(stream, text, at=at)
        logs = JobLogs(cast("Any", client), "job", position=position)
        got.update(messages(logs))
        position = through_json(logs.position())

    assert got == Counter((stream.split("/")[1][:6], text) for stream, _, text in events)


def test_an_error_has_the_whole_tail_though_another_reader_showed_most_of_it() -> None:
    client = CloudWatchLogs()
    client.write(ONE, *numbered(100))
    before = job_logs(client)
    messages(before)
    client.write(ONE, "last")
    logs = JobLogs(cast("Any", client), "job", position=before.position())

    new = messages(logs)

    assert (new, logs.last_tails()) == ([("algo-1", "last")], {"algo-1": (*numbered(19, start=81), "last")})


def test_a_position_spares_the_pages_before_it() -> None:
    client = CloudWatchLogs()
    client.write(ONE, *numbered(100_000))
    before = job_logs(client)
    messages(before)
    calls = client.calls

    assert messages(JobLogs(cast("Any", client), "job", position=before.position())) == []
    assert client.calls - calls == 3


def test_motos_cloudwatch_is_read_the_same_way(made_up_aws: None) -> None:
    with mock_aws():
        client = boto3.client("logs", region_name="eu-west-1")
        client.create_log_group(logGroupName=GROUP)
        client.create_log_stream(logGroupName=GROUP, logStreamName=ONE)
        now = int(datetime.now(timezone.utc).timestamp() * 1000)
        logs = JobLogs(client, "job")
        looks = []
        for start, end in pairwise((0, 0, 3, 30, 30)):
            events = [{"timestamp": now + index, "message": str(index)} for index in range(start, end)]
            if events:
                client.put_log_events(logGroupName=GROUP, logStreamName=ONE, logEvents=events)  # type: ignore[arg-type]
            looks.append([line.message for line in logs.new_lines()])
        fresh = JobLogs(client, "job")

        assert looks == [[], numbered(3), numbered(27, start=3), []]
        assert fresh.last_tails() == logs.tails() == {"algo-1": tuple(numbered(20, start=10))}
