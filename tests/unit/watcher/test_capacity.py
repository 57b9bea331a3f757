"""Who was refused tries again in turn: as quick as the account allows, slow where it has nothing to give."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing.watcher.capacity import CapacityQueue
from airflow_sm_processing.watcher.client import now

from . import virtual_time

if TYPE_CHECKING:
    from collections.abc import Iterator


async def times_of(capacity_queue: CapacityQueue, waiters: int, *, outcomes: Iterator[str]) -> list[float]:
    """Let waiters wait, each until its try succeeds; return when each try was."""
    tries: list[float] = []

    async def wait(since: float) -> None:
        while True:
            await capacity_queue.wait(since)
            tries.append(now())
            if next(outcomes) == "made":
                capacity_queue.made()
                return
            capacity_queue.refused()

    await asyncio.gather(*(wait(float(since)) for since in range(waiters)))
    capacity_queue.close()
    return tries


def test_turns_come_quicker_as_jobs_are_made() -> None:
    async def main() -> list[float]:
        return await times_of(CapacityQueue(), 100, outcomes=itertools.repeat("made"))

    tries = virtual_time.run(main())
    assert 3.9 <= tries[0] <= 6.1
    assert 0.4 <= tries[-1] - tries[-2] <= 0.6


def test_turns_come_slower_as_tries_are_refused() -> None:
    async def main() -> list[float]:
        return await times_of(CapacityQueue(), 1, outcomes=iter([*["refused"] * 8, "made"]))

    tries = virtual_time.run(main())
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert all(pause <= 72.1 for pause in pauses)
    assert pauses[-1] >= 48


def test_turns_of_which_another_triggerer_hears_come_quicker_too() -> None:
    """Jobs were made of all of them, which are watched, and end, elsewhere."""

    async def main() -> float:
        capacity_queue = CapacityQueue()
        for _ in range(5):
            capacity_queue.refused()
        await asyncio.gather(*(capacity_queue.wait(float(since)) for since in range(50)))
        capacity_queue.close()
        return now()

    assert virtual_time.run(main()) < 600


def test_turns_stay_slow_though_refusals_take_a_while_to_come_back() -> None:
    async def main() -> list[float]:
        capacity_queue, tries = CapacityQueue(), []

        async def wait(since: float) -> None:
            for _ in range(10):
                await capacity_queue.wait(since)
                tries.append(now())
                await asyncio.sleep(15)
                capacity_queue.refused()

        await asyncio.gather(*(wait(float(since)) for since in range(5)))
        capacity_queue.close()
        return tries

    tries = virtual_time.run(main())
    assert all(later - earlier >= 48 - 1e-6 for earlier, later in itertools.pairwise(tries[10:]))


def test_the_longest_waiting_is_next() -> None:
    async def main() -> list[int]:
        capacity_queue, order = CapacityQueue(), []

        async def wait(since: int) -> None:
            await capacity_queue.wait(since)
            order.append(since)

        await asyncio.gather(*(wait(since) for since in (3, 1, 2)))
        capacity_queue.close()
        return order

    assert virtual_time.run(main()) == [1, 2, 3]


def test_a_job_that_ends_makes_room_for_the_next_at_once() -> None:
    async def main() -> float:
        capacity_queue = CapacityQueue()
        waiting = asyncio.ensure_future(capacity_queue.wait(0.0))
        await asyncio.sleep(1)
        capacity_queue.room()
        await waiting
        capacity_queue.close()
        return now()

    assert virtual_time.run(main()) == pytest.approx(1, abs=0.01)


def test_who_gives_up_takes_no_turn() -> None:
    async def main() -> float:
        capacity_queue = CapacityQueue()
        gone = asyncio.ensure_future(capacity_queue.wait(0.0))
        stays = asyncio.ensure_future(capacity_queue.wait(1.0))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        assert len(capacity_queue) == 1
        capacity_queue.room()
        await stays
        capacity_queue.close()
        return now()

    assert virtual_time.run(main()) < 1


def test_an_idle_queue_keeps_no_timer() -> None:
    async def main() -> None:
        capacity_queue = CapacityQueue()
        capacity_queue.made()
        capacity_queue.room()
        assert len(capacity_queue) == 0

    virtual_time.run(main())


class Ends:
    """Ended jobs as a look finds them, and the times of the looks."""

    def __init__(self, *, are_known: bool = True) -> None:
        self.ended: dict[str, float] = {}
        self.looks: list[float] = []
        self._are_known = are_known
        self._seen: set[str] = set()

    def note(self, job_name: str) -> None:
        self._seen.add(job_name)

    async def since(self, moment: float) -> int | None:
        self.looks.append(now())
        await asyncio.sleep(0.1)
        if not self._are_known:
            return None
        news = {name for name, at in self.ended.items() if at >= moment - 10} - self._seen
        self._seen |= news
        return len(news)


async def jobs_run(
    capacity_queue: CapacityQueue, ends: Ends, tasks: int, *, quota: int, is_watched_here: bool
) -> tuple[int, float]:
    """Run a job of 90 s for each task, with room for a few at once; return the refusals and how long it took."""
    running: set[str] = set()
    refusals = 0

    async def ends_in_time(name: str) -> None:
        await asyncio.sleep(90)
        running.discard(name)
        ends.ended[name] = now()
        if is_watched_here:
            capacity_queue.room(name)

    async def task(number: int) -> None:
        nonlocal refusals
        name, tries = f"job-{number}", 0
        while len(running) >= quota:
            refusals += 1
            refused_at = now()
            await asyncio.sleep(5)  # until the trigger starts
            if tries:
                capacity_queue.refused()
            tries += 1
            await capacity_queue.wait(float(number), refused_at)
            await asyncio.sleep(8)  # a worker's start
        running.add(name)
        await asyncio.sleep(5)
        capacity_queue.made()
        await ends_in_time(name)

    await asyncio.gather(*map(task, range(tasks)))
    capacity_queue.close()
    return refusals, now()


@pytest.mark.parametrize("is_watched_here", [True, False])
def test_where_a_quota_is_used_up_a_try_is_hardly_ever_refused_again(is_watched_here: bool) -> None:
    async def main() -> tuple[int, float]:
        ends = Ends()
        return await jobs_run(CapacityQueue(ends), ends, 20, quota=2, is_watched_here=is_watched_here)  # type: ignore[arg-type]

    refusals, seconds = virtual_time.run(main())
    assert refusals == 18  # each task's first; without looks it is some 50
    assert seconds <= 10 * (90 + 8 + 5 + 12) + 60


def test_where_ended_jobs_cannot_be_known_tries_go_on_as_ever() -> None:
    async def main() -> tuple[int, float]:
        ends = Ends(are_known=False)
        return await jobs_run(CapacityQueue(ends), ends, 20, quota=2, is_watched_here=False)  # type: ignore[arg-type]

    refusals, seconds = virtual_time.run(main())
    assert refusals > 18 + 20
    assert seconds < 3600


def test_where_no_job_ends_there_is_a_try_each_five_minutes() -> None:
    async def main() -> list[float]:
        capacity_queue, tries = CapacityQueue(Ends()), []  # type: ignore[arg-type]
        for _ in range(5):
            await capacity_queue.wait(0.0, now())
            tries.append(now())
            capacity_queue.refused()
        capacity_queue.close()
        return tries

    tries = virtual_time.run(main())
    assert all(290 <= later - earlier <= 320 for earlier, later in itertools.pairwise([0.0, *tries]))


def test_those_who_come_put_no_look_off() -> None:
    async def main() -> list[float]:
        ends = Ends()
        capacity_queue = CapacityQueue(ends)  # type: ignore[arg-type]
        waiting = []
        for number in range(40):
            waiting.append(asyncio.ensure_future(capacity_queue.wait(float(number), now())))
            await asyncio.sleep(1)
        for task in waiting:
            task.cancel()
        capacity_queue.close()
        return ends.looks

    assert len(virtual_time.run(main())) >= 3


def test_a_throttled_one_among_those_who_wait_is_not_kept_waiting_by_looks() -> None:
    async def main() -> float:
        capacity_queue = CapacityQueue(Ends())  # type: ignore[arg-type]
        await asyncio.gather(capacity_queue.wait(0.0, 0.0), capacity_queue.wait(1.0))
        capacity_queue.close()
        return now()

    assert virtual_time.run(main()) < 400
