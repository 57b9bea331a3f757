from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.watcher import reconciler
from airflow_sm_processing.watcher.client import AwsCalls, Permits
from airflow_sm_processing.watcher.queries import JobQueries
from airflow_sm_processing.watcher.reconciler import Changes
from airflow_sm_processing.watcher.watches import JobOutcome, Watch, Watches

from .account import LIST, Account
from .virtual_time import START, run

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Looks:
    """Looks at what changed in an account, asked for one by one; a call takes no time."""

    account: Account
    watches: Watches = field(default_factory=Watches)

    def __post_init__(self) -> None:
        calls = AwsCalls(lambda: self.account.client, self._at_once, permits=Permits(rate=1000, ceiling=1000))
        self.questions = JobQueries(calls, self.watches)
        self.changes = Changes(self.questions, self.watches)

    async def _at_once(self, function: Callable[[], Any]) -> Any:
        return function()

    async def begin(self) -> None:
        """A first look that shows everything in another way."""
        async for _ in self.questions.pages():
            pass
        self.changes.begin_at(self.questions.answered_at)
        self.account.calls.clear()

    async def look(self, *, max_pages: int = 100, hurry: bool = False) -> bool:
        self.questions.answered_at = None
        return await self.changes.look(max_pages=max_pages, hurry=hurry)

    def watch(self, name: str) -> Watch:
        watch = Watch(job_name=name)
        self.watches.add(watch)
        return watch


def ended(*watches: Watch) -> list[bool]:
    return [watch.end.done() and watch.end.result().outcome is JobOutcome.ENDED for watch in watches]


def test_without_a_first_look_there_is_nothing_to_go_on_from() -> None:
    async def main() -> None:
        looks = Looks(Account.of_ends(3, 1, 2))
        assert await looks.look() is False
        assert looks.account.calls == []

    run(main())


def test_a_look_tells_who_waits_for_a_job_that_has_ended_since_the_last() -> None:
    async def main() -> None:
        looks = Looks(Account.of_ends(2, 3, 23))
        first, second = looks.watch("job-0"), looks.watch("job-1")
        await looks.begin()
        await asyncio.sleep(5)
        assert await looks.look()
        assert ended(first, second) == [True, False]
        await asyncio.sleep(10)
        assert await looks.look()
        assert ended(first, second) == [True, True]
        assert looks.account.counts() == {LIST: 2}

    run(main())


def test_a_quiet_account_is_listed_from_a_minute_ago_and_a_busy_one_from_two_seconds_ago() -> None:
    async def main(ends_a_look: int, late: float) -> list[bool]:
        count = int(late // 5) + 14  # to the look after the one that shows it
        looks = Looks(Account.of_ends(count * ends_a_look, 0, 5 * count))
        looks.account.add("late", (54.0, "Completed"), late=late)
        watch = looks.watch("late")
        await looks.begin()
        for _ in range(count):
            await asyncio.sleep(5)
            assert await looks.look()
        return ended(watch)

    assert run(main(1, 50.0)) == [True]
    assert run(main(1, 70.0)) == [False]
    assert run(main(90, 2.5)) == [True]
    assert run(main(90, 15.0)) == [False]


def test_in_a_hurry_each_change_is_listed_once() -> None:
    async def main() -> None:
        looks = Looks(Account.of_ends(1000, 0.003, 50))
        watches = [looks.watch(name) for name in looks.account.jobs]
        await looks.begin()
        for _ in range(11):
            await asyncio.sleep(5)
            assert await looks.look(hurry=True)
        assert ended(*watches) == [True] * 1000
        assert looks.account.counts()[LIST] <= 11 + 10  # 100 changes a look: a second page if they are of two looks

    run(main())


def test_in_a_hurry_a_second_look_within_the_same_second_is_left_out() -> None:
    async def main() -> None:
        looks = Looks(Account.of_ends(20, 1.003, 21.003))
        watches = [looks.watch(name) for name in looks.account.jobs]
        await looks.begin()
        for _ in range(100):
            await asyncio.sleep(0.25)
            assert await looks.look(hurry=True)
        assert ended(*watches) == [True] * 20
        assert looks.account.counts()[LIST] <= 100 * 0.25 + 1

    run(main())


def test_what_another_listing_has_shown_is_known_and_no_newer_news_are_lost() -> None:
    async def main() -> None:
        looks = Looks(Account.of_ends(2, 3, 23))
        await looks.begin()
        await asyncio.sleep(5)
        assert await looks.look()
        looks.changes.remember({"job-0": "InProgress", "job-1": "InProgress"})  # as a page that was slow to come
        first, second = looks.watch("job-0"), looks.watch("job-1")
        assert [looks.changes.knows(name, None) for name in ("job-0", "job-1")] == [True, True]
        assert ended(first, second) == [True, False]
        await asyncio.sleep(10)
        assert await looks.look()
        assert ended(first, second) == [True, True]

    run(main())


def test_a_look_of_more_pages_than_it_may_cost_is_given_up_and_what_it_showed_is_told() -> None:
    async def main() -> None:
        looks = Looks(Account.of_ends(500, 1, 2))
        watches = [looks.watch(name) for name in looks.account.jobs]
        await looks.begin()
        await asyncio.sleep(5)
        assert await looks.look(max_pages=2) is False
        assert sum(ended(*watches)) == 200
        assert looks.account.counts() == {LIST: 2}
        assert await looks.look()
        assert sum(ended(*watches)) == 500

    run(main())


@pytest.mark.parametrize("clock_ahead", [-300.0, 0.0, 300.0])
def test_after_catching_up_the_ends_since_then_are_known_whatever_our_clock_shows(clock_ahead: float) -> None:
    async def main() -> None:
        looks = Looks(Account.of_ends(20, 0, 100, clock_ahead=clock_ahead))
        await asyncio.sleep(101)
        assert not looks.changes.knows("job-10", START + 20)
        assert await looks.changes.catch_up(START + 20, max_pages=3)
        watches = [looks.watch("job-5"), looks.watch("job-19"), looks.watch("running")]
        assert [looks.changes.knows(watch.job_name, START + 30) for watch in watches] == [True, True, True]
        assert ended(*watches) == [True, True, False]
        assert not looks.changes.knows("before", START - 1000)
        assert not looks.changes.knows("unknown", None)
        assert looks.account.counts()[LIST] == (6 if clock_ahead < 0 else 3)

    run(main())


def test_what_is_too_much_to_catch_up_with_is_not_known() -> None:
    async def main() -> None:
        looks = Looks(Account.of_ends(500, 0, 10))
        await asyncio.sleep(20)
        assert await looks.changes.catch_up(START, max_pages=3) is False
        assert not looks.changes.knows("other", START + 5)
        assert looks.account.counts() == {LIST: 4}  # none has Stopped, which is a page

    run(main())


def test_after_a_gap_nothing_is_known_any_more() -> None:
    async def main() -> None:
        looks = Looks(Account.of_ends(5, 0, 10))
        await asyncio.sleep(20)
        assert await looks.changes.catch_up(START, max_pages=3)
        looks.changes.begin_at(START + 20)
        assert not looks.changes.knows("job-1", START + 5)

    run(main())


def test_what_is_remembered_has_a_bound_and_what_is_forgotten_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "_REMEMBERED", 200)

    async def main() -> None:
        looks = Looks(Account.of_ends(450, 0, 10))
        await asyncio.sleep(20)
        assert await looks.changes.catch_up(START, max_pages=10)
        known = [looks.changes.knows(f"job-{n}", START) for n in range(450)]
        assert sum(known) == 150

    run(main())
