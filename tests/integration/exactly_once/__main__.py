"""Drives a crowd of task instances over an account, and prints what became of it as JSON."""

from __future__ import annotations

import gc
import json
import os
import pkgutil
import sys
import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

from airflow.sdk import DAG
from airflow.sdk.execution_time import task_runner

import airflow_sm_processing
from airflow_sm_processing import ProcessingOperator
from airflow_sm_processing.hooks.connection import AwsConnection
from airflow_sm_processing.processing.defaults import config_files
from tests.integration.exactly_once.instances import Instance
from tests.integration.exactly_once.order import Order
from tests.integration.exactly_once.scheduler import Scheduler
from tests.integration.exactly_once.workers import render

COMMON: dict[str, Any] = {
    "role": "arn:aws:iam::123456789012:role/SageMakerRole",
    "image_uri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/image:1",
    "instance_count": 1,
    "instance_type": "ml.m5.xlarge",
    "aws_conn_id": None,
    "poll_interval": 1,
    "logs": False,
}
WAYS: dict[str, dict[str, Any]] = {
    "waits": {"deferrable": False},
    "defers": {"deferrable": True},
    "ends_in_the_triggerer": {"deferrable": True, "end_from_trigger": True},
}
"""The tasks of a crowd, by how they wait."""
SHARES = ["waits"] * 5 + ["defers"] * 4 + ["ends_in_the_triggerer"]
"""How many task instances each has: a triggerer that is throttled at random ends few by itself in a second."""


def main(order: Order) -> None:
    """Make the tasks, drive their instances, report."""
    with DAG("crowd", schedule=None) as dag:
        instances = _mapped(order) if order.mapped else _each_in_its_run(order)
    _prepare_to_fork(dag, order)
    scheduler = Scheduler(
        dag, instances, logs=Path(order.logs), at_once=order.at_once, doomed=order.doomed, seed=order.seed
    )
    began = time.monotonic()
    scheduler.run()
    seconds = time.monotonic() - began
    report = {"seconds": seconds, "counts": scheduler.counts, "instances": [one.described() for one in instances]}
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as answers:
        json.dump(report, answers)


def _each_in_its_run(order: Order) -> list[Instance]:
    for task_id, way in WAYS.items():
        ProcessingOperator(task_id=task_id, **COMMON, **way, **order.parameters)
    ways = [SHARES[number % len(SHARES)] for number in range(order.instances)]
    return [Instance(number, task_id=way, run_id=f"run-{number}") for number, way in enumerate(ways)]


def _mapped(order: Order) -> list[Instance]:
    mapped = ProcessingOperator.partial(task_id="mapped", deferrable=True, **COMMON, **order.parameters)
    mapped.expand(arguments=[[str(number)] for number in range(order.instances)])
    return [Instance(number, task_id="mapped", run_id="run", map_index=number) for number in range(order.instances)]


def _prepare_to_fork(dag: DAG, order: Order) -> None:
    """Do before the processes fork what each of them would take half a second for, and which proves nothing here."""
    for module in pkgutil.walk_packages(airflow_sm_processing.__path__, "airflow_sm_processing."):
        if not module.name.startswith("airflow_sm_processing.local"):
            import_module(module.name)
    config_files()  # imports platformdirs
    Counter(())  # fills the cache of isinstance(…, Mapping), which has hundreds of subclasses in Airflow
    hook = AwsConnection(aws_conn_id=None, botocore_config=order.parameters.get("botocore_config")).hook()
    _ = hook.session.sagemaker_client
    AwsConnection.hook = lambda *_: hook  # type: ignore[method-assign]
    task_runner._serialize_rendered_fields = lambda _: {}  # type: ignore[assignment]  # what Airflow's UI shows of a task
    for task_id in dag.task_ids:
        render(dag, Instance(-1, task_id=task_id, run_id="none", map_index=0 if order.mapped else -1).stay())
    gc.freeze()  # what is there is there for good, and not to be copied into each process


if __name__ == "__main__":
    main(Order.from_json(sys.argv[1]))
