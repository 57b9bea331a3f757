"""A user stops jobs from their tab: real Airflow, whose tasks wait for jobs of the local SageMaker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from demo.airflow_api import repeated
from demo.airflow_home import AirflowHome
from demo.airflow_services import running_airflow
from demo.ports import HOST, free_port
from tests.airflow_settings import LITTLE_CPU

from .conftest import NO_AUTHORITIES, answers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_sm_processing.local import LocalSageMaker
    from demo.airflow_services import RunningAirflow

HERE = Path(__file__).parent
OPTIONS: dict[str, Any] = {"timeout": 60, "verify": NO_AUTHORITIES}
HINT = "Stop the job in the AWS console, or set [sm_processing] ask_sagemaker = True to let the API server stop it."


class Tab:
    """The tab of one task instance of a run."""

    def __init__(self, airflow: RunningAirflow, server: str, run_id: str, task_id: str) -> None:
        self._airflow = airflow
        self._path = f"{server}/sm-processing/api/dags/stoppable/job"
        self._place = {"run_id": run_id, "task_id": task_id}

    def shown(self) -> Any:
        answer = httpx.get(self._path, params=self._place, **OPTIONS)
        return answer.raise_for_status().json()

    def stop(self) -> httpx.Response:
        body, headers = {"job_name": self.shown()["job"]["job_name"]}, {"X-SM-Processing": "stop"}
        return repeated(httpx.post, f"{self._path}/stop", params=self._place, json=body, headers=headers, **OPTIONS)

    def wait_for(self, task_state: str, job_status: str = "InProgress") -> None:
        def is_there() -> bool:
            shown = self.shown()
            return shown["task"]["state"] == task_state and (shown["job"] or {}).get("status") == job_status

        self.until(is_there, f"state {task_state} and job {job_status}")

    def until(self, condition: Callable[[], bool], what: str) -> None:
        self._airflow.processes.wait_until(condition, within=600, what=f"{self._place['task_id']}: {what}")


@pytest.fixture(scope="module", params=["False", "True"], ids=["tasks stop", "SageMaker is asked"])
def asks(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def airflow(sagemaker: LocalSageMaker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAirflow]:
    """Its own processes, whose API server doesn't ask SageMaker."""
    home = AirflowHome(
        path=tmp_path_factory.mktemp("stop") / "airflow",
        port=free_port(),
        dags=HERE / "dags",
        extra={**sagemaker.environment(), **LITTLE_CPU, "AIRFLOW__SM_PROCESSING__ASK_SAGEMAKER": "False"},
    )
    with running_airflow(home, say=print) as running:
        running.wait_for_dags("stoppable")
        yield running


@pytest.fixture(scope="module")
def servers(airflow: RunningAirflow) -> dict[str, str]:
    """The URLs of the API server, and of one beside it that asks SageMaker."""
    port = free_port()
    asking = {"AIRFLOW__API__PORT": str(port), "AIRFLOW__SM_PROCESSING__ASK_SAGEMAKER": "True"}
    airflow.processes.start("asking-api-server", ["airflow", "api-server"], airflow.home.environment() | asking)
    url = f"http://{HOST}:{port}"
    airflow.processes.wait_until(lambda: answers(url), within=300, what="The API server that asks SageMaker")
    return {"False": airflow.url, "True": url}


@pytest.fixture(scope="module")
def tabs(asks: str, airflow: RunningAirflow, servers: dict[str, str]) -> dict[str, Tab]:
    """The tabs of a run's tasks, whose jobs run."""
    run_id = airflow.api.trigger("stoppable", conf={})
    states = {"in_worker": "running", "deferred": "deferred", "left_running": "deferred", "not_awaited": "success"}
    tabs = {task_id: Tab(airflow, servers[asks], run_id, task_id) for task_id in states}
    for task_id, tab in tabs.items():
        tab.wait_for(states[task_id])
    return tabs


@pytest.fixture
def status_of(sagemaker: LocalSageMaker):
    """A function that returns the status of a tab's job in SageMaker."""

    def status(tab: Tab) -> str:
        name = tab.shown()["job"]["job_name"]
        return str(sagemaker.client("sagemaker").describe_processing_job(ProcessingJobName=name)["ProcessingJobStatus"])

    return status


@pytest.mark.parametrize("task_id", ["in_worker", "deferred"])
def test_a_stop_ends_the_job_and_its_task(asks: str, tabs: dict[str, Tab], status_of, task_id: str):
    tab = tabs[task_id]
    how = "sagemaker" if asks == "True" else "task"
    possible = {"possible": True, "how": how, "why_not": None}
    tab.until(lambda: tab.shown()["stop"] == possible, "stop offered")  # a triggerer has to have the deferred one
    answer = tab.stop()
    assert (answer.status_code, answer.json()) == (202, {"how": how})
    tab.until(lambda: status_of(tab) == "Stopped", "job stopped")
    tab.until(lambda: tab.shown()["task"]["state"] == "failed", "end as failed")
    assert tab.stop().status_code == 409


@pytest.mark.parametrize(
    ("task_id", "why_not"),
    [
        ("left_running", f"The task is set to leave its job running when it is stopped (stop_on_kill=False). {HINT}"),
        ("not_awaited", f"The task doesn't wait for this job (wait_for_completion=False), so it can't stop it. {HINT}"),
    ],
)
def test_jobs_that_tasks_dont_stop_are_stopped_by_sagemaker_or_not_at_all(
    asks: str, tabs: dict[str, Tab], status_of, task_id: str, why_not: str
):
    tab = tabs[task_id]
    if asks == "True":
        assert tab.shown()["stop"] == {"possible": True, "how": "sagemaker", "why_not": None}
        assert tab.stop().json() == {"how": "sagemaker"}
        tab.until(lambda: status_of(tab) == "Stopped", "job stopped")
    else:
        assert tab.shown()["stop"] == {"possible": False, "how": None, "why_not": why_not}
        assert tab.stop().json() == {"detail": f"This job can't be stopped from Airflow's UI. {why_not}"}
        assert status_of(tab) == "InProgress"
