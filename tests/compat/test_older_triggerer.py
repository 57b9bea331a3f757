"""Deferred tasks on older Airflows, whose triggers aren't told that a user ended their task."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing import CompletedJobsTrigger
from airflow_sm_processing.local import LocalSageMaker
from demo.airflow_api import AirflowApiError
from demo.airflow_home import AirflowHome
from demo.airflow_services import running_airflow
from demo.ports import free_port
from tests.acceptance.account import Account
from tests.acceptance.runs import PATIENCE_SECONDS, Run
from tests.acceptance.triggerers import Triggerers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.airflow_services import RunningAirflow

DAGS = "process_dags"


@pytest.fixture(scope="module")
def sagemaker(commands: Path) -> Iterator[LocalSageMaker]:
    """Each version's own, for the jobs have the same names."""
    del commands
    with LocalSageMaker(stop_grace=5) as server:
        yield server


@pytest.fixture(scope="module")
def airflow(
    commands: Path, sagemaker: LocalSageMaker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningAirflow]:
    """Its own processes."""
    path = f"{commands}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    home = AirflowHome(
        path=tmp_path_factory.mktemp("older") / "airflow",
        port=free_port(),
        dags=commands.parents[1] / "tests" / "compat" / DAGS,
        extra={**sagemaker.environment(), "PATH": path},
    )
    with running_airflow(home, say=print) as running:
        running.wait_for_dags("waiting")
        yield running


@pytest.fixture(scope="module")
def triggerers(airflow: RunningAirflow) -> Triggerers:
    return Triggerers(airflow)


def status(sagemaker: LocalSageMaker, job_name: str) -> str:
    job = sagemaker.client("sagemaker").describe_processing_job(ProcessingJobName=job_name)
    return str(job["ProcessingJobStatus"])


def test_a_job_is_stopped_when_its_task_is_ended_and_not_when_the_triggerer_is(
    airflow: RunningAirflow, triggerers: Triggerers, sagemaker: LocalSageMaker
):
    run = Run(airflow, "waiting")
    jobs = {}
    for task_id in ("is_marked_failed", "survives"):
        run.until_task_waits(task_id, "deferred")
        jobs[task_id] = run.submitted_job(task_id)
    run.until(lambda: len(run.job_lines("survives")) == 1, "the job's line in the deferred task's log")
    run.mark("is_marked_failed", "failed")
    stopped = {"Stopping", "Stopped"}
    run.until(lambda: status(sagemaker, jobs["is_marked_failed"]) in stopped, "the marked task's job to be stopped")
    run.until(lambda: bool(run.xcoms("survives").get("log_position")), "the line's position to be saved")
    (first,) = triggerers.at_least(1)
    triggerers.stop(first)
    triggerers.start()
    run.until(lambda: run.trigger_starts("survives") == 2, "the other task's trigger to start again")
    assert (run.task("survives").state, status(sagemaker, jobs["survives"])) == ("deferred", "InProgress")
    assert [line.text for line in run.job_lines("survives")] == ["a line"]
    run.mark("survives", "success")
    run.until(lambda: status(sagemaker, jobs["survives"]) in stopped, "the other task's job to be stopped")


def test_completed_jobs_are_told_once_with_the_memory_in_a_variable(
    airflow: RunningAirflow, triggerers: Triggerers, sagemaker: LocalSageMaker
):
    account = Account(sagemaker)
    started = []
    shown: Counter[str] = Counter()

    def told() -> Counter[str]:
        with suppress(AirflowApiError):  # no event is shown while a run that one caused waits for its start
            events = airflow.api.asset_events("watched_jobs")
            shown.clear()
            shown.update(event["extra"]["payload"]["job_name"] for event in events)
        return shown

    def begins() -> bool:
        started.append(f"watched-first-{len(started)}")
        account.start(started[-1], seconds=1.0)
        return bool(told())

    until = partial(airflow.processes.wait_until, within=PATIENCE_SECONDS)
    airflow.wait_for_dags("watching")
    until(begins, what="the first event")
    key = CompletedJobsTrigger(job_name_prefix="watched-").store_key
    until(lambda: started[-1] in airflow.api.variable(key), what="the last job to be remembered")
    (triggerer,) = triggerers.at_least(1)
    triggerers.stop(triggerer)
    account.start("watched-meanwhile")
    until(lambda: account.status("watched-meanwhile") == "Completed", what="the job")
    triggerers.start()
    until(lambda: "watched-meanwhile" in told(), what="what completed while no triggerer ran")
    account.start("watched-last")
    until(lambda: "watched-last" in told(), what="the last event")
    assert set(told().values()) == {1}
    log = (airflow.home.path / "logs" / "triggerer.log").read_text()
    assert "this Airflow has no state store for assets, so its state is in an Airflow variable" in log
