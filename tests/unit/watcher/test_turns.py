"""Who was refused tries again in turn: as quick as the account allows, slow where it has nothing to give."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing.watcher.clock import now
from airflow_sm_processing.watcher.turns import Turns

from . import virtual_time

if TYPE_CHECKING:
    from collections.abc import Iterator


async def times_of(turns: Turns, waiters: int, *, outcomes: Iterator[str]) -> list[float]:
    """Let waiters wait, each until its try succeeds; give when each try was."""
    tries: list[float] = []

    async def wait(since: float) -> None:
        while True:
            await turns.wait(since)
            tries.append(now())
            if next(outcomes) == "made":
                turns.made()
                return
            turns.refused()

    await asyncio.gather(*(wait(float(since)) for since in range(waiters)))
    turns.close()
    return tries


def test_turns_come_quicker_as_jobs_are_made() -> None:
    async def main() -> list[float]:
        return await times_of(Turns(), 100, outcomes=itertools.repeat("made"))

    tries = virtual_time.run(main())
    assert 3.9 <= tries[0] <= 6.1
    assert 0.4 <= tries[-1] - tries[-2] <= 0.6


def test_turns_come_slower_as_tries_are_refused() -> None:
    async def main() -> list[float]:
        return await times_of(Turns(), 1, outcomes=iter([*["refused"] * 8, "made"]))

    tries = virtual_time.run(main())
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert all(pause <= 72.1 for pause in pauses)
    assert pauses[-1] >= 48


def test_turns_of_which_another_triggerer_hears_come_quicker_too() -> None:
    """Jobs were made of all of them, which are watched, and end, elsewhere."""

    async def main() -> float:
        turns = Turns()
        for _ in range(5):
            turns.refused()
        await asyncio.gather(*(turns.wait(float(since)) for since in range(50)))
        turns.close()
        return now()

    assert virtual_time.run(main()) < 600


def test_turns_stay_slow_though_refusals_take_a_while_to_come_back() -> None:
    async def main() -> list[float]:
        turns, tries = Turns(), []

        async def wait(since: float) -> None:
            for _ in range(10):
                await turns.wait(since)
                tries.append(now())
                await asyncio.sleep(15)
                turns.refused()

        await asyncio.gather(*(wait(float(since)) for since in range(5)))
        turns.close()
        return tries

    tries = virtual_time.run(main())
    assert all(later - earlier >= 48 - 1e-6 for earlier, later in itertools.pairwise(tries[10:]))


def test_the_longest_waiting_is_next() -> None:
    async def main() -> list[int]:
        turns, order = Turns(), []

        async def wait(since: int) -> None:
            await turns.wait(since)
            order.append(since)

        await asyncio.gather(*(wait(since) for since in (3, 1, 2)))
        turns.close()
        return order

    assert virtual_time.run(main()) == [1, 2, 3]


def test_a_job_that_ends_makes_room_for_the_next_at_once() -> None:
    async def main() -> float:
        turns = Turns()
        waiting = asyncio.ensure_future(turns.wait(0.0))
        await asyncio.sleep(1)
        turns.room()
        await waiting
        turns.close()
        return now()

    assert virtual_time.run(main()) == pytest.approx(1, abs=0.01)


def test_who_gives_up_takes_no_turn() -> None:
    async def main() -> float:
        turns = Turns()
        gone = asyncio.ensure_future(turns.wait(0.0))
        stays = asyncio.ensure_future(turns.wait(1.0))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        assert len(turns) == 1
        turns.room()
        await stays
        turns.close()
        return now()

    assert virtual_time.run(main()) < 1


def test_an_idle_queue_keeps_no_timer() -> None:
    async def main() -> None:
        turns = Turns()
        turns.made()
        turns.room()
        assert len(turns) == 0

    virtual_time.run(main())
