"""A deferred task's log has its job's lines, whichever triggers and workers have shown them."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any

from airflow_sm_processing.processing.log_events import LogPosition
from airflow_sm_processing.triggers import log_positions
from airflow_sm_processing.triggers.processing import ProcessingJobTrigger

from .airflow_stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from airflow_sm_processing.processing import ProcessingJob

    JobFactory = Callable[[str], ProcessingJob]

# A line every tenth of a second, for 12 seconds.
WRITES = "import time; [(print(f'line {n}.', flush=True), time.sleep(0.1)) for n in range(120)]"


def numbers(log: str) -> list[int]:
    return [int(number) for number in re.findall(r"\] line (\d+)\.", log)]


async def first_event(trigger: ProcessingJobTrigger) -> Any:
    (event,) = [event async for event in trigger.run()]
    return event


def test_a_trigger_that_is_lost_is_followed_by_one_that_loses_no_line_and_ends_the_task(
    monkeypatch: pytest.MonkeyPatch, job_factory: JobFactory, capfd: pytest.CaptureFixture[str]
):
    job = job_factory(WRITES)
    airflow = StandIn(["deferred"], {"job_name": job.job_name})
    airflow.install(monkeypatch)
    arguments: dict[str, Any] = {"poll_interval": 1, "logs": True, "since": time.time(), "hosts": 1, "end_task": True}

    before: list[int] = []

    async def lost() -> None:
        running = asyncio.create_task(first_event(airflow.adopt(ProcessingJobTrigger(job.job_name, **arguments))))
        while not before:  # the local SageMaker's own lines come first
            await airflow.was_changed("log_position", None, airflow.xcoms.get("log_position"))
            before.extend(numbers((await asyncio.to_thread(capfd.readouterr)).out))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(lost())
    before.extend(numbers(capfd.readouterr().out))
    assert LogPosition.from_plain(airflow.xcoms["log_position"]).streams.keys() != set()
    log_positions._spans.clear()  # the next one is in another process
    event = asyncio.run(first_event(airflow.adopt(ProcessingJobTrigger(job.job_name, **arguments | {"since": 1.0}))))
    after = numbers(capfd.readouterr().out)
    repeated = before[-1] + 1 - after[0]
    assert 0 <= repeated <= len(before)
    assert before + after[repeated:] == list(range(120))
    assert airflow.xcoms.keys() == {"job_name", "return_value"}
    assert airflow.xcoms["return_value"]["status"] == "Completed"
    assert event.xcoms is None


def test_a_trigger_that_comes_back_shows_again_what_airflow_has_emptied(
    monkeypatch: pytest.MonkeyPatch, job_factory: JobFactory, capfd: pytest.CaptureFixture[str], tmp_path: Path
):
    gate = tmp_path / "gate"
    waits = f"[time.sleep(0.1) for _ in iter(pathlib.Path({str(gate)!r}).exists, True)]"
    job = job_factory(f"import pathlib, time; print('line 0.', flush=True); {waits}")
    airflow = StandIn(["deferred"], {"job_name": job.job_name})
    airflow.install(monkeypatch)

    shown: list[int] = []

    async def cancelled_once() -> Any:
        running = asyncio.create_task(
            first_event(airflow.adopt(ProcessingJobTrigger(job.job_name, poll_interval=1, logs=True)))
        )
        while not shown:
            await asyncio.sleep(0.1)
            shown.extend(numbers((await asyncio.to_thread(capfd.readouterr)).out))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        gate.touch()
        return await first_event(airflow.adopt(ProcessingJobTrigger(job.job_name, poll_interval=1, logs=True)))

    event = asyncio.run(cancelled_once())
    assert shown + numbers(capfd.readouterr().out) == [0, 0]
    assert event.payload["position_kept"] is True


def test_wherever_a_trigger_moves_only_the_last_seconds_before_a_move_are_shown_twice(
    monkeypatch: pytest.MonkeyPatch, job_factory: JobFactory, capfd: pytest.CaptureFixture[str]
):
    """Of a triggerer's log file there is what was written since its trigger came to it last: Airflow empties it."""
    job = job_factory(WRITES)
    airflow = StandIn(["deferred"], {"job_name": job.job_name, "log_position": {}})
    airflow.install(monkeypatch)
    arguments: dict[str, Any] = {"poll_interval": 1, "logs": True, "since": 1.0, "hosts": 1, "end_task": True}
    memories: dict[str, dict[Any, Any]] = {"A": {}, "B": {}}
    files: dict[str, list[int]] = {}

    async def stay(*, lasts: bool) -> None:
        running = asyncio.create_task(first_event(airflow.adopt(ProcessingJobTrigger(job.job_name, **arguments))))
        if lasts:
            await running
            return
        await airflow.was_changed("log_position", {}, airflow.xcoms["log_position"])
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    for triggerer, lasts in (("A", False), ("B", False), ("A", True)):
        monkeypatch.setattr(log_positions, "_spans", memories[triggerer])
        asyncio.run(stay(lasts=lasts))
        shown = numbers(capfd.readouterr().out)
        assert len(shown) == len(set(shown))
        files[triggerer] = shown

    twice = set(files["A"]) & set(files["B"])
    assert set(files["A"]) | set(files["B"]) == set(range(120))
    assert set(files["B"]) - twice
    assert len(twice) < 120 - len(twice)
    assert memories["A"] == {}
    assert airflow.xcoms.keys() == {"job_name", "return_value"}
