"""A deferred task's log has its job's lines, whichever triggers and workers have shown them."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from airflow_sm_processing.local import Fault
from airflow_sm_processing.processing.log_events import LogPosition
from airflow_sm_processing.triggers import log_positions
from airflow_sm_processing.triggers.processing import ProcessingJobTrigger

from .airflow_stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from airflow_sm_processing.local import LocalSageMaker
    from airflow_sm_processing.processing import ProcessingJob
    from airflow_sm_processing.processing.log_events import LogLine, StreamPosition

    JobFactory = Callable[[str], ProcessingJob]

T = TypeVar("T")
HANGS_AFTER = 300.0
"""Seconds; far more than a busy machine needs."""
WRITES_ONE = (
    "import pathlib, time; print('line 0.', flush=True); "
    "[time.sleep(0.1) for _ in iter(pathlib.Path({!r}).exists, True)]"
)
WRITES_MANY = (
    "import itertools, pathlib, time; [(print(f'line {{n}}.', flush=True), time.sleep(0.1)) for n in "
    "itertools.takewhile(lambda _: not pathlib.Path({!r}).exists(), itertools.count())]"
)


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """The file that ends the job."""
    return tmp_path / "gate"


def numbers(log: str) -> list[int]:
    return [int(number) for number in re.findall(r"\] line (\d+)\.", log)]


def lines_after(job: ProcessingJob, plain: dict[str, Any] | None) -> list[tuple[int, float]]:
    """Return what a worker shows of an ended job's log from a position on: numbers, with times in milliseconds."""
    lines: list[LogLine] = []
    job.wait_for_end(sink=lines.append, log_position=None if plain is None else LogPosition.from_plain(plain))
    return [(number, line.timestamp.timestamp() * 1000) for line in lines for number in numbers(f"] {line.message}")]


def numbers_after(job: ProcessingJob, plain: dict[str, Any] | None) -> list[int]:
    return [number for number, _ in lines_after(job, plain)]


async def first_event(trigger: ProcessingJobTrigger) -> Any:
    (event,) = [event async for event in trigger.run()]
    return event


def started(airflow: StandIn, arguments: dict[str, Any]) -> asyncio.Task[Any]:
    """Start a trigger of the task; the result is its event."""
    return asyncio.create_task(first_event(airflow.adopt(ProcessingJobTrigger(**arguments))))


async def line_shown(running: asyncio.Task[Any], capfd: pytest.CaptureFixture[str]) -> list[int]:
    """Wait until lines of the job are shown while a trigger runs, and return their numbers."""
    shown: list[int] = []
    while not shown:
        await asyncio.sleep(0.1)
        assert not running.done()
        shown.extend(numbers((await asyncio.to_thread(capfd.readouterr)).out))
    return shown


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a test's triggers; none waits for ever."""
    return asyncio.run(asyncio.wait_for(coroutine, HANGS_AFTER))


async def cancelled(running: asyncio.Task[Any]) -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_a_trigger_that_is_lost_is_followed_by_one_that_loses_no_line_and_ends_the_task(
    monkeypatch: pytest.MonkeyPatch, job_factory: JobFactory, capfd: pytest.CaptureFixture[str], gate: Path
):
    job = job_factory(WRITES_MANY.format(str(gate)))
    airflow = StandIn(["deferred"], {"job_name": job.job_name})
    airflow.install(monkeypatch)
    arguments: dict[str, Any] = {
        "job_name": job.job_name,
        "poll_interval": 1,
        "logs": True,
        "since": time.time(),
        "hosts": 1,
        "end_task": True,
    }

    before: list[int] = []

    async def ended() -> Any:
        return await started(airflow, arguments | {"since": 1.0})

    async def lost() -> None:
        running = started(airflow, arguments)
        while not before:  # the local SageMaker's own lines come first
            await airflow.was_changed("log_position", None, airflow.xcoms.get("log_position"))
            before.extend(numbers((await asyncio.to_thread(capfd.readouterr)).out))
        await cancelled(running)

    run(lost())
    before.extend(numbers(capfd.readouterr().out))
    assert LogPosition.from_plain(airflow.xcoms["log_position"]).streams.keys() != set()
    log_positions._spans.clear()  # the next one is in another process
    gate.touch()
    event = run(ended())
    after = numbers(capfd.readouterr().out)
    repeated = before[-1] + 1 - after[0]
    assert 0 <= repeated <= len(before)
    assert before + after[repeated:] == numbers_after(job, None)
    assert airflow.xcoms.keys() == {"job_name", "return_value"}
    assert airflow.xcoms["return_value"]["status"] == "Completed"
    assert event.xcoms is None


def test_a_trigger_that_comes_back_shows_again_what_airflow_has_emptied(
    monkeypatch: pytest.MonkeyPatch, job_factory: JobFactory, capfd: pytest.CaptureFixture[str], gate: Path
):
    job = job_factory(WRITES_ONE.format(str(gate)))
    airflow = StandIn(["deferred"], {"job_name": job.job_name})
    airflow.install(monkeypatch)
    arguments: dict[str, Any] = {"job_name": job.job_name, "poll_interval": 1, "logs": True}

    async def event_of_the_second() -> Any:
        first = started(airflow, arguments)
        assert await line_shown(first, capfd) == [0]
        await cancelled(first)
        second = started(airflow, arguments)
        assert await line_shown(second, capfd) == [0]
        await asyncio.to_thread(gate.touch)
        return await second

    event = run(event_of_the_second())
    assert numbers(capfd.readouterr().out) == []
    assert event.payload["position_kept"] is True
    assert numbers_after(job, event.payload["log_position"]) == []


@pytest.mark.parametrize(
    ("refused", "outcome"),
    [("DescribeProcessingJob", "trouble"), ("FilterLogEvents", "ended")],
    ids=["what to mask is unknown", "no log is read"],
)
def test_what_airflow_has_emptied_and_the_trigger_can_not_show_again_comes_from_a_worker(
    monkeypatch: pytest.MonkeyPatch,
    job_factory: JobFactory,
    capfd: pytest.CaptureFixture[str],
    gate: Path,
    sagemaker: LocalSageMaker,
    refused: str,
    outcome: str,
):
    job = job_factory(WRITES_ONE.format(str(gate)))
    airflow = StandIn(["deferred"], {"job_name": job.job_name})
    airflow.install(monkeypatch)
    arguments: dict[str, Any] = {"job_name": job.job_name, "poll_interval": 1, "logs": True, "max_transient_seconds": 1}

    async def event_of_the_second() -> Any:
        first = started(airflow, arguments)
        assert await line_shown(first, capfd) == [0]
        await cancelled(first)
        await asyncio.to_thread(gate.touch)
        sagemaker.set_faults(Fault(operation=refused, error="AccessDeniedException"))
        return await started(airflow, arguments)

    event = run(event_of_the_second())
    sagemaker.set_faults()
    assert numbers(capfd.readouterr().out) == []
    assert event.payload["outcome"] == outcome
    assert [log for log in log_positions._spans if job.job_name in str(log)] == []
    assert numbers_after(job, event.payload["log_position"]) == [0]


def saved(airflow: StandIn) -> StreamPosition:
    (stream,) = LogPosition.from_plain(airflow.xcoms["log_position"]).streams.values()
    return stream


async def saved_beyond_its_first_lines(airflow: StandIn) -> None:
    """Wait until a position is saved from which not all lines are shown again."""
    await airflow.was_changed("log_position", {})
    await saved_beyond(airflow, saved(airflow).until)


async def saved_beyond(airflow: StandIn, moment: float) -> None:
    """Wait until a position is saved that continues after a moment, in milliseconds since the epoch."""
    while saved(airflow).since <= moment:
        await airflow.was_changed("log_position", airflow.xcoms["log_position"])


def test_wherever_a_trigger_moves_only_the_last_seconds_before_a_move_are_shown_twice(
    monkeypatch: pytest.MonkeyPatch, job_factory: JobFactory, capfd: pytest.CaptureFixture[str], gate: Path
):
    """Of a triggerer's log file there is what was written since its trigger came to it last: Airflow empties it."""
    job = job_factory(WRITES_MANY.format(str(gate)))
    airflow = StandIn(["deferred"], {"job_name": job.job_name, "log_position": {}})
    airflow.install(monkeypatch)
    arguments = {"job_name": job.job_name, "poll_interval": 1, "logs": True, "since": 1.0, "hosts": 1, "end_task": True}
    memories: dict[str, dict[Any, Any]] = {"A": {}, "B": {}}

    async def stay(left_when: Callable[[StandIn], Coroutine[Any, Any, None]] | None) -> None:
        running = started(airflow, arguments)
        if left_when is None:
            await running
        else:
            await left_when(airflow)
            await cancelled(running)

    def shown_by(triggerer: str, left_when: Callable[[StandIn], Coroutine[Any, Any, None]] | None = None) -> set[int]:
        monkeypatch.setattr(log_positions, "_spans", memories[triggerer])
        run(stay(left_when))
        shown = numbers(capfd.readouterr().out)
        assert len(shown) == len(set(shown))
        return set(shown)

    emptied = shown_by("A", saved_beyond_its_first_lines)
    left_at, moved_at = saved(airflow).since, time.time() * 1000
    of_b = shown_by("B", lambda airflow: saved_beyond(airflow, moved_at))
    gate.touch()
    of_a = shown_by("A")

    times = dict(lines_after(job, None))
    assert of_a | of_b == times.keys()
    assert emptied <= of_a
    assert of_b - of_a != set()
    assert any(times[number] < left_at for number in emptied)
    assert not any(times[number] < left_at for number in of_b)
    assert (memories["A"], airflow.xcoms.keys()) == ({}, {"job_name", "return_value"})
