"""Streams are found by few calls, which never crowd out the reading."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing.watcher.log_feed import Prefixes

from .log_world import Follower, World
from .virtual_time import run

if TYPE_CHECKING:
    from collections.abc import Sequence

LOOK = "DescribeLogStreams"


def mapped(count: int, minute: int = 30) -> list[str]:
    """Names of jobs as dynamic task mapping makes them: at almost the same time."""
    return [f"preprocess-2026-01-01-12-{minute}-{15 + n // 100}-{n:03d}-{n * 7919 % 65536:04x}" for n in range(count)]


def follow(world: World, names: Sequence[str], hosts: int | None = 1) -> list[Follower]:
    return [Follower(world.feed, name, hosts=hosts) for name in names]


def write(world: World, names: Sequence[str], after: float = 0.0) -> None:
    for name in names:
        world.write(f"{name}/algo-1-17", name, after=after)


def looks(world: World) -> int:
    return world.client.calls_of(LOOK)


def test_jobs_that_were_made_together_are_found_together() -> None:
    async def main() -> None:
        world = World()
        names = mapped(200)
        write(world, names)
        followers = follow(world, names)
        await world.until(10)

        assert [follower.messages for follower in followers] == [[name] for name in names]
        assert looks(world) <= 5
        await world.feed.close()

    run(main())


def test_the_streams_of_thousands_of_older_jobs_are_not_leafed_through() -> None:
    async def main() -> None:
        world = World()
        write(world, [name for minute in range(11, 40) for name in mapped(100, minute)])
        names = [*mapped(1, 10), *mapped(1, 40)]  # their common prefix finds all the others
        write(world, names)
        followers = follow(world, names)
        await world.until(30)

        assert [follower.messages for follower in followers] == [[name] for name in names]
        assert looks(world) == 2
        await world.feed.close()

    run(main())


def test_jobs_of_all_kinds_are_found_among_others() -> None:
    async def main() -> None:
        world = World()
        names = [f"{kind}-{n}" for kind in ("a", "a-b", "ab", "train", "train-1") for n in (1, 10, 100)]
        others = [f"{name}{more}" for name in names for more in ("0", "-x", "x")]
        for _ in range(20):
            others += [f"{name}-{len(others)}" for name in names]
        write(world, sorted({*names, *others}))
        followers = follow(world, names)
        await world.until(120)

        assert [follower.messages for follower in followers] == [[name] for name in names]
        await world.feed.close()

    run(main())


def test_a_job_of_a_hundred_and_thirty_hosts_is_found_whole() -> None:
    async def main() -> None:
        world = World()
        for host in range(1, 131):
            world.write(f"job/algo-{host}-17", "hello", after=1)
        (follower,) = follow(world, ["job"], hosts=130)
        await world.until(12)

        assert sorted(line.host for line in follower.lines) == sorted(f"algo-{host}" for host in range(1, 131))
        assert looks(world) == 3
        await world.feed.close()

    run(main())


def test_nothing_is_looked_for_once_all_hosts_are_found() -> None:
    async def main() -> None:
        world = World()
        write(world, ["job"])
        follow(world, ["job"])
        await world.until(600)

        assert looks(world) == 1
        await world.feed.close()

    run(main())


def test_a_job_whose_hosts_are_not_known_is_looked_for_again_and_again() -> None:
    async def main() -> None:
        world = World()
        (follower,) = follow(world, ["job"], hosts=None)
        world.write("job/algo-1-17", "a", after=1)
        await world.until(300)
        world.write("job/algo-2-17", "b", after=300)
        await world.until(330)

        assert follower.messages == ["a", "b"]
        await world.feed.close()

    run(main())


def test_looks_grow_rarer_up_to_one_in_twenty_seconds() -> None:
    async def main() -> None:
        world = World()
        follow(world, ["job"])
        await world.until(200)
        pauses = [later - earlier for earlier, later in pairwise(world.called_at)]

        assert pauses[:8] == pytest.approx([2, 3, 4.5, 6.75, 10.125, 15.2, 20, 20], abs=0.6)
        await world.feed.close()

    run(main())


def test_looks_are_at_most_two_a_second_however_many_jobs_have_nothing_in_common() -> None:
    async def main() -> None:
        world = World()
        names = [chr(ord("a") + n % 26) + chr(ord("a") + n // 26) + "-job" for n in range(200)]
        write(world, [f"{letter}-{n}" for letter in "abcdefghijklmnopqrstuvwxyz" for n in range(60)])
        followers = follow(world, names)
        await world.until(100)
        write(world, names, after=100)
        await world.until(230)

        assert looks(world) <= 2 * 230 + 8
        assert [follower.messages for follower in followers] == [[name] for name in names]
        await world.feed.close()

    run(main())


def test_a_prefix_covers_as_many_jobs_as_it_can_and_a_longer_one_follows_a_barren_one() -> None:
    async def main() -> None:
        names = ["a-1", "b-11", "b-12", "b-2"]
        prefixes = Prefixes()
        chosen = []
        for _ in range(3):
            prefix, cluster = prefixes.around("b-12", names)
            chosen.append((prefix, [*cluster]))
            prefixes.is_barren(prefix)

        assert chosen == [("b-", ["b-11", "b-12", "b-2"]), ("b-1", ["b-11", "b-12"]), ("b-12/", ["b-12"])]
        assert prefixes.around("a-1", names) == ("a-1/", ["a-1"])

    run(main())
