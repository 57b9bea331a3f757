"""A job's environment is asked for once, for as long as somebody needs it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing.processing.secrets import JobSecrets
from airflow_sm_processing.triggers.live_log import JobEnvironment
from tests.unit.watcher.account import DESCRIBE, Account, Bucket
from tests.unit.watcher.faults import denied, during, on, server_error
from tests.unit.watcher.virtual_time import run
from tests.unit.watcher.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WORD = "correct-horse"
logger = logging.getLogger("the task's log")


@pytest.fixture
def account() -> Account:
    account = Account()
    account.add("job", environment={"PASSWORD": WORD})
    return account


@pytest.fixture
def secrets() -> JobSecrets:
    return JobSecrets()


@asynccontextmanager
async def asking(account: Account, secrets: JobSecrets) -> AsyncIterator[JobEnvironment]:
    async with World.over(account) as world:
        turn = asyncio.Lock()
        environment = JobEnvironment(world.shared.calls, "job", secrets, turn=turn, logger=logger)
        yield environment
        await environment.close()


def known(account: Account, secrets: JobSecrets) -> bool:
    async def main() -> bool:
        async with asking(account, secrets) as environment:
            return await environment.is_known()

    return run(main())


def test_it_is_asked_for_once(account: Account, secrets: JobSecrets):
    assert known(account, secrets) is True
    assert (account.counts()[DESCRIBE], secrets.hide(WORD)) == (1, "***")


def test_an_empty_environment_is_known_too(account: Account, secrets: JobSecrets):
    account.jobs["job"].environment = {}
    assert (known(account, secrets), secrets.forms) == (True, ())


def test_what_passes_is_waited_out(account: Account, secrets: JobSecrets):
    account.faults.append(during(0, 120, server_error(DESCRIBE)))
    assert (known(account, secrets), secrets.hide(WORD)) == (True, "***")
    assert 4 <= account.counts()[DESCRIBE] <= 60


def test_throttles_are_waited_out_at_the_pace_of_all_calls(account: Account, secrets: JobSecrets):
    account.bucket = Bucket(rate=0.5, burst=1)
    account.bucket.takes(0.0)
    assert (known(account, secrets), secrets.hide(WORD)) == (True, "***")
    assert account.refused() >= 1


def test_a_denial_leaves_the_lines_to_a_worker_and_says_so_once(
    account: Account, secrets: JobSecrets, caplog: pytest.LogCaptureFixture
):
    account.faults.append(on(DESCRIBE, denied(DESCRIBE)))
    with caplog.at_level(logging.WARNING, logger.name):
        assert known(account, secrets) is False
    (said,) = [record.getMessage() for record in caplog.records if record.name == logger.name]
    assert said.startswith("The job's lines come at its end, from a worker: what to hide in them can't be known here.")
    assert said.endswith("(in Airflow: the connection's), and the permissions of their role.")


def test_nothing_more_is_asked_when_the_lines_are_not_needed_any_more(account: Account, secrets: JobSecrets):
    account.faults.append(on(DESCRIBE, server_error(DESCRIBE)))

    async def main() -> None:
        async with asking(account, secrets) as environment:
            await asyncio.sleep(10)
            environment.give_up()
            assert await environment.is_known() is False
            asked = account.counts()[DESCRIBE]
            await asyncio.sleep(300)
            assert account.counts()[DESCRIBE] == asked

    run(main())


def test_a_thousand_questions_that_come_together_do_not_hold_up_the_logs() -> None:
    account = Account(bucket=Bucket(rate=10))
    for number in range(1000):
        account.add(f"job-{number}", environment={"PASSWORD": WORD})

    async def main() -> tuple[float, float]:
        async with World.over(account) as world:
            calls, turn = world.shared.calls, asyncio.Lock()
            environments = [
                JobEnvironment(calls, name, JobSecrets(), turn=turn, logger=logger) for name in account.jobs
            ]
            await asyncio.sleep(10)
            began = account.now
            await calls.logs("filter_log_events", "job-0", {})
            log_seconds = account.now - began
            assert all(await asyncio.gather(*(environment.is_known() for environment in environments)))
            await asyncio.gather(*(environment.close() for environment in environments))
            return log_seconds, account.now

    log_seconds, all_seconds = run(main())
    assert log_seconds < 1
    assert all_seconds < 200
    assert account.counts()[DESCRIBE] - account.refused() == 1000


def test_it_may_be_learnt_elsewhere(account: Account, secrets: JobSecrets):
    account.faults.append(on(DESCRIBE, server_error(DESCRIBE)))

    async def main() -> None:
        async with asking(account, secrets) as environment:
            environment.report({"TOKEN": "tr0ub4dor"})
            asked = account.counts()[DESCRIBE]
            await asyncio.sleep(300)
            environment.give_up()
            assert (await environment.is_known(), account.counts()[DESCRIBE]) == (True, asked)

    run(main())
    assert secrets.hide("tr0ub4dor") == "***"
