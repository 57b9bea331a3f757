"""The XComs that a task instance keeps while its job runs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_sm_processing import xcoms
from airflow_sm_processing.links import push_links

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_processing.processing.job import ProcessingJob

__all__ = ["begin_log_position", "forget_log_position", "own_xcom", "publish"]

log = logging.getLogger(__name__)


def publish(context: Context, job: ProcessingJob) -> None:
    """Push what is known of the job as soon as there is one, so that a failed task keeps it."""
    ti = context["ti"]
    ti.xcom_push(key=xcoms.JOB_NAME_KEY, value=job.job_name)
    ti.xcom_push(key=xcoms.JOB_ARN_KEY, value=job.job_arn)
    for name, uri in job.output_uris.items():
        if name not in xcoms.RESERVED_KEYS:  # as an output of somebody else's job may be called
            ti.xcom_push(key=name, value=uri)
    push_links(ti, job.links())


def own_xcom(context: Context, key: str) -> Any:
    """Give what an earlier stay of the task instance, or its trigger, left under a key that it always has."""
    ti = context["ti"]
    return ti.xcom_pull(task_ids=ti.task_id, key=key, map_indexes=ti.map_index)


def begin_log_position(context: Context) -> None:
    """Push a position at the log's start, for triggers to ask for and to move on.

    It is written past XCom backends, as triggers write theirs.
    """
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import SetXCom

    ti = context["ti"]
    place: dict[str, Any] = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": ti.map_index}
    comms: Any = task_runner.SUPERVISOR_COMMS
    try:
        comms.send(SetXCom(key=xcoms.LOG_POSITION_KEY, value={}, **place))
    except Exception as error:  # noqa: BLE001  # of Airflow's many kinds; none is worth a task
        log.warning("XCom %s could not be pushed: %r", xcoms.LOG_POSITION_KEY, error)


def forget_log_position(context: Context) -> None:
    """Delete the position in the job's log, which a worker goes on from."""
    from airflow_sm_processing.airflow_compat import XCom

    ti = context["ti"]
    place = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": ti.map_index}
    try:
        XCom.delete(key=xcoms.LOG_POSITION_KEY, **place)
    except Exception as error:  # noqa: BLE001  # of Airflow's and XCom backends' many kinds; none is worth a task
        log.warning("XCom %s stays, for it could not be deleted: %r", xcoms.LOG_POSITION_KEY, error)
