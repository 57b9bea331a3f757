"""A DAG that is scheduled by completed jobs, and whose triggerer is killed again and again."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_processing.assets.listener import ACKNOWLEDGEMENT
from demo.airflow_api import AirflowApiError

from .account import BUCKET, Account
from .runs import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_processing.local import LocalSageMaker
    from demo.airflow_services import RunningAirflow

    from .triggerers import Triggerers

ASSET, DAG = "watched_jobs", "watched"
ROUNDS, JOBS_A_ROUND = 2, 5
RESULT = frozenset(
    {
        "job_name",
        "job_arn",
        "status",
        "outputs",
        "exit_message",
        "failure_reason",
        "started_at",
        "ended_at",
        "duration_seconds",
        "instance_seconds",
        "completion",
    }
)


@dataclass
class Watched:
    """What became of the jobs."""

    jobs: list[str]
    events: list[dict[str, Any]]
    runs_jobs: list[str]
    """The jobs that the DAG's runs saw."""


def events(airflow: RunningAirflow) -> list[dict[str, Any]]:
    return [event for event in airflow.api.asset_events(ASSET) if "first" not in event["extra"]["payload"]["job_name"]]


def told(airflow: RunningAirflow) -> Counter[str]:
    return Counter(event["extra"]["payload"]["job_name"] for event in events(airflow))


def wait(airflow: RunningAirflow, ready: Callable[[], object], what: str) -> None:
    """Wait; Airflow 3.3 doesn't show an event while a run that it caused waits for its start."""

    def is_ready() -> bool:
        with suppress(AirflowApiError):
            return bool(ready())
        return False

    airflow.processes.wait_until(is_ready, within=PATIENCE_SECONDS, what=what)


@pytest.fixture(scope="module")
def watched(airflow: RunningAirflow, triggerers: Triggerers, sagemaker: LocalSageMaker) -> Watched:
    """Jobs in rounds: in each, the triggerer is killed, when the first event is stored or when all have completed."""
    airflow.wait_for_dags(DAG)
    account = Account(sagemaker)
    until_it_watches(airflow, account)
    account.start("watched-fails", code=1)
    account.start("watched-untagged", tags=())
    account.start("other-job")
    jobs: list[str] = []
    for number in range(ROUNDS):
        names = [f"watched-{number}-{index}" for index in range(JOBS_A_ROUND)]
        for index, name in enumerate(names):
            account.start(name, seconds=0.4 * index)
        jobs += names
        if number % 2:
            wait(airflow, lambda names=names: all(account.status(name) == "Completed" for name in names), "the jobs")
        else:
            wait(airflow, lambda names=names: told(airflow).keys() & {*names}, "the first event")
        (triggerer,) = triggerers.at_least(1)
        triggerers.kill(triggerer)
        triggerers.start()
    wait(airflow, lambda: told(airflow).keys() >= {*jobs}, "all events")
    account.start("watched-last")
    wait(airflow, lambda: "watched-last" in told(airflow), "an event after all others")
    jobs.append("watched-last")
    wait(airflow, lambda: len(seen_by_runs(airflow)) >= len(jobs), "the DAG's runs")
    found: list[list[dict[str, Any]]] = []
    wait(airflow, lambda: found.append(events(airflow)) or found, "the events to be shown")
    return Watched(jobs, found[-1], seen_by_runs(airflow))


def until_it_watches(airflow: RunningAirflow, account: Account) -> None:
    """Start a job after the other until one is told: what completes before the trigger has begun isn't."""
    count = 0

    def is_told() -> bool:
        nonlocal count
        count += 1
        account.start(f"watched-first-{count}", seconds=1.0)
        return bool(airflow.api.asset_events(ASSET))

    wait(airflow, is_told, "an event")


def seen_by_runs(airflow: RunningAirflow) -> list[str]:
    found = []
    for run_id in airflow.api.run_ids(DAG):
        if airflow.api.run_state(DAG, run_id) == "success":
            found += airflow.api.xcoms(DAG, run_id, "job_names")["return_value"]
    return [name for name in found if "first" not in name]


def test_each_completion_is_exactly_one_event_though_its_triggerer_was_killed(watched: Watched) -> None:
    names = Counter(event["extra"]["payload"]["job_name"] for event in watched.events)
    assert names == Counter(watched.jobs)


def test_an_event_has_the_job_and_its_outputs(watched: Watched) -> None:
    event = watched.events[-1]["extra"]
    payload = {name: value for name, value in event["payload"].items() if name != ACKNOWLEDGEMENT}
    assert event["from_trigger"] is True
    assert payload.keys() == RESULT
    assert (payload["job_name"], payload["status"]) == ("watched-last", "Completed")
    assert payload["job_arn"].endswith(":processing-job/watched-last")
    assert payload["outputs"] == {"out": f"s3://{BUCKET}/watched-last"}


def test_every_event_left_its_receipt(watched: Watched, airflow: RunningAirflow) -> None:
    logs = [file.read_text() for file in (airflow.home.path / "logs").glob("triggerer*.log")]
    assert len(logs) > ROUNDS
    assert not any("No acknowledgement of" in log for log in logs)
    assert {event["extra"]["payload"]["completion"].partition("@")[0] for event in watched.events} == {*watched.jobs}


def test_each_event_reaches_one_run_of_the_dag(watched: Watched) -> None:
    assert Counter(watched.runs_jobs) == Counter(watched.jobs)
