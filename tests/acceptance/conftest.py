"""One real Airflow and one local SageMaker for the whole tier, and the runs that its tests look at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_sm_processing.local import LocalSageMaker
from demo.airflow_home import EXAMPLES, AirflowHome
from demo.airflow_services import RunningAirflow, running_airflow
from demo.ports import free_port
from tests.airflow_settings import LITTLE_CPU
from tests.waiting import wait_until

from .crash_matrix.summary import SOAK, add_summary
from .metrics import listening
from .runs import PATIENCE_SECONDS, Gate, JobLine, Run
from .triggerers import Triggerers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .metrics import Metrics

HERE = Path(__file__).parent
EXAMPLE_DAGS = (
    "sm_pipeline",
    "sm_assets",
    "sm_training",
    "sm_tuning",
    "sm_mapping",
    "sm_branch",
    "sm_deferrable",
    "sm_sdk_style",
    "sm_sensor",
    "sm_result_files",
    "sm_decorator",
)
ENDS_DAGS = ("ends_in_worker", "ends_deferred", "ends_from_trigger")
CANARY_DAGS = ("canaries_in_worker", "canaries_deferred", "canaries_from_trigger", "canaries_other")
WAITS_DAGS = tuple(
    f"waits_{mode}{kind}" for mode in ("in_worker", "deferred") for kind in ("", "_alone", "_slow_to_start")
)
# Many tasks at once; a triggerer that died is noticed soon; triggers are spread over the triggerers in small portions.
SETTINGS = {
    **LITTLE_CPU,
    "AIRFLOW__CORE__PARALLELISM": "16",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__TRIGGERER__MAX_TRIGGER_TO_SELECT_PER_LOOP": "5",
    "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "2",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(SOAK, type=int, default=1, help="how often the crash matrix is played")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the crash matrix's table."""
    add_summary(terminalreporter)


@pytest.fixture(scope="session")
def sagemaker() -> Iterator[LocalSageMaker]:
    with LocalSageMaker(stop_grace=5, max_jobs=100) as server:
        yield server


@pytest.fixture(scope="session")
def metrics() -> Iterator[Metrics]:
    with listening() as listener:
        yield listener


@pytest.fixture(scope="session")
def airflow(
    sagemaker: LocalSageMaker, metrics: Metrics, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningAirflow]:
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
        **metrics.environment(),
        **SETTINGS,
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
    }
    home = AirflowHome(path=tmp_path_factory.mktemp("acceptance") / "airflow", port=free_port(), extra=extra)
    with running_airflow(home, say=print) as running:
        running.wait_for_dags(*EXAMPLE_DAGS, *ENDS_DAGS, *CANARY_DAGS, *WAITS_DAGS, "crowd")
        yield running


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
def triggerers(airflow: RunningAirflow) -> Triggerers:
    """The triggerers of the tier's Airflow."""
    return Triggerers(airflow)


@pytest.fixture(scope="session")
def gate_factory(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Gate]:
    """Makes gates, closed."""
    return lambda: Gate(tmp_path_factory.mktemp("gate") / "open")


@pytest.fixture(scope="session")
def job_of(sagemaker: LocalSageMaker) -> Callable[[Run, str], dict[str, object]]:
    """Describes the job of a run's task."""

    def describe(run: Run, task_id: str) -> dict[str, object]:
        name = run.xcoms(task_id)["job_name"]
        return sagemaker.client("sagemaker").describe_processing_job(ProcessingJobName=name)

    return describe


@pytest.fixture(scope="session")
def status_of(sagemaker: LocalSageMaker) -> Callable[[str], str]:
    """Returns a job's status as it is now."""

    def status(job_name: str) -> str:
        found = sagemaker.client("sagemaker").describe_processing_job(ProcessingJobName=job_name)
        return str(found["ProcessingJobStatus"])

    return status


@pytest.fixture(scope="session")
def last_status_of(status_of: Callable[[str], str]) -> Callable[[str], str]:
    """Waits for a job's end, and returns its status then."""

    def wait(job_name: str) -> str:
        def last_status() -> str | None:
            status = status_of(job_name)
            return None if status in {"InProgress", "Stopping"} else status

        return wait_until(last_status, shows=lambda: f"{job_name} is {status_of(job_name)}", within=PATIENCE_SECONDS)

    return wait


@pytest.fixture(scope="session")
def written_lines(sagemaker: LocalSageMaker) -> Callable[[str], list[JobLine]]:
    """Returns what CloudWatch has of a job's script, in its order."""
    pages = sagemaker.client("logs").get_paginator("filter_log_events")

    def lines(job_name: str) -> list[JobLine]:
        found = pages.paginate(logGroupName="/aws/sagemaker/ProcessingJobs", logStreamNamePrefix=f"{job_name}/")
        events = [event for page in found for event in page["events"]]
        return [JobLine.of_event(event) for event in events if not event["message"].startswith("[local]")]

    return lines
