"""One real Airflow and one local SageMaker for the whole tier, and the runs that its tests look at."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing.local import LocalSageMaker
from demo.airflow_home import EXAMPLES, AirflowHome
from demo.airflow_services import RunningAirflow, running_airflow
from demo.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from demo.airflow_api import TaskInstance

HERE = Path(__file__).parent
EXAMPLE_DAGS = ("sm_pipeline", "sm_training", "sm_mapping", "sm_deferrable", "sm_sdk_style")
ENDS_DAGS = ("ends_in_worker", "ends_deferred")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tier in one worker (`--dist loadgroup`): each worker that runs a part of it starts an Airflow."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("airflow"))


@pytest.fixture(scope="session")
def sagemaker() -> Iterator[LocalSageMaker]:
    with LocalSageMaker(stop_grace=5) as server:
        yield server


@pytest.fixture(scope="session")
def airflow(sagemaker: LocalSageMaker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAirflow]:
    """Airflow's own processes, with the example DAGs and those of this tier loaded."""
    folders = {"examples": EXAMPLES, "acceptance": HERE / "dags"}
    bundles = [
        {
            "name": name,
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(path)},
        }
        for name, path in folders.items()
    ]
    extra = {
        **sagemaker.environment(),
        "SM_POLL_INTERVAL": "1",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
    }
    home = AirflowHome(path=tmp_path_factory.mktemp("acceptance") / "airflow", port=free_port(), extra=extra)
    with running_airflow(home, say=print) as running:
        running.wait_for_dags(*EXAMPLE_DAGS, *ENDS_DAGS)
        yield running


class Run:
    """A DAG run, and what one waits for in it."""

    def __init__(self, airflow: RunningAirflow, dag_id: str) -> None:
        self._airflow = airflow
        self.dag_id = dag_id
        self.run_id = airflow.api.trigger(dag_id)

    def ended(self) -> list[TaskInstance]:
        """Give the tasks when the run has ended."""
        self.until(lambda: self._airflow.api.run_state(self.dag_id, self.run_id) in {"success", "failed"}, "its end")
        return self._airflow.api.task_instances(self.dag_id, self.run_id)

    def end_of(self, task_id: str) -> str:
        """Give a task's state at its end; what it logged shows if the test fails."""
        self.until_task_is(task_id, "success", "failed", "skipped", "upstream_failed")
        print(f"----- log of {self.dag_id}.{task_id}", self.log(task_id), sep="\n")
        return str(self._find(task_id).state)

    def until_task_is(self, task_id: str, *states: str) -> None:
        """Wait until a task is in one of the states."""
        self.until(lambda: self._find(task_id).state in states, f"{task_id} to be {' or '.join(states)}")

    def xcoms(self, task_id: str, *, map_index: int = -1) -> Mapping[str, object]:
        """Give what a task pushed."""
        return self._airflow.api.xcoms(self.dag_id, self.run_id, task_id, map_index=map_index)

    def rendered(self, task_id: str) -> Mapping[str, object]:
        """Give a task's template fields as they were rendered."""
        return self._airflow.api.rendered_fields(self.dag_id, self.run_id, task_id)

    def log(self, task_id: str) -> str:
        """Give a task's log."""
        return self._airflow.api.log(self.dag_id, self.run_id, self._find(task_id))

    def mark_failed(self, task_id: str) -> None:
        """Do as a user does in the UI."""
        self._airflow.api.set_state(self.dag_id, self.run_id, task_id, "failed")

    def _find(self, task_id: str) -> TaskInstance:
        tasks = self._airflow.api.task_instances(self.dag_id, self.run_id)
        return next(task for task in tasks if task.task_id == task_id)

    def until(self, ready: Callable[[], bool], what: str) -> None:
        """Wait until something is so."""
        self._airflow.processes.wait_until(ready, within=200, what=f"{self.dag_id}: {what}")


# All runs of a fixture go on at once: waiting for one is no time lost for the others.
@pytest.fixture(scope="session")
def ends(airflow: RunningAirflow) -> dict[str, Run]:
    """A run of each DAG of `dags/ends.py`, by DAG id."""
    return {dag_id: Run(airflow, dag_id) for dag_id in ENDS_DAGS}


@pytest.fixture(scope="session")
def examples(airflow: RunningAirflow) -> dict[str, Run]:
    """A run of each example, by DAG id."""
    return {dag_id: Run(airflow, dag_id) for dag_id in EXAMPLE_DAGS}


@pytest.fixture(scope="session")
def job_of(sagemaker: LocalSageMaker) -> Callable[[Run, str], dict[str, object]]:
    """Describes the job of a run's task."""

    def describe(run: Run, task_id: str) -> dict[str, object]:
        name = run.xcoms(task_id)["job_name"]
        return sagemaker.client("sagemaker").describe_processing_job(ProcessingJobName=name)

    return describe


@pytest.fixture(scope="session")
def stopped_job_of(job_of: Callable[[Run, str], dict[str, object]]) -> Callable[[Run, str], str]:
    """Waits for a task's job to leave InProgress, at most as long as a stop takes, and gives its status at the end."""

    def wait(run: Run, task_id: str) -> str:
        deadline = time.monotonic() + 60
        while (status := str(job_of(run, task_id)["ProcessingJobStatus"])) in {"InProgress", "Stopping"}:
            assert time.monotonic() < deadline, f"the job of {task_id} is {status} still"
            time.sleep(0.5)
        return status

    return wait
