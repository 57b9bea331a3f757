"""Fifty deferred jobs and two triggerers, one of which is killed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.processing.log_events import LogPosition
from airflow_sm_processing.xcoms import JOB_NAME_KEY, LOG_POSITION_KEY

from .runs import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_sm_processing.local import LocalSageMaker
    from demo.airflow_api import TaskInstance
    from demo.airflow_services import RunningAirflow

    from .runs import Gate, JobLine
    from .triggerers import Triggerers

MAPPED = {"on_1": 40, "on_2": 10}
"""The tasks of `dags/crowd.py`, and how often each is mapped."""
HOSTS = {"on_1": 1, "on_2": 2}
"""How many hosts their jobs have."""


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """What became of the crowd."""

    run: Run
    jobs: Mapping[str, str]
    """The jobs' names, by the tasks' labels, as they were before the kill."""
    triggerers: Mapping[str, int | None]
    """Which triggerer had a task's trigger before the kill."""
    taken_twice: frozenset[str]
    """The tasks whose trigger was started more often than the kill explains: two triggerers took it in the same moment,
    which SQLite has no row locks to prevent, or Airflow took a late triggerer for dead. Looked for before the kill too,
    for Airflow empties the log that a triggerer has of a task when it starts the trigger there once more.
    """
    saved_since: Mapping[str, datetime]
    """From when on a triggerer that begins at the position that was saved before the kill may show a log's lines."""
    killed: int
    killed_at: datetime
    ended: list[TaskInstance]


@pytest.fixture(scope="module")
def crowd(airflow: RunningAirflow, triggerers: Triggerers, gate_factory: Callable[[], Gate]) -> Crowd:
    """Fifty deferred tasks that two triggerers share; the one with more of them is killed, another is started."""
    triggerers.at_least(2)
    run = Run(airflow, "crowd", gate=gate_factory())
    tasks = all_deferred(run)
    xcoms = {task.label: run.xcoms(task.task_id, map_index=task.map_index) for task in tasks}
    shares = Counter(task.triggerer for task in tasks)
    killed = triggerers.numbered(shares.most_common(1)[0][0])
    taken_twice = {task.label for task in tasks if trigger_starts(run, task) > 1}
    killed_at = datetime.now(timezone.utc)
    triggerers.kill(killed)
    triggerers.start()
    for task in tasks:
        if task.triggerer == killed.number:
            until_a_line_is_newer(run, task, killed_at)
    run.open_gate()
    ended = run.ended()
    taken_twice |= {
        task.label for task in tasks if trigger_starts(run, task) > (2 if task.triggerer == killed.number else 1)
    }
    return Crowd(
        run=run,
        jobs={label: str(found[JOB_NAME_KEY]) for label, found in xcoms.items()},
        triggerers={task.label: task.triggerer for task in tasks},
        taken_twice=frozenset(taken_twice),
        saved_since={task.label: saved_since(xcoms[task.label], HOSTS[task.task_id]) for task in tasks},
        killed=killed.number,
        killed_at=killed_at,
        ended=ended,
    )


def all_deferred(run: Run) -> list[TaskInstance]:
    """Return the tasks when each is deferred to a triggerer that shows its job's lines already."""
    mapped = sum(MAPPED.values())
    run.until(lambda: [task.state for task in run.tasks()].count("deferred") == mapped, "all tasks to be deferred")
    tasks = run.tasks()
    for task in tasks:
        run.until(
            lambda task=task: len(run.job_lines(task.task_id, map_index=task.map_index)) >= 3,
            f"three lines of {task.label}",
        )
    return run.tasks()


def saved_since(xcoms: Mapping[str, Any], hosts: int) -> datetime:
    """Return the time from which on a job's lines are read with the position in its task's XComs."""
    streams = LogPosition.from_plain(xcoms[LOG_POSITION_KEY]).streams.values()
    milliseconds = min(stream.since for stream in streams) if len(streams) == hosts else 0
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc)


def trigger_starts(run: Run, task: TaskInstance) -> int:
    """Return how often a task's trigger was started, by the logs that there are of it."""
    return run.trigger_starts(task.task_id, map_index=task.map_index)


def until_a_line_is_newer(run: Run, task: TaskInstance, moment: datetime) -> None:
    """Wait until a task's log shows what its job wrote after a moment."""
    run.until(
        lambda: any(line.time > moment for line in run.job_lines(task.task_id, map_index=task.map_index)),
        f"a line of {task.label} from after the kill",
    )


def test_two_triggerers_share_the_work(crowd: Crowd) -> None:
    shares = Counter(crowd.triggerers.values())
    assert len(shares) == 2, shares
    assert min(shares.values()) >= 5, shares


def test_every_task_succeeds_though_its_triggerer_was_killed(crowd: Crowd) -> None:
    labels = [f"{task_id}[{index}]" for task_id, count in MAPPED.items() for index in range(count)]
    assert {task.label: task.state for task in crowd.ended} == dict.fromkeys(labels, "success")


def test_no_job_is_stopped_lost_or_submitted_twice(crowd: Crowd, sagemaker: LocalSageMaker) -> None:
    pages = sagemaker.client("sagemaker").get_paginator("list_processing_jobs").paginate(NameContains="crowd")
    found = [job for page in pages for job in page["ProcessingJobSummaries"]]
    assert sorted((job["ProcessingJobName"], job["ProcessingJobStatus"]) for job in found) == sorted(
        (job_name, "Completed") for job_name in crowd.jobs.values()
    )


def test_every_line_of_every_host_is_in_its_tasks_log(
    crowd: Crowd, written_lines: Callable[[str], list[JobLine]]
) -> None:
    missing = {}
    for task in crowd.ended:
        shown = crowd.run.job_lines(task.task_id, map_index=task.map_index)
        missing[task.label] = set(written_lines(crowd.jobs[task.label])) - set(shown)
    assert missing == {label: set() for label in crowd.jobs}


def test_only_lines_after_the_saved_position_are_repeated(crowd: Crowd) -> None:
    assert len(crowd.taken_twice) < 25
    for task in [task for task in crowd.ended if task.label not in crowd.taken_twice]:
        shown = Counter(crowd.run.job_lines(task.task_id, map_index=task.map_index))
        repeated = [line for line, count in shown.items() if count > 1]
        if crowd.triggerers[task.label] != crowd.killed:
            assert repeated == [], task.label
        since = crowd.saved_since[task.label]
        assert [line for line in repeated if not since <= line.time < crowd.killed_at] == [], task.label
