"""What the matrix runs on: a separate Airflow, a local SageMaker, and a relay before each."""

from __future__ import annotations

import json
import os
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_sm_processing.local import LocalSageMaker
from demo.airflow_home import AirflowHome
from demo.airflow_services import RunningAirflow, running_airflow
from demo.ports import HOST, free_port, is_free
from tests.acceptance.triggerers import Triggerers
from tests.airflow_settings import LITTLE_CPU

from .operators import DAGS, Operator
from .relay import Relay

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

HEARTBEAT_TIMEOUT_SECONDS = 30
"""The number of seconds after which Airflow fails a task whose worker died, and begins its next try."""
# Many tasks at once; deaths are noticed soon. Supervisors reach Airflow's execution API through a relay.
SETTINGS = {
    **LITTLE_CPU,
    "AIRFLOW__CORE__PARALLELISM": "32",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(HEARTBEAT_TIMEOUT_SECONDS),
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "40",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
}
MODES = ("in_worker", "deferred")
KINDS = ("", "_uploading", "_once", "_execution_timeout", "_dagrun_timeout")
DAG_IDS = tuple(f"matrix_{mode}{kind}" for mode in MODES for kind in KINDS)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """All that runs while the matrix is played."""

    operator: Operator
    airflow: RunningAirflow
    triggerers: Triggerers
    sagemaker: LocalSageMaker
    execution_api: Relay
    """Between the tasks' supervisors and Airflow."""
    lines: Mapping[str, Relay]
    """Between each row's tasks and triggers and the local SageMaker, by the row's name."""
    gates: Path
    """The folder where a job's gate is opened by a file of the job's name."""
    changing: threading.Lock
    """Held for each change through the REST API: on SQLite, many concurrent changes block each other until all fail."""


@contextmanager
def staged(operator: Operator, names: Iterable[str], folder: Path) -> Iterator[Stage]:
    """Start everything; at the block's end, nothing of it is left."""
    gates = folder / "gates"
    gates.mkdir(parents=True)
    with ExitStack() as stack:
        sagemaker = stack.enter_context(LocalSageMaker(stop_grace=5, max_jobs=200))
        service = urlsplit(sagemaker.endpoint_url).port
        assert service is not None
        lines = {name: stack.enter_context(Relay(service)) for name in names}
        execution_port = free_port()
        execution_api = stack.enter_context(Relay(execution_port))
        put_code(sagemaker)
        extra = {
            **sagemaker.environment(),
            **SETTINGS,
            **{f"AIRFLOW_CONN_{connection_id(name).upper()}": connection(sagemaker, lines[name]) for name in lines},
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{execution_api.url}/execution/",
            "PATH": f"{operator.python().parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }
        home = AirflowHome(path=folder / "airflow", port=free_port(), dags=operator.dags, extra=extra)
        airflow = stack.enter_context(running_airflow(home, say=print))
        start_execution_api(airflow, execution_port)
        airflow.wait_for_dags(*DAG_IDS)
        yield Stage(
            operator=operator,
            airflow=airflow,
            triggerers=Triggerers(airflow),
            sagemaker=sagemaker,
            execution_api=execution_api,
            lines=lines,
            gates=gates,
            changing=threading.Lock(),
        )


def start_execution_api(airflow: RunningAirflow, port: int) -> None:
    """Start a server for the tasks' supervisors alone.

    In Airflow 3.3.2, a server that waits on SQLite for another write, to create a DAG run, doesn't serve anybody
    meanwhile, not even the task whose write it waits for, if that goes through the same server.
    """
    command = ["airflow", "api-server", "--apps", "execution", "--host", HOST, "--port", str(port)]
    airflow.processes.start("execution-api", command, airflow.home.environment())
    airflow.processes.wait_until(lambda: not is_free(port), within=300, what="The execution API")


def connection_id(name: str) -> str:
    """Name the connection of a row, which leads through its relay."""
    return f"aws_{name.replace('-', '_')}"


def connection(sagemaker: LocalSageMaker, line: Relay) -> str:
    """Write a connection to the local SageMaker, by way of a relay, as an environment variable has it."""
    aws = json.loads(sagemaker.environment()["AIRFLOW_CONN_AWS_DEFAULT"])
    # What is held is waited for: botocore would count the wait for lost, and call again.
    aws["extra"]["config_kwargs"] = {"proxies": {"http": line.url}, "read_timeout": 900}
    return json.dumps(aws)


def put_code(sagemaker: LocalSageMaker) -> None:
    """Put the job's script in S3, for an operator that leaves that to its users."""
    s3 = sagemaker.client("s3")
    s3.create_bucket(Bucket="matrix")
    script = DAGS / "waits_at_own_gate.py"
    s3.put_object(Bucket="matrix", Key=script.name, Body=script.read_bytes())
