"""From the trigger's FilterLogEvents to the worker's GetLogEvents, and to the next triggerer."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_processing.processing import JobLogs
from airflow_sm_processing.processing.log_events import LogPosition, StreamPosition
from airflow_sm_processing.triggers import log_positions

from .log_world import Follower, World, logs, texts
from .virtual_time import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .log_world import Written

ONE, OTHER = "job/algo-1-17", "other/algo-1-17"
UNREAD = StreamPosition(since=0, until=0)


def through_json(position: LogPosition) -> LogPosition:
    return LogPosition.from_plain(json.loads(json.dumps(position.to_plain())))


def numbered(count: int, start: int = 0) -> list[str]:
    return [str(index) for index in range(start, start + count)]


async def shown_by_worker(world: World, position: LogPosition | None) -> list[str]:
    """Everything that a worker shows that takes over at the job's end."""
    await world.until(max(25, world.now))
    reader = JobLogs(cast("Any", world.client), "job", position=position)
    return [line.message for line in reader.new_lines()]


def write(world: World, events: Sequence[Written], *, punctual: bool = False) -> None:
    for stream, after, late, text in events:
        world.write(stream, text, after=after, late=0 if punctual else late)


@given(logs, st.integers(1, 7), st.booleans(), st.lists(st.floats(0.5, 8), max_size=4))
def test_from_feed_to_feed_to_worker_no_line_is_lost_or_repeated(
    events: Sequence[Written], page_size: int, sparse: bool, lives: list[float]
) -> None:
    async def main() -> None:
        world = World(page_size=page_size, sparse=sparse)
        write(world, events)
        position, got = None, Counter[str]()
        for life in lives:
            follower = Follower(world.new_feed(), "job", position=position)
            await asyncio.sleep(life)
            follower.log.close()
            position = through_json(follower.log.position())
            got.update(follower.messages)

        assert got + Counter(await shown_by_worker(world, position)) == texts(events, "job")

    run(main())


@given(logs, st.integers(1, 7), st.floats(0.5, 20))
def test_from_a_coarse_position_nothing_is_lost_and_only_what_came_after_it_is_repeated(
    events: Sequence[Written], page_size: int, kept_after: float
) -> None:
    async def main() -> None:
        world = World(page_size=page_size)
        write(world, events, punctual=True)
        killed = Follower(world.feed, "job")
        await asyncio.sleep(kept_after)
        position, shown = through_json(killed.log.position().coarse()), Counter(killed.messages)
        await asyncio.sleep(5)
        killed.log.close()
        following = Follower(world.new_feed(), "job", position=position)
        await world.until(max(25, world.now))
        assert await following.log.settle(3)
        following.log.close()

        assert shown + Counter(following.messages) == texts(events, "job")

    run(main())


def test_from_a_coarse_position_of_a_busy_job_the_last_two_seconds_are_repeated() -> None:
    async def main() -> None:
        world = World()
        for number in range(1000):
            world.write(ONE, str(number), after=number / 100)
        killed = Follower(world.feed, "job", hosts=1)
        assert await killed.log.settle(12)
        position = killed.log.position().coarse()
        killed.log.close()
        following = Follower(world.new_feed(), "job", position=position, hosts=1)
        assert await following.log.settle(3)
        following.log.close()

        assert (killed.messages, following.messages) == (numbered(1000), numbered(201, start=799))

    run(main())


def test_of_more_identical_lines_in_a_moment_than_a_position_lists_the_rest_comes() -> None:
    async def main() -> None:
        world = World(page_size=2000)
        for _ in range(2500):
            world.write(ONE, "same", after=-1)
        first = Follower(world.feed, "job", hosts=1)
        await world.until(0.11)  # a call for the streams, and one page
        first.log.close()
        position = through_json(first.log.position())
        second = Follower(world.new_feed(), "job", position=position, hosts=1)
        assert await second.log.settle(3)
        second.log.close()
        third = await shown_by_worker(world, position)

        assert 1000 < len(first.lines) < 2500
        assert len(first.lines) + len(second.lines) == len(first.lines) + len(third) == 2500

    run(main())


def test_a_line_that_comes_after_the_trigger_has_ended_is_shown_though_later_ones_were() -> None:
    async def main() -> None:
        world = World()
        for number in range(400):
            world.write(ONE, str(number), after=number / 50)
        world.write(ONE, "late", after=1, late=20)
        follower = Follower(world.feed, "job", hosts=1)
        await world.until(12)
        follower.log.close()

        assert follower.messages == numbered(400)
        assert await shown_by_worker(world, follower.log.position()) == ["late"]

    run(main())


@given(logs, st.integers(1, 7), st.lists(st.tuples(st.sampled_from("ABC"), st.floats(0.5, 8)), max_size=6))
def test_however_often_readers_that_lose_their_pages_change_each_line_stands_once(
    events: Sequence[Written], page_size: int, stays: list[tuple[str, float]]
) -> None:
    """A reader that comes back writes its page anew: what it had written, then what nobody has."""

    async def main() -> None:
        world = World(page_size=page_size)
        write(world, events)
        position, pages = None, dict[str, Counter[str]]()
        for reader, seconds in [*stays, (stays[-1][0] if stays else "A", 60.0)]:
            spans = log_positions.spans_of(reader)
            here = spans[-1][1] if spans else LogPosition()
            begin = here if position is None else here.joined(position)
            follower = Follower(world.new_feed(), "job", position=begin, replayed=spans)
            await asyncio.sleep(seconds)
            if follower.log.is_replaying:
                assert await follower.log.settle(3)
            follower.log.close()
            position = follower.log.position()
            log_positions.add_span(reader, begin, position)
            position, pages[reader] = through_json(position), Counter(follower.messages)

        assert sum(pages.values(), Counter[str]()) == texts(events, "job")

    try:
        run(main())
    finally:
        log_positions._spans.clear()


def test_what_is_read_for_a_reader_that_is_gone_counts_as_not_shown_again() -> None:
    async def main() -> None:
        world = World(latency=0.5)
        world.write(ONE, "a", after=-1)
        world.write(OTHER, "b", after=-1)
        first = Follower(world.feed, "job", hosts=1)
        assert await first.log.settle(1)
        first.log.close()
        end, feed = first.log.position(), world.new_feed()
        others = Follower(feed, "other", hosts=1, position=LogPosition({OTHER: UNREAD}))  # keeps the call alive
        second = Follower(feed, "job", hosts=1, position=end, replayed=[(None, end)])
        await asyncio.sleep(0.25)  # in the middle of the first call
        second.log.close()
        await asyncio.sleep(5)

        assert (others.messages, second.messages, second.log.is_replaying) == (["b"], [], True)
        await feed.close()

    run(main())


def test_many_moves_of_a_trigger_leave_few_spans() -> None:
    try:
        for number in range(200):
            end = LogPosition({ONE: StreamPosition(since=number, until=number + 1)})
            log_positions.add_span("log", LogPosition({ONE: StreamPosition(since=number, until=number)}), end)
        spans = log_positions.spans_of("log")
        assert len(spans) == 50
        assert (spans[0][0], spans[-1][1]) == (LogPosition({ONE: StreamPosition(since=0, until=0)}), end)
    finally:
        log_positions.forget_spans("log")
