from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_processing.watcher.log_feed import LogFeed
from tests.unit.processing.cloudwatch import STREAMS_PER_FILTER

from .log_world import Follower, World, logs, texts
from .virtual_time import START, run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_sm_processing.processing import LogLine

    from .log_world import Written

ONE, TWO = "job/algo-1-17", "job/algo-2-17"


def numbered(count: int, start: int = 0) -> list[str]:
    return [str(index) for index in range(start, start + count)]


def test_lines_come_while_the_job_runs_by_host_and_with_cloudwatchs_time() -> None:
    async def main() -> None:
        world = World()
        follower = Follower(world.feed, "job", hosts=2)
        world.write(ONE, "a", after=1)
        world.write(TWO, "b", after=4)
        await world.until(12)

        assert [str(line) for line in follower.lines] == [
            "[algo-1] 2026-01-01T00:00:01.000Z a",
            "[algo-2] 2026-01-01T00:00:04.000Z b",
        ]
        follower.log.close()

    run(main())


@given(logs, st.integers(1, 7), st.booleans(), st.frozensets(st.integers(0, 40), max_size=10))
def test_each_line_comes_once_whenever_it_arrives_and_whatever_fails(
    events: Sequence[Written], page_size: int, sparse: bool, failing_calls: frozenset[int]
) -> None:
    async def main() -> None:
        world = World(page_size=page_size, sparse=sparse, failing_calls=failing_calls)
        for stream, after, late, text in events:
            world.write(stream, text, after=after, late=late)
        followers = {name: Follower(world.feed, name) for name in ("job", "other")}
        await world.until(25)
        for name, follower in followers.items():
            assert await follower.log.settle(3)
            assert Counter(follower.messages) == texts(events, name)
            follower.log.close()

    run(main())


@given(st.lists(st.tuples(st.sampled_from([ONE, TWO]), st.integers(0, 3)), max_size=80), st.integers(1, 7))
def test_lines_that_are_not_late_come_in_order_of_each_host(writes: list[tuple[str, int]], page_size: int) -> None:
    async def main() -> None:
        world = World(page_size=page_size)
        after = 0.0
        for number, (stream, gap) in enumerate(writes):
            after += gap / 10
            world.write(stream, str(number), after=after)
        follower = Follower(world.feed, "job", hosts=2)
        assert await follower.log.settle(max(after, 3))

        assert follower.of_host("algo-1") == [str(n) for n, (stream, _) in enumerate(writes) if stream == ONE]
        assert follower.of_host("algo-2") == [str(n) for n, (stream, _) in enumerate(writes) if stream == TWO]
        follower.log.close()

    run(main())


def test_a_quiet_jobs_line_may_come_half_a_minute_late() -> None:
    async def main() -> None:
        world = World()
        world.write(ONE, "early", after=1)
        world.write(ONE, "late", after=2, late=27)
        world.write(ONE, "newer", after=28)
        follower = Follower(world.feed, "job", hosts=1)
        await world.until(35)

        assert follower.messages == ["early", "newer", "late"]
        follower.log.close()

    run(main())


def test_a_host_that_was_cut_off_for_minutes_loses_no_line_while_another_goes_on() -> None:
    async def main() -> None:
        world = World()
        follower = Follower(world.feed, "job", hosts=2)
        for number in range(3000):
            world.write(ONE, str(number), after=number / 10)
        world.write(TWO, "before", after=1)
        for number in range(200):
            world.write(TWO, str(number), after=10 + number, late=240 - number)
        await world.until(320)

        assert follower.of_host("algo-1") == numbered(3000)
        assert follower.of_host("algo-2") == ["before", *numbered(200)]
        follower.log.close()

    run(main())


def test_more_lines_of_one_moment_than_are_read_at_a_time_all_come() -> None:
    async def main() -> None:
        world = World(page_size=10)
        for number in range(200):
            world.write(ONE, str(number), after=1)
        follower = Follower(world.feed, "job", hosts=1)
        await world.until(8)

        assert follower.messages == numbered(200)
        follower.log.close()

    run(main())


def test_a_long_backlog_comes_in_order_and_holds_up_nobody_else() -> None:
    async def main() -> None:
        world = World(page_size=10)
        world.write(ONE, *numbered(2000), after=-200)
        behind = Follower(world.feed, "job", hosts=1)
        await world.until(3)
        world.write("other/algo-1-17", "a", after=3)
        other = Follower(world.feed, "other", hosts=1)
        await world.until(7)
        assert (other.messages, len(behind.lines) < 2000) == (["a"], True)
        await world.until(30)

        assert behind.messages == numbered(2000)
        await world.feed.close()

    run(main())


def test_one_job_may_be_followed_twice() -> None:
    async def main() -> None:
        world = World()
        world.write(ONE, "a", after=1)
        followers = [Follower(world.feed, "job", hosts=1) for _ in range(2)]
        await world.until(8)
        for follower in followers:
            assert follower.messages == ["a"]
            follower.log.close()

    run(main())


def test_a_megabyte_of_a_line_and_bytes_that_are_no_text_come_whole_and_harmless() -> None:
    async def main() -> None:
        world = World()
        long, strange = "x" * 1_048_576, "\ufffd\x1b[2J\ud800"
        world.write(ONE, long, strange, after=1)
        follower = Follower(world.feed, "job", hosts=1)
        await world.until(8)

        assert follower.messages == [long, "\ufffd\\x1b[2J\\ud800"]
        follower.log.close()

    run(main())


def test_a_deleted_stream_is_dropped_and_the_others_go_on() -> None:
    async def main() -> None:
        world = World()
        names = [f"job/algo-{host}-17" for host in range(1, 31)]
        for name in names:
            world.write(name, "first", after=1)
        follower = Follower(world.feed, "job", hosts=30)
        await world.until(10)
        assert world.client.streams is not None
        del world.client.streams[names[7]]
        for name in names[:7] + names[8:]:
            world.write(name, "second", after=11)
        await world.until(30)

        assert Counter(follower.messages) == {"first": 30, "second": 29}
        assert await follower.log.settle(2)
        assert sorted(follower.log.position().streams) == sorted(names)
        follower.log.close()

    run(main())


def test_an_expired_page_token_begins_the_reading_anew() -> None:
    async def main() -> None:
        world = World(page_size=10, errors={4: "InvalidParameterException"})
        world.write(ONE, *numbered(100), after=1)
        await world.until(3)
        follower = Follower(world.feed, "job", hosts=1)
        await world.until(12)

        assert follower.messages == numbered(100)
        follower.log.close()

    run(main())


def test_a_missing_group_is_waited_for() -> None:
    async def main() -> None:
        world = World()
        world.client.streams = None
        follower = Follower(world.feed, "job", hosts=1)
        await world.until(30)
        world.client.streams = {}
        world.write(ONE, "a", after=31)
        await world.until(60)

        assert follower.messages == ["a"]
        follower.log.close()

    run(main())


@pytest.mark.parametrize(("denied", "operation"), [(0, "DescribeLogStreams"), (1, "FilterLogEvents")])
def test_a_denied_log_is_off_with_one_warning_and_no_more_calls(
    denied: int, operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        world = World(errors={denied: "AccessDeniedException"})
        world.write(ONE, "a", after=1)
        follower = Follower(world.feed, "job", hosts=1)
        await world.until(60)

        assert (follower.messages, follower.log.is_off, world.client.calls) == ([], True, denied + 1)
        assert not await follower.log.settle(1)

    run(main())
    (warning,) = caplog.records
    told = f"The live log of job is off; its lines come at the end. {operation} for job"
    assert (warning.levelname, warning.getMessage().startswith(told)) == ("WARNING", True)


def test_an_error_that_nobody_thought_of_is_told_in_every_jobs_log(caplog: pytest.LogCaptureFixture) -> None:
    async def fails(method: str, subject: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        raise RuntimeError(f"{method} is out of order")

    async def main() -> None:
        feed = LogFeed(fails, streams_a_call=100)
        followers = [Follower(feed, job, hosts=1) for job in ("job", "other")]

        assert [await follower.log.settle(1) for follower in followers] == [False, False]

    run(main())
    assert sorted(caplog.messages) == [
        "The live log of job is off; its lines come at the end. describe_log_streams is out of order",
        "The live log of other is off; its lines come at the end. describe_log_streams is out of order",
        "The live logs of 2 jobs are off.",
    ]


def test_a_call_takes_as_many_streams_as_botocores_model_says() -> None:
    async def main() -> list[int]:
        asked = asyncio.Queue[int]()

        async def call(method: str, subject: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
            if method == "describe_log_streams":
                return {"logStreams": [{"logStreamName": f"job/algo-{host}-17"} for host in range(150)]}
            await asked.put(len(request["logStreamNames"]))
            return {"events": []}

        feed = LogFeed(call)
        feed.follow("job", lambda lines: None, hosts=150)
        counts = [await asked.get(), await asked.get()]
        await feed.close()
        return sorted(counts)

    assert asyncio.run(main()) == [50, STREAMS_PER_FILTER]


def test_a_sink_that_fails_ends_its_own_jobs_log_only(caplog: pytest.LogCaptureFixture) -> None:
    def fails(lines: Sequence[object]) -> None:
        raise RuntimeError(f"can't show {len(lines)}")

    async def main() -> None:
        world = World()
        world.write(ONE, "a", after=1)
        world.write("other/algo-1-17", "b", after=2)
        broken, whole = Follower(world.feed, "job", fails, hosts=1), Follower(world.feed, "other", hosts=1)
        await world.until(9)

        assert (broken.log.is_off, whole.log.is_off, whole.messages) == (True, False, ["b"])
        whole.log.close()

    run(main())
    assert "RuntimeError: can't show 1" in caplog.text


def test_who_closes_while_lines_are_handed_out_gets_no_more_and_knows_how_many_came() -> None:
    async def main() -> None:
        world = World()
        world.write(ONE, *numbered(1000), after=-2)
        lines: list[str] = []

        def enough(new: Sequence[LogLine]) -> None:
            lines.extend(line.message for line in new)
            first.log.close()

        other = Follower(world.feed, "other", hosts=1)
        first = Follower(world.feed, "job", enough, hosts=1)
        await world.until(5)
        second = Follower(world.feed, "job", position=first.log.position(), hosts=1)
        await world.until(10)

        assert 0 < len(lines) < 1000
        assert lines + second.messages == numbered(1000)
        second.log.close()
        other.log.close()

    run(main())


def test_the_last_to_close_ends_the_reading_and_the_next_to_follow_begins_it() -> None:
    async def main() -> None:
        world = World()
        world.write(ONE, "a", after=1)
        follower = Follower(world.feed, "job", hosts=1)
        await world.until(5)
        follower.log.close()
        calls = world.client.calls
        await world.until(60)
        assert world.client.calls == calls
        again = Follower(world.feed, "job", hosts=1)
        await asyncio.sleep(5)

        assert (follower.messages, again.messages) == (["a"], ["a"])
        await world.feed.close()

    run(main())


def test_a_feed_that_nobody_follows_calls_nothing() -> None:
    async def main() -> None:
        world = World()
        await world.until(60)

        assert (world.client.calls, len(asyncio.all_tasks())) == (0, 1)

    run(main())


def test_a_sink_runs_in_its_followers_context() -> None:
    from contextvars import ContextVar

    task: ContextVar[str] = ContextVar("task", default="none")

    async def follow(world: World, job: str, seen: list[tuple[str, str]]) -> Any:
        task.set(job)
        return Follower(world.feed, job, lambda lines: seen.append((task.get(), lines[0].message)), hosts=1)

    async def main() -> None:
        world = World()
        seen: list[tuple[str, str]] = []
        for job in ("job", "other"):
            world.write(f"{job}/algo-1-17", job, after=1)
        followers = [await asyncio.ensure_future(follow(world, job, seen)) for job in ("job", "other")]
        await world.until(8)

        assert sorted(seen) == [("job", "job"), ("other", "other")]
        for follower in followers:
            follower.log.close()

    run(main())


def test_news_are_what_came_since_the_position_was_asked_for() -> None:
    async def main() -> None:
        world = World()
        follower = Follower(world.feed, "job", hosts=1)
        states = [follower.log.has_news]
        world.write(ONE, "a", after=1)
        await world.until(8)
        states.append(follower.log.has_news)
        follower.log.position()
        await world.until(30)
        states.append(follower.log.has_news)

        assert states == [False, True, False]
        follower.log.close()

    run(main())


def test_settling_takes_as_long_as_lines_come_and_finds_streams_that_come_late() -> None:
    async def main() -> None:
        world = World()
        follower = Follower(world.feed, "job", hosts=2)
        for number in range(10):
            world.write(ONE, str(number), after=10 + number)
        await world.until(10)
        settling = asyncio.ensure_future(follower.log.settle(2))
        await world.until(17)
        world.write(TWO, "at last", after=16)
        assert await settling

        assert follower.of_host("algo-1") == numbered(10)
        assert follower.of_host("algo-2") == ["at last"]
        assert 20 < world.now < 25
        follower.log.close()

    run(main())


def test_a_log_that_settles_is_read_at_once_and_not_only_in_its_turn() -> None:
    async def main() -> None:
        world = World()
        world.write(ONE, "a", after=-1)
        follower = Follower(world.feed, "job", hosts=1)
        await world.until(5)
        world.write(ONE, "b", after=5)
        assert await follower.log.settle(0.5)

        assert (follower.messages, world.now < 6.9) == (["a", "b"], True)
        follower.log.close()

    run(main())


def test_a_job_without_a_log_settles_too() -> None:
    async def main() -> None:
        world = World()
        follower = Follower(world.feed, "job", hosts=1)
        assert await follower.log.settle(2)

        assert (follower.lines, world.now < 4) == ([], True)
        follower.log.close()

    run(main())


def test_closing_ends_the_settling() -> None:
    async def main() -> None:
        world = World()
        follower = Follower(world.feed, "job", hosts=1)
        settling = asyncio.ensure_future(follower.log.settle(1000))
        await world.until(5)
        follower.log.close()

        assert not await settling

    run(main())


def test_a_service_in_trouble_is_left_alone_for_longer_and_longer(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        world = World(failing_calls=range(1, 40))
        world.write(ONE, "a", after=1)
        follower = Follower(world.feed, "job", hosts=1)
        await world.until(120)

        assert 5 < world.client.calls < 40
        follower.log.close()

    with caplog.at_level(logging.INFO):
        run(main())
    assert [record.message.split(":")[0] for record in caplog.records] == ["Can't read live logs for now"]


def test_the_first_reading_spares_cloudwatch_a_search_but_allows_for_clocks_that_differ() -> None:
    async def main() -> None:
        world = World()
        world.write(ONE, "a", after=-299)
        world.write(ONE, "of another life", after=-400)
        follower = Follower(world.feed, "job", hosts=1)
        await world.until(8)

        starts = [request["startTime"] for name, request in world.client.requests if name == "FilterLogEvents"]
        assert (follower.messages, starts[0]) == (["a"], (START - 300) * 1000)
        follower.log.close()

    run(main())


def test_busy_jobs_cost_few_calls_and_are_shown_within_seconds() -> None:
    async def main() -> None:
        world = World(latency=0.05, page_size=2000)
        names = [f"job-{number:03d}" for number in range(60)]
        lags: list[float] = []
        for second in range(14):
            for name in names:
                world.write(f"{name}/algo-1-17", *numbered(50, start=50 * second), after=second, late=0.2)
        followers = [
            Follower(
                world.feed, name, lambda lines: lags.append(START + world.now - lines[0].timestamp.timestamp()), hosts=1
            )
            for name in names
        ]
        await world.until(14)
        late = [at for at in world.called_at if at >= 6]

        assert (max(lags) < 8, len(late) <= 16) == (True, True)
        for follower in followers:
            follower.log.close()

    run(main())


def test_quiet_jobs_share_a_call_every_two_seconds() -> None:
    async def main() -> None:
        world = World()
        followers = []
        for number in range(100):
            world.write(f"job-{number:03d}/algo-1-17", "a", after=number / 10)
            followers.append(Follower(world.feed, f"job-{number:03d}", hosts=1))
        await world.until(10)
        before = world.client.calls
        await world.until(70)

        assert world.client.calls - before <= 32
        for follower in followers:
            assert follower.messages == ["a"]
            follower.log.close()

    run(main())
