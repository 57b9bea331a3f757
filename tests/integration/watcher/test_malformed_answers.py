"""The watcher of a triggerer over HTTP: answers that can't be read, and one that drips, end and hold up no watch."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

import boto3
import pytest

from airflow_sm_processing.hooks.connection import AwsConnection
from airflow_sm_processing.processing import Processor, Session
from airflow_sm_processing.triggers.shared_watcher import shared_watcher
from airflow_sm_processing.watcher.watches import JobOutcome, Watch
from tests.malformed_answers import DESCRIBE, LIST, LOGS, STREAMS, Malformed
from tests.spoiling_relay import SpoilingRelay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_sm_processing.processing import LogLine, ProcessingJob

pytestmark = pytest.mark.usefixtures("environment")

SCRIPT = (
    "import pathlib, sys, time; print('begun', flush=True)\n"
    "while not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.05)\n"
    "print('ended', flush=True)"
)
BOUND = 120
"""Seconds for what takes a few."""


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> Iterator[SpoilingRelay]:
    with SpoilingRelay() as relay:
        for name, value in relay.environment().items():
            monkeypatch.setenv(name, value)
        yield relay


@pytest.fixture
def job_factory(environment: None, tmp_path: Path) -> Callable[[str], ProcessingJob]:
    """Starts jobs that run until the file of their name is there."""
    processor = Processor(
        role="SageMakerRole",
        image_uri="image",
        instance_count=1,
        instance_type="ml.m5.large",
        entrypoint=[sys.executable, "-c"],
        sagemaker_session=Session(boto3.Session()),
    )
    script = f"exec({SCRIPT!r})"
    return lambda name: processor.run(arguments=[script, str(tmp_path / name)], wait=False, logs=False)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what another thread brings about."""
    give_up_at = time.monotonic() + BOUND
    while not is_so():
        assert time.monotonic() < give_up_at
        await asyncio.sleep(0.05)


def test_answers_that_cannot_be_read_end_no_watch_and_no_live_log(
    job_factory: Callable[[str], ProcessingJob],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    relay: SpoilingRelay,
) -> None:
    jobs = [job_factory(name) for name in "abcd"]
    lines: list[LogLine] = []

    async def main() -> list[JobOutcome]:
        async with shared_watcher(AwsConnection()) as lookout:
            relay.spoil("DescribeLogStreams", STREAMS[5::20])
            followed = lookout.logs.follow(jobs[0].job_name, lines.extend, hosts=1)
            watches = [
                asyncio.ensure_future(lookout.jobs.end_of(Watch(job_name=job.job_name, poll_interval=0.3)))
                for job in jobs
            ]
            await until(lambda: bool(lines))
            relay.spoil("ListProcessingJobs", LIST[::9])
            relay.spoil("DescribeProcessingJob", DESCRIBE[::17])
            relay.spoil("FilterLogEvents", LOGS[8:-4:16])
            await until(lambda: not {"ListProcessingJobs", "FilterLogEvents"} & relay.left().keys())
            assert not any(watch.done() for watch in watches)
            for name in "abcd":
                (tmp_path / name).touch()
            ends = await asyncio.wait_for(asyncio.gather(*watches), BOUND)
            assert await asyncio.wait_for(followed.settle(1), BOUND)
            followed.close()
            return [end.outcome for end in ends]

    assert asyncio.run(main()) == [JobOutcome.ENDED] * 4
    assert [line.message for line in lines if not line.message.startswith("[local]")] == ["begun", "ended"]
    log = capsys.readouterr().out + caplog.text  # Airflow's logging has it in one of them
    assert "The watcher failed" not in log
    assert "ListProcessingJobs for the account's jobs returned an unreadable response" in log


def test_an_answer_that_drips_holds_up_no_other_job(
    job_factory: Callable[[str], ProcessingJob], tmp_path: Path, relay: SpoilingRelay
) -> None:
    jobs = [job_factory(name) for name in "abc"]

    async def main() -> list[JobOutcome]:
        async with shared_watcher(AwsConnection()) as lookout:
            relay.spoil("DescribeProcessingJob", [Malformed("drips", lambda body: body, pause=1.0)])
            watches = [
                asyncio.ensure_future(lookout.jobs.end_of(Watch(job_name=job.job_name, poll_interval=0.3)))
                for job in jobs
            ]
            await until(lambda: relay.drips == 1)
            relay.spoil("ListProcessingJobs", [Malformed("drips", lambda body: body, pause=1.0)])
            await until(lambda: relay.drips >= 2)
            for name in "abc":
                (tmp_path / name).touch()
            ends = await asyncio.wait_for(asyncio.gather(*watches), BOUND)
            assert relay.drips  # a description is hundreds of bytes long
            relay.end_drips()
            return [end.outcome for end in ends]

    assert asyncio.run(main()) == [JobOutcome.ENDED] * 3
