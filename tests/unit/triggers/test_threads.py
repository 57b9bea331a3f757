"""Blocking calls stay off the event loop."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from asgiref.sync import async_to_sync
from blockbuster import BlockingError

from airflow_sm_processing.triggers.shared_watcher import Threads


@pytest.fixture
def threads():
    threads = Threads()
    yield threads
    threads.close()


def test_a_blocking_call_on_the_event_loop_fails_here():
    async def block():
        time.sleep(0.01)  # noqa: ASYNC251  # the very thing that is to be found

    with pytest.raises(BlockingError):
        asyncio.run(block())


def test_a_blocking_function_runs_beside_the_event_loop(threads):
    async def ask():
        here = threading.get_ident()
        return here, await threads.run(lambda: (time.sleep(0.01), threading.get_ident())[1])

    here, there = asyncio.run(ask())
    assert here != there


def test_a_blocking_function_finds_its_way_back_to_the_event_loop(threads):
    """As Airflow's get_connection does in a triggerer, whose loop owns the supervisor's socket."""

    async def there_and_back():
        async def loop():
            return asyncio.get_running_loop()

        return asyncio.get_running_loop(), await threads.run(async_to_sync(loop))

    here, found = asyncio.run(there_and_back())
    assert here is found


def test_a_question_to_the_event_loop_is_answered_before_a_cancellation_is_passed_on(threads):
    """Airflow 3.1 gives the answer of a question that was cancelled to the next who asks, and its triggerer ends."""

    async def cancelled():
        asked, answered = asyncio.Event(), asyncio.Event()
        heard = []

        async def question():
            asked.set()
            await answered.wait()
            heard.append("the answer")

        task = asyncio.create_task(threads.run(async_to_sync(question)))
        await asked.wait()
        task.cancel("a user did it")
        await asyncio.sleep(0.05)
        assert not task.done()
        answered.set()
        with pytest.raises(asyncio.CancelledError, match="a user did it"):
            await task
        return heard

    assert asyncio.run(cancelled()) == ["the answer"]


def test_an_error_in_the_thread_reaches_the_caller(threads):
    with pytest.raises(ZeroDivisionError):
        asyncio.run(threads.run(lambda: 1 // 0))


def test_a_cancellation_arrives_with_its_message(threads):
    """Airflow calls a trigger's on_kill only if the message says that a user ended the task."""

    async def cancelled():
        task = asyncio.create_task(threads.run(time.sleep, 0.3))
        await asyncio.sleep(0.05)
        task.cancel("a user did it")
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        return caught.value.args, asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(cancelled()) == (("a user did it",), set())


def test_calls_that_hang_on_one_connection_do_not_hold_up_another():
    async def both():
        stuck, free = Threads(1), Threads(1)
        gate = threading.Event()
        hanging = asyncio.create_task(stuck.run(gate.wait))
        answer = await free.run(lambda: "answered")
        gate.set()
        await hanging
        stuck.close()
        free.close()
        return answer

    assert asyncio.run(both()) == "answered"


def test_calls_that_take_long_give_their_places_to_others_as_long_as_there_are_spare_threads(monkeypatch):
    monkeypatch.setattr("airflow_sm_processing.triggers.shared_watcher._LONG_SECONDS", 0.05)
    release = threading.Event()
    threads = Threads(2, spare=3)

    async def ask():
        stuck = [asyncio.ensure_future(threads.run(release.wait)) for _ in range(4)]
        assert await threads.run(lambda: "answered") == "answered"
        stuck.append(asyncio.ensure_future(threads.run(release.wait)))
        waiting = asyncio.ensure_future(threads.run(lambda: "at last"))
        _, pending = await asyncio.wait({*stuck, waiting}, timeout=0.5)
        assert len(pending) == 6
        assert len(threads._pool._threads) <= 5
        release.set()
        assert await waiting == "at last"
        await asyncio.gather(*stuck)
        assert [await threads.run(int, n) for n in "01234"] == [0, 1, 2, 3, 4]

    try:
        asyncio.run(ask())
    finally:
        release.set()
        threads.close()
