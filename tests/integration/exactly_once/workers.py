"""A worker's process: one stay of a task instance, through Airflow's own task runner."""

from __future__ import annotations

import os
import sys
import uuid
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import structlog
from airflow.sdk.api.datamodels._generated import DagRun, DagRunState, DagRunType, TIRunContext
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import CommsDecoder

from tests.integration.exactly_once.instances import MAX_TRIES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path

    from airflow.sdk import DAG

    from tests.integration.exactly_once.instances import Stay

_NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


class Supervisor(CommsDecoder[Any, Any]):
    """Asks the scheduler's process, which answers for Airflow: its own frames would only be slower."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def send(self, msg: Any) -> Any:
        self._connection.send(msg)
        return self._connection.recv()


def work(connection: Connection, dag: DAG, stay: Stay, log: Path) -> None:
    """Run the stay; what it says goes to the task instance's log, what it reports to the scheduler."""
    with said_to(log):
        task_runner.SUPERVISOR_COMMS = Supervisor(connection)
        instance = _instance(dag, stay)
        print(f"::try {stay.try_number}, {'resumed' if stay.resume else 'from its beginning'}", flush=True)
        _, _, error = task_runner.run(instance, instance.get_template_context(), structlog.get_logger())
        if error is not None:
            print(f"::error {type(error).__name__}: {error}", flush=True)


def render(dag: DAG, stay: Stay) -> None:
    """Do what a stay begins with: it loads what Airflow loads for a task."""
    instance = _instance(dag, stay)
    context = instance.get_template_context()
    instance.task = instance.task.prepare_for_execution()
    context["task"] = instance.task
    instance.render_templates(context, instance.task.dag.get_template_env())


@contextmanager
def said_to(log: Path) -> Iterator[None]:
    """Append to a file what this process prints, until it ends."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(descriptor, stream.fileno())
    yield
    sys.stdout.flush()


def _instance(dag: DAG, stay: Stay) -> task_runner.RuntimeTaskInstance:
    dag_run = DagRun(
        dag_id=dag.dag_id, run_id=stay.run_id, logical_date=_NOW, data_interval_start=_NOW, data_interval_end=_NOW,
        run_after=_NOW, start_date=_NOW, end_date=None, run_type=DagRunType.MANUAL, state=DagRunState.RUNNING,
        consumed_asset_events=[], partition_key=None,
    )  # fmt: skip
    method, arguments = stay.resume or (None, None)
    return task_runner.RuntimeTaskInstance.model_construct(
        id=stay.id, task_id=stay.task_id, dag_id=dag.dag_id, run_id=stay.run_id, try_number=stay.try_number,
        dag_version_id=uuid.uuid4(), map_index=stay.map_index, task=dag.get_task(stay.task_id), max_tries=MAX_TRIES,
        start_date=stay.started, context_carrier={"traceparent": stay.trace},
        _ti_context_from_server=TIRunContext(
            dag_run=dag_run, max_tries=MAX_TRIES, should_retry=True, next_method=method, next_kwargs=arguments,
            xcom_keys_to_clear=stay.xcom_keys_to_clear,
        ),
    )  # fmt: skip
